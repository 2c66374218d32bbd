import { messageOf, StepError } from '../../../lib/errors.ts';
import { Child, type ChildHooks, type ChildKind, type ChildRequest } from './child.ts';

export interface ProcessesOptions {
  /** Processes of one kind, device and owner at once. Default 2. */
  per_device?: number;
  /** All processes at once. Default 8. */
  total?: number;
  /** Calls that may wait for a process; more are refused. Default 1,000. */
  queue?: number;
  /** How long a process without work is kept, in ms. Default 60,000. */
  idle_ms?: number;
  /** MiB that a process may have where a call doesn't say. Default 4,096. */
  memory_mb?: number;
  /** MiB of the tensors of one call that cross in memory, which the process shares with the node; the rest crosses a pipe. Default 256. */
  shared_mb?: number;
  /** Folder of the child programs, for tests. */
  programs?: URL;
}

interface Waiter {
  key: string;
  affinity: string | undefined;
  resolve(child: Child): void;
  reject(reason: unknown): void;
}

/** Numbers since the pool was made, but for the first three, which are of now. */
export interface ProcessCounts {
  children: number;
  busy: number;
  waiting: number;
  started: number;
  /** Ended by us within a call: cancelled, out of time, or of memory. */
  killed: number;
  /** Ended by themselves within a call. */
  crashed: number;
}

/**
 * Processes that run native code: warm ones are kept by kind and device, each has one call at a time, more calls wait. What a call does to
 * its process costs that call only; the next one gets another process.
 */
export class Processes {
  readonly #options: Required<ProcessesOptions>;
  /** In the order in which they were used last. */
  readonly #children = new Set<Child>();
  /** In the order in which they came. */
  readonly #waiting = new Set<Waiter>();
  readonly #sums = { started: 0, killed: 0, crashed: 0 };
  #isClosed = false;

  constructor(options: ProcessesOptions = {}) {
    this.#options = {
      per_device: 2,
      total: 8,
      queue: 1000,
      idle_ms: 60_000,
      memory_mb: 4096,
      shared_mb: 256,
      programs: new URL('../children/', import.meta.url),
      ...options,
    };
  }

  get counts(): ProcessCounts {
    const children = [...this.#children].filter(({ isGone }) => !isGone);
    const busy = children.filter(({ isBusy }) => isBusy).length;
    return { children: children.length, busy, waiting: this.#waiting.size, ...this.#sums };
  }

  /**
   * Calls a method of the child program `kind` on a device.
   * @returns what the method returned
   * @throws StepError what the method threw; ML_PROCESS_CRASHED (retryable) where the process ended by itself, ML_OUT_OF_MEMORY where it wanted
   *   more than it may have, OVERLOADED (retryable) where too many calls wait, CLOSED; the signal's reason, and then the process is killed
   */
  async call(kind: ChildKind, device: string, request: ChildRequest, hooks: ChildHooks): Promise<unknown> {
    hooks.signal.throwIfAborted();
    const child = await this.#acquire(kind, device, hooks);
    try {
      return await child.call(request, { memoryMb: this.#options.memory_mb, ...hooks });
    } finally {
      if (child.isGone) this.#sums[child.wasKilled ? 'killed' : 'crashed'] += 1;
      else this.#rest(child);
      this.#next();
    }
  }

  /** Ends all processes, and waits until they are gone. Calls under way fail with CLOSED. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const waiter of this.#waiting) waiter.reject(closed());
    this.#waiting.clear();
    await Promise.all([...this.#children].map((child) => child.kill(closed())));
  }

  async #acquire(kind: ChildKind, device: string, { signal, affinity, owner = '' }: ChildHooks): Promise<Child> {
    if (this.#isClosed) throw closed();
    const key = `${kind} ${device} ${owner}`;
    const child = this.#find(key, affinity);
    if (child !== undefined) return child;
    if (this.#waiting.size >= this.#options.queue)
      throw new StepError(
        'OVERLOADED',
        `${this.#waiting.size} calls wait for a process of ${kind} already; try again later`,
        { retryable: true },
      );
    const { promise, resolve, reject } = Promise.withResolvers<Child>();
    const waiter: Waiter = { key, affinity, resolve, reject };
    const leave = (): void => {
      if (this.#waiting.delete(waiter)) reject(signal.reason);
    };
    this.#waiting.add(waiter);
    signal.addEventListener('abort', leave, { once: true });
    try {
      return await promise;
    } finally {
      signal.removeEventListener('abort', leave);
    }
  }

  /** A process that is free now, taken: one that did the like before, any other of the key, or a new one where there is room. */
  #find(key: string, affinity: string | undefined): Child | undefined {
    const { per_device, total } = this.#options;
    const mine = [...this.#children].filter((child) => child.key === key);
    const idle = mine.filter(({ isFree }) => isFree);
    const warm = idle.find((child) => affinity !== undefined && child.affinity === affinity) ?? idle.at(-1);
    if (warm !== undefined) return warm.take(affinity);
    if (mine.length >= per_device) return undefined;
    if (this.#children.size >= total) {
      this.#makeRoom();
      return undefined;
    }
    return this.#start(key).take(affinity);
  }

  /** Ends the idle process that was used least recently: its place is free once it is gone. One at a time, for each may be of use again. */
  #makeRoom(): void {
    const children = [...this.#children];
    if (!children.some(({ isGone }) => isGone)) void children.find(({ isFree }) => isFree)?.kill();
  }

  #rest(child: Child): void {
    child.rest(this.#options.idle_ms);
    this.#children.delete(child);
    this.#children.add(child);
  }

  /** @throws StepError ML_PROCESS_CRASHED where the system has no room for it */
  #start(key: string): Child {
    const { programs, shared_mb } = this.#options;
    const child = beginning(() => {
      return new Child(key, programs, shared_mb * 1024 * 1024, () => {
        this.#children.delete(child);
        this.#next();
      });
    });
    this.#children.add(child);
    this.#sums.started += 1;
    return child;
  }

  /** Gives those who wait what is free now. */
  #next(): void {
    if (this.#isClosed) return;
    // Where there is nothing for one there is nothing for the next of the same key.
    const busy = new Set<string>();
    for (const waiter of this.#waiting) {
      if (busy.has(waiter.key)) continue;
      try {
        const child = this.#find(waiter.key, waiter.affinity);
        if (child === undefined) busy.add(waiter.key);
        else if (this.#waiting.delete(waiter)) waiter.resolve(child);
      } catch (thrown) {
        this.#waiting.delete(waiter);
        waiter.reject(thrown);
      }
    }
  }
}

function beginning(begin: () => Child): Child {
  try {
    return begin();
  } catch (cause) {
    throw new StepError('ML_PROCESS_CRASHED', `no further process could be started: ${messageOf(cause)}`, {
      retryable: true,
      cause,
    });
  }
}

const closed = (): StepError => new StepError('CLOSED', 'the node is closing', { retryable: true });
