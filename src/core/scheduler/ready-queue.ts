import type { Demand } from './demand.ts';

export interface ReadyStep {
  run: string;
  step: number;
  demand: Demand;
}

/** First in, first out, without moving what stands in it. */
class Fifo<T> {
  #items: T[] = [];
  #head = 0;

  get size(): number {
    return this.#items.length - this.#head;
  }

  push(item: T): void {
    this.#items.push(item);
  }

  peek(): T | undefined {
    return this.#items[this.#head];
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#head += 1;
    if (this.#head > 64 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#items.slice(this.#head)[Symbol.iterator]();
  }
}

/**
 * Ready steps of one shape. Runs take turns, so that a run of 10,000 steps doesn't hold up one of ten; within a run the order is
 * that in which the steps became ready.
 */
export class ReadyQueue {
  readonly demand: Demand;
  readonly #byRun = new Map<string, Fifo<ReadyStep>>();
  readonly #turns = new Fifo<string>();
  #size = 0;

  constructor(demand: Demand) {
    this.demand = demand;
  }

  get size(): number {
    return this.#size;
  }

  push(item: ReadyStep): void {
    let steps = this.#byRun.get(item.run);
    if (steps === undefined) {
      steps = new Fifo();
      this.#byRun.set(item.run, steps);
      this.#turns.push(item.run);
    }
    steps.push(item);
    this.#size += 1;
  }

  shift(): ReadyStep | undefined {
    for (;;) {
      const run = this.#turns.shift();
      if (run === undefined) return undefined;
      const steps = this.#byRun.get(run);
      const item = steps?.shift();
      if (steps === undefined || item === undefined) {
        this.#byRun.delete(run);
        continue;
      }
      this.#size -= 1;
      if (steps.size > 0) this.#turns.push(run);
      else this.#byRun.delete(run);
      return item;
    }
  }

  /** Forgets the steps of a run; its turn, if it still has one, passes over. @returns how many they were */
  drop(run: string): number {
    const count = this.#byRun.get(run)?.size ?? 0;
    this.#size -= count;
    if (count > 0) this.#byRun.set(run, new Fifo());
    return count;
  }

  *stepsOf(run: string): Generator<ReadyStep> {
    yield* this.#byRun.get(run) ?? [];
  }

  *runs(): Generator<string> {
    for (const [run, steps] of this.#byRun) if (steps.size > 0) yield run;
  }
}
