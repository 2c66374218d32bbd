import type { JSONObject } from '../../../lib/json.ts';
import { circuitOf } from '../circuit-source.ts';
import type { Job, JobHooks, Work } from '../job.ts';
import { transpile } from '../transpile/transpile.ts';
import { runCircuit } from './circuit.ts';
import { runOptimization } from './optimize.ts';
import { runSampling } from './sample.ts';

/** @returns the job's output, the circuit, or how it is written for the device @throws StepError */
export function runWork(work: Work, hooks: JobHooks): unknown {
  switch (work.type) {
    case 'read':
      return circuitOf(work.params, work.compiled);
    case 'transpile':
      return transpile(work.circuit, work.target);
    default:
      return runJob(work, hooks);
  }
}

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
