import type { JSONObject, JSONValue } from '../../lib/json.ts';
import type { Circuit, Operation } from './circuit/circuit.ts';
import { depthOf } from './circuit/measure.ts';
import { listedGates } from './formats/gate-list/names.ts';
import type { Outcome } from './simulate/request.ts';

/** Imaginary parts below are rounding: a vector that has no others is given as real numbers. */
const realBelow = 1e-14;

/** Facts about a circuit that every result states. */
export const circuitFacts = (circuit: Circuit): JSONObject => ({
  circuit_depth: depthOf(circuit),
  num_qubits: circuit.qubits,
  gate_count: countGates(circuit.operations),
});

/** Gates as they are written, those of branches and loops once. */
function countGates(operations: readonly Operation[]): number {
  return operations.reduce((sum, operation) => {
    switch (operation.kind) {
      case 'gate':
        return sum + 1;
      case 'branch':
        return sum + countGates(operation.body) + countGates(operation.otherwise);
      case 'loop':
        return sum + countGates(operation.body);
      default:
        return sum;
    }
  }, 0);
}

export const simulatorInfo = (
  name: string,
  qubits: number,
  { method, reason, truncationError, parts }: Pick<Outcome, 'method' | 'reason' | 'truncationError' | 'parts'>,
): JSONObject => ({
  name,
  qubits,
  gates: [...listedGates.keys()],
  method,
  reason,
  parts: parts.length,
  ...(truncationError === undefined ? {} : { truncation_error: truncationError }),
});

/** Numbers of a real vector, else pairs [re, im]. */
export function vectorJSON(data: Float64Array): JSONValue {
  const size = data.length / 2;
  const at = (index: number): number => data[index] ?? 0;
  const isReal = data.every((value, index) => index % 2 === 0 || Math.abs(value) < realBelow);
  return Array.from({ length: size }, (_, k) => (isReal ? at(2 * k) : [at(2 * k), at(2 * k + 1)]));
}

/** Counts as shares of all of them. */
export function shares(counts: Readonly<Record<string, number>>): Record<string, number> {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0);
  return Object.fromEntries(Object.entries(counts).map(([key, count]) => [key, count / total]));
}
