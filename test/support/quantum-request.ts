import type { Circuit } from '../../src/adapters/quantum/circuit/circuit.ts';
import type { SimulationRequest } from '../../src/adapters/quantum/simulate/request.ts';

/** Counts and exact probabilities of a circuit, in what every machine has. */
export const requestOf = (circuit: Circuit, others: Partial<SimulationRequest> = {}): SimulationRequest => ({
  circuit,
  shots: 2_000,
  seed: 'seed',
  method: 'automatic',
  precision: 'double',
  threads: 1,
  strict: true,
  memoryBytesMax: 2 ** 28,
  mps: { bondMax: 64, threshold: 1e-24 },
  wants: { statevector: false, probabilities: true, observables: [], expectations: 'exact' },
  ...others,
});

/** An outcome's keys as those of the oracle: registers are not apart. */
export const joined = (record: Record<string, number>): Map<string, number> =>
  new Map(Object.entries(record).map(([key, value]) => [key.replaceAll(' ', ''), value]));
