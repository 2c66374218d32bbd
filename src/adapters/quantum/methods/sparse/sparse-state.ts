import { StepError } from '../../../../lib/errors.ts';
import type { GateOperation } from '../../circuit/circuit.ts';
import { letterAt } from '../../circuit/pauli.ts';
import type { Random } from '../../simulate/random.ts';
import type { PureState } from '../../simulate/state.ts';
import { KeyIndex } from './key-index.ts';
import { type SparseGate, sparseGate } from './sparse-gate.ts';

export interface SparseOptions {
  /** Amplitudes that a state may have at most. Default 4,194,304, which take 470 MB up to 32 qubits. */
  readonly entriesMax?: number;
}

const ENTRIES_MAX = 2 ** 22;

/** More than this and a whole vector is too large to be asked for here. */
const DENSE_QUBITS_MAX = 26;

/**
 * Only the amplitudes that are not 0, each with the index of its basis state: for any number of qubits, as long as few states take part. What permutes
 * basis states or turns phases costs one walk over them; other gates gather those that differ in the targets alone.
 *
 * Nothing is dropped but what rounding leaves of 0: an amplitude below `1e-15 · dimension` of the length of those that it is a sum of.
 */
export class SparseState implements PureState {
  readonly qubits: number;
  readonly #words: number;
  readonly #entriesMax: number;
  #count = 1;
  /** Indices of basis states, bit by qubit, `#words` words each. */
  #keys: Int32Array;
  #amplitudes = Float64Array.of(1, 0);

  /** |0…0⟩ */
  constructor(qubits: number, { entriesMax = ENTRIES_MAX }: SparseOptions = {}) {
    this.qubits = qubits;
    this.#words = Math.max(1, Math.ceil(qubits / 32));
    this.#entriesMax = entriesMax;
    this.#keys = new Int32Array(this.#words);
  }

  /** At the height of a gate, when its input and its output are there. */
  static bytesPerEntry = (qubits: number): number => 16 * Math.max(1, Math.ceil(qubits / 32)) + 96;

  /** @throws StepError CIRCUIT_TOO_LARGE where more amplitudes than `entriesMax` are not 0 */
  apply(gates: readonly GateOperation[]): void {
    for (const gate of gates) {
      const sparse = sparseGate(gate);
      if (sparse.rows) this.#permute(sparse, sparse.rows);
      else this.#mix(sparse);
    }
  }

  probabilityOfOne(qubit: number): number {
    let [one, all] = [0, 0];
    for (let at = 0; at < this.#count; at += 1) {
      const p = this.#weight(at);
      all += p;
      if (this.#bit(at, qubit) === 1) one += p;
    }
    return one / all;
  }

  collapse(qubit: number, bit: 0 | 1): void {
    const kept = Array.from({ length: this.#count }, (_, at) => at).filter((at) => this.#bit(at, qubit) === bit);
    const scale = 1 / Math.sqrt(kept.reduce((sum, at) => sum + this.#weight(at), 0));
    const keys = new Int32Array(kept.length * this.#words);
    const amplitudes = new Float64Array(2 * kept.length);
    kept.forEach((from, to) => {
      copyWords(this.#keys, from * this.#words, keys, to * this.#words, this.#words);
      amplitudes[2 * to] = scale * (this.#amplitudes[2 * from] ?? 0);
      amplitudes[2 * to + 1] = scale * (this.#amplitudes[2 * from + 1] ?? 0);
    });
    this.#become(kept.length, keys, amplitudes);
  }

  sample(qubits: readonly number[], shots: number, random: Random): Map<string, number> {
    const sums = new Float64Array(this.#count);
    let sum = 0;
    for (let at = 0; at < this.#count; at += 1) {
      sum += this.#weight(at);
      sums[at] = sum;
    }
    const drawn = new Map<number, number>();
    for (let shot = 0; shot < shots; shot += 1) {
      const at = firstAbove(sums, random.next() * sum);
      drawn.set(at, (drawn.get(at) ?? 0) + 1);
    }
    const counts = new Map<string, number>();
    for (const [at, count] of drawn) {
      const text = qubits
        .map((qubit) => this.#bit(at, qubit))
        .reverse()
        .join('');
      counts.set(text, (counts.get(text) ?? 0) + count);
    }
    return counts;
  }

  expectation(letters: string): number {
    const index = new KeyIndex(this.#words, this.#count);
    for (let at = 0; at < this.#count; at += 1) index.add(this.#keys, at * this.#words);
    const [x, z] = [new Int32Array(this.#words), new Int32Array(this.#words)];
    let quarters = 0;
    for (let qubit = 0; qubit < this.qubits; qubit += 1) {
      const letter = letterAt(letters, qubit);
      const bit = 1 << (qubit & 31);
      if (letter === 'X' || letter === 'Y') x[qubit >>> 5] = (x[qubit >>> 5] ?? 0) | bit;
      if (letter === 'Z' || letter === 'Y') z[qubit >>> 5] = (z[qubit >>> 5] ?? 0) | bit;
      if (letter === 'Y') quarters += 1;
    }
    let [value, all] = [0, 0];
    const partner = new Int32Array(this.#words);
    for (let at = 0; at < this.#count; at += 1) {
      all += this.#weight(at);
      let signs = 0;
      for (let w = 0; w < partner.length; w += 1) {
        const word = this.#keys[at * this.#words + w] ?? 0;
        partner[w] = word ^ (x[w] ?? 0);
        for (let left = word & (z[w] ?? 0); left !== 0; left &= left - 1) signs += 2;
      }
      const to = index.find(partner);
      if (to >= 0) value += this.#realOfProduct(to, at, (quarters + signs) % 4);
    }
    return value / all;
  }

  /** The real part of `conj(left) · i^quarters · right`. */
  #realOfProduct(left: number, right: number, quarters: number): number {
    const lRe = this.#amplitudes[2 * left] ?? 0;
    const lIm = this.#amplitudes[2 * left + 1] ?? 0;
    const rRe = this.#amplitudes[2 * right] ?? 0;
    const rIm = this.#amplitudes[2 * right + 1] ?? 0;
    const part = quarters % 2 === 0 ? lRe * rRe + lIm * rIm : lIm * rRe - lRe * rIm;
    return quarters < 2 ? part : -part;
  }

  clone(): SparseState {
    const clone = new SparseState(this.qubits, { entriesMax: this.#entriesMax });
    clone.#become(this.#count, this.#keys.slice(), this.#amplitudes.slice());
    return clone;
  }

  /** @throws StepError CIRCUIT_TOO_LARGE above 26 qubits */
  amplitudes(): Float64Array {
    if (this.qubits > DENSE_QUBITS_MAX)
      throw new StepError(
        'CIRCUIT_TOO_LARGE',
        `a vector of all amplitudes of ${this.qubits} qubits takes ${2 ** (this.qubits + 4)} bytes; ${DENSE_QUBITS_MAX} qubits are the most: ask for samples or observables`,
      );
    const dense = new Float64Array(2 * 2 ** this.qubits);
    for (let at = 0; at < this.#count; at += 1)
      dense.set(this.#amplitudes.subarray(2 * at, 2 * at + 2), 2 * (this.#keys[at] ?? 0));
    return dense;
  }

  release(): void {
    this.#become(0, new Int32Array(0), new Float64Array(0));
  }

  #permute({ targets, controls, dimension, entries }: SparseGate, rows: Int32Array): void {
    for (let at = 0; at < this.#count; at += 1) {
      if (!this.#hasControls(at, controls)) continue;
      const column = this.#bitsAt(at, targets);
      const row = rows[column] ?? 0;
      const re = entries[2 * (row * dimension + column)] ?? 0;
      const im = entries[2 * (row * dimension + column) + 1] ?? 0;
      const aRe = this.#amplitudes[2 * at] ?? 0;
      const aIm = this.#amplitudes[2 * at + 1] ?? 0;
      this.#amplitudes[2 * at] = re * aRe - im * aIm;
      this.#amplitudes[2 * at + 1] = re * aIm + im * aRe;
      if (row !== column) setBits(this.#keys, at * this.#words, targets, row);
    }
  }

  #mix({ targets, controls, dimension, entries }: SparseGate): void {
    const { groups, gathered, others } = this.#gather(targets, controls, dimension);
    const most = Math.min(this.#entriesMax, others.length + groups.count * dimension);
    const keys = new Int32Array(most * this.#words);
    const amplitudes = new Float64Array(2 * most);
    let count = 0;
    const put = (from: Int32Array, number: number, re: number, im: number): void => {
      if (count === most) throw this.#tooMany();
      copyWords(from, number * this.#words, keys, count * this.#words, this.#words);
      amplitudes[2 * count] = re;
      amplitudes[2 * count + 1] = im;
      count += 1;
    };
    for (const at of others) put(this.#keys, at, this.#amplitudes[2 * at] ?? 0, this.#amplitudes[2 * at + 1] ?? 0);
    for (let group = 0; group < groups.count; group += 1) {
      const start = 2 * dimension * group;
      const least = (1e-15 * dimension) ** 2 * squaredLength(gathered, start, 2 * dimension);
      for (let row = 0; row < dimension; row += 1) {
        let re = 0;
        let im = 0;
        for (let at = 0; at < 2 * dimension; at += 2) {
          const mRe = entries[2 * row * dimension + at] ?? 0;
          const mIm = entries[2 * row * dimension + at + 1] ?? 0;
          const vRe = gathered[start + at] ?? 0;
          const vIm = gathered[start + at + 1] ?? 0;
          re += mRe * vRe - mIm * vIm;
          im += mRe * vIm + mIm * vRe;
        }
        if (re * re + im * im <= least) continue;
        put(groups.keys, group, re, im);
        setBits(keys, (count - 1) * this.#words, targets, row);
      }
    }
    // The arrays may be far longer than what they hold.
    this.#become(count, keys.slice(0, count * this.#words), amplitudes.slice(0, 2 * count));
  }

  /** Amplitudes together that differ in the targets alone, and the numbers of those on which the controls don't hold. */
  #gather(
    targets: readonly number[],
    controls: GateOperation['controls'],
    dimension: number,
  ): { groups: KeyIndex; gathered: Float64Array; others: number[] } {
    const groups = new KeyIndex(this.#words, this.#count);
    const group = new Int32Array(this.#count);
    const others: number[] = [];
    const key = new Int32Array(this.#words);
    for (let at = 0; at < this.#count; at += 1) {
      if (!this.#hasControls(at, controls)) {
        others.push(at);
        group[at] = -1;
        continue;
      }
      copyWords(this.#keys, at * this.#words, key, 0, this.#words);
      setBits(key, 0, targets, 0);
      group[at] = groups.add(key, 0);
    }
    const gathered = new Float64Array(2 * dimension * groups.count);
    for (let at = 0; at < this.#count; at += 1) {
      const to = group[at] ?? -1;
      if (to < 0) continue;
      const place = 2 * (dimension * to + this.#bitsAt(at, targets));
      gathered[place] = this.#amplitudes[2 * at] ?? 0;
      gathered[place + 1] = this.#amplitudes[2 * at + 1] ?? 0;
    }
    return { groups, gathered, others };
  }

  #tooMany(): StepError {
    return new StepError(
      'CIRCUIT_TOO_LARGE',
      `more than ${this.#entriesMax} amplitudes of ${this.qubits} qubits are not 0, which is as many as the sparse method takes (${this.#entriesMax * SparseState.bytesPerEntry(this.qubits)} bytes): method "mps" or "statevector" may do`,
    );
  }

  #become(count: number, keys: Int32Array, amplitudes: Float64Array<ArrayBuffer>): void {
    this.#count = count;
    this.#keys = keys;
    this.#amplitudes = amplitudes;
  }

  #bit(at: number, qubit: number): 0 | 1 {
    return ((this.#keys[at * this.#words + (qubit >>> 5)] ?? 0) >>> (qubit & 31)) & 1 ? 1 : 0;
  }

  #bitsAt(at: number, qubits: readonly number[]): number {
    let bits = 0;
    for (let k = 0; k < qubits.length; k += 1) bits |= this.#bit(at, qubits[k] ?? 0) << k;
    return bits;
  }

  #hasControls(at: number, controls: GateOperation['controls']): boolean {
    for (const { qubit, value } of controls) if (this.#bit(at, qubit) !== value) return false;
    return true;
  }

  #weight(at: number): number {
    const re = this.#amplitudes[2 * at] ?? 0;
    const im = this.#amplitudes[2 * at + 1] ?? 0;
    return re * re + im * im;
  }
}

function copyWords(from: Int32Array, start: number, to: Int32Array, at: number, words: number): void {
  for (let w = 0; w < words; w += 1) to[at + w] = from[start + w] ?? 0;
}

/** In the key that begins at `from`. */
function setBits(keys: Int32Array, from: number, qubits: readonly number[], bits: number): void {
  for (let k = 0; k < qubits.length; k += 1) {
    const qubit = qubits[k] ?? 0;
    const at = from + (qubit >>> 5);
    keys[at] = ((keys[at] ?? 0) & ~(1 << (qubit & 31))) | (((bits >> k) & 1) << (qubit & 31));
  }
}

function squaredLength(vector: Float64Array, start: number, length: number): number {
  let sum = 0;
  for (let at = start; at < start + length; at += 1) sum += (vector[at] ?? 0) ** 2;
  return sum;
}

/** The number of the first sum above the draw: the last one where rounding leaves none. */
function firstAbove(sums: Float64Array, draw: number): number {
  let [low, high] = [0, sums.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sums[middle] ?? 0) > draw) high = middle;
    else low = middle + 1;
  }
  return low;
}
