import type { SiteOperator } from './operator.ts';
import { product, type Rows, transposed } from './orthogonal.ts';

/** One site of a matrix product state: `[left][bit][right]`, real and imaginary parts in turn. */
export interface Tensor {
  readonly left: number;
  readonly right: number;
  readonly data: Float64Array;
}

/** Both indices besides the right bond as rows. */
export const tall = ({ left, right, data }: Tensor): Rows => ({ count: 2 * left, length: right, data });

/** Both indices besides the left bond along the rows. */
export const wide = ({ left, right, data }: Tensor): Rows => ({ count: left, length: 2 * right, data });

export const fromTall = ({ count, length, data }: Rows): Tensor => ({ left: count / 2, right: length, data });

export const fromWide = ({ count, length, data }: Rows): Tensor => ({ left: count, right: length / 2, data });

/** The matrix `before` taken into the left bond. */
export const intoLeft = (before: Rows, tensor: Tensor): Tensor => fromWide(product(before, wide(tensor)));

/** The matrix `after` taken into the right bond. */
export const intoRight = (tensor: Tensor, after: Rows): Tensor => fromTall(product(tall(tensor), after));

/** The part where the bit has a value: a matrix from the left to the right bond. */
export function slice({ left, right, data }: Tensor, bit: 0 | 1): Rows {
  const out = new Float64Array(2 * left * right);
  for (let l = 0; l < left; l += 1) {
    const from = 2 * (2 * l + bit) * right;
    out.set(data.subarray(from, from + 2 * right), 2 * l * right);
  }
  return { count: left, length: right, data: out };
}

/** With a factor for each value of the bit; 0 clears that part. */
export function weighted({ left, right, data }: Tensor, factors: readonly [number, number]): Tensor {
  const out = data.map((value, at) => value * (factors[Math.floor(at / (2 * right)) % 2] ?? 0));
  return { left, right, data: out };
}

/** The bonds are pairs of the operator's bond and the tensor's. */
export function operated(operator: Omit<SiteOperator, 'site'>, { left, right, data }: Tensor): Tensor {
  const out = new Float64Array(4 * operator.left * left * operator.right * right);
  const whole = { left: operator.left * left, right: operator.right * right, data: out };
  for (let a = 0; a < operator.left; a += 1)
    for (let b = 0; b < operator.right; b += 1)
      for (let pair = 0; pair < 4; pair += 1) {
        const at = 8 * (a * operator.right + b) + 2 * pair;
        const re = operator.data[at] ?? 0;
        const im = operator.data[at + 1] ?? 0;
        if (re === 0 && im === 0) continue;
        for (let l = 0; l < left; l += 1) {
          const from = 2 * (2 * l + (pair & 1)) * right;
          const to = 2 * ((2 * (a * left + l) + (pair >> 1)) * whole.right + b * right);
          for (let r = 0; r < 2 * right; r += 2) {
            const vRe = data[from + r] ?? 0;
            const vIm = data[from + r + 1] ?? 0;
            out[to + r] = (out[to + r] ?? 0) + re * vRe - im * vIm;
            out[to + r + 1] = (out[to + r + 1] ?? 0) + re * vIm + im * vRe;
          }
        }
      }
  return whole;
}

/** What stands between the sites of an operator: its bond goes by. */
export function passing(bond: number): Omit<SiteOperator, 'site'> {
  const data = new Float64Array(8 * bond * bond);
  for (let index = 0; index < bond; index += 1) {
    data[8 * index * (bond + 1)] = 1;
    data[8 * index * (bond + 1) + 6] = 1;
  }
  return { left: bond, right: bond, data };
}

/** The conjugate transpose. */
export function dagger(rows: Rows): Rows {
  const out = transposed(rows);
  for (let at = 1; at < out.data.length; at += 2) out.data[at] = -(out.data[at] ?? 0);
  return out;
}

export const squaredNorm = (data: Float64Array): number => data.reduce((sum, value) => sum + value * value, 0);
