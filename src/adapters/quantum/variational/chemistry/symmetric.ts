/** A real matrix, row by row. */
export type Rows = readonly (readonly number[])[];

export const product = (left: Rows, right: Rows): number[][] =>
  left.map((row) => (right[0] ?? []).map((_, c) => row.reduce((sum, value, k) => sum + value * at(right, k, c), 0)));

export const transpose = (rows: Rows): number[][] => (rows[0] ?? []).map((_, c) => rows.map((row) => row[c] ?? 0));

export const at = (rows: Rows, r: number, c: number): number => rows[r]?.[c] ?? 0;

/**
 * Eigenvalues in ascending order and their vectors as columns, of a real symmetric matrix, by cyclic Jacobi rotations (Golub & Van Loan,
 * "Matrix Computations", section 8.5). The entry of a vector that is largest, of equals the first, is positive.
 */
export function eigenOfSymmetric(matrix: Rows): { readonly values: readonly number[]; readonly vectors: number[][] } {
  const n = matrix.length;
  const a = matrix.map((row) => Float64Array.from(row));
  const v = matrix.map((_, r) => Float64Array.from({ length: n }, (_, c) => (r === c ? 1 : 0)));
  for (let sweep = 0; sweep < sweepsMax && offDiagonal(a) > 0; sweep += 1)
    for (let p = 0; p < n; p += 1) for (let q = p + 1; q < n; q += 1) rotate(a, v, p, q);
  const order = a.map((row, index) => ({ value: row[index] ?? 0, index })).sort((l, r) => l.value - r.value);
  const vectors = v.map((row) => order.map(({ index }) => row[index] ?? 0));
  for (let c = 0; c < n; c += 1) makePositive(vectors, c);
  return { values: order.map(({ value }) => value), vectors };
}

/** Jacobi's method converges quadratically: matrices of this size take under ten. */
const sweepsMax = 60;

function offDiagonal(a: readonly Float64Array[]): number {
  let sum = 0;
  let whole = 0;
  a.forEach((row, r) => {
    row.forEach((value, c) => {
      whole += value * value;
      if (r !== c) sum += value * value;
    });
  });
  return sum > whole * 1e-34 ? sum : 0;
}

function rotate(a: readonly Float64Array[], v: readonly Float64Array[], p: number, q: number): void {
  const apq = a[p]?.[q] ?? 0;
  if (apq === 0) return;
  const theta = ((a[q]?.[q] ?? 0) - (a[p]?.[p] ?? 0)) / (2 * apq);
  const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  const turn = (row: Float64Array): void => {
    const [l = 0, r = 0] = [row[p], row[q]];
    row[p] = c * l - s * r;
    row[q] = s * l + c * r;
  };
  for (const row of a) turn(row);
  const [rowP, rowQ] = [a[p], a[q]];
  if (rowP === undefined || rowQ === undefined) return;
  for (let k = 0; k < a.length; k += 1) {
    const [l = 0, r = 0] = [rowP[k], rowQ[k]];
    rowP[k] = c * l - s * r;
    rowQ[k] = s * l + c * r;
  }
  for (const row of v) turn(row);
}

function makePositive(vectors: readonly number[][], column: number): void {
  const largest = vectors.reduce((best, row) => {
    const value = row[column] ?? 0;
    // Equal up to rounding counts as equal, so that rounding does not choose the sign.
    return Math.abs(value) > Math.abs(best) * (1 + 1e-6) ? value : best;
  }, 0);
  if (largest < 0) for (const row of vectors) row[column] = -(row[column] ?? 0);
}
