import type { Circuit, Operation } from '../circuit/circuit.ts';
import { measures } from '../circuit/measure.ts';

/** As if all qubits were measured in the end, where the circuit measures nothing. */
export function withMeasurements(circuit: Circuit): Circuit {
  if (measures(circuit.operations)) return circuit;
  const all = Array.from({ length: circuit.qubits }, (_, qubit): Operation => ({ kind: 'measure', qubit, bit: qubit }));
  return {
    qubits: circuit.qubits,
    registers: [{ name: 'c', size: circuit.qubits }],
    operations: [...circuit.operations, ...all],
  };
}

/** Bits of all registers as counts are keyed. @param values of the registers, each as a number */
export const keyOf = (values: readonly bigint[], { registers }: Circuit): string =>
  registers
    .map(({ size }, at) => (size === 0 ? '' : (values[at] ?? 0n).toString(2).padStart(size, '0')))
    .reverse()
    .join(' ');

/** Whole numbers that add up to `shots`, each as near to its share as can be; what is left over goes to the largest remainders. */
export function rounded(shares: Readonly<Record<string, number>>, shots: number): Record<string, number> {
  const total = Object.values(shares).reduce((sum, share) => sum + share, 0);
  const exact = Object.entries(shares).map(([key, share]) => ({ key, share: (share / total) * shots }));
  const whole = exact.map(({ key, share }) => ({ key, count: Math.floor(share + 1e-9), rest: share % 1 }));
  const missing = Math.max(0, shots - whole.reduce((sum, { count }) => sum + count, 0));
  whole.sort((a, b) => b.rest - a.rest || (a.key < b.key ? -1 : 1));
  const given = whole.map(({ key, count }, at) => [key, count + (at < missing ? 1 : 0)] as const);
  return Object.fromEntries(given.filter(([, count]) => count > 0).sort(([a], [b]) => (a < b ? -1 : 1)));
}
