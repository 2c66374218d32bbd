import { bitsOf } from '../circuit/circuit.ts';
import { combineAmounts, textOf } from './combine.ts';
import { planOf } from './plan.ts';
import { registersOf } from './program.ts';
import { createRandom } from './random.ts';
import type { Expectation, Outcome, SimulationHooks, SimulationRequest } from './request.ts';
import { type PartResult, runPart } from './run-part.ts';

/** Exact probabilities are given for so many measured bits at most. */
const probabilityBitsMax = 16;

/**
 * Runs a circuit by the best method, synchronously and deterministically: the same request always gives the same outcome.
 *
 * @throws StepError INVALID_PARAMS, UNSUPPORTED_GATE, CIRCUIT_TOO_LARGE (before anything large is allocated), QUANTUM_LOOP_TOO_LONG
 */
export function simulate(request: SimulationRequest, hooks: SimulationHooks): Outcome {
  const { circuit, wants, shots, seed } = request;
  const plan = planOf(request);
  const registers = registersOf(circuit);
  const wantsProbabilities = wants.probabilities && bitsOf({ registers }) <= probabilityBitsMax;
  const total = plan.parts.reduce((sum, { choice }) => sum + choice.seconds, 0);
  let before = 0;
  let reported = 0;
  const results = plan.parts.map((part, at): PartResult => {
    const progress = (fraction: number): void => {
      const now = (before + fraction * part.choice.seconds) / total;
      if (now <= reported) return;
      reported = now;
      hooks.progress(Math.min(1, now));
    };
    const result = runPart(part, { ...request, hasStatevector: plan.hasStatevector, wantsProbabilities }, at, progress);
    before += part.choice.seconds;
    return result;
  });
  const text = textOf(registers);
  const amounts = combineAmounts(plan, results, shots, createRandom(`${seed}/combine`));
  const costliest = plan.parts.toSorted((a, b) => b.choice.seconds - a.choice.seconds)[0]?.choice;
  const truncations = results.flatMap(({ truncationError }) => truncationError ?? []);
  const statevector = plan.hasStatevector ? results[0]?.statevector : undefined;
  const probabilities = wantsProbabilities ? amounts.probabilities : undefined;
  return {
    counts: text(amounts.counts),
    ...(probabilities === undefined ? {} : { probabilities: text(probabilities) }),
    ...(statevector === undefined ? {} : { statevector }),
    expectations: wants.observables.map((_, at) => expectationOf(request, results, at)),
    method: costliest?.method ?? 'statevector',
    reason: costliest?.reason ?? 'nothing was left to simulate',
    parts: plan.parts.map(({ qubits, choice, profile }, at) => ({
      qubits,
      method: choice.method,
      state: choice.form,
      gates: profile.gates,
      branches: results[at]?.branches ?? 0,
    })),
    ...(truncations.length === 0 ? {} : { truncationError: truncations.reduce((sum, error) => sum + error, 0) }),
    gatesDropped: plan.gatesDropped,
  };
}

/** Terms as products over the parts they lie on; shares of parts are independent, so their variances add up. */
function expectationOf({ wants }: SimulationRequest, results: readonly PartResult[], observable: number): Expectation {
  const values = wants.observables[observable]?.terms.map(({ coefficient }) => coefficient) ?? [];
  let variance = 0;
  for (const { shares } of results) {
    const share = shares[observable];
    if (share === undefined) continue;
    variance += share.variance;
    for (const { term, mean } of share.means) values[term] = (values[term] ?? 0) * mean;
  }
  return { value: values.reduce((sum, value) => sum + value, 0), variance };
}
