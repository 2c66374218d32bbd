import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { messageOf, StepError } from '../../../lib/errors.ts';
import type { JSONValue } from '../../../lib/json.ts';
import type { Work } from '../job.ts';
import type { FromThread, ToThread } from './messages.ts';

const program = new URL(`./thread${extname(import.meta.url)}`, import.meta.url);
const idleMs = 30_000;
/** Of JavaScript's own; amplitudes lie outside. */
const heapMb = 4096;

export interface JobHooks {
  signal: AbortSignal;
  progress(fraction: number | null, note: string): void;
  checkpoint(state: JSONValue): Promise<void>;
}

interface Waiter {
  resolve: () => void;
  reject: (reason: unknown) => void;
}

/** Threads for jobs, started when they are needed: one job has one of them to itself, and more wait. */
export class Threads {
  readonly #countMax: number;
  readonly #idle: { worker: Worker; timer: NodeJS.Timeout }[] = [];
  readonly #busy = new Set<Worker>();
  readonly #waiting = new Set<Waiter>();
  /** Turns that are taken. */
  #turns = 0;
  #isClosed = false;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  /** @throws StepError the job's own; QUANTUM_CRASHED (retryable) where the thread is lost, CIRCUIT_TOO_LARGE where its memory ends; the signal's reason */
  async run(work: Work, hooks: JobHooks): Promise<unknown> {
    await this.#turn(hooks.signal);
    const worker = this.#take();
    let isWhole = false;
    try {
      const output = await ask(worker, work, hooks);
      isWhole = true;
      return output;
    } catch (thrown) {
      isWhole = thrown instanceof JobFailure;
      throw thrown instanceof JobFailure ? thrown.error : thrown;
    } finally {
      this.#busy.delete(worker);
      if (isWhole && !this.#isClosed) this.#rest(worker);
      else await worker.terminate();
      this.#endTurn();
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const waiter of this.#waiting) waiter.reject(closed());
    this.#waiting.clear();
    for (const { timer } of this.#idle) clearTimeout(timer);
    const all = [...this.#idle.splice(0).map(({ worker }) => worker), ...this.#busy];
    await Promise.all(all.map((worker) => worker.terminate()));
  }

  /** Waits for one of the turns, of which there are as many as threads. */
  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#isClosed) throw closed();
    if (this.#turns < this.#countMax) {
      this.#turns += 1;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { resolve, reject };
    const leave = (): void => {
      if (this.#waiting.delete(waiter)) reject(signal.reason);
    };
    this.#waiting.add(waiter);
    signal.addEventListener('abort', leave, { once: true });
    try {
      await promise;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  /** Who waits longest has the turn next. */
  #endTurn(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#turns -= 1;
      return;
    }
    this.#waiting.delete(next);
    next.resolve();
  }

  #take(): Worker {
    const idle = this.#idle.pop();
    if (idle !== undefined) clearTimeout(idle.timer);
    const worker = idle?.worker ?? start();
    worker.ref();
    this.#busy.add(worker);
    return worker;
  }

  #rest(worker: Worker): void {
    worker.unref();
    const timer = setTimeout(() => {
      const index = this.#idle.findIndex((idle) => idle.worker === worker);
      if (index >= 0) this.#idle.splice(index, 1);
      void worker.terminate();
    }, idleMs);
    timer.unref();
    this.#idle.push({ worker, timer });
  }
}

function start(): Worker {
  const worker = new Worker(program, {
    name: 'quantum',
    argv: [],
    env: {},
    execArgv: ['--no-warnings'],
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  });
  // What one still throws while it is ended is of no interest, but would end the process.
  worker.on('error', () => undefined);
  return worker;
}

/** The job failed, and its thread is sound. */
class JobFailure extends Error {
  readonly error: StepError;
  constructor(error: StepError) {
    super(error.message);
    this.error = error;
  }
}

async function ask(worker: Worker, work: Work, hooks: JobHooks): Promise<unknown> {
  // It may have been aborted when its turn was given, and the signal tells it but once.
  hooks.signal.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  const saved = new Checkpoints(hooks.checkpoint);
  const take = (message: FromThread): void => {
    switch (message.kind) {
      case 'progress':
        return hooks.progress(message.fraction, message.note);
      case 'checkpoint':
        return saved.put(message.state);
      case 'done':
        return resolve(message.output);
      case 'failed':
        return reject(new JobFailure(new StepError(message.code, message.message, { retryable: message.retryable })));
    }
  };
  const lose = (error?: NodeJS.ErrnoException): void => reject(lost(error));
  const stop = (): void => reject(hooks.signal.reason);
  const ended = (): void => lose();
  worker.on('message', take);
  worker.on('error', lose);
  worker.on('exit', ended);
  hooks.signal.addEventListener('abort', stop, { once: true });
  try {
    worker.postMessage({ kind: 'run', work } satisfies ToThread);
    const output = await promise;
    await saved.done();
    return output;
  } finally {
    hooks.signal.removeEventListener('abort', stop);
    worker.off('message', take);
    worker.off('error', lose);
    worker.off('exit', ended);
  }
}

/** Saves the newest state; those that come while one is being saved replace each other. */
class Checkpoints {
  readonly #save: (state: JSONValue) => Promise<void>;
  #next: JSONValue | undefined;
  #saving: Promise<void> | undefined;

  constructor(save: (state: JSONValue) => Promise<void>) {
    this.#save = save;
  }

  put(state: JSONValue): void {
    this.#next = state;
    this.#saving ??= this.#run();
  }

  /** A state that could not be saved is of no importance once there is a result. */
  async done(): Promise<void> {
    await this.#saving;
  }

  async #run(): Promise<void> {
    try {
      while (this.#next !== undefined) {
        const state = this.#next;
        this.#next = undefined;
        await this.#save(state);
      }
    } catch {
      this.#next = undefined;
    } finally {
      this.#saving = undefined;
    }
  }
}

function lost(error: NodeJS.ErrnoException | undefined): StepError {
  if (error?.code === 'ERR_WORKER_OUT_OF_MEMORY')
    return new StepError(
      'CIRCUIT_TOO_LARGE',
      `the simulation needed more than the ${heapMb} MiB that its thread may have; use fewer qubits, or another method`,
    );
  return new StepError(
    'QUANTUM_CRASHED',
    `the simulation's thread was lost${error === undefined ? '' : `: ${messageOf(error)}`}`,
    { retryable: true, cause: error },
  );
}

const closed = (): StepError => new StepError('CLOSED', 'the node is closing', { retryable: true });
