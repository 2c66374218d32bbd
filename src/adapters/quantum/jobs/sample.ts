import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Job, JobHooks } from '../job.ts';
import { expectationsJSON, observablesOf } from '../observables.ts';
import { circuitFacts, shares, simulatorInfo } from '../results.ts';
import { samplesMax } from '../schemas.ts';
import { createRandom } from '../simulate/random.ts';
import { simulate } from '../simulate/simulate.ts';
import { jobCircuit, requestOf, seedOf, shotsOf } from './request.ts';

/** `quantum_sample` on a simulator. */
export function runSampling(job: Job, hooks: JobHooks): JSONObject {
  const circuit = jobCircuit(job);
  const { params } = job;
  const shots = shotsOf(params);
  checkSamples(shots);
  const observables = observablesOf(params.observables, circuit.qubits);
  const sums = observables.map(({ sum }) => sum);
  // Observables are estimated from as many shots, as a device would.
  const outcome = simulate(requestOf(job, circuit, { observables: sums, expectations: 'shots' }), hooks);
  return {
    samples: inOrder(outcome.counts, `${seedOf(job)}/samples`),
    distribution: shares(outcome.counts),
    counts: outcome.counts,
    total_samples: shots,
    ...(observables.length === 0 ? {} : { expectation_values: expectationsJSON(observables, outcome.expectations) }),
    ...circuitFacts(circuit),
    backend_info: simulatorInfo(job.backend.name, job.limits.qubitsMax, outcome),
  };
}

/** @throws StepError INVALID_PARAMS */
export function checkSamples(shots: number): void {
  if (shots < 1 || shots > samplesMax)
    throw new StepError(
      'INVALID_PARAMS',
      `params.shots must be 1 to ${samplesMax} for samples one by one, not ${shots}; quantum_circuit counts more`,
    );
}

/** Samples one by one. Independent ones come in any order alike, so the counts are shuffled. */
export function inOrder(counts: Readonly<Record<string, number>>, seed: string): string[] {
  const samples = Object.keys(counts)
    .sort()
    .flatMap((key) => new Array<string>(counts[key] ?? 0).fill(key));
  const random = createRandom(seed);
  // Fisher–Yates.
  for (let left = samples.length - 1; left > 0; left -= 1) {
    const other = Math.floor(random.next() * (left + 1));
    [samples[left], samples[other]] = [samples[other] ?? '', samples[left] ?? ''];
  }
  return samples;
}
