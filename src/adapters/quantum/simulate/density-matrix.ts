import { type GateOperation, gateOn } from '../circuit/circuit.ts';
import { matrix } from '../circuit/complex.ts';
import { gateNamed, matrixOf, unitary } from '../circuit/gates.ts';
import { letterAt } from '../circuit/pauli.ts';
import { multinomial } from './binomial.ts';
import type { MixedState } from './branches.ts';
import { type ChannelForm, conjugate, superoperatorOf } from './channel.ts';
import type { NoiseStep } from './program.ts';
import type { Random } from './random.ts';
import type { PureState } from './state.ts';

/**
 * The density matrix of n qubits, kept as the vector of 2n qubits whose index has the row in its lower half and the column in its upper:
 * a gate U acts as U on the rows and conj(U) on the columns, a channel as its superoperator on both.
 */
export class DensityMatrix implements MixedState {
  readonly qubits: number;
  private readonly vector: PureState;
  /** A copy, while nothing changes it. */
  private entries: Float64Array | undefined;
  /** Many are applied at once, which is faster. */
  private waiting: GateOperation[] = [];

  /** @param vector of twice the qubits, in |0…0⟩ to begin with; it need not keep its length, and is released with this */
  constructor(vector: PureState) {
    this.qubits = vector.qubits / 2;
    this.vector = vector;
  }

  apply(gates: readonly GateOperation[]): void {
    this.act(gates.flatMap((gate) => [gate, this.onColumns(gate)]));
  }

  private onColumns({ gate, targets, controls }: GateOperation): GateOperation {
    return gateOn(
      unitary(conjugate(matrixOf(gate))),
      targets.map((qubit) => qubit + this.qubits),
      controls.map(({ qubit, value }) => ({ qubit: qubit + this.qubits, value })),
    );
  }

  mix(step: NoiseStep | { readonly kind: 'reset'; readonly qubit: number }): void {
    const qubits = step.kind === 'reset' ? [step.qubit] : step.qubits;
    const columns = qubits.map((qubit) => qubit + this.qubits);
    const depolarizes = step.kind === 'noise' && qubits.length > 1 ? step.form.depolarizes : undefined;
    if (depolarizes !== undefined && depolarizes < 0.9) return this.act(depolarize(qubits, columns, depolarizes));
    const operator = step.kind === 'reset' ? resetOperator : operatorOf(step.form);
    this.act([gateOn(operator, [...qubits, ...columns])]);
  }

  probabilityOfOne(qubit: number): number {
    return this.diagonal().reduce((sum, p, index) => sum + (isOne(index, qubit) ? p : 0), 0);
  }

  collapse(qubit: number, bit: 0 | 1): void {
    const one = this.probabilityOfOne(qubit);
    const scale = 1 / (bit === 1 ? one : 1 - one);
    const project = (by: number) => (bit === 1 ? diagonal(0, by) : diagonal(by, 0));
    this.act([gateOn(project(scale), [qubit]), gateOn(project(1), [qubit + this.qubits])]);
  }

  sample(qubits: readonly number[], shots: number, random: Random): Map<string, number> {
    const distribution = [...this.distribution(qubits)];
    const counts = multinomial(
      shots,
      distribution.map(([, p]) => p),
      random,
    );
    return new Map(distribution.map(([key], at) => [key, counts[at] ?? 0] as const).filter(([, count]) => count > 0));
  }

  /** The probability of each outcome of measuring the qubits; keys as `sample` gives them. */
  distribution(qubits: readonly number[]): Map<string, number> {
    return marginals(this.diagonal(), qubits);
  }

  expectation(letters: string): number {
    let flip = 0;
    let signs = 0;
    let ys = 0;
    for (let qubit = 0; qubit < this.qubits; qubit += 1) {
      const letter = letterAt(letters, qubit);
      if (letter === 'X' || letter === 'Y') flip += 2 ** qubit;
      if (letter === 'Z' || letter === 'Y') signs += 2 ** qubit;
      if (letter === 'Y') ys += 1;
    }
    // tr(Pρ) = Σ ⟨row|P|column⟩ ρ(column, row), where P takes a column to one row, with a sign and i per Y.
    const entries = this.read();
    const size = 2 ** this.qubits;
    let [re, im] = [0, 0];
    for (let column = 0; column < size; column += 1) {
      const at = 2 * (column + (column ^ flip) * size);
      const sign = parity(column & signs) === 1 ? -1 : 1;
      re += sign * (entries[at] ?? 0);
      im += sign * (entries[at + 1] ?? 0);
    }
    return [re, -im, -re, im][ys % 4] ?? 0;
  }

  clone(): DensityMatrix {
    this.settle();
    return new DensityMatrix(this.vector.clone() as PureState);
  }

  release(): void {
    this.entries = undefined;
    this.vector.release();
  }

  private act(gates: readonly GateOperation[]): void {
    this.entries = undefined;
    this.waiting.push(...gates);
    if (this.waiting.length >= waitingMax) this.settle();
  }

  private settle(): void {
    if (this.waiting.length > 0) this.vector.apply(this.waiting);
    this.waiting = [];
  }

  private read(): Float64Array {
    this.settle();
    this.entries ??= this.vector.amplitudes();
    return this.entries;
  }

  private diagonal(): Float64Array {
    const entries = this.read();
    const size = 2 ** this.qubits;
    return Float64Array.from({ length: size }, (_, index) => Math.max(0, entries[2 * index * (size + 1)] ?? 0));
  }
}

const waitingMax = 64;

/**
 * An even mixture by cheaper gates than its superoperator of 16 rows. With rows ^ columns for the columns, and a Hadamard on the rows, each entry
 * is a sum that the mixture shrinks by `1 − p`, but for the first, which is the trace over these qubits and stays.
 */
function depolarize(rows: readonly number[], columns: readonly number[], p: number): GateOperation[] {
  const [first = 0, ...others] = rows;
  const differences = rows.map((row, at) => gateOn(gateNamed('x'), [columns[at] ?? 0], [{ qubit: row, value: 1 }]));
  const sums = rows.map((row) => gateOn(gateNamed('h'), [row]));
  const zero = [...others, ...columns].map((qubit) => ({ qubit, value: 0 }) as const);
  const shrink = gateOn(diagonal(1 - p, 1 - p), [first]);
  const keep = gateOn(diagonal(1 / (1 - p), 1), [first], zero);
  return [...differences, ...sums, keep, shrink, ...sums, ...differences];
}

const diagonal = (zero: number, one: number) =>
  unitary(
    matrix([
      [zero, 0],
      [0, one],
    ]),
  );

const operators = new WeakMap<ChannelForm, ReturnType<typeof unitary>>();

function operatorOf(form: ChannelForm): ReturnType<typeof unitary> {
  const known = operators.get(form) ?? unitary(superoperatorOf(form));
  operators.set(form, known);
  return known;
}

/** Both populations end in |0⟩⟨0|. */
const resetOperator = unitary(
  matrix([
    [1, 0, 0, 1],
    [0, 0, 0, 0],
    [0, 0, 0, 0],
    [0, 0, 0, 0],
  ]),
);

/** Sums of probabilities by the bits of some qubits; outcomes of probability 0 are left out. */
export function marginals(probabilities: Float64Array, qubits: readonly number[]): Map<string, number> {
  const sums = new Float64Array(2 ** qubits.length);
  for (let index = 0; index < probabilities.length; index += 1) {
    let key = 0;
    for (let at = 0; at < qubits.length; at += 1) key |= ((index >>> (qubits[at] ?? 0)) & 1) << at;
    sums[key] = (sums[key] ?? 0) + (probabilities[index] ?? 0);
  }
  const text = (key: number): string => (qubits.length === 0 ? '' : key.toString(2).padStart(qubits.length, '0'));
  return new Map([...sums].flatMap((p, key) => (p > 0 ? [[text(key), p] as const] : [])));
}

const isOne = (index: number, qubit: number): boolean => Math.floor(index / 2 ** qubit) % 2 === 1;

function parity(word: number): number {
  let left = word;
  left ^= left >>> 16;
  left ^= left >>> 8;
  left ^= left >>> 4;
  left ^= left >>> 2;
  left ^= left >>> 1;
  return left & 1;
}
