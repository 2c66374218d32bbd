import { quantumStateCompliance } from '../../../../test/compliance/quantum-state.ts';
import { ReferenceState } from './reference-state.ts';

quantumStateCompliance('The reference', (qubits) => new ReferenceState(qubits), { gates: 'all', tolerance: 1e-12 });
