import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Circuit } from '../circuit/circuit.ts';
import { circuitOf } from '../circuit-source.ts';
import type { Job } from '../job.ts';
import { shotsDefault } from '../schemas.ts';
import { parseNoiseModel } from '../simulate/parse-noise.ts';
import type { SimulationRequest, Wants } from '../simulate/request.ts';

const bondDefault = 64;
const truncationDefault = 1e-24;

/** The job's circuit, within its limits. @throws StepError INVALID_PARAMS, CIRCUIT_TOO_LARGE and those of the circuit's language */
export function jobCircuit(job: Job): Circuit {
  const circuit = job.circuit ?? circuitOf(job.params);
  checkQubits(circuit.qubits, job);
  return circuit;
}

/** @throws StepError CIRCUIT_TOO_LARGE */
export function checkQubits(qubits: number, { limits }: Job): void {
  if (qubits > limits.qubitsMax)
    throw new StepError(
      'CIRCUIT_TOO_LARGE',
      `the circuit has ${qubits} qubits, and this step may use ${limits.qubitsMax}: raise resource_requirements.qubits, or the node's max_qubits`,
    );
}

export const seedOf = ({ params, seed }: Job): string =>
  params.seed === undefined ? seed : `${typeof params.seed} ${String(params.seed)}`;

export const shotsOf = ({ shots }: JSONObject): number => (typeof shots === 'number' ? shots : shotsDefault);

/** What is to be simulated, with the params' settings or their defaults. @param wants besides counts */
export function requestOf(
  job: Job,
  circuit: Circuit,
  wants: Partial<Wants>,
  shots = shotsOf(job.params),
): SimulationRequest {
  const { params, backend, limits } = job;
  const { bond_dimension: bond, truncation } = params;
  return {
    circuit,
    shots,
    seed: seedOf(job),
    method: backend.method,
    ...(params.noise === undefined ? {} : { noise: parseNoiseModel(params.noise, 'params.noise') }),
    precision: params.precision === 'single' ? 'single' : 'double',
    threads: limits.threads,
    strict: params.mode !== 'fast',
    memoryBytesMax: limits.memoryBytesMax,
    mps: {
      bondMax: typeof bond === 'number' ? bond : bondDefault,
      threshold: typeof truncation === 'number' ? truncation : truncationDefault,
    },
    wants: { statevector: false, probabilities: false, observables: [], expectations: 'exact', ...wants },
  };
}
