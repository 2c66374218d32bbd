/** A square complex matrix, row by row, real and imaginary parts in turn: `2 · dimension²` numbers. */
export interface Matrix {
  readonly dimension: number;
  readonly data: Float64Array;
}

/** A square matrix, row by row; entries are numbers, or [re, im]. */
export function matrix(rows: readonly (readonly (readonly [number, number] | number)[])[]): Matrix {
  const dimension = rows.length;
  const data = new Float64Array(2 * dimension * dimension);
  rows.forEach((row, r) => {
    row.forEach((entry, c) => {
      const [re, im] = typeof entry === 'number' ? [entry, 0] : entry;
      data[2 * (r * dimension + c)] = re;
      data[2 * (r * dimension + c) + 1] = im;
    });
  });
  return { dimension, data };
}

/** The unit matrix. */
export function identity(dimension: number): Matrix {
  const data = new Float64Array(2 * dimension * dimension);
  for (let at = 0; at < dimension; at += 1) data[2 * at * (dimension + 1)] = 1;
  return { dimension, data };
}

/** `left · right`: what `right` and then `left` does. */
export function multiply(left: Matrix, right: Matrix): Matrix {
  const { dimension: n } = left;
  const data = new Float64Array(2 * n * n);
  for (let r = 0; r < n; r += 1)
    for (let k = 0; k < n; k += 1) {
      const re = left.data[2 * (r * n + k)] ?? 0;
      const im = left.data[2 * (r * n + k) + 1] ?? 0;
      if (re === 0 && im === 0) continue;
      for (let c = 0; c < n; c += 1) {
        const bRe = right.data[2 * (k * n + c)] ?? 0;
        const bIm = right.data[2 * (k * n + c) + 1] ?? 0;
        const at = 2 * (r * n + c);
        data[at] = (data[at] ?? 0) + re * bRe - im * bIm;
        data[at + 1] = (data[at + 1] ?? 0) + re * bIm + im * bRe;
      }
    }
  return { dimension: n, data };
}

/** The conjugate transpose, which is the inverse of a unitary matrix. */
export function adjoint({ dimension: n, data }: Matrix): Matrix {
  const out = new Float64Array(data.length);
  for (let r = 0; r < n; r += 1)
    for (let c = 0; c < n; c += 1) {
      out[2 * (c * n + r)] = data[2 * (r * n + c)] ?? 0;
      out[2 * (c * n + r) + 1] = -(data[2 * (r * n + c) + 1] ?? 0);
    }
  return { dimension: n, data: out };
}

/** `a · left + b · right` for complex factors as [re, im]. */
export function combine(
  [aRe, aIm]: readonly [number, number],
  left: Matrix,
  [bRe, bIm]: readonly [number, number],
  right: Matrix,
): Matrix {
  const data = new Float64Array(left.data.length);
  for (let at = 0; at < data.length; at += 2) {
    const lRe = left.data[at] ?? 0;
    const lIm = left.data[at + 1] ?? 0;
    const rRe = right.data[at] ?? 0;
    const rIm = right.data[at + 1] ?? 0;
    data[at] = aRe * lRe - aIm * lIm + bRe * rRe - bIm * rIm;
    data[at + 1] = aRe * lIm + aIm * lRe + bRe * rIm + bIm * rRe;
  }
  return { dimension: left.dimension, data };
}

/** The largest absolute difference of an entry from `U†U = 1`: 0 for a unitary matrix. */
export function unitarityError(u: Matrix): number {
  const { data, dimension } = multiply(adjoint(u), u);
  const one = identity(dimension);
  return data.reduce((worst, value, at) => Math.max(worst, Math.abs(value - (one.data[at] ?? 0))), 0);
}
