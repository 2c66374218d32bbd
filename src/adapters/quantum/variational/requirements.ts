import { StepError } from '../../../lib/errors.ts';
import { molecules } from './chemistry/molecule.ts';
import type { Problem } from './problem.ts';

/** Every evaluation passes over all amplitudes again and again: with more qubits, that takes minutes each. */
export const qubitsMax = 24;

/** Measured on one core of 2021, for a pass of one gate over an amplitude, rounded up. */
const secondsPerAmplitude = 4e-9;
const gibibyte = 2 ** 30;

/** What an optimization takes: state vectors in double precision, and tables of the Hamiltonian. */
export function requirementsOf({ system, ansatz, shots }: Problem): {
  readonly qubits: number;
  readonly bytes: number;
} {
  const qubits = qubitsOf(system);
  const states = shots === undefined ? 2 : 3;
  return { qubits, bytes: 2 ** qubits * (16 * states + 8 + (ansatz.type === 'qaoa' ? 4 : 0)) };
}

function qubitsOf(system: Problem['system']): number {
  if (system.kind !== 'molecule') return system.hamiltonian.qubits;
  const { name, mapping } = system.molecule;
  return 2 * molecules[name].elements.length - (mapping === 'parity' ? 2 : 0);
}

/** @throws StepError CIRCUIT_TOO_LARGE, before anything is allocated */
export function checkQubits(qubits: number, path: string): void {
  if (qubits <= qubitsMax) return;
  // A number that can be written, and is large enough to tell.
  const amplitudes = 2 ** Math.min(qubits, 64);
  throw new StepError(
    'CIRCUIT_TOO_LARGE',
    `${path} is over ${qubits} qubits and would take at least ${number((40 * amplitudes) / gibibyte)} GiB and ${number(amplitudes * secondsPerAmplitude * qubits)} seconds for one layer of gates; an optimization takes at most ${qubitsMax} qubits, ${number((40 * 2 ** qubitsMax) / gibibyte)} GiB. Split it, or fix some of the variables`,
  );
}

const number = (value = 0): string => (value < 100 ? value.toPrecision(2) : String(Math.round(value)));
