import { createHash } from 'node:crypto';

/** xoshiro128** of Blackman and Vigna (doi:10.1145/3460772), seeded with the SHA-256 digest of a text: equal texts give equal numbers. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #d: number;
  #spare: number | undefined;

  constructor(seed: string) {
    const digest = createHash('sha256').update(seed).digest();
    this.#a = digest.readInt32LE(0);
    this.#b = digest.readInt32LE(4);
    this.#c = digest.readInt32LE(8);
    this.#d = digest.readInt32LE(12);
  }

  /** 32 random bits. */
  bits(): number {
    const mixed = Math.imul(rotated(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotated(this.#d, 11);
    return mixed;
  }

  /** At least 0, less than 1. */
  uniform(): number {
    return this.bits() / 2 ** 32;
  }

  /** Mean 0, deviation 1, by Box and Muller. */
  normal(): number {
    const spare = this.#spare;
    this.#spare = undefined;
    if (spare !== undefined) return spare;
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Puts the list into a random order, by Fisher and Yates. */
  shuffle(list: Uint32Array): void {
    for (let last = list.length - 1; last > 0; last--) {
      const other = Math.floor(this.uniform() * (last + 1));
      const kept = list[last] ?? 0;
      list[last] = list[other] ?? 0;
      list[other] = kept;
    }
  }
}

const rotated = (value: number, by: number): number => (value << by) | (value >>> (32 - by));
