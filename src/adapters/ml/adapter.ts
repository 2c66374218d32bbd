import { StepError } from '../../lib/errors.ts';
import type { JSONValue } from '../../lib/json.ts';
import type { Adapter } from '../../ports/adapter.ts';
import { gpuComputeType } from './compute/schema.ts';
import { gpuResources, probeDevices } from './device/devices.ts';
import { inferStepTypes } from './infer/schema.ts';
import type { RunnerOptions } from './model/runner.ts';
import type { ModelDeps } from './model/source.ts';
import { needsOf } from './needs.ts';
import type { Steps } from './steps.ts';
import { trainStepType } from './train/schema.ts';

const version = '1.0.0';
const stepTypes = [gpuComputeType, ...inferStepTypes, trainStepType];

/** The adapter `ml`: `gpu_compute`, `ml_infer`, `ml_batch` and `ml_train`. Params: docs/adapters/ml.md. Native code runs in processes of its own. */
export function createMlAdapter(
  source: ModelDeps,
  options: RunnerOptions = {},
): Required<Omit<Adapter, 'validate' | 'lint'>> {
  // Loaded when a step first needs it: most nodes start without.
  let loaded: Promise<Steps> | undefined;
  const steps = (): Promise<Steps> => {
    loaded ??= import('./steps.ts').then(({ createSteps }) => createSteps(source, options));
    return loaded;
  };
  return {
    getManifest: () => ({ adapter_id: 'ml', version, step_types: stepTypes, resources: gpuResources() }),
    requirements: needsOf,
    async execute(step, context): Promise<JSONValue> {
      const { run } = await steps();
      const perform = Object.hasOwn(run, step.type) ? run[step.type] : undefined;
      if (perform === undefined)
        throw new StepError('INVALID_PARAMS', `the adapter ml has no step type ${JSON.stringify(step.type)}`);
      return perform(step, context);
    },
    async healthCheck() {
      const { devices } = await probeDevices();
      const counts = (await loaded)?.processes.counts;
      return {
        status: 'ok',
        timestamp: new Date().toISOString(),
        devices: devices.map(({ id, name }) => `${id} ${name}`),
        processes: counts?.children ?? 0,
      };
    },
    close: async () => (await loaded)?.processes.close(),
  };
}
