import { adjoint, combine, identity, type Matrix, multiply } from '../circuit/complex.ts';

/** What is smaller than this in a unitary matrix is rounding. */
export const tiny = 1e-11;

export interface Svd {
  /** `a · right`, whose columns are orthogonal; their lengths are the singular values. */
  readonly scaled: Matrix;
  readonly right: Matrix;
  readonly values: readonly number[];
}

const sweepsMax = 60;

/**
 * Singular values by one-sided Jacobi rotations: slow, but each of them to full precision, and a real matrix has real vectors.
 * Source: Hestenes, doi:10.1137/0106005.
 */
export function svd(a: Matrix): Svd {
  const scaled = copyOf(a);
  const right = identity(a.dimension);
  for (let sweep = 0; sweep < sweepsMax; sweep += 1) {
    let turned = false;
    for (let p = 0; p < a.dimension; p += 1)
      for (let q = p + 1; q < a.dimension; q += 1) turned = turn(scaled, right, p, q) || turned;
    if (!turned) break;
  }
  const values = Array.from({ length: a.dimension }, (_, at) => Math.sqrt(inner(scaled, at, at)[0]));
  return { scaled, right, values };
}

/** Makes two columns orthogonal. @returns false where they were */
function turn(scaled: Matrix, right: Matrix, p: number, q: number): boolean {
  const [pp] = inner(scaled, p, p);
  const [qq] = inner(scaled, q, q);
  const [re, im] = inner(scaled, p, q);
  const length = Math.hypot(re, im);
  if (length <= 1e-15 * Math.sqrt(pp * qq) || Math.min(pp, qq) < 1e-30) return false;
  const zeta = (qq - pp) / (2 * length);
  const tan = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const cos = 1 / Math.sqrt(1 + tan * tan);
  for (const each of [scaled, right]) mix(each, p, q, cos, cos * tan, re / length, -im / length);
  return true;
}

/** Columns p and q, the latter times a phase, become `cos·p − sin·q` and `sin·p + cos·q`. */
function mix({ dimension: n, data }: Matrix, p: number, q: number, cos: number, sin: number, re: number, im: number) {
  for (let row = 0; row < n; row += 1) {
    const atP = 2 * (row * n + p);
    const atQ = 2 * (row * n + q);
    const [pRe = 0, pIm = 0, oRe = 0, oIm = 0] = [data[atP], data[atP + 1], data[atQ], data[atQ + 1]];
    const qRe = oRe * re - oIm * im;
    const qIm = oRe * im + oIm * re;
    data[atP] = cos * pRe - sin * qRe;
    data[atP + 1] = cos * pIm - sin * qIm;
    data[atQ] = sin * pRe + cos * qRe;
    data[atQ + 1] = sin * pIm + cos * qIm;
  }
}

/** Of columns p and q: `⟨p|q⟩`. */
function inner({ dimension: n, data }: Matrix, p: number, q: number): [number, number] {
  let [re, im] = [0, 0];
  for (let row = 0; row < n; row += 1) {
    const atP = 2 * (row * n + p);
    const atQ = 2 * (row * n + q);
    const [pRe = 0, pIm = 0, qRe = 0, qIm = 0] = [data[atP], data[atP + 1], data[atQ], data[atQ + 1]];
    re += pRe * qRe + pIm * qIm;
    im += pRe * qIm - pIm * qRe;
  }
  return [re, im];
}

/** Directions in which the two Hermitian parts of a matrix are added up; some may make different eigenvalues equal, but not all. */
const directions = [0.37, 1.13, 2.71, 0.05, 1.9, 2.3, 0.8, 1.5];

/**
 * Eigenvectors of a unitary matrix, as orthonormal columns; real ones where the matrix is symmetric.
 * @returns `vectors` and the diagonal matrix `values` with `of = vectors · values · vectors†`
 */
export function eigenOfUnitary(of: Matrix): { readonly vectors: Matrix; readonly values: Matrix } {
  const back = adjoint(of);
  const real = combine([0.5, 0], of, [0.5, 0], back);
  const imaginary = combine([0, -0.5], of, [0, 0.5], back);
  const one = identity(of.dimension);
  let best: { vectors: Matrix; values: Matrix; error: number } | undefined;
  for (const angle of directions) {
    const part = combine([Math.cos(angle), 0], real, [Math.sin(angle), 0], imaginary);
    // Positive definite, so that its singular vectors are its eigenvectors.
    const { right: vectors } = svd(combine([1, 0], part, [3, 0], one));
    const turned = multiply(adjoint(vectors), multiply(of, vectors));
    const error = offDiagonal(turned);
    if (best === undefined || error < best.error) best = { vectors, values: diagonalOf(turned), error };
    if (error < 1e-13) break;
  }
  return best ?? { vectors: one, values: of };
}

function offDiagonal({ dimension: n, data }: Matrix): number {
  let worst = 0;
  for (let r = 0; r < n; r += 1)
    for (let c = 0; c < n; c += 1)
      if (r !== c) worst = Math.max(worst, Math.hypot(data[2 * (r * n + c)] ?? 0, data[2 * (r * n + c) + 1] ?? 0));
  return worst;
}

function diagonalOf({ dimension: n, data }: Matrix): Matrix {
  const out = identity(n);
  for (let at = 0; at < n; at += 1) {
    const entry = 2 * at * (n + 1);
    out.data[entry] = data[entry] ?? 0;
    out.data[entry + 1] = data[entry + 1] ?? 0;
  }
  return out;
}

/**
 * Orthonormal columns that span, from the first on, what the given ones do; columns that add nothing are replaced by ones that do. Each
 * points the way of the given one.
 */
export function orthonormal(of: Matrix): Matrix {
  const n = of.dimension;
  const out = copyOf(of);
  for (let column = 0; column < n; column += 1) {
    const start = Math.sqrt(inner(out, column, column)[0]);
    let length = removeBefore(out, column);
    if (length < 1e-13 || length < 1e-7 * start) length = replace(out, column);
    scale(out, column, 1 / length);
  }
  return out;
}

/** Takes the columns before out of this one, twice: once leaves rounding behind. @returns the length of what is left */
function removeBefore(of: Matrix, column: number): number {
  const { dimension: n, data } = of;
  for (let pass = 0; pass < 2; pass += 1)
    for (let before = 0; before < column; before += 1) {
      const [re, im] = inner(of, before, column);
      for (let row = 0; row < n; row += 1) {
        const from = 2 * (row * n + before);
        const to = 2 * (row * n + column);
        const [bRe = 0, bIm = 0] = [data[from], data[from + 1]];
        data[to] = (data[to] ?? 0) - (re * bRe - im * bIm);
        data[to + 1] = (data[to + 1] ?? 0) - (re * bIm + im * bRe);
      }
    }
  return Math.sqrt(inner(of, column, column)[0]);
}

/** Puts there what is left of the unit vector that the columns before hold least of. */
function replace(of: Matrix, column: number): number {
  const { dimension: n, data } = of;
  const held = Array.from({ length: n }, (_, row) => {
    let sum = 0;
    for (let before = 0; before < column; before += 1) {
      const at = 2 * (row * n + before);
      sum += (data[at] ?? 0) ** 2 + (data[at + 1] ?? 0) ** 2;
    }
    return sum;
  });
  const least = held.indexOf(Math.min(...held));
  for (let row = 0; row < n; row += 1) {
    data[2 * (row * n + column)] = row === least ? 1 : 0;
    data[2 * (row * n + column) + 1] = 0;
  }
  return removeBefore(of, column);
}

function scale({ dimension: n, data }: Matrix, column: number, by: number): void {
  for (let row = 0; row < n; row += 1)
    for (const part of [0, 1]) {
      const at = 2 * (row * n + column) + part;
      data[at] = (data[at] ?? 0) * by;
    }
}

const copyOf = ({ dimension, data }: Matrix): Matrix => ({ dimension, data: data.slice() });
