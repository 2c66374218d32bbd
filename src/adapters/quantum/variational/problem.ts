import type { PauliSum } from '../circuit/pauli.ts';
import type { HardwareEfficient } from './ansatz/hardware-efficient.ts';
import type { MoleculeChoice } from './chemistry/molecule.ts';
import type { Graph } from './hamiltonian/graphs.ts';

/** What `quantum_optimize` is asked, checked: plain data that can be cloned into a thread. Equal problems give equal results. */
export interface Problem {
  readonly algorithm: 'vqe' | 'qaoa';
  readonly system: System;
  readonly ansatz: AnsatzChoice;
  readonly optimizer: OptimizerChoice;
  /** `default`: where the ansatz says; random where it does not. */
  readonly initial: 'default' | 'random' | readonly number[];
  /** Runs of the optimizer; those after the first begin at random. */
  readonly starts: number;
  /** Measurements per group of terms and evaluation; absent for exact energies. */
  readonly shots?: number;
  /** Measurements of the state that is found, where the Hamiltonian is diagonal. */
  readonly samples: number;
  readonly seed: string;
  /** Whether the exact ground energy is wanted beside. */
  readonly wantsReference: boolean;
}

export type System =
  | { readonly kind: 'pauli'; readonly hamiltonian: PauliSum }
  | { readonly kind: 'molecule'; readonly molecule: MoleculeChoice }
  | { readonly kind: 'maxcut'; readonly hamiltonian: PauliSum; readonly graph: Graph };

export type AnsatzChoice =
  | ({ readonly type: 'hardware_efficient' } & HardwareEfficient)
  | { readonly type: 'uccsd'; readonly layers: number }
  | { readonly type: 'qaoa'; readonly layers: number };

export type OptimizerChoice = { readonly iterationsMax: number; readonly tolerance: number } & (
  | { readonly type: 'nelder_mead'; readonly initialStep: number }
  | { readonly type: 'spsa'; readonly initialStep: number; readonly perturbation: number }
  | { readonly type: 'lbfgs'; readonly memory: number }
);
