import { StepError } from '../../../../lib/errors.ts';
import type { Integrals } from './integrals.ts';
import { at, eigenOfSymmetric, product, type Rows, transpose } from './symmetric.ts';

/** A closed shell's orbitals, those of lowest energy first, and the integrals over them. */
export interface Orbitals {
  readonly count: number;
  /** Each holds two electrons. */
  readonly occupied: number;
  readonly core: Rows;
  /** `(pq|rs)`, at `((p · n + q) · n + r) · n + s`. */
  readonly repulsion: Float64Array;
  readonly nuclear: number;
  /** Of the determinant of occupied orbitals, nuclear repulsion included, in hartree. */
  readonly energy: number;
}

const roundsMax = 2_000;
const tolerance = 1e-11;

/**
 * Restricted Hartree–Fock: Roothaan's equations, iterated (Szabo & Ostlund, "Modern Quantum Chemistry", section 3.4.6). The density is
 * mixed with the last one, since long chains otherwise swing between two.
 *
 * @throws StepError QUANTUM_NOT_CONVERGED
 */
export function hartreeFock(integrals: Integrals, electrons: number): Orbitals {
  const occupied = electrons / 2;
  const half = inverseRoot(integrals.overlap);
  let density = integrals.overlap.map((row) => row.map(() => 0));
  let fock = integrals.core.map((row) => [...row]);
  for (let round = 0; round < roundsMax; round += 1) {
    const { vectors } = eigenOfSymmetric(product(product(transpose(half), fock), half));
    const coefficients = product(half, vectors);
    const next = densityOf(coefficients, occupied);
    const change = largestDifference(next, density);
    if (change < tolerance) return orbitalsOf(integrals, coefficients, occupied);
    const share = round === 0 ? 1 : 0.2;
    density = next.map((row, p) => row.map((value, q) => share * value + (1 - share) * at(density, p, q)));
    fock = fockOf(integrals, density);
  }
  throw new StepError(
    'QUANTUM_NOT_CONVERGED',
    `Hartree–Fock did not converge in ${roundsMax} rounds; choose a distance nearer to equilibrium`,
  );
}

/** Symmetric orthogonalization: `S^(−1/2)`. */
function inverseRoot(overlap: Rows): number[][] {
  const { values, vectors } = eigenOfSymmetric(overlap);
  const scaled = vectors.map((row) => row.map((value, c) => value / Math.sqrt(values[c] ?? 1)));
  return product(scaled, transpose(vectors));
}

const densityOf = (coefficients: Rows, occupied: number): number[][] =>
  coefficients.map((left) =>
    coefficients.map((right) => {
      let sum = 0;
      for (let orbital = 0; orbital < occupied; orbital += 1) sum += 2 * (left[orbital] ?? 0) * (right[orbital] ?? 0);
      return sum;
    }),
  );

function fockOf({ core, repulsion }: Integrals, density: Rows): number[][] {
  const n = core.length;
  const eri = (p: number, q: number, r: number, s: number): number => repulsion[((p * n + q) * n + r) * n + s] ?? 0;
  return core.map((row, p) =>
    row.map((value, q) => {
      let sum = value;
      for (let r = 0; r < n; r += 1)
        for (let s = 0; s < n; s += 1) sum += at(density, r, s) * (eri(p, q, r, s) - 0.5 * eri(p, r, q, s));
      return sum;
    }),
  );
}

function largestDifference(left: Rows, right: Rows): number {
  let largest = 0;
  left.forEach((row, r) => {
    row.forEach((value, c) => {
      largest = Math.max(largest, Math.abs(value - at(right, r, c)));
    });
  });
  return largest;
}

function orbitalsOf(integrals: Integrals, coefficients: Rows, occupied: number): Orbitals {
  const core = product(product(transpose(coefficients), integrals.core), coefficients);
  const repulsion = transformed(integrals.repulsion, coefficients);
  const n = core.length;
  const eri = (p: number, q: number, r: number, s: number): number => repulsion[((p * n + q) * n + r) * n + s] ?? 0;
  let energy = integrals.nuclear;
  for (let i = 0; i < occupied; i += 1) {
    energy += 2 * at(core, i, i);
    for (let j = 0; j < occupied; j += 1) energy += 2 * eri(i, i, j, j) - eri(i, j, j, i);
  }
  return { count: n, occupied, core, repulsion, nuclear: integrals.nuclear, energy };
}

/** From the basis to the orbitals, one index at a time: each pass turns the first index and puts it last. */
function transformed(repulsion: Float64Array, coefficients: Rows): Float64Array {
  const n = coefficients.length;
  let from = repulsion;
  for (let pass = 0; pass < 4; pass += 1) {
    const to = new Float64Array(n ** 4);
    for (let p = 0; p < n; p += 1)
      for (let rest = 0; rest < n ** 3; rest += 1)
        for (let orbital = 0; orbital < n; orbital += 1) {
          const index = rest * n + orbital;
          to[index] = (to[index] ?? 0) + at(coefficients, p, orbital) * (from[p * n ** 3 + rest] ?? 0);
        }
    from = to;
  }
  return from;
}
