/** An observable: a sum of products of Pauli matrices with real coefficients. */
export interface PauliSum {
  readonly qubits: number;
  readonly terms: readonly PauliTerm[];
}

interface PauliTerm {
  readonly coefficient: number;
  /** One of I, X, Y, Z per qubit, qubit 0 rightmost, as in Qiskit. */
  readonly letters: string;
}

/** The letter at a qubit. */
export const letterAt = (letters: string, qubit: number): string => letters[letters.length - 1 - qubit] ?? 'I';
