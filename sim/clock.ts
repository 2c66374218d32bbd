import type { Clock } from '../src/ports/clock.ts';

interface Entry {
  at: number;
  order: number;
  fn: (() => void) | undefined;
}

/** Virtual time: it stands still while anything happens, and jumps to the next timer when nothing is left to do. */
export class VirtualClock implements Clock {
  #now = Date.UTC(2030, 0, 1);
  readonly #heap: Entry[] = [];
  #order = 0;

  now(): number {
    return this.#now;
  }

  timer(ms: number, fn: () => void): () => void {
    return this.timerAt(this.#now + Math.max(0, ms), fn);
  }

  /** At a time rather than after one: adding and taking away the same number would not always give the same time again. */
  timerAt(at: number, fn: () => void): () => void {
    const entry: Entry = { at, order: this.#order++, fn };
    this.#push(entry);
    return () => {
      entry.fn = undefined;
    };
  }

  /** Fires the next timer; false where there is none up to `until`. Equal times fire in the order they were set. */
  step(until: number): boolean {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.at > until) return false;
      this.#pop();
      const { fn } = first;
      if (fn === undefined) continue;
      this.#now = first.at;
      first.fn = undefined;
      fn();
      return true;
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let index = heap.push(entry) - 1;
    while (index > 0) {
      const above = (index - 1) >>> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, entry)) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let below = index * 2 + 1;
      let child = heap[below];
      if (child === undefined) break;
      const right = heap[below + 1];
      if (right !== undefined && isBefore(right, child)) {
        child = right;
        below += 1;
      }
      if (isBefore(last, child)) break;
      heap[index] = child;
      index = below;
    }
    heap[index] = last;
  }
}

const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** The clock of one process: it may run ahead or behind, and its timers die with the process. */
export class ProcessClock implements Clock {
  readonly #clock: Clock;
  readonly #skewMs: number;
  #dead = false;

  constructor(clock: Clock, skewMs = 0) {
    this.#clock = clock;
    this.#skewMs = skewMs;
  }

  now(): number {
    return Math.floor(this.#clock.now() + this.#skewMs);
  }

  timer(ms: number, fn: () => void): () => void {
    if (this.#dead) return () => undefined;
    return this.#clock.timer(ms, () => {
      if (!this.#dead) fn();
    });
  }

  /** Resolves after `ms`, or never where the process ends before. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.timer(ms, resolve));
  }

  kill(): void {
    this.#dead = true;
  }

  get dead(): boolean {
    return this.#dead;
  }
}
