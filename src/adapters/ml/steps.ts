import type { JSONObject } from '../../lib/json.ts';
import type { AdapterContext, AdapterStep } from '../../ports/adapter.ts';
import { gpuCompute } from './compute/gpu-compute.ts';
import { mlBatch } from './infer/batch.ts';
import { Batcher } from './infer/batcher.ts';
import { mlInfer } from './infer/infer.ts';
import { Runner, type RunnerOptions } from './model/runner.ts';
import type { ModelDeps } from './model/source.ts';
import { Processes } from './process/processes.ts';
import { mlTrain } from './train/train.ts';

type Perform = (step: AdapterStep, context: AdapterContext) => Promise<JSONObject>;

/** The adapter's steps, by type, and the processes that do their work. */
export interface Steps {
  readonly processes: Processes;
  readonly run: Readonly<Record<string, Perform>>;
}

export function createSteps(source: ModelDeps, options: RunnerOptions): Steps {
  const processes = new Processes();
  const runner = new Runner(processes, options);
  const deps = { ...source, processes, runner, batcher: new Batcher(runner) };
  return {
    processes,
    run: {
      gpu_compute: (step, context) => gpuCompute(step, context, { processes }),
      ml_infer: (step, context) => mlInfer(step, context, deps),
      ml_batch: (step, context) => mlBatch(step, context, deps),
      ml_train: (step, context) => mlTrain(step, context, deps),
    },
  };
}
