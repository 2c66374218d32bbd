import { StepError } from '../../../../lib/errors.ts';
import {
  type Expression,
  evaluate,
  type GateOperation,
  type MeasureOperation,
  type ResetOperation,
} from '../../circuit/circuit.ts';
import { cliffordSteps } from './clifford.ts';
import { StabilizerState } from './stabilizer-state.ts';
import type { Step } from './synthesis.ts';

/** A Clifford circuit with Pauli noise at its places. */
export interface FrameCircuit {
  readonly qubits: number;
  readonly bits: number;
  readonly operations: readonly FrameOperation[];
}

export type FrameOperation = GateOperation | FrameMeasure | ResetOperation | PauliChannel | PauliBranch;

export interface FrameMeasure extends MeasureOperation {
  /** Probabilities that the bit is written wrongly. */
  readonly misread?: { readonly oneGivenZero: number; readonly zeroGivenOne: number };
}

/** One of the terms happens, or with what is left of 1, nothing. */
export interface PauliChannel {
  readonly kind: 'pauli';
  readonly qubits: readonly number[];
  /** One letter per qubit of the channel, that of its first rightmost. */
  readonly terms: readonly { readonly letters: string; readonly probability: number }[];
}

/** A correction that depends on measured bits. Gates are products of Pauli matrices, as in teleportation. */
export interface PauliBranch {
  readonly kind: 'branch';
  readonly condition: Expression;
  readonly body: readonly GateOperation[];
  readonly otherwise: readonly GateOperation[];
}

/** What is done to all frames, and to the record. */
export type FrameInstruction =
  | { readonly kind: 'step'; readonly name: Step['name']; readonly a: number; readonly b: number }
  /** `outcome`: that of the run without errors. */
  | { readonly kind: 'measure'; readonly outcome: 0 | 1; readonly operation: FrameMeasure }
  | ResetOperation
  | PauliChannel
  /** The flips come where the condition is not what it was in the run without errors. */
  | { readonly kind: 'branch'; readonly condition: Expression; readonly held: boolean; readonly flips: Flips };

/** Which qubits an X, and which a Z acts on. */
interface Flips {
  readonly x: readonly number[];
  readonly z: readonly number[];
}

/**
 * Runs the circuit once without errors, each random measurement giving 0.
 *
 * @throws StepError CIRCUIT_TOO_LARGE; UNSUPPORTED_GATE for a gate that is no Clifford gate, or in a branch no Pauli matrix
 */
export function frameProgram({ qubits, bits, operations }: FrameCircuit): FrameInstruction[] {
  const state = new StabilizerState(qubits);
  const record: (0 | 1)[] = Array.from({ length: bits }, () => 0);
  const instruct = (operation: FrameOperation): FrameInstruction[] => {
    switch (operation.kind) {
      case 'gate': {
        state.apply([operation]);
        const at = [...operation.targets, ...operation.controls.map(({ qubit }) => qubit)];
        return (cliffordSteps(operation) ?? []).map(({ name, a, b }) => ({
          kind: 'step',
          name,
          a: at[a] ?? 0,
          b: at[b] ?? 0,
        }));
      }
      case 'measure': {
        const outcome = measure(state, operation.qubit);
        record[operation.bit] = outcome;
        return [{ kind: 'measure', outcome, operation }];
      }
      case 'reset':
        if (measure(state, operation.qubit) === 1) state.apply([notOn(operation.qubit)]);
        return [operation];
      case 'pauli':
        return [operation];
      case 'branch': {
        const { condition } = operation;
        const held = evaluate(condition, (bit) => record[bit] ?? 0) !== 0n;
        const flips = flipsOf([...operation.body, ...operation.otherwise]);
        state.apply(held ? operation.body : operation.otherwise);
        return [{ kind: 'branch', condition, held, flips }];
      }
    }
  };
  return operations.flatMap(instruct);
}

function measure(state: StabilizerState, qubit: number): 0 | 1 {
  const outcome = state.probabilityOfOne(qubit) === 1 ? 1 : 0;
  state.collapse(qubit, outcome);
  return outcome;
}

const notOn = (qubit: number): GateOperation => ({
  kind: 'gate',
  gate: { name: 'x', params: [] },
  targets: [qubit],
  controls: [],
});

function flipsOf(gates: readonly GateOperation[]): Flips {
  const flips = { x: new Set<number>(), z: new Set<number>() };
  for (const gate of gates)
    for (const { name, a } of cliffordSteps(gate) ?? [])
      if (name === 'x' || name === 'z') {
        const qubit = [...gate.targets, ...gate.controls.map((control) => control.qubit)][a] ?? 0;
        if (!flips[name].delete(qubit)) flips[name].add(qubit);
      } else
        throw new StepError(
          'UNSUPPORTED_GATE',
          `${gate.gate.name} in a branch is no product of Pauli matrices, which Pauli frames take there alone`,
        );
  return { x: [...flips.x], z: [...flips.z] };
}
