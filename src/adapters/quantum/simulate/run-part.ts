import { multinomial } from './binomial.ts';
import { runBranches } from './branches.ts';
import { createState } from './forms.ts';
import { localTerms } from './observables.ts';
import type { PlannedPart } from './plan.ts';
import { createRandom } from './random.ts';
import type { SimulationRequest } from './request.ts';
import { trialsOf } from './select.ts';
import type { PureState, State } from './state.ts';
import { ExactEstimator, Outcomes, type Share, ShotEstimator, type Split } from './tally.ts';

export interface PartResult {
  /** How often each text of the part's bits came, bit 0 rightmost; all shots. */
  readonly counts: ReadonlyMap<string, number>;
  /** Absent where they are not known exactly. */
  readonly probabilities: ReadonlyMap<string, number> | undefined;
  /** Per observable. */
  readonly shares: readonly Share[];
  readonly statevector: Float64Array | undefined;
  readonly truncationError: number | undefined;
  readonly branches: number;
}

interface PartRequest extends SimulationRequest {
  readonly hasStatevector: boolean;
  readonly wantsProbabilities: boolean;
}

/** Ways that are all gone for exact results; beyond, shots estimate them. */
const exactWaysMax = 256;

/** Once with shots, and once more for exact results where chance has few ways; where it has one, both come from the same run. */
export function runPart(
  part: PlannedPart,
  request: PartRequest,
  at: number,
  progress: (fraction: number) => void,
): PartResult {
  const { shots, wants } = request;
  const random = createRandom(`${request.seed}/part ${at}`);
  const drawn: Split = (weights, amount) => multinomial(amount, weights, random);
  const shared: Split = (weights, amount) => weights.map((weight) => weight * amount);
  const terms = wants.observables.map((sum) => localTerms(sum, part.qubits));
  const ways = part.choice.form === 'density_matrix' ? part.profile.measuredWays : part.profile.ways;
  const exact = new Outcomes(part.program.readouts, shared);
  const sampled = new Outcomes(part.program.readouts, drawn);
  const misreadOf = misreads(part, request);
  const estimators = terms.map((local) => new ExactEstimator(local));
  const shotEstimators = terms.map((local) => new ShotEstimator(local, misreadOf));
  const byShots = wants.expectations === 'shots';
  const run = new PartRun(part, request);

  const lookExactly = (state: State, bits: Uint8Array, weight: number): void => {
    if (request.wantsProbabilities) exact.distribute(state, bits, weight);
    if (!byShots) for (const estimator of estimators) estimator.look(state, weight);
  };
  const lookByShots = (state: State, bits: Uint8Array, amount: number): void => {
    if (shots > 0) sampled.sample(state, bits, amount, random);
    if (byShots) for (const estimator of shotEstimators) estimator.look(state, amount, drawn, random);
  };
  const hasObservables = terms.some((local) => local.length > 0);
  const isExact = ways <= exactWaysMax;
  const wantsExact = request.wantsProbabilities || (hasObservables && !byShots);
  const wantsShots = shots > 0 || (hasObservables && byShots);
  if (ways === 1)
    run.go(trialsOf(request), drawn, progress, (state, bits, amount) => {
      lookByShots(state, bits, amount);
      lookExactly(state, bits, 1);
    });
  else if (isExact && wantsExact) {
    run.go(1, shared, (fraction) => progress(wantsShots ? fraction / 2 : fraction), lookExactly);
    if (wantsShots) run.go(trialsOf(request), drawn, (fraction) => progress((1 + fraction) / 2), lookByShots);
  } else
    run.go(trialsOf(request), drawn, progress, (state, bits, amount) => {
      lookByShots(state, bits, amount);
      if (!byShots) for (const estimator of estimators) estimator.look(state, amount);
    });
  const shares = byShots ? shotEstimators : estimators;
  return {
    counts: sampled.amounts,
    probabilities: isExact && request.wantsProbabilities ? exact.amounts : undefined,
    shares: shares.map((estimator) => estimator.share(!isExact)),
    statevector: run.statevector,
    truncationError: run.truncationError,
    branches: run.branches,
  };
}

/** By the part's numbers of qubits. */
function misreads({ qubits }: PlannedPart, { noise }: PartRequest) {
  return (qubit: number) => {
    const global = qubits[qubit];
    return noise?.readout.findLast((error) => global !== undefined && (error.qubits?.includes(global) ?? true));
  };
}

type Look = (state: State, bits: Uint8Array, amount: number) => void;

class PartRun {
  statevector: Float64Array | undefined;
  truncationError: number | undefined;
  branches = 0;
  private readonly part: PlannedPart;
  private readonly request: PartRequest;

  constructor(part: PlannedPart, request: PartRequest) {
    this.part = part;
    this.request = request;
  }

  go(amount: number, split: Split, progress: (fraction: number) => void, look: Look): void {
    const { part, request } = this;
    const { program, choice } = part;
    this.branches = runBranches({
      steps: program.steps,
      bits: program.bits,
      create: () => createState(choice.form, program.qubits, request),
      amount,
      split,
      statesMax: Math.max(1, Math.floor(request.memoryBytesMax / choice.bytes)),
      epsilon: request.precision === 'single' ? 1e-6 : 1e-12,
      leaf: (state, bits, share) => {
        if (request.hasStatevector) this.statevector = (state as PureState).amplitudes();
        look(state, bits, share);
        this.noteTruncation(state);
      },
      progress,
    });
  }

  private noteTruncation(state: State): void {
    if (!('truncationError' in state) || typeof state.truncationError !== 'number') return;
    this.truncationError = Math.max(this.truncationError ?? 0, state.truncationError);
  }
}
