import { availableParallelism } from 'node:os';
import type { CallInput } from '../abi/params.ts';
import { factsOf, resultOf, SandboxFailure } from './answers.ts';
import { compact } from './compact.ts';
import {
  type CallOrder,
  type CallResult,
  noFacts,
  type SandboxOptions,
  type SandboxStream,
  type StreamOrder,
} from './order.ts';
import { pipeItems } from './pipe.ts';
import { Pool } from './pool.ts';
import { type StreamState, streamItems } from './stream.ts';
import { crashed, type WorkerThread } from './worker-thread.ts';

/**
 * Runs modules in threads of its own, each call in an instance of its own that nothing survives. The module must come from the rewriter, which
 * bounds its fuel, depth and memory; the thread bounds its time, as it can be ended at any moment.
 *
 * Failures are `SandboxFailure`, a StepError with `facts` (fuel used, memory): OUT_OF_FUEL, CALL_DEPTH_EXCEEDED, MEMORY_LIMIT, TABLE_LIMIT,
 * WASM_TRAP, WASM_EXITED, FUNCTION_NOT_FOUND, ABI_MISMATCH, IMPORT_UNSUPPORTED, RESULT_INVALID, RESULT_TOO_LARGE, SANDBOX_CRASHED (retryable). Without
 * facts: OVERLOADED (retryable), RESULT_INVALID of a result that can't be decoded, and the signal's reason.
 */
export class Sandbox {
  readonly #pool: Pool;

  constructor(options: SandboxOptions = {}) {
    this.#pool = new Pool({
      threadsMax: options.threadsMax ?? Math.min(8, availableParallelism()),
      queueMax: options.queueMax ?? 1_000,
      idleMs: options.idleMs ?? 10_000,
      stackSizeMb: options.stackSizeMb ?? 32,
      heapMb: options.heapMb ?? 512,
      modulesMax: options.modulesPerThreadMax ?? 32,
    });
  }

  /** Starts the first thread ahead of the first call. */
  warm(): void {
    this.#pool.warm();
  }

  /**
   * Calls a function in a fresh instance. Input bytes are copied, never taken.
   *
   * @param signal ends the call and its thread at once, also while it waits for one
   * @throws SandboxFailure, StepError, the signal's reason
   */
  call(order: CallOrder, signal?: AbortSignal): Promise<CallResult> {
    return this.#with(signal, async (thread) => {
      thread.post({ kind: 'call', input: compact(order.input), ...thread.instanceMessage(order) });
      const answer = await thread.next();
      if (answer.kind === 'failed') throw new SandboxFailure(answer);
      if (answer.kind !== 'done') throw crashed('it answered something else');
      const result = resultOf(answer.outcome, order.plan.output, order.settings.outputBytesMax);
      return { result, ...factsOf(answer.facts) };
    });
  }

  /**
   * Sends items through one live instance, one result for each and in order (`wasi-command`: through the standard input and output of one
   * program, whose output comes in pieces of `chunkBytes`; items that are no bytes are written as lines of JSON). At most four items are on their way: a slow reader slows the producer, and one that
   * stops reading ends the producer (its `return` is called) and the thread.
   *
   * @throws while iterating, as `call`; also what the input throws
   */
  stream(
    order: StreamOrder,
    input: AsyncIterable<CallInput> | Iterable<CallInput>,
    signal?: AbortSignal,
  ): SandboxStream {
    const state: StreamState = { facts: noFacts };
    const pool = this.#pool;
    const items = order.plan.abi === 'wasi-command' ? pipeItems : streamItems;
    return {
      facts: () => state.facts,
      async *[Symbol.asyncIterator]() {
        const thread = await pool.take(signal);
        const stop = (): void => thread.end(signal?.reason);
        signal?.addEventListener('abort', stop, { once: true });
        if (signal?.aborted === true) stop();
        try {
          yield* items(thread, order, input, state);
        } finally {
          signal?.removeEventListener('abort', stop);
          pool.give(thread);
        }
      },
    };
  }

  /** Ends all threads; what runs or waits fails. */
  close(): Promise<void> {
    return this.#pool.close();
  }

  /** Threads in all (ending ones too), idle ones, calls that wait. */
  get counts(): { threads: number; idle: number; waiting: number } {
    return this.#pool.counts;
  }

  async #with<T>(signal: AbortSignal | undefined, body: (thread: WorkerThread) => Promise<T>): Promise<T> {
    const thread = await this.#pool.take(signal);
    const stop = (): void => thread.end(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted === true) stop();
    try {
      return await body(thread);
    } finally {
      signal?.removeEventListener('abort', stop);
      this.#pool.give(thread);
    }
  }
}
