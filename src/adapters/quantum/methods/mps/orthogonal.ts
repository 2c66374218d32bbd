/** Complex vectors of one length, one after the other, real and imaginary parts in turn. */
export interface Rows {
  readonly count: number;
  readonly length: number;
  readonly data: Float64Array;
}

/** What is left of a vector after those before it are taken out is rounding below this share of the length of all. */
const NOTHING = 1e-15;

/** Far more than it takes: the off-diagonal part falls by squares. */
const SWEEPS_MAX = 60;

export const transposed = ({ count, length, data }: Rows): Rows => {
  const out = new Float64Array(data.length);
  for (let row = 0; row < count; row += 1)
    for (let at = 0; at < length; at += 1) {
      out[2 * (at * count + row)] = data[2 * (row * length + at)] ?? 0;
      out[2 * (at * count + row) + 1] = data[2 * (row * length + at) + 1] ?? 0;
    }
  return { count: length, length: count, data: out };
};

/** `left · right` as matrices. */
export function product(left: Rows, right: Rows): Rows {
  const data = new Float64Array(2 * left.count * right.length);
  for (let row = 0; row < left.count; row += 1)
    for (let k = 0; k < left.length; k += 1) {
      const re = left.data[2 * (row * left.length + k)] ?? 0;
      const im = left.data[2 * (row * left.length + k) + 1] ?? 0;
      if (re !== 0 || im !== 0) add(data, row * right.length, re, im, right.data, k * right.length, right.length);
    }
  return { count: left.count, length: right.length, data };
}

/** `to += factor · from`, for vectors that begin at the numbers given. */
function add(
  to: Float64Array,
  at: number,
  re: number,
  im: number,
  from: Float64Array,
  start: number,
  length: number,
): void {
  for (let k = 0; k < 2 * length; k += 2) {
    const fRe = from[2 * start + k] ?? 0;
    const fIm = from[2 * start + k + 1] ?? 0;
    to[2 * at + k] = (to[2 * at + k] ?? 0) + re * fRe - im * fIm;
    to[2 * at + k + 1] = (to[2 * at + k + 1] ?? 0) + re * fIm + im * fRe;
  }
}

function squared(data: Float64Array, start: number, length: number): number {
  let sum = 0;
  for (let k = 2 * start; k < 2 * (start + length); k += 1) sum += (data[k] ?? 0) ** 2;
  return sum;
}

/** Where `dot` leaves its result, so that it makes no object. */
const found = { re: 0, im: 0 };

/** `⟨left|right⟩` */
function dot(a: Float64Array, left: number, b: Float64Array, right: number, length: number): void {
  let re = 0;
  let im = 0;
  for (let k = 0; k < 2 * length; k += 2) {
    const lRe = a[2 * left + k] ?? 0;
    const lIm = a[2 * left + k + 1] ?? 0;
    const rRe = b[2 * right + k] ?? 0;
    const rIm = b[2 * right + k + 1] ?? 0;
    re += lRe * rRe + lIm * rIm;
    im += lRe * rIm - lIm * rRe;
  }
  found.re = re;
  found.im = im;
}

/**
 * Writes rows as `coefficients · basis` with an orthonormal basis, no larger than it must be. By the Gram–Schmidt process, the longest that is left
 * first, each taken twice so that the basis is orthonormal to rounding (Giraud et al., doi:10.1007/s00211-005-0615-4).
 */
export function orthonormal(rows: Rows): { coefficients: Rows; basis: Rows } {
  const { count, length } = rows;
  const most = Math.min(count, length);
  const left = rows.data.slice();
  const basis = new Float64Array(2 * most * length);
  const coefficients = new Float64Array(2 * count * most);
  const norms = Float64Array.from({ length: count }, (_, row) => squared(left, row * length, length));
  const least = NOTHING ** 2 * norms.reduce((sum, norm) => sum + norm, 0);
  const takeOut = (row: number, k: number): void => {
    dot(basis, k * length, left, row * length, length);
    const { re, im } = found;
    const at = 2 * (row * most + k);
    coefficients[at] = (coefficients[at] ?? 0) + re;
    coefficients[at + 1] = (coefficients[at + 1] ?? 0) + im;
    add(left, row * length, -re, -im, basis, k * length, length);
  };
  let rank = 0;
  for (; rank < most; rank += 1) {
    const pivot = longest(norms);
    for (let k = 0; k < rank; k += 1) takeOut(pivot, k);
    const norm = squared(left, pivot * length, length);
    if (norm <= least || norm === 0) break;
    const scale = 1 / Math.sqrt(norm);
    for (let k = 0; k < 2 * length; k += 1) basis[2 * rank * length + k] = scale * (left[2 * pivot * length + k] ?? 0);
    coefficients[2 * (pivot * most + rank)] = Math.sqrt(norm);
    norms[pivot] = -1;
    for (let row = 0; row < count; row += 1) {
      if ((norms[row] ?? -1) < 0) continue;
      takeOut(row, rank);
      norms[row] = squared(left, row * length, length);
    }
  }
  return {
    coefficients: narrowed({ count, length: most, data: coefficients }, rank),
    basis: { count: rank, length, data: basis.slice(0, 2 * rank * length) },
  };
}

const longest = (norms: Float64Array): number =>
  norms.reduce((best, norm, row) => (norm > (norms[best] ?? 0) ? row : best), 0);

/** The first `length` numbers of each row. */
function narrowed(rows: Rows, length: number): Rows {
  const data = new Float64Array(2 * rows.count * length);
  for (let row = 0; row < rows.count; row += 1)
    data.set(rows.data.subarray(2 * row * rows.length, 2 * (row * rows.length + length)), 2 * row * length);
  return { count: rows.count, length, data };
}

/**
 * The right singular vectors of a matrix as rows, and the squares of its singular values, the largest first.
 *
 * By one-sided Jacobi rotations of the rows of its triangular factor, which has no more rows than the matrix has rank: after Drmač & Veselić,
 * doi:10.1137/050639193. Small values are as accurate as large ones, and nothing but sums, products, quotients and roots is used, so that all CPUs agree.
 */
export function rightSingular(matrix: Rows): { vectors: Rows; squares: Float64Array } {
  const triangular = transposed(orthonormal(transposed(matrix)).coefficients);
  const { count, length, data } = triangular;
  for (let sweep = 0; sweep < SWEEPS_MAX && turnAll(triangular); sweep += 1);
  const squares = Float64Array.from({ length: count }, (_, row) => squared(data, row * length, length));
  const order = Array.from(squares.keys()).sort((a, b) => (squares[b] ?? 0) - (squares[a] ?? 0) || a - b);
  const vectors = new Float64Array(data.length);
  order.forEach((row, to) => {
    const scale = 1 / Math.sqrt(squares[row] ?? 0);
    for (let k = 0; k < 2 * length; k += 1) vectors[2 * to * length + k] = scale * (data[2 * row * length + k] ?? 0);
  });
  return { vectors: { count, length, data: vectors }, squares: Float64Array.from(order, (row) => squares[row] ?? 0) };
}

/** Turns each pair of rows until it is orthogonal. @returns whether any was not yet */
function turnAll({ count, length, data }: Rows): boolean {
  const norms = Float64Array.from({ length: count }, (_, row) => squared(data, row * length, length));
  const tolerance = (length * 2 ** -52) ** 2;
  let hasTurned = false;
  for (let p = 0; p < count - 1; p += 1)
    for (let q = p + 1; q < count; q += 1) {
      dot(data, p * length, data, q * length, length);
      const { re, im } = found;
      const overlap = re * re + im * im;
      const alpha = norms[p] ?? 0;
      const beta = norms[q] ?? 0;
      if (overlap <= tolerance * alpha * beta) continue;
      hasTurned = true;
      const size = Math.sqrt(overlap);
      const zeta = (beta - alpha) / (2 * size);
      const tangent = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
      turn(data, p * length, q * length, length, tangent, re / size, im / size);
      norms[p] = alpha - tangent * size;
      norms[q] = beta + tangent * size;
    }
  return hasTurned;
}

/** @param re and `im`: the phase by which the second row is ahead of the first */
function turn(data: Float64Array, p: number, q: number, length: number, tangent: number, re: number, im: number): void {
  const cos = 1 / Math.sqrt(1 + tangent * tangent);
  const sRe = cos * tangent * re;
  const sIm = cos * tangent * im;
  for (let k = 0; k < 2 * length; k += 2) {
    const pRe = data[2 * p + k] ?? 0;
    const pIm = data[2 * p + k + 1] ?? 0;
    const qRe = data[2 * q + k] ?? 0;
    const qIm = data[2 * q + k + 1] ?? 0;
    data[2 * p + k] = cos * pRe - (sRe * qRe + sIm * qIm);
    data[2 * p + k + 1] = cos * pIm - (sRe * qIm - sIm * qRe);
    data[2 * q + k] = cos * qRe + (sRe * pRe - sIm * pIm);
    data[2 * q + k + 1] = cos * qIm + (sRe * pIm + sIm * pRe);
  }
}
