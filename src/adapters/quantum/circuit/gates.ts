import { adjoint, combine, identity, type Matrix, matrix, multiply } from './complex.ts';

/** A gate without its controls: `cx` is an `x` with one control, `ccz` a `z` with two. */
export type Gate =
  | { readonly name: NamedGate; readonly params: readonly number[] }
  /** Any unitary over as many targets as its dimension says. */
  | { readonly name: 'unitary'; readonly params: readonly []; readonly matrix: Matrix };

export type NamedGate = keyof typeof definitions;

interface Definition {
  readonly targets: number;
  /** Names of its params, angles in radians. */
  readonly params: readonly string[];
  readonly matrix: (params: readonly number[]) => Matrix;
  /** `negated`: the inverse has each param negated. `itself`: it is its own inverse. Else its params, or the name of the inverse. */
  readonly inverse: 'negated' | 'itself' | string | ((params: readonly number[]) => readonly number[]);
}

type Complex = readonly [number, number];
const polar = (angle: number, length = 1): Complex => [length * Math.cos(angle), length * Math.sin(angle)];
const half = Math.SQRT1_2;
const i: Complex = [0, 1];
const minusI: Complex = [0, -1];
const diagonal = (...entries: readonly (Complex | number)[]): Matrix =>
  matrix(entries.map((entry, r) => entries.map((_, c) => (r === c ? entry : 0))));

/** Of |01⟩ and |10⟩, each times a factor. */
const exchange = (factor: Complex | number): Matrix =>
  matrix([
    [1, 0, 0, 0],
    [0, 0, factor, 0],
    [0, factor, 0, 0],
    [0, 0, 0, 1],
  ]);

const X = matrix([
  [0, 1],
  [1, 0],
]);
const Y = matrix([
  [0, minusI],
  [i, 0],
]);
const Z = diagonal(1, -1);

/**
 * Names and matrices as in OpenQASM 3's standard library and Qiskit. The first target is the least significant bit of an index.
 * Source: Cross et al., "OpenQASM 3", doi:10.1145/3505636.
 */
const definitions = {
  /** A phase of the whole, which matters where it has controls. */
  gphase: { targets: 0, params: ['gamma'], matrix: ([g = 0]) => matrix([[polar(g)]]), inverse: 'negated' },
  id: { targets: 1, params: [], matrix: () => identity(2), inverse: 'itself' },
  x: {
    targets: 1,
    params: [],
    matrix: () => X,
    inverse: 'itself',
  },
  y: {
    targets: 1,
    params: [],
    matrix: () => Y,
    inverse: 'itself',
  },
  z: { targets: 1, params: [], matrix: () => Z, inverse: 'itself' },
  h: {
    targets: 1,
    params: [],
    matrix: () =>
      matrix([
        [half, half],
        [half, -half],
      ]),
    inverse: 'itself',
  },
  s: { targets: 1, params: [], matrix: () => diagonal(1, i), inverse: 'sdg' },
  sdg: { targets: 1, params: [], matrix: () => diagonal(1, minusI), inverse: 's' },
  t: { targets: 1, params: [], matrix: () => diagonal(1, [half, half]), inverse: 'tdg' },
  tdg: { targets: 1, params: [], matrix: () => diagonal(1, [half, -half]), inverse: 't' },
  sx: {
    targets: 1,
    params: [],
    matrix: () =>
      matrix([
        [
          [0.5, 0.5],
          [0.5, -0.5],
        ],
        [
          [0.5, -0.5],
          [0.5, 0.5],
        ],
      ]),
    inverse: 'sxdg',
  },
  sxdg: {
    targets: 1,
    params: [],
    matrix: () =>
      matrix([
        [
          [0.5, -0.5],
          [0.5, 0.5],
        ],
        [
          [0.5, 0.5],
          [0.5, -0.5],
        ],
      ]),
    inverse: 'sx',
  },
  rx: { targets: 1, params: ['theta'], matrix: ([t = 0]) => rotation(X, t), inverse: 'negated' },
  ry: { targets: 1, params: ['theta'], matrix: ([t = 0]) => rotation(Y, t), inverse: 'negated' },
  rz: { targets: 1, params: ['theta'], matrix: ([t = 0]) => diagonal(polar(-t / 2), polar(t / 2)), inverse: 'negated' },
  p: { targets: 1, params: ['lambda'], matrix: ([l = 0]) => diagonal(1, polar(l)), inverse: 'negated' },
  /** Around the axis `phi` of the equator. */
  r: {
    targets: 1,
    params: ['theta', 'phi'],
    matrix: ([t = 0, p = 0]) =>
      matrix([
        [Math.cos(t / 2), polar(-p - Math.PI / 2, Math.sin(t / 2))],
        [polar(p - Math.PI / 2, Math.sin(t / 2)), Math.cos(t / 2)],
      ]),
    inverse: ([t = 0, p = 0]) => [-t, p],
  },
  u: {
    targets: 1,
    params: ['theta', 'phi', 'lambda'],
    matrix: ([t = 0, p = 0, l = 0]) =>
      matrix([
        [Math.cos(t / 2), polar(l, -Math.sin(t / 2))],
        [polar(p, Math.sin(t / 2)), polar(p + l, Math.cos(t / 2))],
      ]),
    inverse: ([t = 0, p = 0, l = 0]) => [-t, -l, -p],
  },
  swap: { targets: 2, params: [], matrix: () => exchange(1), inverse: 'itself' },
  iswap: { targets: 2, params: [], matrix: () => exchange(i), inverse: 'iswapdg' },
  iswapdg: { targets: 2, params: [], matrix: () => exchange(minusI), inverse: 'iswap' },
  /** A `cx` from the first to the second target, then one back. */
  dcx: {
    targets: 2,
    params: [],
    matrix: () =>
      matrix([
        [1, 0, 0, 0],
        [0, 0, 0, 1],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
      ]),
    inverse: 'dcxdg',
  },
  dcxdg: {
    targets: 2,
    params: [],
    matrix: () =>
      matrix([
        [1, 0, 0, 0],
        [0, 0, 1, 0],
        [0, 0, 0, 1],
        [0, 1, 0, 0],
      ]),
    inverse: 'dcx',
  },
  ecr: {
    targets: 2,
    params: [],
    matrix: () =>
      matrix([
        [0, half, 0, [0, half]],
        [half, 0, [0, -half], 0],
        [0, [0, half], 0, half],
        [[0, -half], 0, half, 0],
      ]),
    inverse: 'itself',
  },
  rxx: { targets: 2, params: ['theta'], matrix: ([t = 0]) => rotation(kronecker(X, X), t), inverse: 'negated' },
  ryy: { targets: 2, params: ['theta'], matrix: ([t = 0]) => rotation(kronecker(Y, Y), t), inverse: 'negated' },
  rzz: { targets: 2, params: ['theta'], matrix: ([t = 0]) => rotation(kronecker(Z, Z), t), inverse: 'negated' },
  /** Z on the first target, X on the second. */
  rzx: { targets: 2, params: ['theta'], matrix: ([t = 0]) => rotation(kronecker(X, Z), t), inverse: 'negated' },
  /** An `rx(theta)` between |01⟩ and |10⟩; `beta` is a phase of the first target. */
  xx_plus_yy: {
    targets: 2,
    params: ['theta', 'beta'],
    matrix: ([t = 0, b = 0]) =>
      matrix([
        [1, 0, 0, 0],
        [0, Math.cos(t / 2), polar(-b - Math.PI / 2, Math.sin(t / 2)), 0],
        [0, polar(b - Math.PI / 2, Math.sin(t / 2)), Math.cos(t / 2), 0],
        [0, 0, 0, 1],
      ]),
    inverse: ([t = 0, b = 0]) => [-t, b],
  },
  /** The same between |00⟩ and |11⟩. */
  xx_minus_yy: {
    targets: 2,
    params: ['theta', 'beta'],
    matrix: ([t = 0, b = 0]) =>
      matrix([
        [Math.cos(t / 2), 0, 0, polar(-b - Math.PI / 2, Math.sin(t / 2))],
        [0, 1, 0, 0],
        [0, 0, 1, 0],
        [polar(b - Math.PI / 2, Math.sin(t / 2)), 0, 0, Math.cos(t / 2)],
      ]),
    inverse: ([t = 0, b = 0]) => [-t, b],
  },
} as const satisfies Record<string, Definition>;

/** `exp(-i · angle/2 · pauli)` for a matrix that is its own inverse. */
const rotation = (pauli: Matrix, angle: number): Matrix =>
  combine([Math.cos(angle / 2), 0], identity(pauli.dimension), [0, -Math.sin(angle / 2)], pauli);

/** `high ⊗ low`. */
export function kronecker(high: Matrix, low: Matrix): Matrix {
  const n = high.dimension * low.dimension;
  const data = new Float64Array(2 * n * n);
  for (let r = 0; r < n; r += 1)
    for (let c = 0; c < n; c += 1) {
      const h = 2 * (Math.floor(r / low.dimension) * high.dimension + Math.floor(c / low.dimension));
      const l = 2 * ((r % low.dimension) * low.dimension + (c % low.dimension));
      const [hRe = 0, hIm = 0] = [high.data[h], high.data[h + 1]];
      const [lRe = 0, lIm = 0] = [low.data[l], low.data[l + 1]];
      data[2 * (r * n + c)] = hRe * lRe - hIm * lIm;
      data[2 * (r * n + c) + 1] = hRe * lIm + hIm * lRe;
    }
  return { dimension: n, data };
}

export const gateNames = Object.keys(definitions) as readonly NamedGate[];

export const gateNamed = (name: NamedGate, ...params: readonly number[]): Gate => ({ name, params });

export const unitary = (of: Matrix): Gate => ({ name: 'unitary', params: [], matrix: of });

/** Names of the params and the number of targets. */
export const shapeOf = (name: NamedGate): { readonly targets: number; readonly params: readonly string[] } =>
  definitions[name];

export const targetsOf = (gate: Gate): number =>
  gate.name === 'unitary' ? Math.log2(gate.matrix.dimension) : definitions[gate.name].targets;

export const matrixOf = (gate: Gate): Matrix =>
  gate.name === 'unitary' ? gate.matrix : (definitions[gate.name] as Definition).matrix(gate.params);

/** The gate that undoes it. */
export function inverseOf(gate: Gate): Gate {
  if (gate.name === 'unitary') return unitary(adjoint(gate.matrix));
  const { inverse } = definitions[gate.name] as Definition;
  if (typeof inverse === 'function') return { name: gate.name, params: inverse(gate.params) };
  if (inverse === 'itself') return gate;
  if (inverse === 'negated') return { name: gate.name, params: gate.params.map((param) => -param) };
  return { name: inverse as NamedGate, params: gate.params };
}

/** The gate `exponent` times, fractions and negatives included: the principal power. @returns undefined where it has no closed form here */
export function powerOf(gate: Gate, exponent: number): Gate | undefined {
  if (gate.name !== 'unitary' && scaled.has(gate.name)) {
    const [angle = 0, ...others] = gate.params;
    return { name: gate.name, params: [angle * exponent, ...others] };
  }
  const asNamed = namedPowers[gate.name]?.(exponent);
  if (asNamed !== undefined) return asNamed;
  if (Number.isInteger(exponent) && Math.abs(exponent) <= 4096) return integerPower(gate, exponent);
  const of = matrixOf(gate);
  if (isInvolution(of)) {
    // Its eigenvalues are 1 and -1.
    const [re, im] = polar(Math.PI * exponent, 0.5);
    return unitary(combine([0.5 + re, im], identity(of.dimension), [0.5 - re, -im], of));
  }
  return of.dimension === 2 ? unitary(powerOfTwo(of, exponent)) : undefined;
}

const scaled: ReadonlySet<string> = new Set<NamedGate>([
  'gphase',
  'p',
  'rx',
  'ry',
  'rz',
  'r',
  'rxx',
  'ryy',
  'rzz',
  'rzx',
  'xx_plus_yy',
  'xx_minus_yy',
]);

/** Powers that are gates of another name. */
const namedPowers: Readonly<Partial<Record<Gate['name'], (exponent: number) => Gate>>> = {
  z: (k) => gateNamed('p', Math.PI * k),
  s: (k) => gateNamed('p', (Math.PI / 2) * k),
  sdg: (k) => gateNamed('p', (-Math.PI / 2) * k),
  t: (k) => gateNamed('p', (Math.PI / 4) * k),
  tdg: (k) => gateNamed('p', (-Math.PI / 4) * k),
  iswap: (k) => gateNamed('xx_plus_yy', -Math.PI * k, 0),
  iswapdg: (k) => gateNamed('xx_plus_yy', Math.PI * k, 0),
};

function integerPower(gate: Gate, exponent: number): Gate {
  let base = matrixOf(exponent < 0 ? inverseOf(gate) : gate);
  let power = identity(base.dimension);
  for (let left = Math.abs(exponent); left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) power = multiply(power, base);
    base = multiply(base, base);
  }
  return unitary(power);
}

function isInvolution(of: Matrix): boolean {
  const squared = multiply(of, of).data;
  const one = identity(of.dimension).data;
  return squared.every((value, at) => Math.abs(value - (one[at] ?? 0)) < 1e-12);
}

/** A unitary of one qubit is `e^{iα}(cos β − i sin β n·σ)`. */
function powerOfTwo(u: Matrix, exponent: number): Matrix {
  const [aRe = 0, aIm = 0, bRe = 0, bIm = 0, cRe = 0, cIm = 0, dRe = 0, dIm = 0] = u.data;
  const detRe = aRe * dRe - aIm * dIm - (bRe * cRe - bIm * cIm);
  const detIm = aRe * dIm + aIm * dRe - (bRe * cIm + bIm * cRe);
  const alpha = Math.atan2(detIm, detRe) / 2;
  const [re, im] = polar(-alpha);
  const special = combine([re, im], u, [0, 0], u);
  const cos = Math.max(-1, Math.min(1, ((special.data[0] ?? 0) + (special.data[6] ?? 0)) / 2));
  const beta = Math.acos(cos);
  const sin = Math.sin(beta);
  // The eigenvalues are e^{i(α±β)}: each is raised by its own angle in (-π, π], as the principal power says.
  // Rounding must not make an eigenvalue of -1 one whose angle is -π.
  const wrap = (angle: number): number => angle - 2 * Math.PI * Math.ceil((angle - Math.PI - 1e-12) / (2 * Math.PI));
  if (Math.abs(sin) < 1e-15) {
    const [pRe, pIm] = polar(exponent * wrap(alpha + beta));
    return combine([pRe, pIm], identity(2), [0, 0], u);
  }
  const plus = polar(exponent * wrap(alpha + beta));
  const minus = polar(exponent * wrap(alpha - beta));
  // special = cos β + i sin β N with N² = 1, so N = (special − cos β) / (i sin β).
  const n = combine([0, -1 / sin], special, [0, cos / sin], identity(2));
  return combine(
    [(plus[0] + minus[0]) / 2, (plus[1] + minus[1]) / 2],
    identity(2),
    [(plus[0] - minus[0]) / 2, (plus[1] - minus[1]) / 2],
    n,
  );
}
