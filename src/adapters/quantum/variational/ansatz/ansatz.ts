import type { PauliMask } from '../hamiltonian/pauli-mask.ts';

/** A circuit with parameters, applied to a basis state. */
export interface Ansatz {
  readonly qubits: number;
  /** A basis state, or all of them evenly. */
  readonly start: number | 'superposition';
  readonly gates: readonly AnsatzGate[];
  /** One per parameter. */
  readonly names: readonly string[];
  /** What people call the parameters is so many times as much; all are 1 where absent. So optimizers see angles, whatever the energies. */
  readonly units?: readonly number[];
  /** Where an optimizer begins unless told otherwise; absent where only chance has an answer. */
  readonly initial?: readonly number[];
}

export type AnsatzGate =
  /** `exp(−i·angle/2·P)` */
  | { readonly kind: 'rotation'; readonly pauli: PauliMask; readonly angle: Angle }
  /** `exp(−i·angle·C)` for the Hamiltonian C, which is diagonal. */
  | { readonly kind: 'cost'; readonly angle: Angle };

/** `offset + scale · parameters[parameter]`; constant where the scale is 0. */
export interface Angle {
  readonly offset: number;
  readonly scale: number;
  readonly parameter: number;
}

export const constant = (offset: number): Angle => ({ offset, scale: 0, parameter: 0 });
export const proportional = (parameter: number, scale = 1): Angle => ({ offset: 0, scale, parameter });
