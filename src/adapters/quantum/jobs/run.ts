import type { JSONObject } from '../../../lib/json.ts';
import type { Job, JobHooks } from '../job.ts';
import { runCircuit } from './circuit.ts';
import { runOptimization } from './optimize.ts';
import { runSampling } from './sample.ts';

/** Does the work, however long it takes. @throws StepError */
export function runJob(job: Job, hooks: JobHooks): JSONObject {
  switch (job.type) {
    case 'quantum_circuit':
      return runCircuit(job, hooks);
    case 'quantum_sample':
      return runSampling(job, hooks);
    case 'quantum_optimize':
      return runOptimization(job, hooks);
  }
}
