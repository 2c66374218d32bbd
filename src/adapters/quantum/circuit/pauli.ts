import { StepError } from '../../../lib/errors.ts';

/** An observable: a sum of products of Pauli matrices with real coefficients. */
export interface PauliSum {
  readonly qubits: number;
  readonly terms: readonly PauliTerm[];
}

export interface PauliTerm {
  readonly coefficient: number;
  /** One of I, X, Y, Z per qubit, qubit 0 rightmost, as in Qiskit. */
  readonly letters: string;
}

/** The letter at a qubit. */
export const letterAt = (letters: string, qubit: number): string => letters[letters.length - 1 - qubit] ?? 'I';

/** @throws StepError INVALID_PARAMS */
export function pauliTerm(letters: string, coefficient = 1): PauliTerm {
  if (!/^[IXYZ]+$/.test(letters))
    throw new StepError(
      'INVALID_PARAMS',
      `${JSON.stringify(letters.slice(0, 80))} is no product of Pauli matrices: it takes one of I, X, Y, Z per qubit, such as "XZI", qubit 0 rightmost`,
    );
  return { coefficient, letters };
}
