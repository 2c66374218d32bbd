import { type GateOperation, gateOn } from '../circuit/circuit.ts';
import { adjoint, combine, type Matrix, matrix, multiply } from '../circuit/complex.ts';
import { type Gate, gateNamed, kronecker, matrixOf } from '../circuit/gates.ts';
import { eigenOfUnitary, tiny } from './eigen.ts';
import { gateOf, pauliX, pauliY, pauliZ, timesPhase } from './single.ts';

const root = Math.SQRT1_2;

/** Its columns are the magic basis, in which products of one-qubit gates are real. */
const magic = matrix([
  [root, 0, 0, [0, root]],
  [0, [0, root], root, 0],
  [0, [0, root], -root, 0],
  [root, 0, 0, [0, -root]],
]);

/** `e^{i·phase} · (left[1] ⊗ left[0]) · exp(i(x·XX + y·YY + z·ZZ)) · (right[1] ⊗ right[0])`, x, y and z from -π/4 to π/4. */
interface Kak {
  readonly phase: number;
  readonly left: readonly [Matrix, Matrix];
  readonly angles: readonly [number, number, number];
  readonly right: readonly [Matrix, Matrix];
}

/**
 * Any unitary of two qubits by `cx` gates, as few as it takes (3 at most), and gates of one qubit; exact, its phase included.
 * Sources: Kraus & Cirac, doi:10.1103/PhysRevA.63.062309; Vatan & Williams, doi:10.1103/PhysRevA.69.032315.
 * @param low the qubit of the less significant bit
 */
export function twoQubitUnitary(of: Matrix, low: number, high: number): GateOperation[] {
  const { phase, left, angles, right } = kakOf(of);
  const middle = interaction(angles, low, high);
  return [
    gateOn(gateNamed('gphase', phase), []),
    ...single(gateOf(right[0]), low),
    ...single(gateOf(right[1]), high),
    ...middle,
    ...single(gateOf(left[0]), low),
    ...single(gateOf(left[1]), high),
  ];
}

export const single = (gate: Gate | undefined, qubit: number): GateOperation[] =>
  gate === undefined ? [] : [gateOn(gate, [qubit])];

export const cx = (control: number, target: number): GateOperation =>
  gateOn(gateNamed('x'), [target], [{ qubit: control, value: 1 }]);

export const cz = (one: number, other: number): GateOperation =>
  gateOn(gateNamed('z'), [other], [{ qubit: one, value: 1 }]);

function kakOf(of: Matrix): Kak {
  const fourth = argOfDeterminant(of) / 4;
  const turned = multiply(adjoint(magic), multiply(timesPhase(-fourth, of), magic));
  const squared = multiply(transposed(turned), turned);
  // Exactly symmetric, so that its eigenvectors are exactly real.
  const { vectors, values } = eigenOfUnitary(combine([0.5, 0], squared, [0.5, 0], transposed(squared)));
  if (realDeterminant(vectors) < 0) negateColumn(vectors, 0);
  // Half of each angle; either root will do, as long as their product is 1.
  const half = [0, 1, 2, 3].map((at) => Math.atan2(values.data[10 * at + 1] ?? 0, values.data[10 * at] ?? 0) / 2);
  const sum = half.reduce((total, angle) => total + angle, 0);
  if (Math.abs(Math.round(sum / Math.PI)) % 2 === 1) half[0] = (half[0] ?? 0) + Math.PI;
  const inverse = diagonal(half.map((angle) => -angle));
  const first = multiply(turned, multiply(vectors, inverse));
  const [left, leftPhase] = factors(multiply(magic, multiply(first, adjoint(magic))));
  const [right, rightPhase] = factors(multiply(magic, multiply(transposed(vectors), adjoint(magic))));
  const [p = 0, q = 0, , s = 0] = half;
  const mean = half.reduce((total, angle) => total + angle, 0) / 4;
  return reduced({ phase: fourth + leftPhase + rightPhase + mean, left, right }, [
    (p + q) / 2 - mean,
    (q + s) / 2 - mean,
    (p + s) / 2 - mean,
  ]);
}

/** `exp(iπ/2·XX)` is `i·X⊗X`: a gate on each qubit. */
function reduced(kak: Omit<Kak, 'angles'>, angles: readonly number[]): Kak {
  let { phase, left } = kak;
  const within = angles.map((angle, at) => {
    const times = Math.round((angle - tiny) / (Math.PI / 2));
    phase += (times * Math.PI) / 2;
    if (times % 2 !== 0) {
      const pauli = [pauliX, pauliY, pauliZ][at] ?? pauliX;
      left = [multiply(left[0], pauli), multiply(left[1], pauli)];
    }
    // (i·P⊗P)^times has the phase of i^times, and P⊗P squared is 1.
    return angle - (times * Math.PI) / 2;
  });
  const [x = 0, y = 0, z = 0] = within;
  return { phase, left, right: kak.right, angles: [x, y, z] };
}

const isNone = (angle: number): boolean => Math.abs(angle) < tiny;

/** `exp(i(x·XX + y·YY + z·ZZ))` */
function interaction([x, y, z]: Kak['angles'], low: number, high: number): GateOperation[] {
  const both = (name: 's' | 'sdg' | 'h' | 'sx' | 'sxdg'): GateOperation[] =>
    [low, high].map((qubit) => gateOn(gateNamed(name), [qubit]));
  const some = [x, y, z].filter((angle) => !isNone(angle)).length;
  if (some === 0) return [];
  if (some === 3) return threeOf(x, y, z, low, high);
  if (some === 1 && isNone(z))
    // Turned so that it is about Z.
    return isNone(y)
      ? [...both('h'), ...interaction([0, 0, x], low, high), ...both('h')]
      : [...both('sx'), ...interaction([0, 0, y], low, high), ...both('sxdg')];
  if (some === 1 && Math.abs(Math.abs(z) - Math.PI / 4) < tiny) {
    const sign = Math.sign(z);
    const turn = gateNamed('rz', (-sign * Math.PI) / 2);
    return [
      gateOn(gateNamed('gphase', (-sign * Math.PI) / 4), []),
      cz(low, high),
      gateOn(turn, [low]),
      gateOn(turn, [high]),
    ];
  }
  // With two of them: turned so that none is about Y, which `cx` would make a gate of both qubits.
  if (isNone(x) && some === 2) return [...both('sdg'), ...interaction([y, 0, z], low, high), ...both('s')];
  if (isNone(z) && some === 2) return [...both('sx'), ...interaction([x, 0, y], low, high), ...both('sxdg')];
  return [
    cx(low, high),
    ...(isNone(x) ? [] : [gateOn(gateNamed('rx', -2 * x), [low])]),
    gateOn(gateNamed('rz', -2 * z), [high]),
    cx(low, high),
  ];
}

function threeOf(x: number, y: number, z: number, low: number, high: number): GateOperation[] {
  return [
    gateOn(gateNamed('gphase', Math.PI / 4), []),
    gateOn(gateNamed('rz', -Math.PI / 2), [low]),
    cx(low, high),
    gateOn(gateNamed('rz', Math.PI / 2 - 2 * z), [high]),
    gateOn(gateNamed('ry', 2 * x - Math.PI / 2), [low]),
    cx(high, low),
    gateOn(gateNamed('ry', Math.PI / 2 - 2 * y), [low]),
    cx(low, high),
    gateOn(gateNamed('rz', Math.PI / 2), [high]),
  ];
}

/** A product of one-qubit gates, apart: the one of the low qubit first, and a phase. */
function factors(of: Matrix): [[Matrix, Matrix], number] {
  const at = (r: number, c: number): [number, number] => [
    of.data[2 * (4 * r + c)] ?? 0,
    of.data[2 * (4 * r + c) + 1] ?? 0,
  ];
  let [r, c, most] = [0, 0, 0];
  for (let row = 0; row < 4; row += 1)
    for (let column = 0; column < 4; column += 1)
      if (Math.hypot(...at(row, column)) > most) [r, c, most] = [row, column, Math.hypot(...at(row, column))];
  const low = special(matrix([0, 1].map((i) => [0, 1].map((j) => at((r & 2) | i, (c & 2) | j)))));
  const high = special(matrix([0, 1].map((i) => [0, 1].map((j) => at((i << 1) | (r & 1), (j << 1) | (c & 1))))));
  const product = kronecker(high, low);
  const [aRe, aIm] = at(r, c);
  const [bRe = 0, bIm = 0] = [product.data[2 * (4 * r + c)], product.data[2 * (4 * r + c) + 1]];
  return [[low, high], Math.atan2(aIm * bRe - aRe * bIm, aRe * bRe + aIm * bIm)];
}

/** Times a number, so that its determinant is 1. */
function special(of: Matrix): Matrix {
  const [aRe = 0, aIm = 0, bRe = 0, bIm = 0, cRe = 0, cIm = 0, dRe = 0, dIm = 0] = of.data;
  const re = aRe * dRe - aIm * dIm - (bRe * cRe - bIm * cIm);
  const im = aRe * dIm + aIm * dRe - (bRe * cIm + bIm * cRe);
  const length = 1 / Math.sqrt(Math.hypot(re, im));
  const turned = timesPhase(-Math.atan2(im, re) / 2, of);
  return { dimension: 2, data: turned.data.map((value) => value * length) };
}

function transposed({ dimension: n, data }: Matrix): Matrix {
  const { data: out } = adjoint({ dimension: n, data });
  return { dimension: n, data: out.map((value, at) => (at % 2 === 1 ? -value : value)) };
}

function diagonal(angles: readonly number[]): Matrix {
  return matrix(angles.map((angle, r) => angles.map((_, c) => (r === c ? [Math.cos(angle), Math.sin(angle)] : 0))));
}

function negateColumn({ dimension: n, data }: Matrix, column: number): void {
  for (let row = 0; row < n; row += 1)
    for (const part of [0, 1]) {
      const at = 2 * (row * n + column) + part;
      data[at] = -(data[at] ?? 0);
    }
}

/** By elimination, the largest entry of a column first. */
function determinant(of: Matrix): [number, number] {
  const n = of.dimension;
  const rows = Array.from({ length: n }, (_, r) =>
    Array.from({ length: n }, (_, c): [number, number] => [
      of.data[2 * (r * n + c)] ?? 0,
      of.data[2 * (r * n + c) + 1] ?? 0,
    ]),
  );
  let [re, im] = [1, 0];
  for (let step = 0; step < n; step += 1) {
    const entry = (r: number, c: number): [number, number] => rows[r]?.[c] ?? [0, 0];
    let most = step;
    for (let r = step; r < n; r += 1) if (Math.hypot(...entry(r, step)) > Math.hypot(...entry(most, step))) most = r;
    const chosen = rows[most] ?? [];
    if (most !== step) {
      rows[most] = rows[step] ?? [];
      rows[step] = chosen;
      [re, im] = [-re, -im];
    }
    const [pRe, pIm] = entry(step, step);
    [re, im] = [re * pRe - im * pIm, re * pIm + im * pRe];
    const norm = pRe * pRe + pIm * pIm;
    for (let r = step + 1; r < n; r += 1) {
      const [eRe, eIm] = entry(r, step);
      const [fRe, fIm] = [(eRe * pRe + eIm * pIm) / norm, (eIm * pRe - eRe * pIm) / norm];
      rows[r] = (rows[r] ?? []).map(([vRe, vIm], c) => {
        const [uRe, uIm] = entry(step, c);
        return [vRe - (fRe * uRe - fIm * uIm), vIm - (fRe * uIm + fIm * uRe)];
      });
    }
  }
  return [re, im];
}

function argOfDeterminant(of: Matrix): number {
  const [re, im] = determinant(of);
  return Math.atan2(im, re);
}

const realDeterminant = (of: Matrix): number => determinant(of)[0];

/** `cz` by another gate of its class, such as `ecr`: `after · gate · before` with gates of one qubit. */
export function czThrough(gate: Gate): {
  readonly before: readonly [Matrix, Matrix];
  readonly after: readonly [Matrix, Matrix];
} {
  const operations = twoQubitUnitary(matrixOf(gate), 0, 1);
  const at = operations.findIndex(({ controls }) => controls.length > 0);
  const product = (part: readonly GateOperation[], qubit: number): Matrix =>
    part
      .filter(({ targets }) => targets[0] === qubit)
      .reduce((so, operation) => multiply(matrixOf(operation.gate), so), matrixOf(gateNamed('id')));
  // gate = later · cz · earlier, so cz = later† · gate · earlier†.
  const inverses = (part: readonly GateOperation[]): [Matrix, Matrix] => [
    adjoint(product(part, 0)),
    adjoint(product(part, 1)),
  ];
  return { before: inverses(operations.slice(0, at)), after: inverses(operations.slice(at + 1)) };
}
