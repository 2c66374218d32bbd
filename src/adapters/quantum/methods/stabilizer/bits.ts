import type { Random } from '../../simulate/random.ts';

/** Bits in words of 32, bit 0 of a word first. */
export const wordsFor = (bits: number): number => Math.ceil(bits / 32);

export const bitOf = (words: Int32Array, at: number): 0 | 1 => (((words[at >>> 5] ?? 0) >>> (at & 31)) & 1 ? 1 : 0);

export function flipBit(words: Int32Array, at: number): void {
  words[at >>> 5] = (words[at >>> 5] ?? 0) ^ (1 << (at & 31));
}

/** The sum of a word's bits, modulo 2. */
export function parity(word: number): 0 | 1 {
  let folded = word ^ (word >>> 16);
  folded ^= folded >>> 8;
  folded ^= folded >>> 4;
  return (0x6996 >>> (folded & 15)) & 1 ? 1 : 0;
}

export function popcount(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Bit by bit the parity of all bits below it in the word. */
export function parityBelow(word: number): number {
  let sum = word << 1;
  sum ^= sum << 1;
  sum ^= sum << 2;
  sum ^= sum << 4;
  sum ^= sum << 8;
  return sum ^ (sum << 16);
}

export function xorInto(to: Int32Array, from: Int32Array): void {
  for (let at = 0; at < to.length; at += 1) to[at] = (to[at] ?? 0) ^ (from[at] ?? 0);
}

/** @returns the number of the first bit that is set, -1 where none is */
export function firstBit(words: Int32Array): number {
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at] ?? 0;
    if (word !== 0) return 32 * at + 31 - Math.clz32(word & -word);
  }
  return -1;
}

/** 32 random bits. */
export const randomWord = (random: Random): number => Math.floor(random.next() * 0x100000000) | 0;

/** The lowest `bits` bits as digits, bit 0 rightmost. */
export function toText(words: Int32Array, bits: number): string {
  let text = '';
  for (const word of words) text = (word >>> 0).toString(2).padStart(32, '0') + text;
  return text.slice(text.length - bits);
}
