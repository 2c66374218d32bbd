import { availableParallelism } from 'node:os';
import { StepError } from '../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../lib/json.ts';
import type { Adapter, AdapterContext, AdapterStep, AdapterVerdict } from '../../ports/adapter.ts';
import type { Egress } from '../../ports/egress.ts';
import { type Backend, backendOf, backendUsual } from './backends.ts';
import type { Circuit } from './circuit/circuit.ts';
import { circuitOf, circuitTypeOf, isPlain } from './circuit-source.ts';
import { compileQsharp } from './formats/qsharp/compile.ts';
import type { Job } from './job.ts';
import { runOnDevice } from './jobs/hardware.ts';
import { runJob } from './jobs/run.ts';
import { needsOf, secondsOf } from './needs.ts';
import { stepTypes } from './schemas.ts';
import { Threads } from './threads/threads.ts';

const version = '1.0.0';
const mebibyte = 1024 * 1024;
const memoryMbDefault = 1024;
const qubitsMaxDefault = 32;
const threadsMax = 4;
/** A job of less than that is done at once: a thread costs more. */
const atOnceSeconds = 0.002;

export interface QuantumOptions {
  /** Where circuits run whose step does not say: a simulator or hardware. Default qasm_simulator. */
  backend?: string;
  /** Qubits that the node offers; no circuit may have more. Default 32. */
  max_qubits?: number;
  /** Access to hardware for steps that bring no token of their own. */
  token?: string;
  provider?: 'ionq' | 'ibm';
  /** ibm: CRN of the service instance. */
  instance?: string;
  device?: string;
}

export interface QuantumDeps {
  egress: Egress;
}

/** The adapter `quantum`: `quantum_circuit`, `quantum_sample` and `quantum_optimize`. Params: docs/adapters/quantum.md. */
export function createQuantumAdapter(deps: QuantumDeps, options: QuantumOptions = {}): Required<Omit<Adapter, 'lint'>> {
  const { backend: usual = backendUsual, max_qubits: qubitsMax = qubitsMaxDefault } = options;
  backendOf({}, usual);
  const onHardware = async (step: AdapterStep, context: AdapterContext, name: string): Promise<JSONValue> => {
    const { type, params } = step;
    if (type === 'quantum_optimize' || params.circuit_type === 'feature_map')
      throw new StepError(
        'INVALID_PARAMS',
        `${type === 'quantum_optimize' ? type : 'a feature map'} runs on simulators, and ${name} is hardware`,
      );
    const circuit = circuitOf(params, await compiled(params, context.signal));
    return runOnDevice(step, circuit, context, name, { egress: deps.egress, settings: options });
  };
  const threads = new Threads(Math.max(1, Math.min(threadsMax, availableParallelism())));
  return {
    getManifest: () => ({ adapter_id: 'quantum', version, step_types: stepTypes, resources: { qubits: qubitsMax } }),
    requirements: (step) => needsOf(step, usual),
    validate({ type, params }): AdapterVerdict {
      try {
        backendOf(params, usual);
        if (type !== 'quantum_optimize') circuitTypeOf(params);
        return { valid: true };
      } catch (thrown) {
        if (thrown instanceof StepError) return { valid: false, error: thrown.message, code: thrown.code };
        throw thrown;
      }
    },
    async execute(step, context): Promise<JSONValue> {
      if (!stepTypes.some(({ type }) => type === step.type))
        throw new StepError('INVALID_PARAMS', `the adapter quantum has no step type ${JSON.stringify(step.type)}`);
      const backend = backendOf(step.params, usual);
      if (backend.kind === 'hardware') return onHardware(step, context, backend.name);
      if (step.params.mode === 'fast') context.varies();
      const job = jobOf(step, context, backend, qubitsMax);
      const ready = await withCircuit(job, context);
      if (isShort(ready)) return runJob(ready, { progress: () => undefined, checkpoint: () => undefined });
      return threads.run(ready, {
        signal: context.signal,
        progress: (fraction, note) => context.progress(fraction, note),
        checkpoint: (state) => context.checkpoint(state),
      });
    },
    healthCheck: () => ({
      status: 'ok',
      timestamp: new Date().toISOString(),
      backend: usual,
      max_qubits: qubitsMax,
      step_types: stepTypes.map(({ type }) => type),
    }),
    close: () => threads.close(),
  };
}

function jobOf(
  { type, params }: AdapterStep,
  { resources, seed, last_checkpoint: checkpoint }: AdapterContext,
  backend: Extract<Backend, { kind: 'simulator' }>,
  qubitsMax: number,
): Job {
  return {
    type: type as Job['type'],
    params,
    seed,
    backend,
    limits: {
      // All that follows from these is the same on every node, since the run states what it reserves.
      qubitsMax: Math.min(qubitsMax, resources.qubits ?? qubitsMax),
      memoryBytesMax: (resources.ram_mb ?? memoryMbDefault) * mebibyte,
      threads: Math.max(1, Math.min(2, availableParallelism())),
    },
    ...(checkpoint === undefined ? {} : { checkpoint }),
  };
}

/** Q# is compiled first; short circuits are read at once, so that it is known how long they take. */
async function withCircuit(job: Job, { signal }: AdapterContext): Promise<Job> {
  const { params, type } = job;
  if (type === 'quantum_optimize' || params.circuit_type === 'feature_map') return job;
  if (params.qsharp !== undefined) return { ...job, circuit: circuitOf(params, await compiled(params, signal)) };
  return isPlain(params) ? { ...job, circuit: circuitOf(params) } : job;
}

/** The circuit of a Q# program; nothing where it is in another language. */
async function compiled({ qsharp, qsharp_operation }: JSONObject, signal: AbortSignal): Promise<Circuit | undefined> {
  if (typeof qsharp !== 'string') return undefined;
  const operation = typeof qsharp_operation === 'string' ? { operation: qsharp_operation } : {};
  return compileQsharp(qsharp, { ...operation, signal });
}

const isShort = (job: Job): boolean => job.circuit !== undefined && secondsOf(job, job.circuit) < atOnceSeconds;
