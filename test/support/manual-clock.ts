import type { Clock } from '../../src/ports/clock.ts';

/** Time that moves only when a test says so. */
export class ManualClock implements Clock {
  #now = Date.UTC(2030, 0, 1);
  readonly #timers = new Set<{ at: number; fn: () => void }>();

  now(): number {
    return this.#now;
  }

  timer(ms: number, fn: () => void): () => void {
    const entry = { at: this.#now + Math.max(0, ms), fn };
    this.#timers.add(entry);
    return () => this.#timers.delete(entry);
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Moves on by `ms`, firing what is due in order; timers set meanwhile fire too where they are due. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((left, right) => left.at - right.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = due.at;
      due.fn();
    }
    this.#now = end;
  }
}
