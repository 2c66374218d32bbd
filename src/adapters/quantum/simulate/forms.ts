import { MpsState } from '../methods/mps/mps-state.ts';
import { SparseState } from '../methods/sparse/sparse-state.ts';
import { StabilizerState } from '../methods/stabilizer/stabilizer-state.ts';
import { createStateVector } from '../statevector/state-vector.ts';
import { DensityMatrix } from './density-matrix.ts';
import type { SimulationRequest } from './request.ts';
import type { StateForm } from './select.ts';
import type { PureState, State } from './state.ts';

export interface FormOptions
  extends Pick<SimulationRequest, 'precision' | 'threads' | 'strict' | 'mps' | 'memoryBytesMax'> {
  /** Called where gates take long, with the part of them that is done. */
  readonly progress: (fraction: number) => void;
}

/** With fewer qubits a second thread costs more than it does. */
const threadsFromQubits = 18;

/** |0…0⟩ in one of the forms. */
export function createState(form: StateForm, qubits: number, options: FormOptions): State {
  switch (form) {
    case 'stabilizer':
      return new StabilizerState(qubits);
    case 'sparse':
      return new SparseState(qubits, {
        entriesMax: Math.max(1, Math.floor(options.memoryBytesMax / SparseState.bytesPerEntry(qubits))),
      });
    case 'density_matrix':
      return new DensityMatrix(vector(2 * qubits, options));
    case 'mps':
      return new MpsState(qubits, options.mps);
    case 'statevector':
      return vector(qubits, options);
  }
}

function vector(qubits: number, { precision, threads, strict, progress }: FormOptions): PureState {
  return createStateVector({
    qubits,
    precision,
    threads: qubits < threadsFromQubits ? 1 : threads,
    strict,
    progress,
  });
}
