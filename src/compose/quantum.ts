import type { Circuit } from '../adapters/quantum/circuit/circuit.ts';
import { depthOf } from '../adapters/quantum/circuit/measure.ts';
import { circuitOf } from '../adapters/quantum/circuit-source.ts';
import { drawSvg } from '../adapters/quantum/draw/svg.ts';
import { drawText } from '../adapters/quantum/draw/text.ts';
import { compileQsharp } from '../adapters/quantum/formats/qsharp/compile.ts';
import { exportsOf } from '../adapters/quantum/jobs/circuit.ts';
import { runJob } from '../adapters/quantum/jobs/run.ts';
import { exportForms } from '../adapters/quantum/schemas.ts';
import type { MethodName } from '../adapters/quantum/simulate/request.ts';
import { StepError } from '../lib/errors.ts';
import type { JSONObject, JSONValue } from '../lib/json.ts';

export { histogram, probabilityList } from '../adapters/quantum/draw/histogram.ts';
// What the command line needs of the quantum adapter.
export { drawSvg, drawText, exportForms };

const qubitsMax = 4096;

/**
 * The circuit of a file, whose name or content tells its language.
 * @param options params of `quantum_circuit`, such as `parameters`
 * @throws StepError
 */
export async function circuitOfFile(name: string, text: string, options: JSONObject = {}): Promise<Circuit> {
  const params = { ...languageOf(name, text), ...options };
  if (typeof params.qsharp !== 'string') return circuitOf(params);
  return circuitOf(params, await compileQsharp(params.qsharp, { signal: AbortSignal.timeout(120_000) }));
}

function languageOf(name: string, text: string): JSONObject {
  if (/\.qs$/i.test(name)) return { qsharp: text };
  if (!/^\s*[[{]/.test(text)) return { qasm: text };
  const value = JSON.parse(text) as JSONValue;
  if (Array.isArray(value)) return { gates: value };
  const object = value as JSONObject;
  if (object.cirq_type !== undefined) return { cirq: object };
  const { gates, qubits, registers, ...others } = object;
  const [foreign] = Object.keys(others);
  if (gates === undefined || foreign !== undefined)
    throw new StepError(
      'INVALID_PARAMS',
      `${foreign === undefined ? 'there are no gates' : `there is no field ${JSON.stringify(foreign)} here`}: a circuit is a list of gates, an object with gates and perhaps qubits and registers, or what cirq.to_json gives`,
    );
  return {
    gates,
    ...(qubits === undefined ? {} : { qubits }),
    ...(registers === undefined ? {} : { registers }),
  };
}

/**
 * Runs a circuit in this process, to its end.
 * @param params of `quantum_circuit`, besides the circuit
 * @returns the step's output @throws StepError
 */
export function runCircuitHere(
  circuit: Circuit,
  params: JSONObject,
  { seed, memoryMb, threads }: { seed: string; memoryMb: number; threads: number },
  progress: (fraction: number | null) => void,
): JSONObject {
  const limits = { qubitsMax, memoryBytesMax: memoryMb * 1024 * 1024, threads };
  const method = (params.method ?? 'automatic') as MethodName;
  return runJob(
    {
      type: 'quantum_circuit',
      // The circuit is read already; the params need some source to be whole.
      params: { ...params, gates: [] },
      seed,
      backend: { kind: 'simulator', name: 'simulator', method },
      limits,
      circuit,
    },
    { progress, checkpoint: () => undefined },
  );
}

/** The circuit in another language. @throws StepError */
export function circuitAs(form: (typeof exportForms)[number], circuit: Circuit): JSONValue {
  return (exportsOf([form], circuit).exports as JSONObject)[form] ?? null;
}

export const factsOf = (circuit: Circuit): { qubits: number; operations: number; depth: number } => ({
  qubits: circuit.qubits,
  operations: circuit.operations.length,
  depth: depthOf(circuit),
});
