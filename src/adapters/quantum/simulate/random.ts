import { createHash } from 'node:crypto';

/** A stream of pseudo-random numbers that follow from a seed alone. */
export interface Random {
  /** Uniform in [0, 1), 53 bits. */
  next(): number;
}

/** xoshiro128** (Blackman & Vigna, doi:10.1145/3460772), its state from SHA-256 of the seed. */
export function createRandom(seed: string): Random {
  const digest = createHash('sha256').update(seed).digest();
  let [a, b, c, d] = [0, 4, 8, 12].map((at) => digest.readUInt32LE(at)) as [number, number, number, number];
  // All zero is its one bad state.
  if ((a | b | c | d) === 0) a = 1;
  const word = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotate(d, 11);
    return result;
  };
  return { next: () => ((word() >>> 5) * 0x4000000 + (word() >>> 6)) / 0x20000000000000 };
}

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by));
