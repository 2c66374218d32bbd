import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { Job, JobHooks } from '../job.ts';
import type { Checkpoint } from '../variational/checkpoint.ts';
import { energyPlot } from '../variational/energy-plot.ts';
import { optimize } from '../variational/optimize.ts';
import { parseProblem } from '../variational/parse-problem.ts';
import type { Problem } from '../variational/problem.ts';
import { requirementsOf } from '../variational/requirements.ts';
import { checkQubits, seedOf } from './request.ts';

/** Less time between two states is not worth keeping one: thousands of short iterations would do little else. */
const checkpointMs = 100;

/** The problem that params state; where it runs is no part of it. */
export function problemOf({ backend: _, ...params }: JSONObject, seed: string): Problem {
  return parseProblem(params, seed);
}

/** `quantum_optimize`, which goes on from the checkpoint of an earlier attempt. */
export function runOptimization(job: Job, hooks: JobHooks): JSONObject {
  const problem = problemOf(job.params, seedOf(job));
  const { qubits, bytes } = requirementsOf(problem);
  checkQubits(qubits, job);
  if (bytes > job.limits.memoryBytesMax)
    throw new StepError(
      'CIRCUIT_TOO_LARGE',
      `an optimization over ${qubits} qubits needs ${bytes} bytes, and this step may use ${job.limits.memoryBytesMax}: raise resource_requirements.ram_mb to ${Math.ceil(bytes / 1024 / 1024)}`,
    );
  const from = job.checkpoint as unknown as Checkpoint | undefined;
  const most = problem.optimizer.iterationsMax * problem.starts;
  let savedAt = Number.NEGATIVE_INFINITY;
  const result = optimize(problem, {
    ...(from === undefined ? {} : { from }),
    onIteration: (checkpoint) => {
      const now = performance.now();
      if (now - savedAt < checkpointMs) return;
      savedAt = now;
      hooks.checkpoint(checkpoint as unknown as JSONValue);
      const { iteration, energies, best } = checkpoint;
      hooks.progress(
        Math.min(1, energies.length / (most + 1)),
        `iteration ${iteration}, energy ${best.energy.toPrecision(10)}`,
      );
    },
  });
  return { ...(result as unknown as JSONObject), plot: energyPlot(result) };
}
