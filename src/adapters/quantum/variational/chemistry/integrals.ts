import type { Rows } from './symmetric.ts';

/** A nucleus; lengths in bohr. */
export interface Atom {
  readonly element: Element;
  readonly position: readonly [number, number, number];
}

export type Element = keyof typeof elements;

/** STO-3G of the elements whose basis has s orbitals only (Hehre, Stewart & Pople, doi:10.1063/1.1672392): exponents, coefficients. */
const elements = {
  H: {
    charge: 1,
    primitives: [
      [3.42525091, 0.15432897],
      [0.62391373, 0.53532814],
      [0.1688554, 0.44463454],
    ],
  },
  He: {
    charge: 2,
    primitives: [
      [6.36242139, 0.15432897],
      [1.158923, 0.53532814],
      [0.31364979, 0.44463454],
    ],
  },
} as const;

/** In a basis of one orbital per atom; energies in hartree. */
export interface Integrals {
  readonly overlap: Rows;
  /** Kinetic energy and attraction by the nuclei. */
  readonly core: Rows;
  /** `(pq|rs)` in the notation of chemists, at `((p · n + q) · n + r) · n + s`. */
  readonly repulsion: Float64Array;
  readonly nuclear: number;
}

export const chargeOf = (element: Element): number => elements[element].charge;

/**
 * Closed forms for Gaussians around a centre: Szabo & Ostlund, "Modern Quantum Chemistry", appendix A.
 * A pair of primitives is one Gaussian around a centre between them, so pairs are made once and everything is a sum over them.
 */
export function integralsOf(atoms: readonly Atom[]): Integrals {
  const n = atoms.length;
  const orbitals = atoms.map(orbitalOf);
  const pairs = orbitals.map((left) => orbitals.map((right) => pairsOf(left, right)));
  const sums = (value: (pair: Pair) => number): number[][] =>
    pairs.map((row) => row.map((list) => list.reduce((sum, pair) => sum + pair.weight * value(pair), 0)));
  const overlap = sums(overlapOf);
  const core = sums((pair) => kineticOf(pair) + atoms.reduce((sum, atom) => sum + attractionOf(pair, atom), 0));
  const repulsion = new Float64Array(n ** 4);
  const flat = pairs.flat();
  flat.forEach((left, l) => {
    flat.forEach((right, r) => {
      repulsion[l * n * n + r] = left.reduce(
        (sum, a) => sum + right.reduce((inner, b) => inner + a.weight * b.weight * repulsionOf(a, b), 0),
        0,
      );
    });
  });
  return { overlap, core, repulsion, nuclear: nuclearRepulsion(atoms) };
}

type Position = Atom['position'];

interface Primitive {
  readonly exponent: number;
  readonly weight: number;
  readonly position: Position;
}

/** The product of two primitives. */
interface Pair {
  readonly weight: number;
  readonly exponent: number;
  /** `ab/(a+b)` and that times the squared distance. */
  readonly reduced: number;
  readonly damping: number;
  readonly centre: Position;
}

function orbitalOf({ element, position }: Atom): readonly Primitive[] {
  const primitives = elements[element].primitives.map(([exponent, coefficient]) => ({
    exponent,
    weight: coefficient * ((2 * exponent) / Math.PI) ** 0.75,
    position,
  }));
  // The published coefficients give a norm of 1 to eight digits.
  const norm = Math.sqrt(pairsOf(primitives, primitives).reduce((sum, pair) => sum + pair.weight * overlapOf(pair), 0));
  return primitives.map((primitive) => ({ ...primitive, weight: primitive.weight / norm }));
}

const pairsOf = (left: readonly Primitive[], right: readonly Primitive[]): Pair[] =>
  left.flatMap((a) =>
    right.map((b) => {
      const exponent = a.exponent + b.exponent;
      const reduced = (a.exponent * b.exponent) / exponent;
      const centre = a.position.map(
        (value, axis) => (a.exponent * value + b.exponent * (b.position[axis] ?? 0)) / exponent,
      );
      return {
        weight: a.weight * b.weight,
        exponent,
        reduced,
        damping: reduced * distanceSquared(a.position, b.position),
        centre: centre as unknown as Position,
      };
    }),
  );

const overlapOf = ({ exponent, damping }: Pair): number => (Math.PI / exponent) ** 1.5 * Math.exp(-damping);

const kineticOf = (pair: Pair): number => pair.reduced * (3 - 2 * pair.damping) * overlapOf(pair);

const attractionOf = ({ exponent, damping, centre }: Pair, { element, position }: Atom): number =>
  ((-2 * Math.PI) / exponent) *
  chargeOf(element) *
  Math.exp(-damping) *
  boys(exponent * distanceSquared(centre, position));

function repulsionOf(a: Pair, b: Pair): number {
  const sum = a.exponent + b.exponent;
  const scale = (2 * Math.PI ** 2.5) / (a.exponent * b.exponent * Math.sqrt(sum));
  const t = ((a.exponent * b.exponent) / sum) * distanceSquared(a.centre, b.centre);
  return scale * Math.exp(-a.damping - b.damping) * boys(t);
}

/** The Boys function of order 0, `∫₀¹ exp(−t u²) du`. */
function boys(t: number): number {
  // What is left out is below exp(-t)/(2t), less than rounding.
  if (t > 36) return 0.5 * Math.sqrt(Math.PI / t);
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-17; k += 1) {
    term *= (2 * t) / (2 * k + 1);
    sum += term;
  }
  return Math.exp(-t) * sum;
}

function nuclearRepulsion(atoms: readonly Atom[]): number {
  let energy = 0;
  atoms.forEach((a, i) => {
    for (const b of atoms.slice(i + 1))
      energy += (chargeOf(a.element) * chargeOf(b.element)) / Math.sqrt(distanceSquared(a.position, b.position));
  });
  return energy;
}

const distanceSquared = (a: Position, b: Position): number =>
  (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2 + (a[2] - b[2]) ** 2;
