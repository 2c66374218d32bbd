import type { GateOperation } from '../../circuit/circuit.ts';
import { adjoint, identity, type Matrix, multiply } from '../../circuit/complex.ts';
import { matrixOf } from '../../circuit/gates.ts';
import { type Pauli, reduceToSteps, type Step } from './synthesis.ts';

/**
 * How far an entry of a matrix may be from that of a Clifford gate to pass for it: room for the rounding of angles such as `3 * pi / 2`, far below
 * what samples or expectations show.
 */
const TOLERANCE = 1e-10;

/** A gate over more qubits, controls included, is not looked at: its matrix is large, and none of the named gates is one. */
const QUBITS_MAX = 6;

/** Recognized gates that are remembered. */
const MEMO_MAX = 1_024;

const memo = new Map<string, readonly Step[] | undefined>();

/** Whether the gate takes products of Pauli matrices to such, so that a stabilizer tableau can do it: by its matrix, whatever its name. */
export const isClifford = (operation: GateOperation): boolean => cliffordSteps(operation) !== undefined;

/**
 * The gate as elementary steps, but for a phase of the whole.
 *
 * @returns qubits count in `[...targets, ...controls]`; undefined where it is no Clifford gate
 */
export function cliffordSteps({ gate, controls }: GateOperation): readonly Step[] | undefined {
  const values = controls.map(({ value }) => value);
  if (gate.name === 'unitary' && gate.matrix.dimension > 4) return recognize(matrixOf(gate), values);
  const numbers = gate.name === 'unitary' ? gate.matrix.data : gate.params;
  const key = `${gate.name} ${values.join('')} ${numbers.join(' ')}`;
  const known = memo.get(key);
  if (known !== undefined || memo.has(key)) return known;
  const steps = recognize(matrixOf(gate), values);
  if (memo.size >= MEMO_MAX) memo.clear();
  memo.set(key, steps);
  return steps;
}

function recognize(matrix: Matrix, controls: readonly (0 | 1)[]): readonly Step[] | undefined {
  const targets = Math.log2(matrix.dimension);
  if (isClose(matrix, identity(matrix.dimension))) return [];
  // With three controls nothing but the identity is one.
  const qubits = targets + controls.length;
  if (controls.length > 2 || qubits > QUBITS_MAX) return undefined;
  const u = withControls(matrix, controls);
  const inverse = adjoint(u);
  const imageOf = (pauli: Pauli): Pauli | undefined =>
    readPauli(multiply(multiply(u, pauliMatrix(pauli, u.dimension)), inverse));
  const images: { x: Pauli; z: Pauli }[] = [];
  for (let qubit = 0; qubit < qubits; qubit += 1) {
    const x = imageOf({ x: 1 << qubit, z: 0, sign: 0 });
    const z = x && imageOf({ x: 0, z: 1 << qubit, sign: 0 });
    if (x === undefined || z === undefined) return undefined;
    images.push({ x, z });
  }
  return reduceToSteps(images);
}

/** The targets are the lowest qubits. */
function withControls(matrix: Matrix, controls: readonly (0 | 1)[]): Matrix {
  const { dimension: own } = matrix;
  const whole = identity(own * 2 ** controls.length);
  const block = controls.reduce<number>((sum, value, at) => sum + value * own * 2 ** at, 0);
  for (let row = 0; row < own; row += 1)
    whole.data.set(
      matrix.data.subarray(2 * row * own, 2 * (row + 1) * own),
      2 * ((block + row) * whole.dimension + block),
    );
  return whole;
}

function pauliMatrix({ x, z, sign }: Pauli, dimension: number): Matrix {
  const data = new Float64Array(2 * dimension * dimension);
  for (let column = 0; column < dimension; column += 1) {
    // A power of i: one for each Y, and two for each sign.
    const power = (ones(x & z) + 2 * (sign + ones(z & column))) % 4;
    const at = 2 * ((column ^ x) * dimension + column);
    data[at + (power % 2)] = power < 2 ? 1 : -1;
  }
  return { dimension, data };
}

/** @returns undefined where the matrix is no signed product of Pauli matrices */
function readPauli(matrix: Matrix): Pauli | undefined {
  const { dimension, data } = matrix;
  const entry = (row: number, column: number, part: number): number => data[2 * (row * dimension + column) + part] ?? 0;
  let x = 0;
  while (x < dimension && Math.hypot(entry(x, 0, 0), entry(x, 0, 1)) < 0.5) x += 1;
  if (x === dimension) return undefined;
  let z = 0;
  for (let bit = 1; bit < dimension; bit *= 2) {
    const along = entry(x, 0, 0) * entry(x ^ bit, bit, 0) + entry(x, 0, 1) * entry(x ^ bit, bit, 1);
    if (along < 0) z |= bit;
  }
  for (const sign of [0, 1] as const)
    if (isClose(matrix, pauliMatrix({ x, z, sign }, dimension))) return { x, z, sign };
  return undefined;
}

const isClose = (left: Matrix, right: Matrix): boolean =>
  left.data.every((value, at) => Math.abs(value - (right.data[at] ?? 0)) <= TOLERANCE);

function ones(bits: number): number {
  let count = 0;
  for (let left = bits; left !== 0; left &= left - 1) count += 1;
  return count;
}
