import { quantumStateCompliance } from '../../../../../test/compliance/quantum-state.ts';
import { MpsState } from './mps-state.ts';

quantumStateCompliance('The matrix product state', (qubits) => new MpsState(qubits), {
  gates: 'all',
  tolerance: 1e-10,
});
