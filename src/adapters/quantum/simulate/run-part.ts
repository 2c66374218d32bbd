import { multinomial } from './binomial.ts';
import { runBranches } from './branches.ts';
import { createState } from './forms.ts';
import { sampleFrames } from './frames.ts';
import { localTerms } from './observables.ts';
import type { PlannedPart } from './plan.ts';
import { createRandom, type Random } from './random.ts';
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

/** Where chance has one way, all comes from one run; where it has few, exact results come from a run of their own; else shots estimate them. */
export function runPart(
  part: PlannedPart,
  request: PartRequest,
  at: number,
  progress: (fraction: number) => void,
): PartResult {
  const { shots, wants, wantsProbabilities } = request;
  const { profile, choice, program } = part;
  const look = new Looks(part, request, createRandom(`${request.seed}/part ${at}`));
  const run = new PartRun(part, request);
  const ways = choice.form === 'density_matrix' ? profile.measuredWays : profile.ways;
  const isExact = ways <= exactWaysMax;
  const byShots = wants.expectations === 'shots';
  const { hasTerms } = look;
  const wantsExact = isExact && (wantsProbabilities || (hasTerms && !byShots));
  const estimates = hasTerms && (byShots || !isExact);
  const halves = (from: number, to: number) => (fraction: number) => progress(from + fraction * (to - from));
  let frames: ReadonlyMap<string, number> | undefined;
  if (ways === 1) run.go(trialsOf(request), look.drawn, progress, (...leaf) => look.once(...leaf));
  else {
    const middle = wantsExact && (shots > 0 || estimates) ? 0.5 : wantsExact ? 1 : 0;
    if (wantsExact) run.go(1, shared, halves(0, middle), (...leaf) => look.exactly(...leaf));
    if (choice.form === 'stabilizer' && shots > 0 && !estimates) frames = sampleFrames(program, shots, look.random);
    if (frames === undefined && (shots > 0 || estimates))
      run.go(trialsOf(request), look.drawn, halves(middle, 1), (...leaf) => look.byShots(...leaf, !isExact));
  }
  return {
    counts: frames ?? look.sampled.amounts,
    probabilities: isExact && wantsProbabilities ? look.exact.amounts : undefined,
    shares: look.shares(!isExact),
    statevector: run.statevector,
    truncationError: run.truncationError,
    branches: run.branches,
  };
}

const shared: Split = (weights, amount) => weights.map((weight) => weight * amount);

/** What is looked at where a path ends. */
class Looks {
  readonly random: Random;
  readonly drawn: Split;
  readonly exact: Outcomes;
  readonly sampled: Outcomes;
  readonly hasTerms: boolean;
  private readonly request: PartRequest;
  private readonly estimators: readonly ExactEstimator[];
  private readonly shotEstimators: readonly ShotEstimator[];

  constructor(part: PlannedPart, request: PartRequest, random: Random) {
    this.random = random;
    this.request = request;
    this.drawn = (weights, amount) => multinomial(amount, weights, random);
    this.exact = new Outcomes(part.program.readouts, shared);
    this.sampled = new Outcomes(part.program.readouts, this.drawn);
    const terms = request.wants.observables.map((sum) => localTerms(sum, part.qubits));
    const byShots = request.wants.expectations === 'shots';
    this.hasTerms = terms.some((local) => local.length > 0);
    this.estimators = byShots ? [] : terms.map((local) => new ExactEstimator(local));
    this.shotEstimators = byShots ? terms.map((local) => new ShotEstimator(local, misreads(part, request))) : [];
  }

  once(state: State, bits: Uint8Array, shots: number): void {
    this.byShots(state, bits, shots, false);
    this.exactly(state, bits, 1);
  }

  exactly(state: State, bits: Uint8Array, weight: number): void {
    if (this.request.wantsProbabilities) this.exact.distribute(state, bits, weight);
    for (const estimator of this.estimators) estimator.look(state, weight);
  }

  /** @param estimates whether shots stand for the weights of paths */
  byShots(state: State, bits: Uint8Array, shots: number, estimates: boolean): void {
    if (this.request.shots > 0) this.sampled.sample(state, bits, shots, this.random);
    for (const estimator of this.shotEstimators) estimator.look(state, shots, this.drawn, this.random);
    if (estimates) for (const estimator of this.estimators) estimator.look(state, shots);
  }

  shares(areSampled: boolean): Share[] {
    return [
      ...this.estimators.map((estimator) => estimator.share(areSampled)),
      ...this.shotEstimators.map((estimator) => estimator.share()),
    ];
  }
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
      create: (within) => createState(choice.form, program.qubits, { ...request, progress: within }),
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
