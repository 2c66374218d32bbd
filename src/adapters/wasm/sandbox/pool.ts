import { StepError } from '../../../lib/errors.ts';
import { type ThreadSettings, WorkerThread } from './worker-thread.ts';

export interface PoolSettings extends ThreadSettings {
  threadsMax: number;
  queueMax: number;
  idleMs: number;
}

interface Waiter {
  resolve: (thread: WorkerThread) => void;
  reject: (reason: unknown) => void;
}

/** Threads that are started when they are needed; one stays warm, and idle ones end after a while. */
export class Pool {
  readonly #settings: PoolSettings;
  /** Those that are ending count until they have ended. */
  readonly #threads = new Set<WorkerThread>();
  /** The one used last is taken first: its caches are warm, and the others get old. */
  readonly #idle: WorkerThread[] = [];
  readonly #waiting = new Set<Waiter>();
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(settings: PoolSettings) {
    this.#settings = settings;
  }

  /** Starts a thread where there is none. */
  warm(): void {
    if (this.#threads.size === 0 && !this.#isClosed) this.#rest(this.#spawn());
  }

  /** A thread of the caller's own until `give`. @throws StepError OVERLOADED; the signal's reason */
  async take(signal: AbortSignal | undefined): Promise<WorkerThread> {
    signal?.throwIfAborted();
    if (this.#isClosed) throw closed();
    const idle = this.#idle.pop();
    const thread = idle ?? (this.#threads.size < this.#settings.threadsMax ? this.#spawn() : undefined);
    if (thread !== undefined) {
      thread.hold(true);
      return thread;
    }
    if (this.#waiting.size >= this.#settings.queueMax)
      throw new StepError(
        'OVERLOADED',
        `${this.#waiting.size} calls wait for the sandbox already; try again later, or allow it more threads`,
        { retryable: true },
      );
    return this.#wait(signal);
  }

  give(thread: WorkerThread): void {
    if (thread.isGone) return;
    const [waiter] = this.#waiting;
    if (waiter === undefined) return this.#rest(thread);
    this.#waiting.delete(waiter);
    thread.hold(true);
    waiter.resolve(thread);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const waiter of this.#waiting) waiter.reject(closed());
    this.#waiting.clear();
    const ending = [...this.#threads].map((thread) => {
      thread.end(closed());
      return thread.exited;
    });
    await Promise.all(ending);
  }

  /** For tests and metrics. */
  get counts(): { threads: number; idle: number; waiting: number } {
    return { threads: this.#threads.size, idle: this.#idle.length, waiting: this.#waiting.size };
  }

  async #wait(signal: AbortSignal | undefined): Promise<WorkerThread> {
    const { promise, resolve, reject } = Promise.withResolvers<WorkerThread>();
    const waiter = { resolve, reject };
    const leave = (): void => {
      if (this.#waiting.delete(waiter)) reject(signal?.reason);
    };
    this.#waiting.add(waiter);
    signal?.addEventListener('abort', leave, { once: true });
    try {
      return await promise;
    } finally {
      signal?.removeEventListener('abort', leave);
    }
  }

  #spawn(): WorkerThread {
    const thread = new WorkerThread(this.#settings);
    this.#threads.add(thread);
    void thread.exited.then(() => this.#forget(thread));
    return thread;
  }

  #forget(thread: WorkerThread): void {
    this.#threads.delete(thread);
    const index = this.#idle.indexOf(thread);
    if (index >= 0) this.#idle.splice(index, 1);
    if (this.#isClosed) return;
    if (this.#waiting.size > 0) this.give(this.#spawn());
    else if (thread.hasWorked) this.warm();
  }

  #rest(thread: WorkerThread): void {
    if (this.#isClosed) return;
    thread.hold(false);
    thread.idleSinceMs = performance.now();
    this.#idle.push(thread);
    this.#watch();
  }

  #watch(): void {
    if (this.#timer !== undefined || this.#idle.length < 2) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      const before = performance.now() - this.#settings.idleMs;
      while (this.#idle.length > 1 && (this.#idle[0] as WorkerThread).idleSinceMs <= before)
        this.#idle.shift()?.end(closed());
      this.#watch();
    }, this.#settings.idleMs);
    this.#timer.unref();
  }
}

const closed = (): StepError => new StepError('SANDBOX_CRASHED', 'the sandbox is closed', { retryable: true });
