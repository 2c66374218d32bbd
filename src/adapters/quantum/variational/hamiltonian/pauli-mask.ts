import { letterAt } from '../../circuit/pauli.ts';

/**
 * A product of Pauli matrices as two masks over the qubits: X where only `x` has the bit, Z where only `z` has it, Y where both have.
 * As an operator it is `i^|x∧z| · X^x · Z^z`, thus Hermitian: `|k⟩` becomes `i^|x∧z| · (−1)^|z∧k| · |k⊕x⟩`.
 */
export interface PauliMask {
  readonly x: number;
  readonly z: number;
}

/** A sum of them with complex coefficients, by key. Built up in place. */
export type MaskSum = Map<string, PauliMask & { re: number; im: number }>;

/** Letters as masks, qubit 0 rightmost. */
export function maskOf(letters: string): PauliMask {
  let [x, z] = [0, 0];
  for (let qubit = 0; qubit < letters.length; qubit += 1) {
    const letter = letterAt(letters, qubit);
    if (letter === 'X' || letter === 'Y') x |= 1 << qubit;
    if (letter === 'Z' || letter === 'Y') z |= 1 << qubit;
  }
  return { x, z };
}

export const lettersOf = ({ x, z }: PauliMask, qubits: number): string =>
  Array.from({ length: qubits }, (_, at) => {
    const bit = 1 << (qubits - 1 - at);
    if (x & bit) return z & bit ? 'Y' : 'X';
    return z & bit ? 'Z' : 'I';
  }).join('');

/** Whether an odd number of bits is set. */
export function isOdd(bits: number): 0 | 1 {
  let b = bits ^ (bits >>> 16);
  b ^= b >>> 8;
  b ^= b >>> 4;
  return ((0x6996 >>> (b & 15)) & 1) as 0 | 1;
}

export function bitCount(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count += 1;
  return count;
}

export function add(sum: MaskSum, { x, z }: PauliMask, re: number, im: number): void {
  const key = `${x},${z}`;
  const term = sum.get(key);
  if (term === undefined) sum.set(key, { x, z, re, im });
  else {
    term.re += re;
    term.im += im;
  }
}

/** The product of two sums, terms gathered. */
export function multiply(left: MaskSum, right: MaskSum): MaskSum {
  const product: MaskSum = new Map();
  for (const a of left.values())
    for (const b of right.values()) {
      const mask = { x: a.x ^ b.x, z: a.z ^ b.z };
      // Of the factors i^|x∧z| and the signs that Z^z of the left takes when it passes X^x of the right.
      const turns = bitCount(a.x & a.z) + bitCount(b.x & b.z) - bitCount(mask.x & mask.z) + 2 * bitCount(a.z & b.x);
      const [re, im] = turn(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re, turns);
      add(product, mask, re, im);
    }
  return product;
}

/** Times `i^turns`. */
export function turn(re: number, im: number, turns: number): readonly [number, number] {
  switch (((turns % 4) + 4) % 4) {
    case 1:
      return [-im, re];
    case 2:
      return [-re, -im];
    case 3:
      return [im, -re];
    default:
      return [re, im];
  }
}
