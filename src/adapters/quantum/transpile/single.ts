import { adjoint, combine, type Matrix, multiply } from '../circuit/complex.ts';
import { type Gate, gateNamed, matrixOf, unitary } from '../circuit/gates.ts';
import { eigenOfUnitary } from './eigen.ts';

/** Angles of `e^{i·phase} · rz(phi) · ry(theta) · rz(lambda)`, theta from 0 to π. */
interface Euler {
  readonly phase: number;
  readonly theta: number;
  readonly phi: number;
  readonly lambda: number;
}

/** Angles closer to a special value than this are taken for it. */
const close = 1e-12;

function eulerOf({ data }: Matrix): Euler {
  const [aRe = 0, aIm = 0, , , cRe = 0, cIm = 0, dRe = 0, dIm = 0] = data;
  const a = Math.hypot(aRe, aIm);
  const c = Math.hypot(cRe, cIm);
  const theta = 2 * Math.atan2(c, a);
  if (c < close) {
    const sum = Math.atan2(dIm, dRe) - Math.atan2(aIm, aRe);
    return { phase: Math.atan2(aIm, aRe) + sum / 2, theta: 0, phi: sum, lambda: 0 };
  }
  const [bRe = 0, bIm = 0] = [data[2], data[3]];
  if (a < close) {
    // c = e^{i(phase + (phi - lambda)/2)}, b = -e^{i(phase - (phi - lambda)/2)}.
    const difference = Math.atan2(cIm, cRe) - Math.atan2(-bIm, -bRe);
    return { phase: Math.atan2(cIm, cRe) - difference / 2, theta: Math.PI, phi: difference, lambda: 0 };
  }
  const atA = Math.atan2(aIm, aRe);
  const atC = Math.atan2(cIm, cRe);
  const atD = Math.atan2(dIm, dRe);
  const phi = atC - atA;
  const lambda = atD - atC;
  return { phase: atA + (phi + lambda) / 2, theta, phi, lambda };
}

/** In (-π, π], and exactly 0 where it is about that. */
function wrapped(angle: number): number {
  const turns = angle - 2 * Math.PI * Math.round(angle / (2 * Math.PI));
  const within = turns <= -Math.PI + close ? turns + 2 * Math.PI : turns;
  return Math.abs(within) < close ? 0 : within;
}

export const isZero = (angle: number): boolean => wrapped(angle) === 0;

/** Gates of a device that make any gate of one qubit, in the order of preference. */
const forms = [
  { needs: ['u'], write: writeU },
  { needs: ['rz', 'sx'], write: writeSx },
  { needs: ['rz', 'ry'], write: writeRy },
  { needs: ['rz', 'rx'], write: writeRx },
] as const satisfies readonly {
  needs: readonly string[];
  write: (euler: Euler, basis: ReadonlySet<string>) => Gate[];
}[];

export const oneQubitForms: string = forms.map(({ needs }) => needs.join(' and ')).join('; ');

/** The form that writes any gate of one qubit with the gates of the basis, first gate first, but for a phase of the whole; undefined without one. */
export function writerFor(basis: ReadonlySet<string>): ((of: Matrix) => Gate[]) | undefined {
  const form = forms.find(({ needs }) => needs.every((name) => basis.has(name)));
  return form && ((of) => form.write(eulerOf(of), basis));
}

function writeU({ theta, phi, lambda }: Euler): Gate[] {
  return isZero(theta) && isZero(phi + lambda) ? [] : [gateNamed('u', theta, wrapped(phi), wrapped(lambda))];
}

function writeSx({ theta, phi, lambda }: Euler, basis: ReadonlySet<string>): Gate[] {
  const sx = gateNamed('sx');
  if (isZero(theta)) return rz(phi + lambda);
  if (Math.abs(theta - Math.PI / 2) < close) return [...rz(lambda - Math.PI / 2), sx, ...rz(phi + Math.PI / 2)];
  if (Math.abs(theta - Math.PI) < close && basis.has('x')) return [...rz(lambda - phi + Math.PI), gateNamed('x')];
  return [...rz(lambda), sx, ...rz(theta + Math.PI), sx, ...rz(phi + Math.PI)];
}

function writeRy({ theta, phi, lambda }: Euler): Gate[] {
  return isZero(theta) ? rz(phi + lambda) : [...rz(lambda), gateNamed('ry', theta), ...rz(phi)];
}

function writeRx({ theta, phi, lambda }: Euler): Gate[] {
  return isZero(theta)
    ? rz(phi + lambda)
    : [...rz(lambda - Math.PI / 2), gateNamed('rx', theta), ...rz(phi + Math.PI / 2)];
}

function rz(angle: number): Gate[] {
  const by = wrapped(angle);
  return by === 0 ? [] : [gateNamed('rz', by)];
}

/** Whether the matrix is the identity but for a phase. */
export const isPhase = (of: Matrix): boolean => isDiagonal(of) && Math.hypot(...difference(of, 0, 6)) < close;

export const isDiagonal = ({ data }: Matrix): boolean =>
  Math.max(...[2, 3, 4, 5].map((at) => Math.abs(data[at] ?? 0))) < close;

/** Whether it is a sum of the identity and X: it may change places with the target of a `cx`. */
export const commutesWithX = (of: Matrix): boolean =>
  Math.hypot(...difference(of, 0, 6)) < close && Math.hypot(...difference(of, 2, 4)) < close;

const difference = ({ data }: Matrix, left: number, right: number): [number, number] => [
  (data[left] ?? 0) - (data[right] ?? 0),
  (data[left + 1] ?? 0) - (data[right + 1] ?? 0),
];

/** `of = basis · diag(e^{i·first}, e^{i·second}) · basis†` */
export interface Axis {
  readonly basis: Matrix;
  readonly first: number;
  readonly second: number;
}

const hadamard = matrixOf(gateNamed('h'));
const halfTurns: readonly Matrix[] = [
  // Z, X and Y: what most gates turn about, so that they get plain gates around them.
  matrixOf(gateNamed('id')),
  hadamard,
  multiply(matrixOf(gateNamed('s')), hadamard),
  // The axis of the Hadamard gate.
  matrixOf(gateNamed('ry', Math.PI / 4)),
];

export function axisOf(of: Matrix): Axis {
  for (const basis of halfTurns) {
    const turned = multiply(adjoint(basis), multiply(of, basis));
    if (isDiagonal(turned)) return { basis, ...anglesOf(turned) };
  }
  const { vectors, values } = eigenOfUnitary(of);
  return { basis: vectors, ...anglesOf(values) };
}

const anglesOf = ({ data }: Matrix): { first: number; second: number } => ({
  first: Math.atan2(data[1] ?? 0, data[0] ?? 0),
  second: Math.atan2(data[7] ?? 0, data[6] ?? 0),
});

/** As a gate; undefined for the identity. */
export const gateOf = (of: Matrix): Gate | undefined =>
  isPhase(of) && Math.abs((of.data[0] ?? 0) - 1) < close ? undefined : unitary(of);

export const timesPhase = (angle: number, of: Matrix): Matrix =>
  combine([Math.cos(angle), Math.sin(angle)], of, [0, 0], of);

export const pauliX: Matrix = matrixOf(gateNamed('x'));
export const pauliY: Matrix = matrixOf(gateNamed('y'));
export const pauliZ: Matrix = matrixOf(gateNamed('z'));
