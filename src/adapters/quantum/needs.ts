import { isObject, type JSONObject, type JSONValue } from '../../lib/json.ts';
import type { AdapterStep } from '../../ports/adapter.ts';
import { backendOf, backendUsual } from './backends.ts';
import type { Circuit } from './circuit/circuit.ts';
import { circuitOf, isPlain } from './circuit-source.ts';
import type { Job } from './job.ts';
import { problemOf } from './jobs/optimize.ts';
import { requestOf, shotsOf } from './jobs/request.ts';
import { planOf } from './simulate/plan.ts';
import { requirementsOf } from './variational/requirements.ts';

/** Less is not worth reserving. */
const memoryMbWorthIt = 64;
const mebibyte = 1024 * 1024;
/** What a circuit is given without being asked, so that a step does not take all of a node by mistake. */
const memoryBytesUnasked = 8 * 1024 * mebibyte;

/**
 * Qubits, and memory in MiB where it is much, that a step needs on a node: what can be told while its params may still hold references.
 * @param usual the back end where the step names none
 */
export function needsOf({ type, params }: AdapterStep, usual = backendUsual): Record<string, number> {
  const backend = backendOf(params, usual);
  if (type === 'quantum_optimize') return hasReferences(params) ? {} : optimizationNeeds(params);
  if (backend.kind === 'hardware' || hasReferences(params) || !isPlain(params))
    return typeof params.qubits === 'number' && backend.kind === 'simulator' ? { qubits: params.qubits } : {};
  if (params.circuit_type === 'feature_map') return typeof params.qubits === 'number' ? { qubits: params.qubits } : {};
  const circuit = circuitOf(params);
  const limits = { qubitsMax: Number.MAX_SAFE_INTEGER, memoryBytesMax: memoryBytesUnasked, threads: 1 };
  const job: Job = { type: type as Job['type'], params, seed: '', backend, limits };
  return amounts(circuit.qubits, bytesOf(job, circuit));
}

function optimizationNeeds(params: JSONObject): Record<string, number> {
  const { qubits, bytes } = requirementsOf(problemOf(params, ''));
  return amounts(qubits, bytes);
}

const amounts = (qubits: number, bytes: number): Record<string, number> =>
  bytes / mebibyte < memoryMbWorthIt ? { qubits } : { qubits, ram_mb: Math.ceil(bytes / mebibyte) };

/** Of the largest state; 0 where it can't be told, or none fits: the step will say so. */
function bytesOf(job: Job, circuit: Circuit): number {
  try {
    const wants = { probabilities: job.type === 'quantum_circuit' && shotsOf(job.params) === 0 };
    return planOf(requestOf(job, circuit, wants)).parts.reduce((most, { choice }) => Math.max(most, choice.bytes), 0);
  } catch {
    return 0;
  }
}

/** How long a simulation takes, roughly; infinite where it can't be told. */
export function secondsOf(job: Job, circuit: Circuit): number {
  try {
    const { parts } = planOf(requestOf(job, circuit, { statevector: job.params.statevector === true }));
    return parts.reduce((sum, { choice }) => sum + choice.seconds, 0);
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function hasReferences(value: JSONValue): boolean {
  if (typeof value === 'string') return value.startsWith('$') || value.includes('${');
  if (Array.isArray(value)) return value.some(hasReferences);
  return isObject(value) && Object.values(value as JSONObject).some(hasReferences);
}
