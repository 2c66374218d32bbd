import { StepError } from '../../../lib/errors.ts';
import { letterAt, type PauliSum } from '../circuit/pauli.ts';
import { stateVectorQubitsMax } from '../statevector/state-vector.ts';
import { type Interest, lightCone } from './light-cone.ts';
import { supportOf } from './observables.ts';
import { type Part, partsOf } from './parts.ts';
import { type Profile, profileOf } from './profile.ts';
import { type Program, programOf, type Step } from './program.ts';
import type { SimulationRequest } from './request.ts';
import { type Choice, choose, estimatesOf } from './select.ts';

/** What is simulated once everything that can't matter is gone, part by part. */
export interface Plan {
  readonly program: Program;
  readonly parts: readonly PlannedPart[];
  readonly gatesDropped: number;
  /** Whether one vector is left, and wanted. */
  readonly hasStatevector: boolean;
}

export interface PlannedPart extends Part {
  readonly profile: Profile;
  readonly choice: Choice;
}

type PlanRequest = Omit<SimulationRequest, 'seed' | 'threads' | 'strict'>;

/** @throws StepError INVALID_PARAMS, UNSUPPORTED_GATE, CIRCUIT_TOO_LARGE; nothing large was allocated by then */
export function planOf(request: PlanRequest): Plan {
  const { circuit, noise, shots } = request;
  const { wants } = request;
  checkRequest(request);
  const whole = programOf(circuit, noise);
  const hasStatevector = wants.statevector && whole.steps.every(({ kind }) => kind === 'gate');
  const wantsBits = shots > 0 || wants.probabilities;
  const terms = wants.observables.flatMap((sum) => sum.terms.map(({ letters }) => supportOf(letters)));
  const all = Array.from({ length: circuit.qubits }, (_, qubit) => qubit);
  const readouts = wantsBits ? whole.readouts : [];
  const overwritten = new Set(readouts.map(({ bit }) => bit));
  const bits = Array.from({ length: whole.bits }, (_, bit) => bit).filter((bit) => wantsBits && !overwritten.has(bit));
  const steps = hasStatevector
    ? whole.steps
    : lightCone(
        whole.steps,
        [...readouts.map(({ qubit }) => [qubit, 'basis'] as const), ...wants.observables.flatMap(interests)],
        bits,
      );
  const program = { ...whole, steps, readouts };
  const isUnitary = steps.every(({ kind }) => kind === 'gate');
  // Of independent parts that are known exactly the expectations may be multiplied; estimates need the term as a whole.
  const joint = isUnitary && wants.expectations === 'exact' ? terms.flat().map((qubit) => [qubit]) : terms;
  const parts = partsOf(program, hasStatevector ? [all] : joint);
  const chosen = { ...request, wants: { ...wants, statevector: hasStatevector } };
  return {
    program,
    parts: parts.map((part) => plan(part, chosen)),
    gatesDropped: countGates(whole.steps) - countGates(steps),
    hasStatevector,
  };
}

const interests = ({ terms }: PauliSum): (readonly [number, Interest])[] =>
  terms.flatMap(({ letters }) =>
    supportOf(letters).map((qubit) => [qubit, letterAt(letters, qubit) === 'Z' ? 'basis' : 'full'] as const),
  );

function plan(part: Part, request: PlanRequest): PlannedPart {
  const profile = profileOf(part.program);
  const choice = choose(profile, request);
  if (choice === undefined) throw tooLarge(profile, request);
  if (request.method === choice.form && choice.refused !== undefined && choice.form !== 'mps')
    throw new StepError(
      choice.form === 'stabilizer' ? 'UNSUPPORTED_GATE' : 'INVALID_PARAMS',
      `Method ${choice.form} can't simulate this circuit: ${choice.refused}. Method automatic picks one that can`,
    );
  return { ...part, profile, choice };
}

function checkRequest({ circuit, shots, wants, noise }: PlanRequest): void {
  if (!Number.isSafeInteger(shots) || shots < 0)
    throw new StepError('INVALID_PARAMS', `shots must be a whole number from 0, not ${shots}`);
  for (const [at, { qubits, terms }] of wants.observables.entries())
    if (qubits !== circuit.qubits || terms.some(({ letters }) => letters.length !== qubits))
      throw new StepError(
        'INVALID_PARAMS',
        `observables[${at}] acts on ${terms[0]?.letters.length ?? qubits} qubits, the circuit has ${circuit.qubits}: each of its terms takes one letter per qubit`,
      );
  const named = [...(noise?.rules ?? []), ...(noise?.readout ?? [])].flatMap(({ qubits }) => qubits ?? []);
  const outside = named.find((qubit) => qubit >= circuit.qubits);
  if (outside !== undefined)
    throw new StepError(
      'INVALID_PARAMS',
      `noise names qubit ${outside}, the circuit has qubits 0 to ${circuit.qubits - 1}`,
    );
}

const countGates = (steps: readonly Step[]): number =>
  steps.reduce((sum, step) => {
    if (step.kind === 'gate') return sum + 1;
    if (step.kind === 'branch') return sum + countGates(step.body) + countGates(step.otherwise);
    return step.kind === 'loop' ? sum + countGates(step.body) : sum;
  }, 0);

/** Says what it would take, and what nearest to it would work. */
function tooLarge(profile: Profile, request: PlanRequest): StepError {
  const { method, memoryBytesMax } = request;
  const estimates = estimatesOf(profile, request);
  const asked = estimates.find(({ form }) => form === method);
  const least = estimates
    .filter(({ form, refused }) => refused === undefined && (form !== 'density_matrix' || profile.noise !== 'none'))
    .sort((a, b) => a.bytes - b.bytes)[0];
  const needed = asked ?? least ?? estimates.find(({ form }) => form === 'statevector');
  const { bytes = 0, seconds = 0, qubitsMax = profile.qubits } = needed ?? {};
  const how = needed === undefined ? '' : ` as ${needed.form}`;
  const why = profile.qubits > qubitsMax ? `, and at most ${qubitsMax} qubits are possible` : '';
  return new StepError(
    'CIRCUIT_TOO_LARGE',
    `The circuit's largest part has ${profile.qubits} entangled qubits, which take ${inBytes(bytes)}${how}, about ${inSeconds(seconds)}; ${inBytes(memoryBytesMax)} are allowed${why}. ${nearest(profile, request)}`,
  );
}

/** More helps no state vector, and what else would take it is not advised. */
const bytesReservable = 8 * 1024 ** 3;

function nearest(profile: Profile, request: PlanRequest): string {
  const automatic = request.method === 'automatic' ? undefined : choose(profile, { ...request, method: 'automatic' });
  if (automatic !== undefined) return `Method ${automatic.form} would do: ${automatic.reason}`;
  const less = lessThan(request);
  for (const [what, changed] of less) {
    const found = choose(profile, { ...request, ...changed });
    if (found !== undefined) return `${what} would fit, in ${inBytes(found.bytes)}`;
  }
  for (const [what, changed] of [['It', {}] as const, ...less]) {
    const found = choose(profile, { ...request, ...changed, memoryBytesMax: bytesReservable });
    if (found !== undefined)
      return `${what} would fit in ${inBytes(found.bytes)}: reserve them with resource_requirements.ram_mb, ${Math.ceil(found.bytes / 1024 ** 2)}`;
  }
  return approximately(profile, request);
}

/** What takes less memory, in words, and what is to be changed for it. */
function lessThan({ precision, wants }: PlanRequest): (readonly [what: string, changed: Partial<PlanRequest>])[] {
  const single = { precision: 'single' } as const;
  const counts = { wants: { ...wants, probabilities: false, statevector: false } };
  const isDouble = precision === 'double';
  const isMore = wants.probabilities || wants.statevector;
  const all = [
    [isDouble, 'Single precision (precision: "single")', single],
    [isMore, 'Counts alone (shots instead of exact results)', counts],
    [isDouble && isMore, 'Counts alone in single precision (shots, precision: "single")', { ...counts, ...single }],
  ] as const;
  return all.flatMap(([is, ...less]) => (is ? [less] : []));
}

function approximately(profile: Profile, request: PlanRequest): string {
  const { memoryBytesMax, precision, wants } = request;
  const fits = Math.min(
    Math.max(1, Math.floor(Math.log2(memoryBytesMax / (precision === 'single' ? 8 : 16)))),
    stateVectorQubitsMax[precision],
  );
  const mps = estimatesOf(profile, request).find(({ form }) => form === 'mps');
  const approximate =
    mps !== undefined && mps.bytes <= memoryBytesMax && request.method !== 'mps' && !wants.statevector
      ? `Method mps would run it as an approximation with bonds up to ${request.mps.bondMax} (${inBytes(mps.bytes)}, about ${inSeconds(mps.seconds)}) and tell the truncation error; exactly`
      : 'Exactly';
  return `${approximate}, up to ${fits} such qubits fit`;
}

function inBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
  if (bytes >= 1024 ** units.length) return `10^${Math.round(Math.log10(bytes))} bytes`;
  const at = bytes < 1024 ? 0 : Math.floor(Math.log2(bytes) / 10);
  const scaled = bytes / 1024 ** at;
  return `${scaled < 10 && at > 0 ? scaled.toFixed(1) : Math.ceil(scaled)} ${units[at]}`;
}

function inSeconds(seconds: number): string {
  if (seconds < 1) return 'under a second';
  if (seconds < 120) return `${Math.ceil(seconds)} seconds`;
  if (seconds < 7_200) return `${Math.ceil(seconds / 60)} minutes`;
  if (seconds < 172_800) return `${Math.ceil(seconds / 3_600)} hours`;
  return seconds < 3e9 ? `${Math.ceil(seconds / 86_400)} days` : `10^${Math.round(Math.log10(seconds))} seconds`;
}
