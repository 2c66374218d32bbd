import type { Circuit } from '../circuit/circuit.ts';
import type { PauliSum } from '../circuit/pauli.ts';
import type { NoiseModel } from './noise-model.ts';

/** How a simulation is done; `automatic` picks one for each independent part of the circuit. `trajectories` are shots on a pure state. */
export const methodNames = [
  'automatic',
  'statevector',
  'stabilizer',
  'sparse',
  'mps',
  'density_matrix',
  'trajectories',
] as const;
export type MethodName = (typeof methodNames)[number];
/** What a method comes to once it is picked. */
export type Method = Exclude<MethodName, 'automatic'>;

/** All that a simulation follows from, as plain data that can be cloned into a thread. Equal requests give equal outcomes. */
export interface SimulationRequest {
  readonly circuit: Circuit;
  /** 0 where only exact results are wanted. */
  readonly shots: number;
  readonly seed: string;
  readonly method: MethodName;
  readonly noise?: NoiseModel;
  /** Of amplitudes, where the method has a choice: the state vector and the density matrix. */
  readonly precision: 'double' | 'single';
  /** Changes nothing but the time it takes. */
  readonly threads: number;
  /** Whether all CPUs must agree to the last bit. */
  readonly strict: boolean;
  /** For states; nothing is allocated where they can't fit. */
  readonly memoryBytesMax: number;
  readonly mps: MpsOptions;
  readonly wants: Wants;
}

interface MpsOptions {
  readonly bondMax: number;
  /** Squared singular values below this share of the whole are dropped. */
  readonly threshold: number;
}

export interface Wants {
  /** Amplitudes before the measurements at the end. */
  readonly statevector: boolean;
  /** Exact ones of the measured bits. */
  readonly probabilities: boolean;
  /** Of the state before the measurements at the end. */
  readonly observables: readonly PauliSum[];
  /** `exact` where the method can; `shots`: as a device would, from `shots` measurements per group of terms that can be measured together. */
  readonly expectations: 'exact' | 'shots';
}

export interface Outcome {
  /** How often each text of bits came. Bit 0 is rightmost; registers have a space between them, the last declared is leftmost. */
  readonly counts: Record<string, number>;
  /** Exact, keys as in `counts`, those of 0 left out. Absent where the method has none, or the bits are too many. */
  readonly probabilities?: Record<string, number>;
  /** Real and imaginary parts in turn. Absent where noise or measurement on the way leave no one vector. */
  readonly statevector?: Float64Array;
  /** One per observable. */
  readonly expectations: readonly Expectation[];
  /** That of the costliest part. */
  readonly method: Method;
  /** Why that method. */
  readonly reason: string;
  readonly parts: readonly PartFacts[];
  /** Weight that an MPS gave up, 0 where it was exact. Absent for other methods. */
  readonly truncationError?: number;
  /** Gates that could not change what was asked for. */
  readonly gatesDropped: number;
}

export interface Expectation {
  readonly value: number;
  /** Of the value as an estimate: 0 where it is exact, else its standard error squared; from one shot the largest that it can be. */
  readonly variance: number;
}

interface PartFacts {
  readonly qubits: readonly number[];
  readonly method: Method;
  /** How the state was kept; shots on a pure one are what trajectories are. */
  readonly state: Exclude<Method, 'trajectories'>;
  readonly gates: number;
  /** Runs of the circuit, or of what is left of it, that differ in what was measured or which errors came; 0 where Pauli frames took all shots together. */
  readonly branches: number;
}

export interface SimulationHooks {
  /** Called now and then with a number from 0 to 1 that does not fall. */
  readonly progress: (fraction: number) => void;
}
