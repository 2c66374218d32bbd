import { StepError } from '../../../../lib/errors.ts';
import type { GateOperation } from '../../circuit/circuit.ts';
import { gateNamed, matrixOf, type NamedGate } from '../../circuit/gates.ts';
import { letterAt } from '../../circuit/pauli.ts';
import type { Random } from '../../simulate/random.ts';
import type { PureState } from '../../simulate/state.ts';
import { operatorsOf } from './operator.ts';
import { orthonormal, product, type Rows, rightSingular, transposed } from './orthogonal.ts';
import { samplePaths } from './sample.ts';
import {
  dagger,
  fromTall,
  fromWide,
  intoLeft,
  intoRight,
  operated,
  passing,
  slice,
  squaredNorm,
  type Tensor,
  tall,
  weighted,
  wide,
} from './tensor.ts';

export interface MpsOptions {
  /** Largest dimension of a bond. Default 128. */
  readonly bondMax?: number;
  /** Squared singular values below this share of the whole are dropped. Default 1e-24, which is little more than rounding. */
  readonly threshold?: number;
}

/** More than this and a whole vector is too large to be asked for here. */
const DENSE_QUBITS_MAX = 20;

/**
 * A matrix product state: a tensor per qubit, in their order, and bonds between neighbours that are as large as the entanglement across them. It is exact
 * until a bond would exceed `bondMax`; then the smallest singular values are dropped, which is the best approximation of that size, since all tensors to
 * the left of the center and to the right of it are kept orthonormal (Schollwöck, doi:10.1016/j.aop.2010.09.012).
 *
 * A gate over several qubits multiplies the bonds between them, which then are made as small as they can be. Time per such gate and bond is of the order
 * of the bond's cube, memory of a site `32 · bond²` bytes.
 */
export class MpsState implements PureState {
  readonly qubits: number;
  readonly #bondMax: number;
  readonly #threshold: number;
  #sites: Tensor[];
  /** Sites below are orthonormal as columns, those above as rows. */
  #center = 0;
  #truncationError = 0;

  /** |0…0⟩ */
  constructor(qubits: number, { bondMax = 128, threshold = 1e-24 }: MpsOptions = {}) {
    this.qubits = qubits;
    this.#bondMax = bondMax;
    this.#threshold = threshold;
    this.#sites = Array.from({ length: qubits }, () => ({ left: 1, right: 1, data: Float64Array.of(1, 0, 0, 0) }));
  }

  /** The sum of the shares of the state, from 0 to 1 each, that were dropped on the way: 0 where it is exact. */
  get truncationError(): number {
    return this.#truncationError;
  }

  /** The largest dimension of a bond. */
  get bond(): number {
    return this.#sites.reduce((most, { right }) => Math.max(most, right), 1);
  }

  /** @throws StepError UNSUPPORTED_GATE for a gate over more than 6 targets */
  apply(gates: readonly GateOperation[]): void {
    for (const gate of gates) this.#applyOne(gate);
  }

  #applyOne(gate: GateOperation): void {
    const operators = operatorsOf(gate);
    const first = operators[0];
    const last = operators.at(-1);
    if (first === undefined || last === undefined) return this.#turnPhase(matrixOf(gate.gate).data);
    if (first === last) {
      // A unitary leaves the site's tensor orthonormal. What was given as a matrix may be an operator of a noise channel, which does not.
      if (gate.gate.name === 'unitary') this.#moveCenter(first.site);
      this.#sites[first.site] = operated(first, this.#site(first.site));
      return;
    }
    this.#moveCenter(Math.min(last.site, Math.max(first.site, this.#center)));
    let bond = 1;
    for (let site = first.site; site <= last.site; site += 1) {
      const operator = operators.find((own) => own.site === site) ?? passing(bond);
      this.#sites[site] = operated(operator, this.#site(site));
      bond = operator.right;
    }
    this.#compress(first.site, last.site);
  }

  probabilityOfOne(qubit: number): number {
    this.#moveCenter(qubit);
    const { data } = this.#site(qubit);
    return squaredNorm(slice(this.#site(qubit), 1).data) / squaredNorm(data);
  }

  collapse(qubit: number, bit: 0 | 1): void {
    this.#moveCenter(qubit);
    const site = this.#site(qubit);
    const factor = 1 / Math.sqrt(squaredNorm(slice(site, bit).data));
    this.#sites[qubit] = weighted(site, bit === 1 ? [0, factor] : [factor, 0]);
    // What was entangled with the qubit is so no more.
    this.#moveCenter(0);
    this.#compress(0, this.qubits - 1);
  }

  sample(qubits: readonly number[], shots: number, random: Random): Map<string, number> {
    const first = Math.min(...qubits);
    if (qubits.length === 0) return new Map(shots > 0 ? [['', shots]] : []);
    this.#moveCenter(first);
    return samplePaths(this.#sites.slice(first, Math.max(...qubits) + 1), first, qubits, shots, random);
  }

  expectation(letters: string): number {
    const places = Array.from({ length: this.qubits }, (_, qubit) => qubit).filter(
      (qubit) => letterAt(letters, qubit) !== 'I',
    );
    const [first, last] = [places[0], places.at(-1)];
    if (first === undefined || last === undefined) return 1;
    this.#moveCenter(first);
    // ⟨state| and |state⟩ up to a site, by their bonds.
    let between: Rows | undefined;
    for (let site = first; site <= last; site += 1) {
      const tensor = this.#site(site);
      const letter = letterAt(letters, site);
      const name: NamedGate = letter === 'I' ? 'id' : (letter.toLowerCase() as NamedGate);
      const operator = { left: 1, right: 1, data: matrixOf(gateNamed(name)).data };
      const ket = operated(operator, tensor);
      const grown = between === undefined ? ket : intoLeft(between, ket);
      between = product(dagger(tall(tensor)), tall(grown));
    }
    let trace = 0;
    const { count = 0, data = new Float64Array(0) } = between ?? {};
    for (let at = 0; at < count; at += 1) trace += data[2 * at * (count + 1)] ?? 0;
    return trace / squaredNorm(this.#site(first).data);
  }

  clone(): MpsState {
    const clone = new MpsState(this.qubits, { bondMax: this.#bondMax, threshold: this.#threshold });
    // Tensors are never written to once they are made.
    clone.#sites = [...this.#sites];
    clone.#center = this.#center;
    clone.#truncationError = this.#truncationError;
    return clone;
  }

  /** @throws StepError CIRCUIT_TOO_LARGE above 20 qubits */
  amplitudes(): Float64Array {
    if (this.qubits > DENSE_QUBITS_MAX)
      throw new StepError(
        'CIRCUIT_TOO_LARGE',
        `a vector of all amplitudes of ${this.qubits} qubits takes ${2 ** (this.qubits + 4)} bytes, and from a matrix product state ${DENSE_QUBITS_MAX} qubits are the most: ask for samples or observables`,
      );
    // From the last site on, so that its bit is the most significant.
    let vectors: Rows = { count: 1, length: 1, data: Float64Array.of(1, 0) };
    for (const site of this.#sites.toReversed()) {
      const parts = ([0, 1] as const).map((bit) => product(slice(site, bit), vectors));
      const data = new Float64Array(4 * site.left * vectors.length);
      for (let left = 0; left < site.left; left += 1)
        parts.forEach((part, bit) => {
          for (let at = 0; at < vectors.length; at += 1) {
            const from = 2 * (left * vectors.length + at);
            data.set(part.data.subarray(from, from + 2), 2 * (2 * (left * vectors.length + at) + bit));
          }
        });
      vectors = { count: site.left, length: 2 * vectors.length, data };
    }
    return vectors.data;
  }

  release(): void {
    this.#sites = [];
  }

  #site(at: number): Tensor {
    return this.#sites[at] as Tensor;
  }

  #turnPhase([re = 1, im = 0]: Float64Array): void {
    const operator = { left: 1, right: 1, data: Float64Array.of(re, im, 0, 0, 0, 0, re, im) };
    if (this.qubits > 0) this.#sites[this.#center] = operated(operator, this.#site(this.#center));
  }

  #moveCenter(to: number): void {
    while (this.#center < to) this.#moveRight();
    while (this.#center > to) this.#moveLeft();
  }

  #moveRight(): void {
    const at = this.#center;
    const { coefficients, basis } = orthonormal(transposed(tall(this.#site(at))));
    this.#sites[at] = fromTall(transposed(basis));
    this.#sites[at + 1] = intoLeft(transposed(coefficients), this.#site(at + 1));
    this.#center += 1;
  }

  #moveLeft(): void {
    const at = this.#center;
    const { coefficients, basis } = orthonormal(wide(this.#site(at)));
    this.#sites[at] = fromWide(basis);
    this.#sites[at - 1] = intoRight(this.#site(at - 1), coefficients);
    this.#center -= 1;
  }

  /** Makes the bonds of sites, which may be any tensors within orthonormal ones, as small as they can be. The center ends at the first. */
  #compress(first: number, last: number): void {
    this.#center = first;
    this.#moveCenter(last);
    while (this.#center > first) this.#truncateLeft();
  }

  /** As `#moveLeft`, but by singular values, of which the smallest are dropped. */
  #truncateLeft(): void {
    const at = this.#center;
    const matrix = wide(this.#site(at));
    const { vectors, squares } = rightSingular(matrix);
    const whole = squares.reduce((sum, square) => sum + square, 0);
    const large = squares.filter((square) => square >= this.#threshold * whole).length;
    const count = Math.max(1, Math.min(large, this.#bondMax));
    const dropped = squares.subarray(count).reduce((sum, square) => sum + square, 0) / whole;
    // What is below rounding is no approximation.
    if (dropped > 1e-20) this.#truncationError += dropped;
    const kept = { count, length: vectors.length, data: vectors.data.slice(0, 2 * count * vectors.length) };
    const rest = product(matrix, dagger(kept));
    const scale = 1 / Math.sqrt(whole * (1 - dropped));
    for (let k = 0; k < rest.data.length; k += 1) rest.data[k] = scale * (rest.data[k] ?? 0);
    this.#sites[at] = fromWide(kept);
    this.#sites[at - 1] = intoRight(this.#site(at - 1), rest);
    this.#center -= 1;
  }
}
