import { bitOf, firstBit, flipBit, parity, parityBelow, popcount, wordsFor } from './bits.ts';
import type { Step } from './synthesis.ts';

/**
 * Stabilizers and destabilizers of a state, after Aaronson & Gottesman, doi:10.1103/PhysRevA.70.052328.
 *
 * A row is a signed product of Pauli matrices: row i of the first half is the destabilizer that anticommutes with row i of the second, a stabilizer,
 * and with no other. Bits are kept by column, the X bits of one qubit over all rows together, so that a gate works on 32 rows at a time, and so do the
 * products of rows that a measurement takes.
 */
export class Tableau {
  readonly qubits: number;
  /** Of one half of a column. */
  readonly words: number;
  readonly x: readonly Int32Array[];
  readonly z: readonly Int32Array[];
  readonly signs: Int32Array;

  /** |0…0⟩ */
  constructor(qubits: number, from?: Tableau) {
    this.qubits = qubits;
    this.words = wordsFor(qubits);
    const column = (): Int32Array => new Int32Array(2 * this.words);
    this.x = from?.x.map((bits) => bits.slice()) ?? Array.from({ length: qubits }, column);
    this.z = from?.z.map((bits) => bits.slice()) ?? Array.from({ length: qubits }, column);
    this.signs = from?.signs.slice() ?? column();
    if (from) return;
    this.x.forEach((bits, qubit) => {
      flipBit(bits, qubit);
    });
    this.z.forEach((bits, qubit) => {
      flipBit(bits.subarray(this.words), qubit);
    });
  }

  static bytesFor = (qubits: number): number => 4 * 2 * wordsFor(qubits) * (2 * qubits + 1);

  clone(): Tableau {
    return new Tableau(this.qubits, this);
  }

  /** @param at the qubits that the step counts */
  step({ name, a, b }: Step, at: readonly number[]): void {
    const xa = this.#column(this.x, at[a]);
    const za = this.#column(this.z, at[a]);
    const { signs } = this;
    switch (name) {
      case 'h':
        for (let w = 0; w < signs.length; w += 1) {
          const x = xa[w] ?? 0;
          const z = za[w] ?? 0;
          signs[w] = (signs[w] ?? 0) ^ (x & z);
          xa[w] = z;
          za[w] = x;
        }
        return;
      case 's':
        for (let w = 0; w < signs.length; w += 1) {
          const x = xa[w] ?? 0;
          const z = za[w] ?? 0;
          signs[w] = (signs[w] ?? 0) ^ (x & z);
          za[w] = z ^ x;
        }
        return;
      case 'sdg':
        for (let w = 0; w < signs.length; w += 1) {
          const x = xa[w] ?? 0;
          const z = za[w] ?? 0;
          signs[w] = (signs[w] ?? 0) ^ (x & ~z);
          za[w] = z ^ x;
        }
        return;
      case 'x':
        for (let w = 0; w < signs.length; w += 1) signs[w] = (signs[w] ?? 0) ^ (za[w] ?? 0);
        return;
      case 'z':
        for (let w = 0; w < signs.length; w += 1) signs[w] = (signs[w] ?? 0) ^ (xa[w] ?? 0);
        return;
      case 'cx':
        this.#controlledX(xa, za, this.#column(this.x, at[b]), this.#column(this.z, at[b]));
    }
  }

  #controlledX(xc: Int32Array, zc: Int32Array, xt: Int32Array, zt: Int32Array): void {
    const { signs } = this;
    for (let w = 0; w < signs.length; w += 1) {
      const c = xc[w] ?? 0;
      const t = zt[w] ?? 0;
      const x = xt[w] ?? 0;
      const z = zc[w] ?? 0;
      signs[w] = (signs[w] ?? 0) ^ (c & t & ~(x ^ z));
      xt[w] = x ^ c;
      zc[w] = z ^ t;
    }
  }

  /** Whether a measurement of the qubit could give both, which then are equally likely. */
  isRandom(qubit: number): boolean {
    return firstBit(this.#column(this.x, qubit).subarray(this.words)) >= 0;
  }

  /** What a measurement gives that can give one outcome only. */
  certain(qubit: number): 0 | 1 {
    const rows = this.#column(this.x, qubit).slice(0, this.words);
    return this.#signOfProduct(rows, 0);
  }

  /** What is left once a measurement gave `bit`; where it can't, nothing changes. */
  collapse(qubit: number, bit: 0 | 1): void {
    const column = this.#column(this.x, qubit);
    const pivot = firstBit(column.subarray(this.words));
    if (pivot < 0) return;
    const stabilizer = 32 * this.words + pivot;
    const rows = column.slice();
    flipBit(rows, stabilizer);
    this.#multiplyRows(rows, stabilizer);
    this.#replace(stabilizer, pivot);
    flipBit(this.#column(this.z, qubit), stabilizer);
    if (bit === 1) flipBit(this.signs, stabilizer);
  }

  /**
   * Of a product of Pauli matrices.
   *
   * @param letterAt of a qubit: I, X, Y or Z
   */
  expectation(letterAt: (qubit: number) => string): -1 | 0 | 1 {
    // The rows that anticommute with it.
    const rows = new Int32Array(2 * this.words);
    let letters = 0;
    for (let qubit = 0; qubit < this.qubits; qubit += 1) {
      const letter = letterAt(qubit);
      if (letter === 'I') continue;
      if (letter === 'Y') letters += 1;
      const x = this.#column(this.x, qubit);
      const z = this.#column(this.z, qubit);
      for (let w = 0; w < rows.length; w += 1)
        rows[w] = (rows[w] ?? 0) ^ (letter === 'Z' ? 0 : (z[w] ?? 0)) ^ (letter === 'X' ? 0 : (x[w] ?? 0));
    }
    if (firstBit(rows.subarray(this.words)) >= 0) return 0;
    return this.#signOfProduct(rows.subarray(0, this.words), letters) === 1 ? -1 : 1;
  }

  /**
   * The sign of the product of some stabilizers. As a row is `±∏ i^{xz} X^x Z^z`, it follows from the number of Y in the rows and in the product, and
   * from how often a Z stands before the X of a later row.
   *
   * @param rows which, one bit per stabilizer
   * @param letters how many Y the product has
   */
  #signOfProduct(rows: Int32Array, letters: number): 0 | 1 {
    const { words } = this;
    const used = Array.from({ length: words }, (_, w) => w).filter((w) => (rows[w] ?? 0) !== 0);
    let quarters = -letters;
    for (const w of used) quarters += 2 * popcount((rows[w] ?? 0) & (this.signs[words + w] ?? 0));
    for (let qubit = 0; qubit < this.qubits; qubit += 1) {
      const xs = this.#column(this.x, qubit);
      const zs = this.#column(this.z, qubit);
      let before = 0;
      let swaps = 0;
      for (const w of used) {
        const z = (zs[words + w] ?? 0) & (rows[w] ?? 0);
        const x = (xs[words + w] ?? 0) & (rows[w] ?? 0);
        if ((x & z) !== 0) quarters += popcount(x & z);
        if (z === 0 && before === 0) continue;
        swaps ^= (parityBelow(z) ^ before) & x;
        if (parity(z) === 1) before = ~before;
      }
      quarters += 2 * parity(swaps);
    }
    return (quarters & 2) === 2 ? 1 : 0;
  }

  /** Each of the rows becomes its product with the row `by`. A sign that is not real, as destabilizers may get, is never looked at. */
  #multiplyRows(rows: Int32Array, by: number): void {
    const used = Array.from({ length: rows.length }, (_, w) => w).filter((w) => (rows[w] ?? 0) !== 0);
    // How many quarters of a turn each row has made, modulo 4, as two bits.
    const low = new Int32Array(rows.length);
    const high = new Int32Array(rows.length);
    for (let qubit = 0; qubit < this.qubits; qubit += 1) {
      const xs = this.#column(this.x, qubit);
      const zs = this.#column(this.z, qubit);
      const hasX = bitOf(xs, by);
      const hasZ = bitOf(zs, by);
      if ((hasX | hasZ) === 0) continue;
      for (const w of used) {
        const mask = rows[w] ?? 0;
        const x = xs[w] ?? 0;
        const z = zs[w] ?? 0;
        const l = low[w] ?? 0;
        // A quarter forward for Y·Z, Z·X and X·Y, one back for Z·Y, X·Z and Y·X.
        const forward = mask & (hasX ? (hasZ ? x & ~z : z & ~x) : x & z);
        const back = mask & (hasX ? (hasZ ? z & ~x : z & x) : x & ~z);
        high[w] = (high[w] ?? 0) ^ (l & forward) ^ (~l & back);
        low[w] = l ^ forward ^ back;
        if (hasX) xs[w] = x ^ mask;
        if (hasZ) zs[w] = z ^ mask;
      }
    }
    const sign = bitOf(this.signs, by) === 1 ? -1 : 0;
    for (const w of used) this.signs[w] = (this.signs[w] ?? 0) ^ (high[w] ?? 0) ^ (sign & (rows[w] ?? 0));
  }

  /** The row goes to another place, and is the identity where it was. */
  #replace(from: number, to: number): void {
    for (const bits of [this.signs, ...this.x, ...this.z]) {
      const bit = bitOf(bits, from);
      if (bitOf(bits, to) !== bit) flipBit(bits, to);
      if (bit === 1) flipBit(bits, from);
    }
  }

  #column(of: readonly Int32Array[], qubit: number | undefined): Int32Array {
    return of[qubit ?? 0] as Int32Array;
  }
}
