import { quantumStateCompliance } from '../../../../../test/compliance/quantum-state.ts';
import { StabilizerState } from './stabilizer-state.ts';

quantumStateCompliance('The stabilizer tableau', (qubits) => new StabilizerState(qubits), {
  gates: 'clifford',
  tolerance: 1e-9,
});
