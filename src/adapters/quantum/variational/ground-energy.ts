import type { Random } from '../simulate/random.ts';
import { Amplitudes } from './amplitudes.ts';
import type { Observable } from './hamiltonian/observable.ts';

/** More qubits would take long where the Hamiltonian is not diagonal. */
export const groundQubitsMax = 12;

const roundsMax = 300;
/** The lowest eigenvalue counts as found once it stands still for as many rounds. */
const stillRounds = 5;

/**
 * The lowest energy, exactly but for rounding: a look at the table where the Hamiltonian is diagonal, else Lanczos's method with every
 * vector made orthogonal to all before (Golub & Van Loan, "Matrix Computations", section 10.1), which is a full diagonalization where the
 * rounds suffice for that.
 *
 * @param holds basis states among which the Hamiltonian does not leave; only these are looked at
 */
export function groundEnergy(observable: Observable, random: Random, holds: (index: number) => boolean): number {
  if (observable.isDiagonal) return lowestOf(observable.diagonal, holds);
  const vectors = [randomState(observable.qubits, random, holds)];
  const [alphas, betas]: [number[], number[]] = [[], []];
  let lowest = Number.POSITIVE_INFINITY;
  for (let still = 0; alphas.length < roundsMax && still < stillRounds; ) {
    const last = vectors.at(-1) as Amplitudes;
    const next = new Amplitudes(observable.qubits);
    alphas.push(observable.apply(last, next));
    // Twice is enough.
    for (const vector of [...vectors, ...vectors]) subtractPart(next, vector);
    const before = lowest;
    lowest = lowestOfTridiagonal(alphas, betas);
    still = before - lowest <= 1e-13 * Math.max(1, Math.abs(lowest)) ? still + 1 : 0;
    const beta = normalize(next);
    if (beta < 1e-10) break;
    betas.push(beta);
    vectors.push(next);
  }
  return lowest;
}

function lowestOf(diagonal: Float64Array, holds: (index: number) => boolean): number {
  let lowest = Number.POSITIVE_INFINITY;
  for (let index = 0; index < diagonal.length; index += 1) {
    const energy = diagonal[index] as number;
    if (energy < lowest && holds(index)) lowest = energy;
  }
  return lowest;
}

function randomState(qubits: number, random: Random, holds: (index: number) => boolean): Amplitudes {
  const state = new Amplitudes(qubits);
  for (let at = 0; at < state.data.length; at += 1) state.data[at] = holds(at >> 1) ? random.next() - 0.5 : 0;
  normalize(state);
  return state;
}

function normalize({ data }: Amplitudes): number {
  const norm = Math.sqrt(data.reduce((sum, value) => sum + value * value, 0));
  if (norm > 0) for (let at = 0; at < data.length; at += 1) data[at] = (data[at] as number) / norm;
  return norm;
}

/** Makes the state orthogonal to the vector. */
function subtractPart(state: Amplitudes, vector: Amplitudes): void {
  const [a, v] = [state.data, vector.data];
  let [re, im] = [0, 0];
  for (let at = 0; at < a.length; at += 2) {
    re += (v[at] as number) * (a[at] as number) + (v[at + 1] as number) * (a[at + 1] as number);
    im += (v[at] as number) * (a[at + 1] as number) - (v[at + 1] as number) * (a[at] as number);
  }
  for (let at = 0; at < a.length; at += 2) {
    a[at] = (a[at] as number) - re * (v[at] as number) + im * (v[at + 1] as number);
    a[at + 1] = (a[at + 1] as number) - re * (v[at + 1] as number) - im * (v[at] as number);
  }
}

/** By bisection: how many eigenvalues lie below a number is how many pivots are negative (Golub & Van Loan, section 8.4). */
function lowestOfTridiagonal(alphas: readonly number[], betas: readonly number[]): number {
  const radii = alphas.map((alpha, at) => alpha - Math.abs(betas[at - 1] ?? 0) - Math.abs(betas[at] ?? 0));
  let [low, high] = [Math.min(...radii), Math.min(...alphas)];
  for (let round = 0; round < 100 && high - low > 1e-15 * Math.max(1, Math.abs(low)); round += 1) {
    const middle = (low + high) / 2;
    if (hasEigenvalueBelow(middle, alphas, betas)) high = middle;
    else low = middle;
  }
  return high;
}

function hasEigenvalueBelow(limit: number, alphas: readonly number[], betas: readonly number[]): boolean {
  let pivot = 1;
  return alphas.some((alpha, at) => {
    const beta = at === 0 ? 0 : (betas[at - 1] ?? 0);
    pivot = alpha - limit - (beta * beta) / pivot;
    if (pivot === 0) pivot = Number.MIN_VALUE;
    return pivot < 0;
  });
}
