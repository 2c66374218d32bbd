import { StepError } from '../../../../lib/errors.ts';
import type { GateOperation } from '../../circuit/circuit.ts';
import { letterAt } from '../../circuit/pauli.ts';
import type { Random } from '../../simulate/random.ts';
import type { State } from '../../simulate/state.ts';
import { cliffordSteps } from './clifford.ts';
import { outcomesOf, sampleOutcomes } from './outcomes.ts';
import { Tableau } from './tableau.ts';

export const stabilizerQubitsMax = 4_096;

/**
 * The state of a Clifford circuit, of which it costs time and memory in the square of the number of qubits only. It has no phase of the whole.
 *
 * Sampling takes one elimination, of the order `qubits³ / 32`, for all shots together.
 */
export class StabilizerState implements State {
  readonly qubits: number;
  #tableau: Tableau;

  /**
   * |0…0⟩
   *
   * @throws StepError CIRCUIT_TOO_LARGE above 4,096 qubits
   */
  constructor(qubits: number, tableau?: Tableau) {
    if (qubits > stabilizerQubitsMax)
      throw new StepError(
        'CIRCUIT_TOO_LARGE',
        `a stabilizer tableau of ${qubits} qubits would take ${Tableau.bytesFor(qubits)} bytes; ${stabilizerQubitsMax} qubits are the most`,
      );
    this.qubits = qubits;
    this.#tableau = tableau ?? new Tableau(qubits);
  }

  /** @throws StepError UNSUPPORTED_GATE for a gate that is not of the Clifford group */
  apply(gates: readonly GateOperation[]): void {
    applyClifford(this.#tableau, gates);
  }

  probabilityOfOne(qubit: number): number {
    return this.#tableau.isRandom(qubit) ? 0.5 : this.#tableau.certain(qubit);
  }

  collapse(qubit: number, bit: 0 | 1): void {
    this.#tableau.collapse(qubit, bit);
  }

  sample(qubits: readonly number[], shots: number, random: Random): Map<string, number> {
    return sampleOutcomes(outcomesOf(this.#tableau, qubits), qubits.length, shots, random);
  }

  expectation(letters: string): number {
    return this.#tableau.expectation((qubit) => letterAt(letters, qubit));
  }

  clone(): StabilizerState {
    return new StabilizerState(this.qubits, this.#tableau.clone());
  }

  release(): void {
    this.#tableau = new Tableau(0);
  }
}

function applyClifford(tableau: Tableau, gates: readonly GateOperation[]): void {
  for (const gate of gates) {
    const steps = cliffordSteps(gate);
    if (steps === undefined)
      throw new StepError(
        'UNSUPPORTED_GATE',
        `${gate.gate.name}(${gate.gate.params.join(', ')}) with ${gate.controls.length} controls is no Clifford gate, which the stabilizer method is for`,
      );
    const at = [...gate.targets, ...gate.controls.map(({ qubit }) => qubit)];
    for (const step of steps) tableau.step(step, at);
  }
}
