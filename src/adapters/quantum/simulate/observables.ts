import { type GateOperation, gateOn } from '../circuit/circuit.ts';
import { gateNamed, inverseOf } from '../circuit/gates.ts';
import { letterAt, type PauliSum } from '../circuit/pauli.ts';

/** What of an observable's term lies on one part. */
export interface LocalTerm {
  /** Which of the observable's terms. */
  readonly term: number;
  readonly coefficient: number;
  /** One per qubit of the part, not all I. */
  readonly letters: string;
}

/** Qubits that a product of Pauli matrices acts on. */
export const supportOf = (letters: string): number[] =>
  [...letters].flatMap((letter, at) => (letter === 'I' ? [] : [letters.length - 1 - at])).reverse();

/** @param qubits of the part, in its order */
export const localTerms = ({ terms }: PauliSum, qubits: readonly number[]): LocalTerm[] =>
  terms
    .map(({ coefficient, letters }, term) => {
      const local = qubits.map((qubit) => letterAt(letters, qubit)).reverse();
      return { term, coefficient, letters: local.join('') };
    })
    .filter(({ letters }) => supportOf(letters).length > 0);

/** Terms that can be measured together, since no two of them have different letters at one qubit, and the letters to measure. */
export interface Group {
  readonly letters: string;
  readonly terms: readonly LocalTerm[];
}

/** Each term goes to the first group that it fits. */
export function groupsOf(terms: readonly LocalTerm[]): Group[] {
  const groups: { letters: string[]; terms: LocalTerm[] }[] = [];
  for (const term of terms) {
    const letters = [...term.letters];
    const fits = groups.find((group) =>
      letters.every((letter, at) => letter === 'I' || group.letters[at] === 'I' || group.letters[at] === letter),
    );
    if (fits === undefined) groups.push({ letters, terms: [term] });
    else {
      fits.letters = fits.letters.map((letter, at) => (letter === 'I' ? (letters[at] ?? 'I') : letter));
      fits.terms.push(term);
    }
  }
  return groups.map(({ letters, terms: together }) => ({ letters: letters.join(''), terms: together }));
}

/** Gates after which a measurement of each qubit tells its letter. */
export const basisChange = (letters: string): GateOperation[] =>
  supportOf(letters).flatMap((qubit) => {
    const letter = letterAt(letters, qubit);
    if (letter === 'Z') return [];
    return [...(letter === 'Y' ? [gateOn(gateNamed('sdg'), [qubit])] : []), gateOn(gateNamed('h'), [qubit])];
  });

export const undo = (gates: readonly GateOperation[]): GateOperation[] =>
  gates.map((operation) => ({ ...operation, gate: inverseOf(operation.gate) })).reverse();
