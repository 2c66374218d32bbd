import type { GateOperation } from '../circuit/circuit.ts';
import { adjoint, combine, type Matrix, multiply } from '../circuit/complex.ts';
import { eigenOfUnitary, orthonormal, svd } from './eigen.ts';
import { single, twoQubitUnitary } from './kak.ts';
import { multiplexed } from './multiplexed.ts';
import { gateOf } from './single.ts';

/**
 * Any unitary of some qubits by `cx` and gates of one qubit: the quantum Shannon decomposition; exact, its phase included. 24 `cx` for
 * 3 qubits, 120 for 4. Source: Shende, Bullock & Markov, doi:10.1109/TCAD.2005.855930.
 * @param qubits the first is the least significant bit
 */
export function unitaryOperations(of: Matrix, qubits: readonly number[]): GateOperation[] {
  const [low = 0, high = 0] = qubits;
  if (qubits.length === 1) return single(gateOf(of), low);
  if (qubits.length === 2) return twoQubitUnitary(of, low, high);
  const top = qubits.at(-1) ?? 0;
  const others = qubits.slice(0, -1);
  const { left, right, angles } = cosineSine(of);
  return [...selected(right, top, others), ...multiplexed('ry', angles, others, top), ...selected(left, top, others)];
}

type Pair = readonly [Matrix, Matrix];

/** One or the other, as the top qubit is 0 or 1: `(v ⊕ v) · (d ⊕ d†) · (w ⊕ w)`. */
function selected([first, second]: Pair, top: number, others: readonly number[]): GateOperation[] {
  const { vectors, values } = eigenOfUnitary(multiply(first, adjoint(second)));
  const n = first.dimension;
  const halves = Array.from(
    { length: n },
    (_, at) => Math.atan2(values.data[2 * at * (n + 1) + 1] ?? 0, values.data[2 * at * (n + 1)] ?? 0) / 2,
  );
  const before = multiply(phases(halves), multiply(adjoint(vectors), second));
  return [
    ...unitaryOperations(before, others),
    ...multiplexed(
      'rz',
      halves.map((angle) => -2 * angle),
      others,
      top,
    ),
    ...unitaryOperations(vectors, others),
  ];
}

function phases(angles: readonly number[]): Matrix {
  const n = angles.length;
  const data = new Float64Array(2 * n * n);
  angles.forEach((angle, at) => {
    data[2 * at * (n + 1)] = Math.cos(angle);
    data[2 * at * (n + 1) + 1] = Math.sin(angle);
  });
  return { dimension: n, data };
}

/**
 * `of = (left[0] ⊕ left[1]) · [[cos, -sin], [sin, cos]] · (right[0] ⊕ right[1])` with the halves of the angles.
 * Source: Van Loan, doi:10.1007/BF01390049.
 */
function cosineSine(of: Matrix): { readonly left: Pair; readonly right: Pair; readonly angles: number[] } {
  const n = of.dimension / 2;
  const [topLeft, topRight, lowLeft, lowRight] = [block(of, 0, 0), block(of, 0, 1), block(of, 1, 0), block(of, 1, 1)];
  const start = svd(topLeft);
  // The largest sines first: they are the ones whose columns tell their direction well.
  const order = Array.from(start.values.keys()).sort((a, b) => (start.values[a] ?? 0) - (start.values[b] ?? 0));
  let inner = columns(start.right, order);
  let lower = orthonormal(multiply(lowLeft, inner));
  const sines = multiply(adjoint(lower), multiply(lowLeft, inner));
  const large = order.filter((at) => (start.values[at] ?? 0) <= Math.SQRT1_2).length;
  if (large < n) {
    const rest = corner(sines, large);
    const { scaled, right } = svd(rest);
    const falling = fallingOrder(scaled);
    inner = multiply(inner, embedded(columns(right, falling), n, large));
    lower = multiply(lower, embedded(orthonormal(columns(scaled, falling)), n, large));
  }
  // From the smallest cosine on they would be noise: the columns that have large ones come first.
  const reversed = Array.from({ length: n }, (_, at) => n - 1 - at);
  const upper = columns(orthonormal(columns(multiply(topLeft, inner), reversed)), reversed);
  const cosine = multiply(adjoint(upper), multiply(topLeft, inner));
  const sine = multiply(adjoint(lower), multiply(lowLeft, inner));
  const angles = Array.from({ length: n }, (_, at) =>
    Math.atan2(sine.data[2 * at * (n + 1)] ?? 0, cosine.data[2 * at * (n + 1)] ?? 0),
  );
  const weigh = (by: (angle: number) => number, matrix: Matrix): Matrix => ({
    dimension: n,
    data: matrix.data.map((value, at) => value * by(angles[Math.floor(at / (2 * n))] ?? 0)),
  });
  const other = combine(
    [1, 0],
    weigh(Math.cos, multiply(adjoint(lower), lowRight)),
    [-1, 0],
    weigh(Math.sin, multiply(adjoint(upper), topRight)),
  );
  return { left: [upper, lower], right: [adjoint(inner), other], angles: angles.map((angle) => 2 * angle) };
}

function block({ dimension, data }: Matrix, row: number, column: number): Matrix {
  const n = dimension / 2;
  const out = new Float64Array(2 * n * n);
  for (let r = 0; r < n; r += 1) {
    const from = 2 * ((row * n + r) * dimension + column * n);
    out.set(data.subarray(from, from + 2 * n), 2 * r * n);
  }
  return { dimension: n, data: out };
}

/** The same columns in another order. */
function columns({ dimension: n, data }: Matrix, order: readonly number[]): Matrix {
  const out = new Float64Array(data.length);
  for (let r = 0; r < n; r += 1)
    for (const [to, from] of order.entries())
      out.set(data.subarray(2 * (r * n + from), 2 * (r * n + from) + 2), 2 * (r * n + to));
  return { dimension: n, data: out };
}

/** What lies right of and below the first rows and columns. */
function corner({ dimension: n, data }: Matrix, from: number): Matrix {
  const size = n - from;
  const out = new Float64Array(2 * size * size);
  for (let r = 0; r < size; r += 1)
    out.set(data.subarray(2 * ((from + r) * n + from), 2 * (from + r + 1) * n), 2 * r * size);
  return { dimension: size, data: out };
}

/** The matrix as the corner of an identity. */
function embedded({ dimension: size, data }: Matrix, n: number, from: number): Matrix {
  const out = new Float64Array(2 * n * n);
  for (let at = 0; at < from; at += 1) out[2 * at * (n + 1)] = 1;
  for (let r = 0; r < size; r += 1)
    out.set(data.subarray(2 * r * size, 2 * (r + 1) * size), 2 * ((from + r) * n + from));
  return { dimension: n, data: out };
}

/** Columns by their length. */
function fallingOrder({ dimension: n, data }: Matrix): number[] {
  const length = (column: number): number => {
    let sum = 0;
    for (let r = 0; r < n; r += 1)
      sum += (data[2 * (r * n + column)] ?? 0) ** 2 + (data[2 * (r * n + column) + 1] ?? 0) ** 2;
    return sum;
  };
  const lengths = Array.from({ length: n }, (_, column) => length(column));
  return Array.from(lengths.keys()).sort((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0));
}
