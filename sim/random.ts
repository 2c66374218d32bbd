import type { Random } from '../src/ports/clock.ts';

/** A generator (sfc32) whose every number follows from its seed. It also serves as the engine's source of ids and jitter. */
export class SeededRandom implements Random {
  #a: number;
  #b: number;
  #c: number;
  #count: number;
  #ids = 0;

  constructor(seed: number, stream = '') {
    this.#a = seed | 0;
    this.#b = 0x9e3779b9;
    this.#c = 0x243f6a88;
    this.#count = 1;
    for (let index = 0; index < stream.length; index++) {
      this.#b = (Math.imul(this.#b ^ stream.charCodeAt(index), 0x01000193) + index) | 0;
    }
    for (let round = 0; round < 12; round++) this.#next();
  }

  /** Uniform in [0, 1). */
  fraction(): number {
    return this.#next() / 2 ** 32;
  }

  /** A whole number from `least` to `most`, both included. */
  int(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1));
  }

  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<T>(items: readonly T[]): T {
    const item = items[this.int(0, items.length - 1)];
    if (item === undefined) throw new RangeError('nothing to pick from');
    return item;
  }

  /** Mostly small, now and then large: from `least` up to `most`. */
  skewed(least: number, most: number): number {
    return least + (most - least) * this.fraction() ** 4;
  }

  bytes(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let index = 0; index < count; index++) bytes[index] = this.#next() & 255;
    return bytes;
  }

  runId(now: number): string {
    this.#ids += 1;
    return `run-${now.toString(36)}-${this.#ids}-${this.#next().toString(36)}`;
  }

  #next(): number {
    const t = (((this.#a + this.#b) | 0) + this.#count) | 0;
    this.#count = (this.#count + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + t) | 0;
    return t >>> 0;
  }
}
