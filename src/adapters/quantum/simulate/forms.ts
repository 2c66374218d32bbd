import { StabilizerState } from '../methods/stabilizer/stabilizer-state.ts';
import { DensityMatrix } from './density-matrix.ts';
import { ReferenceState } from './reference-state.ts';
import type { SimulationRequest } from './request.ts';
import type { StateForm } from './select.ts';
import type { PureState, State } from './state.ts';

export type FormOptions = Pick<SimulationRequest, 'precision' | 'threads' | 'strict' | 'mps' | 'memoryBytesMax'>;

/** |0…0⟩ in one of the forms. */
export function createState(form: StateForm, qubits: number, options: FormOptions): State {
  switch (form) {
    case 'density_matrix':
      return new DensityMatrix(vector(2 * qubits, options));
    case 'stabilizer':
      return new StabilizerState(qubits);
    default:
      return vector(qubits, options);
  }
}

const vector = (qubits: number, _options: FormOptions): PureState => new ReferenceState(qubits);
