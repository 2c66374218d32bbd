import { StepError } from '../../../../lib/errors.ts';
import type { GateOperation } from '../../circuit/circuit.ts';
import { combine, identity, type Matrix } from '../../circuit/complex.ts';
import { matrixOf } from '../../circuit/gates.ts';
import { orthonormal } from './orthogonal.ts';

/** What a gate does at one site: for each index of its bond to the left and to the right a matrix over the site's qubit. */
export interface SiteOperator {
  readonly site: number;
  readonly left: number;
  readonly right: number;
  /** `[left][right][out][in]`, real and imaginary parts in turn. */
  readonly data: Float64Array;
}

/** A gate over more targets has bonds too large to be worth it. */
const TARGETS_MAX = 6;

/**
 * A gate as a product of operators over its qubits alone, from the lowest site on, with bonds between them (a matrix product operator). With controls
 * it is `1 + P ⊗ (U − 1)`, P being that all controls hold: one more index of the bonds, however many controls there are.
 */
export function operatorsOf({ gate, targets, controls }: GateOperation): SiteOperator[] {
  if (targets.length > TARGETS_MAX)
    throw new StepError(
      'UNSUPPORTED_GATE',
      `a matrix product state takes gates of ${TARGETS_MAX} targets at most, not ${targets.length}`,
    );
  const u = matrixOf(gate);
  if (controls.length === 0) return factors(u, targets);
  const rest = combine([1, 0], u, [-1, 0], identity(u.dimension));
  const acting = factors(rest, targets);
  const scalar = acting.length === 0 ? [rest.data[0] ?? 0, rest.data[1] ?? 0] : [1, 0];
  const sites = [...acting.map(({ site }) => site), ...controls.map(({ qubit }) => qubit)].sort((a, b) => a - b);
  let bond = 1;
  return sites.map((site, at) => {
    const own = acting.find((operator) => operator.site === site) ?? projector(site, controls, bond);
    bond = own.right;
    return withIdentity(at === 0 ? scaled(own, scalar) : own, at === 0, at === sites.length - 1);
  });
}

/** On `bond` indices alike. */
function projector(site: number, controls: GateOperation['controls'], bond: number): SiteOperator {
  const value = controls.find(({ qubit }) => qubit === site)?.value ?? 0;
  const data = new Float64Array(8 * bond * bond);
  for (let index = 0; index < bond; index += 1) data[8 * index * (bond + 1) + 6 * value] = 1;
  return { site, left: bond, right: bond, data };
}

const scaled = (operator: SiteOperator, [re = 1, im = 0]: readonly number[]): SiteOperator => {
  const data = operator.data.slice();
  for (let at = 0; at < data.length; at += 2) {
    const dRe = operator.data[at] ?? 0;
    const dIm = operator.data[at + 1] ?? 0;
    data[at] = re * dRe - im * dIm;
    data[at + 1] = re * dIm + im * dRe;
  }
  return { ...operator, data };
};

/** Adds an index 0 to the bonds, by which nothing happens; outside of all sites the bond has one index, for either. */
function withIdentity({ site, left, right, data }: SiteOperator, isFirst: boolean, isLast: boolean): SiteOperator {
  const [fromLeft, fromRight] = [isFirst ? 0 : 1, isLast ? 0 : 1];
  const [l, r] = [left + fromLeft, right + fromRight];
  const out = new Float64Array(8 * l * r);
  for (let a = 0; a < left; a += 1)
    for (let b = 0; b < right; b += 1)
      out.set(data.subarray(8 * (a * right + b), 8 * (a * right + b + 1)), 8 * ((a + fromLeft) * r + b + fromRight));
  out[0] = (out[0] ?? 0) + 1;
  out[6] = (out[6] ?? 0) + 1;
  return { site, left: l, right: r, data: out };
}

/** The matrix split target by target, with bonds as small as can be. */
function factors(matrix: Matrix, targets: readonly number[]): SiteOperator[] {
  const sites = targets.toSorted((a, b) => a - b);
  let rest = { count: 1, length: matrix.data.length / 2, data: pairwise(matrix, targets, sites) };
  return sites.map((site, at) => {
    const left = rest.count;
    const isLast = at === sites.length - 1;
    // Rows: what stands at this site; along them: what stands at the others.
    const rows = { count: 4 * left, length: rest.length / 4, data: rest.data };
    const { coefficients, basis } = isLast ? { coefficients: rows, basis: rows } : orthonormal(rows);
    rest = basis;
    const right = coefficients.length;
    const data = new Float64Array(8 * left * right);
    for (let a = 0; a < left; a += 1)
      for (let b = 0; b < right; b += 1)
        for (let pair = 0; pair < 4; pair += 1) {
          const from = 2 * ((4 * a + pair) * right + b);
          data.set(coefficients.data.subarray(from, from + 2), 8 * (a * right + b) + 2 * pair);
        }
    return { site, left, right, data };
  });
}

/** The entries by [out, in] of the first site, then of the next, and so on. */
function pairwise({ dimension, data }: Matrix, targets: readonly number[], sites: readonly number[]): Float64Array {
  const out = new Float64Array(data.length);
  const places = targets.map((target) => sites.length - 1 - sites.indexOf(target));
  for (let row = 0; row < dimension; row += 1)
    for (let column = 0; column < dimension; column += 1) {
      let to = 0;
      places.forEach((place, bit) => {
        to += (2 * ((row >> bit) & 1) + ((column >> bit) & 1)) * 4 ** place;
      });
      const from = 2 * (row * dimension + column);
      out.set(data.subarray(from, from + 2), 2 * to);
    }
  return out;
}
