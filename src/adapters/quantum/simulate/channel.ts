import { type GateOperation, gateOn } from '../circuit/circuit.ts';
import { adjoint, combine, type Matrix, multiply } from '../circuit/complex.ts';
import { gateNamed, kronecker, matrixOf, type NamedGate, unitary } from '../circuit/gates.ts';
import type { Channel } from './noise-model.ts';

/** A channel as what may happen to a state: one of its cases. */
export interface ChannelForm {
  readonly cases: readonly Case[];
  /** Whether the cases come with fixed probabilities, whatever the state. */
  readonly isMixture: boolean;
  /** Whether each case is a product of Pauli matrices. */
  readonly isPauli: boolean;
  /** Where it mixes its qubits evenly: with which probability. */
  readonly depolarizes?: number;
}

export interface Case {
  readonly operator: Matrix;
  /** Where the operator is a product of Pauli matrices, up to a factor. */
  readonly letters?: string;
  /** `K†K` as a sum of Pauli products over the channel's qubits: its expectation is the probability of the case. */
  readonly weight: readonly { readonly letters: string; readonly coefficient: number }[];
}

/** @param qubits how many it acts on: the channel's own number, 1 or 2 for a depolarizing one */
export function formOf(channel: Channel, qubits: number): ChannelForm {
  if (channel.kind === 'kraus') {
    const cases = channel.operators.map(krausCase).filter(({ weight }) => weight.length > 0);
    const isMixture = cases.every(({ weight }) => weight.every(({ letters }) => isIdentity(letters)));
    return { cases, isMixture, isPauli: false };
  }
  const terms = channel.kind === 'pauli' ? channel.terms : depolarizingTerms(channel.probability, qubits);
  const rest = 1 - terms.reduce((sum, { probability }) => sum + probability, 0);
  const cases = [{ letters: 'I'.repeat(qubits), probability: rest }, ...terms]
    .filter(({ probability }) => probability > 0)
    .map(pauliCase);
  const even = channel.kind === 'depolarizing' ? { depolarizes: channel.probability } : {};
  return { cases, isMixture: true, isPauli: true, ...even };
}

/** `(1 − p) ρ + p · 1/2^k`: every product of Pauli matrices, the identity among them, has an equal share of p. */
function depolarizingTerms(probability: number, qubits: number): { letters: string; probability: number }[] {
  const products = pauliProducts(qubits);
  return products.slice(1).map((letters) => ({ letters, probability: probability / products.length }));
}

/** The identity first. */
const pauliProducts = (qubits: number): readonly string[] =>
  qubits === 0
    ? ['']
    : pauliProducts(qubits - 1).flatMap((rest) => ['I', 'X', 'Y', 'Z'].map((letter) => rest + letter));

const isIdentity = (letters: string): boolean => /^I*$/.test(letters);

const pauliCase = ({ letters, probability }: { letters: string; probability: number }): Case => ({
  operator: scaled(pauliMatrix(letters), Math.sqrt(probability)),
  letters,
  weight: [{ letters: 'I'.repeat(letters.length), coefficient: probability }],
});

function krausCase(operator: Matrix): Case {
  const square = multiply(adjoint(operator), operator);
  const weight = pauliProducts(Math.log2(square.dimension))
    .map((letters) => ({ letters, coefficient: traceOf(multiply(pauliMatrix(letters), square)) / square.dimension }))
    .filter(({ coefficient }) => Math.abs(coefficient) > 1e-15);
  return { operator, weight };
}

const pauliMatrix = (letters: string): Matrix =>
  [...letters].map((letter) => matrixOf(pauliGate(letter))).reduce((high, low) => kronecker(high, low));

const pauliGate = (letter: string) => gateNamed(letter === 'I' ? 'id' : (letter.toLowerCase() as NamedGate));

const scaled = (of: Matrix, by: number): Matrix => ({ ...of, data: of.data.map((value) => by * value) });

function traceOf({ dimension, data }: Matrix): number {
  let sum = 0;
  for (let at = 0; at < dimension; at += 1) sum += data[2 * at * (dimension + 1)] ?? 0;
  return sum;
}

/** What a case that had the probability does to a pure state, which keeps its length. */
export function gatesOf({ letters, operator }: Case, qubits: readonly number[], probability: number): GateOperation[] {
  if (letters === undefined) return [gateOn(unitary(scaled(operator, 1 / Math.sqrt(probability))), qubits)];
  return qubits.flatMap((qubit, at) => {
    const letter = letters[letters.length - 1 - at] ?? 'I';
    return letter === 'I' ? [] : [gateOn(pauliGate(letter), [qubit])];
  });
}

/** `Σ conj(K) ⊗ K`: what it does to a density matrix written as one vector, its row the less significant part of the index. */
export const superoperatorOf = ({ cases }: ChannelForm): Matrix =>
  cases
    .map(({ operator }) => kronecker(conjugate(operator), operator))
    .reduce((sum, part) => combine([1, 0], sum, [1, 0], part));

export const conjugate = ({ dimension, data }: Matrix): Matrix => ({
  dimension,
  data: data.map((value, at) => (at % 2 === 1 ? -value : value)),
});
