import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { StepError } from '../../../../lib/errors.ts';
import type { Circuit } from '../../circuit/circuit.ts';
import type { Answer } from './compile-thread.ts';

const program = new URL(`./compile-thread${extname(import.meta.url)}`, import.meta.url);
const sourceLengthMax = 1024 * 1024;
const timeoutMsDefault = 60_000;
const heapMb = 1024;

export interface QsharpOptions {
  /** Where it begins, such as `Bell` or `Demo.Rotate(0.5)`. Default the program's own entry point, or `Main`. */
  operation?: string;
  signal?: AbortSignal;
  /** Default 60,000. */
  timeoutMs?: number;
}

/**
 * A circuit from a Q# program, compiled by Q#'s own compiler (the package `qsharp-lang`, loaded here for the first time) for the profile
 * `adaptive_ri`, in a thread of its own. Results that the program returns become the register `c`, the first its bit 0; others that it looks at,
 * `m`. Results computed from measurements, such as an Int, are not returned: the measurements are.
 *
 * @param source 1 MiB at most
 * @throws StepError QSHARP_SYNTAX with the compiler's messages, line:column; QUANTUM_COMPILER_MISSING, QUANTUM_COMPILER_FAILED,
 *   UNSUPPORTED_GATE, QUANTUM_UNSUPPORTED, CIRCUIT_TOO_LARGE, INVALID_PARAMS, STEP_TIMEOUT; the signal's reason
 */
export async function compileQsharp(source: string, options: QsharpOptions = {}): Promise<Circuit> {
  const { operation, signal, timeoutMs = timeoutMsDefault } = options;
  signal?.throwIfAborted();
  if (source.length > sourceLengthMax)
    throw new StepError('CIRCUIT_TOO_LARGE', `the Q# program is longer than ${sourceLengthMax} characters`);
  const worker = new Worker(program, {
    name: 'qsharp-compiler',
    workerData: { source, ...(operation === undefined ? {} : { operation }) },
    argv: [],
    env: {},
    execArgv: ['--no-warnings'],
    // Kept from ours, and not read: what the compiler prints is no output of the node.
    stdout: true,
    stderr: true,
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  });
  const ended = new AbortController();
  const timeout = AbortSignal.timeout(timeoutMs);
  const stop = AbortSignal.any([timeout, ended.signal, ...(signal === undefined ? [] : [signal])]);
  try {
    const [answer] = (await Promise.race([
      once(worker, 'message', { signal: stop }),
      once(worker, 'exit', { signal: stop }).then((): never => {
        throw new StepError('QUANTUM_COMPILER_FAILED', 'the thread of the Q# compiler ended', { retryable: true });
      }),
    ])) as [Answer];
    if ('circuit' in answer) return answer.circuit;
    throw new StepError(answer.failure.code, answer.failure.message);
  } catch (cause) {
    if (cause instanceof StepError) throw cause;
    signal?.throwIfAborted();
    if (timeout.aborted) throw new StepError('STEP_TIMEOUT', `the Q# compiler took longer than ${timeoutMs} ms`);
    throw new StepError('QUANTUM_COMPILER_FAILED', 'the thread of the Q# compiler was lost', {
      retryable: true,
      cause,
    });
  } finally {
    ended.abort();
    await worker.terminate();
  }
}
