import { StateVector } from '../statevector/state-vector.ts';
import { DensityMatrix, marginals } from './density-matrix.ts';
import { basisChange, type Group, groupsOf, type LocalTerm, supportOf, undo } from './observables.ts';
import type { MeasureStep, Misread } from './program.ts';
import type { Random } from './random.ts';
import type { PureState, State } from './state.ts';

/** An observable's share of one part, as its paths gave it. */
export interface Share {
  readonly means: readonly { readonly term: number; readonly mean: number }[];
  /** Of the share's mean as an estimate. */
  readonly variance: number;
}

export type Split = (weights: readonly number[], amount: number) => readonly number[];

/** A readout may come out wrongly, each bit for itself. */
function spread(
  bits: Uint8Array,
  readouts: readonly MeasureStep[],
  amount: number,
  split: Split,
  add: (bits: Uint8Array, amount: number) => void,
): void {
  const [readout, ...others] = readouts;
  if (readout === undefined) return add(bits, amount);
  const { oneGivenZero, zeroGivenOne } = readout.misread ?? noMisread;
  const error = bits[readout.bit] === 1 ? zeroGivenOne : oneGivenZero;
  const [right = 0, wrong = 0] = split([1 - error, error], amount);
  if (wrong > 0) {
    const flipped = bits.slice();
    flipped[readout.bit] = flipped[readout.bit] === 1 ? 0 : 1;
    spread(flipped, others, wrong, split, add);
  }
  if (right > 0) spread(bits, others, right, split, add);
}

const noMisread: Misread = { oneGivenZero: 0, zeroGivenOne: 0 };

/** What the paths of a part end in: how often each text of its bits comes. */
export class Outcomes {
  readonly amounts = new Map<string, number>();
  private readonly readouts: readonly MeasureStep[];
  private readonly misread: readonly MeasureStep[];
  private readonly measured: readonly number[];
  private readonly split: Split;
  private readonly isPlain: boolean;

  constructor(readouts: readonly MeasureStep[], split: Split) {
    this.readouts = readouts;
    this.misread = readouts.filter(({ misread }) => misread !== undefined);
    this.measured = [...new Set(readouts.map(({ qubit }) => qubit))];
    this.split = split;
    const isInOrder = readouts.every(({ qubit, bit }) => this.measured[bit] === qubit);
    this.isPlain = isInOrder && this.misread.length === 0 && readouts.length === this.measured.length;
  }

  /** Shots on one path. */
  sample(state: State, bits: Uint8Array, shots: number, random: Random): void {
    if (this.measured.length === 0) this.add(bits, shots);
    else this.addAll(state.sample(this.measured, shots, random), bits, 1);
  }

  /** The probabilities of one path. */
  distribute(state: State, bits: Uint8Array, weight: number): void {
    if (this.measured.length === 0) this.add(bits, weight);
    else this.addAll(distributionOf(state, this.measured), bits, weight);
  }

  private addAll(measured: ReadonlyMap<string, number>, bits: Uint8Array, weight: number): void {
    // Mostly all bits are those of all qubits, in their order.
    if (this.isPlain && bits.length === this.measured.length) {
      for (const [key, amount] of measured) this.amounts.set(key, (this.amounts.get(key) ?? 0) + amount * weight);
      return;
    }
    const places = this.readouts.map(({ qubit, bit }) => ({ bit, at: this.measured.indexOf(qubit) }));
    for (const [key, amount] of measured) {
      const all = bits.slice();
      for (const { bit, at } of places) all[bit] = key[key.length - 1 - at] === '1' ? 1 : 0;
      spread(all, this.misread, amount * weight, this.split, (read, share) => this.add(read, share));
    }
  }

  private add(bits: Uint8Array, amount: number): void {
    const key = bits.toReversed().join('');
    this.amounts.set(key, (this.amounts.get(key) ?? 0) + amount);
  }
}

/** Of measuring all of the qubits together. */
function distributionOf(state: State, qubits: readonly number[]): Map<string, number> {
  if (state instanceof DensityMatrix) return state.distribution(qubits);
  if (isPure(state)) {
    const amplitudes = state.amplitudes();
    const probabilities = Float64Array.from(
      { length: amplitudes.length / 2 },
      (_, at) => (amplitudes[2 * at] ?? 0) ** 2 + (amplitudes[2 * at + 1] ?? 0) ** 2,
    );
    return marginals(probabilities, qubits);
  }
  return byCollapse(state, qubits);
}

/** Forms that keep no vector write one out for few qubits alone. */
const isPure = (state: State): state is PureState =>
  'amplitudes' in state && (state.qubits <= 16 || state instanceof StateVector);

/** One qubit after the other, for forms of a state that tell no amplitudes. */
function byCollapse(state: State, qubits: readonly number[]): Map<string, number> {
  const [qubit, ...others] = qubits;
  if (qubit === undefined) return new Map([['', 1]]);
  const one = state.probabilityOfOne(qubit);
  const all = new Map<string, number>();
  for (const [bit, p] of [[0, 1 - one] as const, [1, one] as const]) {
    if (p < 1e-12) continue;
    const after = state.clone();
    after.collapse(qubit, bit);
    for (const [key, q] of byCollapse(after, others)) all.set(`${key}${bit}`, p * q);
    after.release();
  }
  return all;
}

/** Sums up an observable's terms over the paths, weighted with their shots or probability. */
export class ExactEstimator {
  private readonly terms: readonly LocalTerm[];
  private readonly sums: number[];
  private weight = 0;
  private sum = 0;
  private square = 0;

  constructor(terms: readonly LocalTerm[]) {
    this.terms = terms;
    this.sums = terms.map(() => 0);
  }

  look(state: State, weight: number): void {
    const values = this.terms.map(({ letters }) => state.expectation(letters));
    const share = this.terms.reduce((sum, { coefficient }, at) => sum + coefficient * (values[at] ?? 0), 0);
    for (const [at, value] of values.entries()) this.sums[at] = (this.sums[at] ?? 0) + weight * value;
    this.weight += weight;
    this.sum += weight * share;
    this.square += weight * share * share;
  }

  /** @param isSampled whether the paths were drawn, so that the mean is an estimate */
  share(isSampled: boolean): Share {
    const means = this.terms.map(({ term }, at) => ({ term, mean: (this.sums[at] ?? 0) / this.weight }));
    const isKnown = !isSampled || this.terms.length === 0;
    return { means, variance: isKnown ? 0 : varianceOfMean(this.terms, this.weight, this.sum, this.square) };
  }
}

/** Measures an observable's groups of terms as a device would, each with all shots. */
export class ShotEstimator {
  private readonly groups: readonly (Group & { tally: { sum: number; square: number } })[];
  private readonly terms: readonly LocalTerm[];
  private readonly sums: Map<LocalTerm, number>;
  private readonly misreadOf: (qubit: number) => Misread | undefined;
  private shots = 0;

  constructor(terms: readonly LocalTerm[], misreadOf: (qubit: number) => Misread | undefined) {
    this.terms = terms;
    this.misreadOf = misreadOf;
    this.groups = groupsOf(terms).map((group) => ({ ...group, tally: { sum: 0, square: 0 } }));
    this.sums = new Map(terms.map((term) => [term, 0]));
  }

  look(state: State, shots: number, split: Split, random: Random): void {
    this.shots += shots;
    for (const { letters, terms, tally } of this.groups) {
      const qubits = supportOf(letters);
      const readouts = qubits.map((qubit, bit): MeasureStep => {
        const misread = this.misreadOf(qubit);
        return { kind: 'measure', qubit, bit, ...(misread === undefined ? {} : { misread }) };
      });
      const change = basisChange(letters);
      state.apply(change);
      const outcomes = new Outcomes(readouts, split);
      outcomes.sample(state, new Uint8Array(qubits.length), shots, random);
      state.apply(undo(change));
      const places = terms.map((term) => ({ term, at: supportOf(term.letters).map((qubit) => qubits.indexOf(qubit)) }));
      for (const [key, amount] of outcomes.amounts) {
        let share = 0;
        for (const { term, at } of places) {
          const ones = at.filter((place) => key[key.length - 1 - place] === '1').length;
          const sign = ones % 2 === 1 ? -1 : 1;
          share += sign * term.coefficient;
          this.sums.set(term, (this.sums.get(term) ?? 0) + sign * amount);
        }
        tally.sum += amount * share;
        tally.square += amount * share * share;
      }
    }
  }

  share(): Share {
    const means = this.terms.map((local) => ({ term: local.term, mean: (this.sums.get(local) ?? 0) / this.shots }));
    const variances = this.groups.map(({ terms, tally }) => varianceOfMean(terms, this.shots, tally.sum, tally.square));
    return { means, variance: variances.reduce((sum, variance) => sum + variance, 0) };
  }
}

/** From one value nothing is known of how values vary, but they can't be further from 0 than all terms together. */
function varianceOfMean(terms: readonly LocalTerm[], n: number, sum: number, square: number): number {
  if (n >= 2) return Math.max(0, square / n - (sum / n) ** 2) / (n - 1);
  return terms.reduce((total, { coefficient }) => total + Math.abs(coefficient), 0) ** 2;
}
