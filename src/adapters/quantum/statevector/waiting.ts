import type { Matrix } from '../circuit/complex.ts';

/** Smaller entries than this are taken for 0: products of matrices leave them. */
export const zeroSquared = 1e-31;

const get = (values: Int32Array | Float64Array, at: number): number => values[at] ?? 0;

/** What waits on each qubit until another gate needs it: `matrix · X^select · diag(1, before)`, and a factor of the whole. */
export class Waiting {
  /** As [re, im]. */
  readonly factor: [number, number] = [1, 0];
  /** 2 × 2 of each qubit, row by row, real and imaginary parts in turn. */
  readonly matrix: Float64Array;
  readonly #select: Int32Array;
  readonly #before: Float64Array;
  /** How many wait for the value of this qubit. */
  readonly #selected: Int32Array;

  constructor(qubits: number) {
    this.matrix = new Float64Array(8 * qubits);
    this.#select = new Int32Array(qubits).fill(-1);
    this.#before = new Float64Array(2 * qubits);
    this.#selected = new Int32Array(qubits);
    for (let qubit = 0; qubit < qubits; qubit += 1) {
      this.matrix[8 * qubit] = 1;
      this.matrix[8 * qubit + 6] = 1;
    }
  }

  /** `matrix` from the left. */
  turn(qubit: number, matrix: ArrayLike<number>): void {
    const m = this.matrix;
    const at = 8 * qubit;
    const aRe = matrix[0] ?? 0;
    const aIm = matrix[1] ?? 0;
    const bRe = matrix[2] ?? 0;
    const bIm = matrix[3] ?? 0;
    const cRe = matrix[4] ?? 0;
    const cIm = matrix[5] ?? 0;
    const dRe = matrix[6] ?? 0;
    const dIm = matrix[7] ?? 0;
    for (let column = at; column < at + 4; column += 2) {
      const xRe = m[column] ?? 0;
      const xIm = m[column + 1] ?? 0;
      const yRe = m[column + 4] ?? 0;
      const yIm = m[column + 5] ?? 0;
      m[column] = aRe * xRe - aIm * xIm + bRe * yRe - bIm * yIm;
      m[column + 1] = aRe * xIm + aIm * xRe + bRe * yIm + bIm * yRe;
      m[column + 4] = cRe * xRe - cIm * xIm + dRe * yRe - dIm * yIm;
      m[column + 5] = cRe * xIm + cIm * xRe + dRe * yIm + dIm * yRe;
    }
  }

  /** All but what selects. Nothing waits then. */
  take(qubit: number): Matrix {
    const data = this.matrix.slice(8 * qubit, 8 * qubit + 8);
    this.reset(qubit);
    return { dimension: 2, data };
  }

  reset(qubit: number): void {
    for (let entry = 0; entry < 8; entry += 1) this.matrix[8 * qubit + entry] = entry === 0 || entry === 6 ? 1 : 0;
  }

  scale(re: number, im: number): void {
    const [x, y] = this.factor;
    this.factor[0] = x * re - y * im;
    this.factor[1] = x * im + y * re;
  }

  /** A controlled X comes after the diagonal that waits, and nothing selects yet. */
  select(target: number, control: number): void {
    const [re, im] = this.takeDiagonal(target);
    this.#before[2 * target] = re;
    this.#before[2 * target + 1] = im;
    this.#select[target] = control;
    this.#selected[control] = get(this.#selected, control) + 1;
  }

  /** The qubit whose value selects an X, -1 where there is none. */
  selecting(target: number): number {
    return get(this.#select, target);
  }

  /** Whether its value selects an X that waits on another. */
  selects(control: number): boolean {
    return get(this.#selected, control) > 0;
  }

  /** What |1⟩ is multiplied by before the X. */
  beforeOf(target: number): [number, number] {
    return [get(this.#before, 2 * target), get(this.#before, 2 * target + 1)];
  }

  unselect(qubit: number): void {
    const control = get(this.#select, qubit);
    if (control >= 0) this.#selected[control] = get(this.#selected, control) - 1;
    this.#select[qubit] = -1;
  }

  isDiagonal(qubit: number): boolean {
    return this.lengthSquared(8 * qubit + 2) < zeroSquared;
  }

  /** Of the number at an index of what waits. */
  lengthSquared(at: number): number {
    const re = get(this.matrix, at);
    const im = get(this.matrix, at + 1);
    return re * re + im * im;
  }

  /** Of a diagonal that waits, what |1⟩ is multiplied by; |0⟩'s factor goes to the whole. Nothing waits then. */
  takeDiagonal(qubit: number): [number, number] {
    const at = 8 * qubit;
    const [aRe, aIm] = [get(this.matrix, at), get(this.matrix, at + 1)];
    const [dRe, dIm] = [get(this.matrix, at + 6), get(this.matrix, at + 7)];
    this.scale(aRe, aIm);
    this.reset(qubit);
    return [dRe * aRe + dIm * aIm, dIm * aRe - dRe * aIm];
  }

  /** diag(1, γ) from the right: before all that waits, with which the value that selects has nothing to do. */
  turnBefore(qubit: number, re: number, im: number): void {
    const m = this.matrix;
    for (const at of [8 * qubit + 2, 8 * qubit + 6]) {
      const [x, y] = [m[at] ?? 0, m[at + 1] ?? 0];
      m[at] = x * re - y * im;
      m[at + 1] = x * im + y * re;
    }
  }
}
