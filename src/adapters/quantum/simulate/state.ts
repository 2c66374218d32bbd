import type { GateOperation } from '../circuit/circuit.ts';
import type { Random } from './random.ts';

/**
 * The state of some qubits, in whatever form a method keeps it. All methods have this form, and `test/compliance/quantum-state.ts` checks
 * each. Everything is synchronous: who must not wait runs it in a thread.
 */
export interface State {
  readonly qubits: number;
  /** In order. Gates that the method can't do are kept from it by who selects the method. */
  apply(gates: readonly GateOperation[]): void;
  /** That a measurement of the qubit gives 1. */
  probabilityOfOne(qubit: number): number;
  /** What is left once a measurement gave `bit`, which must be possible. */
  collapse(qubit: number, bit: 0 | 1): void;
  /**
   * Measures all of the qubits together, `shots` times, each time the state as it is, and leaves it so.
   * @returns how often each outcome came; keys are bits, that of `qubits[0]` rightmost
   */
  sample(qubits: readonly number[], shots: number, random: Random): Map<string, number>;
  /** Of a product of Pauli matrices, one letter per qubit, qubit 0 rightmost. */
  expectation(letters: string): number;
  clone(): State;
  /** Gives its memory back; it is not used after. */
  release(): void;
}

/** A state that has one vector of amplitudes. */
export interface PureState extends State {
  /** Real and imaginary parts in turn, `2 · 2^qubits` numbers; a copy. */
  amplitudes(): Float64Array;
}
