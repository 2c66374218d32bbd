import { availableParallelism } from 'node:os';
import { StepError } from '../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../lib/json.ts';
import type { AdapterContext, AdapterStep } from '../../ports/adapter.ts';
import type { Egress } from '../../ports/egress.ts';
import { type Backend, backendOf } from './backends.ts';
import type { Circuit } from './circuit/circuit.ts';
import { circuitOf, circuitTypeOf, isPlain, valuesIn } from './circuit-source.ts';
import { compileQsharp } from './formats/qsharp/compile.ts';
import type { HardwareSettings } from './hardware/choose-provider.ts';
import type { Job } from './job.ts';
import { runOnDevice } from './jobs/hardware.ts';
import { runJob } from './jobs/run.ts';
import { secondsOf } from './needs.ts';
import type { Threads } from './threads/threads.ts';
import type { Transpiled } from './transpile/transpile.ts';

const mebibyte = 1024 * 1024;
const memoryMbDefault = 1024;
/** A job of less than that is done at once: a thread costs more. */
const atOnceSeconds = 0.002;

/** What a node has for its steps. */
export interface Means {
  readonly egress: Egress;
  readonly threads: Threads;
  /** The back end of steps that name none. */
  readonly usual: string;
  readonly qubitsMax: number;
  readonly hardware: HardwareSettings;
}

/** @throws StepError INVALID_PARAMS where params do not belong together */
export function checkParams({ type, params }: AdapterStep, usual: string): void {
  backendOf(params, usual);
  if (type !== 'quantum_optimize') circuitTypeOf(params);
}

/** Runs a step where it asks to. @throws StepError with the codes of docs/adapters/quantum.md */
export async function perform(step: AdapterStep, context: AdapterContext, means: Means): Promise<JSONValue> {
  const backend = backendOf(step.params, means.usual);
  if (backend.kind === 'hardware') return onHardware(step, context, backend.name, means);
  if (step.params.mode === 'fast') context.varies();
  const job = await withCircuit(jobOf(step, context, backend, means.qubitsMax), context);
  if (isShort(job)) return runJob(job, { progress: () => undefined, checkpoint: () => undefined });
  return (await means.threads.run(job, {
    signal: context.signal,
    progress: (fraction, note) => context.progress(fraction, note),
    checkpoint: (state) => context.checkpoint(state),
  })) as JSONObject;
}

const noHooks = { progress: () => undefined, checkpoint: async () => undefined };

async function onHardware(
  step: AdapterStep,
  context: AdapterContext,
  name: string,
  { egress, hardware, threads }: Means,
): Promise<JSONValue> {
  const { type, params } = step;
  if (type === 'quantum_optimize' || params.circuit_type === 'feature_map')
    throw new StepError(
      'INVALID_PARAMS',
      `${type === 'quantum_optimize' ? type : 'a feature map'} runs on simulators, and ${name} is hardware`,
    );
  // A short program may stand for many gates, and each may take many on the device.
  const hooks = { ...noHooks, signal: context.signal };
  const work = { type: 'read', params, compiled: await compiled(params, context.signal) } as const;
  const circuit = (await threads.run(work, hooks)) as Circuit;
  return runOnDevice(step, circuit, context, name, {
    egress,
    settings: hardware,
    transpile: async (given, target) =>
      (await threads.run({ type: 'transpile', circuit: given, target }, hooks)) as Transpiled,
  });
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

const observablesAtOnce = 64;

function isShort(job: Job): boolean {
  const { circuit, params } = job;
  if (circuit === undefined) return false;
  // The plan doesn't tell how long expectation values take: noise and measurements on the way may need many runs.
  const { observables } = params;
  if (
    observables !== undefined &&
    (params.noise !== undefined || valuesIn(observables, observablesAtOnce) > observablesAtOnce)
  )
    return false;
  return secondsOf(job, circuit) < atOnceSeconds;
}
