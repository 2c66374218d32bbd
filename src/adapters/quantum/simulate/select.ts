import { SparseState } from '../methods/sparse/sparse-state.ts';
import { stabilizerQubitsMax } from '../methods/stabilizer/stabilizer-state.ts';
import { stateVectorQubitsMax } from '../statevector/state-vector.ts';
import type { Profile } from './profile.ts';
import type { Method, SimulationRequest } from './request.ts';

/** How the state itself is kept; shots on one of the pure forms are trajectories. */
export type StateForm = Exclude<Method, 'trajectories'>;

/** What one form of state would need for a part of a circuit. */
export interface Estimate {
  readonly form: StateForm;
  /** Largest memory at once, one state with what its form needs beside. */
  readonly bytes: number;
  /** By the constants here, which were measured on one machine; for choosing and for telling users the order of magnitude. */
  readonly seconds: number;
  /** Why it can't be, or why it would not be exact. */
  readonly refused?: string;
  /** As many as it can have in any memory. */
  readonly qubitsMax: number;
}

export interface Choice extends Estimate {
  readonly method: Method;
  readonly reason: string;
}

/** Nanoseconds and bytes per unit of work, two cores of 2021 (Zen 3) with the kernels of `statevector/` and `methods/`. */
const costs = {
  /** Per amplitude and gate, in double precision. */
  amplitudeNs: 0.5,
  /** Per entry of a density matrix and channel. */
  channelNs: 4,
  /** Per word of 32 qubits, row and gate. */
  tableauNs: 3,
  /** Per cube of the qubits over 32, to eliminate before shots are drawn. */
  eliminationNs: 4,
  /** Per amplitude that is there, and gate. */
  entryNs: 200,
  /** Per cube of the bond, and gate between qubits. */
  bondNs: 100,
  /** To set up one state. */
  startNs: { statevector: 20_000, stabilizer: 10_000, sparse: 5_000, mps: 20_000, density_matrix: 20_000 },
  /** Per gate, whatever the state's size. */
  gateNs: { statevector: 500, stabilizer: 100, sparse: 500, mps: 20_000, density_matrix: 2_000 },
};

/** Beyond these the forms' own indices end. */
const qubitsMaxOf = (form: StateForm, precision: SimulationRequest['precision']): number =>
  form === 'statevector'
    ? stateVectorQubitsMax[precision]
    : form === 'density_matrix'
      ? Math.floor(stateVectorQubitsMax[precision] / 2)
      : stabilizerQubitsMax;

/** `automatic` prefers exact noise up to so many qubits, unless it would take long. */
const densityQubits = 12;
const densitySecondsMax = 30;

export type SelectionRequest = Pick<
  SimulationRequest,
  'shots' | 'method' | 'precision' | 'memoryBytesMax' | 'mps' | 'wants'
>;

/** What each form would need, the pure ones first. */
export function estimatesOf(profile: Profile, request: SelectionRequest): Estimate[] {
  const forms: StateForm[] = ['stabilizer', 'sparse', 'statevector', 'mps', 'density_matrix'];
  return forms.map((form) => {
    const { bytes, unitsNs, onceNs = 0 } = sizeOf(form, profile, request);
    const runs = runsOf(form, profile, request);
    const seconds = (runs * (costs.startNs[form] + onceNs + profile.gates * (costs.gateNs[form] + unitsNs))) / 1e9;
    const qubitsMax = qubitsMaxOf(form, request.precision);
    const refused = refusalOf(form, profile, request);
    return { form, bytes, seconds, qubitsMax, ...(refused === undefined ? {} : { refused }) };
  });
}

/** Bytes of a state, and the time of a gate on it besides the fixed cost. */
function sizeOf(
  form: StateForm,
  { qubits, noises, sparseBits, bondBits }: Profile,
  { precision, mps, wants }: SelectionRequest,
): { bytes: number; unitsNs: number; onceNs?: number } {
  const half = precision === 'single' ? 0.5 : 1;
  const copies = wants.statevector ? 16 * 2 ** qubits : 0;
  switch (form) {
    case 'statevector':
      return {
        bytes: 16 * half * 2 ** qubits + (wants.probabilities ? 16 * 2 ** qubits : copies),
        unitsNs: costs.amplitudeNs * half * 2 ** qubits,
      };
    case 'density_matrix':
      // Both sides of the matrix, and the copy that probabilities are read from.
      return {
        bytes: (16 * half + 16) * 4 ** qubits,
        unitsNs: 2 * costs.amplitudeNs * half * 4 ** qubits,
        onceNs: noises * costs.channelNs * half * 4 ** qubits,
      };
    case 'stabilizer':
      return {
        bytes: 4 * qubits * qubits,
        unitsNs: costs.tableauNs * Math.ceil(qubits / 32) * 2,
        onceNs: (costs.eliminationNs * qubits ** 3) / 32,
      };
    case 'sparse':
      return {
        bytes: SparseState.bytesPerEntry(qubits) * 2 ** sparseBits + copies,
        unitsNs: costs.entryNs * 2 ** sparseBits,
      };
    case 'mps': {
      const bond = Math.min(mps.bondMax, 2 ** bondBits);
      return { bytes: 32 * 3 * qubits * bond * bond + copies, unitsNs: costs.bondNs * bond ** 3 };
    }
  }
}

function refusalOf(form: StateForm, profile: Profile, { mps, wants }: SelectionRequest): string | undefined {
  const { notClifford, noise, bondBits } = profile;
  switch (form) {
    case 'stabilizer':
      if (notClifford !== undefined)
        return `${'c'.repeat(notClifford.controls.length)}${notClifford.gate.name} is no Clifford gate`;
      if (noise === 'mixture' || noise === 'kraus') return 'its noise is not of Pauli errors alone';
      return wants.statevector ? 'it has no amplitudes' : undefined;
    case 'mps':
      return 2 ** bondBits > mps.bondMax
        ? `its bond may have to be 2^${bondBits}, above bond_max = ${mps.bondMax}: it would be an approximation`
        : undefined;
    case 'density_matrix':
      return wants.statevector ? 'it has no one vector' : undefined;
    default:
      return undefined;
  }
}

/** Paths that a sampled run takes at most: with few errors most shots share one. */
function runsOf(form: StateForm, { measuredWays, ways, errorsMean }: Profile, request: SelectionRequest): number {
  const trials = trialsOf(request);
  if (form === 'density_matrix') return Math.min(measuredWays, trials);
  // Frames run 32 shots as one.
  if (form === 'stabilizer') return Math.min(ways, 1 + trials / 32);
  return Math.min(ways, trials, Math.min(measuredWays, trials) + trials * (1 - Math.exp(-errorsMean)));
}

/** Runs that an estimate takes where no shots were asked for. */
const trialsDefault = 1_024;

export const trialsOf = ({ shots }: Pick<SimulationRequest, 'shots'>): number => (shots > 0 ? shots : trialsDefault);

/**
 * Picks the form for a part: the one asked for, else the fastest of those that are exact and fit in memory; noise on few qubits exactly, by a
 * density matrix, where exact results are wanted. It depends on nothing but its arguments.
 *
 * @returns undefined where none does
 */
export function choose(profile: Profile, request: SelectionRequest): Choice | undefined {
  const estimates = estimatesOf(profile, request);
  const fitting = estimates.filter(
    ({ bytes, qubitsMax }) => bytes <= request.memoryBytesMax && profile.qubits <= qubitsMax,
  );
  const hasNoise = profile.noise !== 'none';
  const made = (of: Estimate, reason: string): Choice => ({
    ...of,
    method: hasNoise && of.form !== 'density_matrix' ? 'trajectories' : of.form,
    reason,
  });
  const { method } = request;
  if (method !== 'automatic' && method !== 'trajectories') {
    const asked = fitting.find(({ form }) => form === method);
    return asked && made(asked, 'it was asked for');
  }
  const exact = fitting.filter(({ refused }) => refused === undefined).sort((a, b) => a.seconds - b.seconds);
  const density = exact.find(({ form }) => form === 'density_matrix');
  const pure = exact.find(({ form }) => form !== 'density_matrix');
  if (method === 'trajectories') return pure && made(pure, `it was asked for; ${reasonOf(pure, profile)}`);
  const wantsExact = request.wants.probabilities || request.wants.observables.length > 0;
  const prefersDensity =
    wantsExact &&
    request.wants.expectations === 'exact' &&
    profile.qubits <= densityQubits &&
    (density?.seconds ?? 0) <= densitySecondsMax;
  const best = hasNoise && prefersDensity ? (density ?? pure) : (pure ?? density);
  return best && made(best, reasonOf(best, profile));
}

function reasonOf({ form }: Estimate, { qubits, sparseBits, bondBits }: Profile): string {
  switch (form) {
    case 'stabilizer':
      return 'all gates are Clifford gates';
    case 'sparse':
      return `no more than 2^${sparseBits} of 2^${qubits} amplitudes can differ from 0`;
    case 'statevector':
      return `a vector of 2^${qubits} amplitudes fits and is the fastest`;
    case 'mps':
      return `its gates can't entangle any two halves beyond a bond of 2^${bondBits}`;
    case 'density_matrix':
      return `noise on ${qubits} qubits is simulated exactly`;
  }
}
