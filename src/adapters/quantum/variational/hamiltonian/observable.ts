import type { PauliSum } from '../../circuit/pauli.ts';
import type { Amplitudes } from '../amplitudes.ts';
import { bitCount, isOdd, maskOf, type PauliMask } from './pauli-mask.ts';

type Term = PauliMask & { readonly coefficient: number };

/** A Hamiltonian made ready to be applied often: what is diagonal in one table, the others term by term. */
export class Observable {
  readonly qubits: number;
  /** Its entry of each basis state. */
  readonly diagonal: Float64Array;
  readonly #others: readonly Term[];

  constructor({ qubits, terms }: PauliSum) {
    this.qubits = qubits;
    const masks = terms.map(({ letters, coefficient }) => ({ ...maskOf(letters), coefficient }));
    this.diagonal = diagonalOf(
      masks.filter(({ x }) => x === 0),
      qubits,
    );
    this.#others = masks.filter(({ x }) => x !== 0);
  }

  get isDiagonal(): boolean {
    return this.#others.length === 0;
  }

  /** `into` becomes `H|state⟩`. @returns `⟨state|H|state⟩` */
  apply(state: Amplitudes, into: Amplitudes): number {
    const { data } = state;
    const out = into.data;
    for (let index = 0, at = 0; at < data.length; index += 1, at += 2) {
      const energy = this.diagonal[index] as number;
      out[at] = energy * (data[at] as number);
      out[at + 1] = energy * (data[at + 1] as number);
    }
    for (const term of this.#others) addTerm(term, data, out);
    let sum = 0;
    for (let at = 0; at < data.length; at += 1) sum += (data[at] as number) * (out[at] as number);
    return sum;
  }

  /** @param scratch another state of the same size, which is overwritten */
  expectation(state: Amplitudes, scratch: Amplitudes): number {
    if (!this.isDiagonal) return this.apply(state, scratch);
    const { data } = state;
    let sum = 0;
    for (let index = 0, at = 0; at < data.length; index += 1, at += 2)
      sum += (this.diagonal[index] as number) * ((data[at] as number) ** 2 + (data[at + 1] as number) ** 2);
    return sum;
  }
}

/** The entry at k is the sum of `coefficient · (−1)^|z∧k|`, which is a Walsh–Hadamard transform of the coefficients. */
function diagonalOf(terms: readonly Term[], qubits: number): Float64Array {
  const diagonal = new Float64Array(2 ** qubits);
  for (const { z, coefficient } of terms) diagonal[z] = (diagonal[z] as number) + coefficient;
  for (let half = 1; half < diagonal.length; half *= 2)
    for (let base = 0; base < diagonal.length; base += 2 * half)
      for (let k = base; k < base + half; k += 1) {
        const a = diagonal[k] as number;
        const b = diagonal[k + half] as number;
        diagonal[k] = a + b;
        diagonal[k + half] = a - b;
      }
  return diagonal;
}

function addTerm({ x, z, coefficient }: Term, data: Float64Array, out: Float64Array): void {
  const turns = bitCount(x & z) % 4;
  const factor = turns >= 2 ? -coefficient : coefficient;
  const size = data.length >>> 1;
  const signed = [factor, -factor] as const;
  if (turns % 2 === 0)
    for (let k = 0; k < size; k += 1) {
      const from = k << 1;
      const to = (k ^ x) << 1;
      const c = signed[isOdd(k & z)];
      out[to] = (out[to] as number) + c * (data[from] as number);
      out[to + 1] = (out[to + 1] as number) + c * (data[from + 1] as number);
    }
  else
    for (let k = 0; k < size; k += 1) {
      const from = k << 1;
      const to = (k ^ x) << 1;
      const c = signed[isOdd(k & z)];
      out[to] = (out[to] as number) - c * (data[from + 1] as number);
      out[to + 1] = (out[to + 1] as number) + c * (data[from] as number);
    }
}
