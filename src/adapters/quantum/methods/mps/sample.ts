import type { Random } from '../../simulate/random.ts';
import { product, type Rows } from './orthogonal.ts';
import { slice, squaredNorm, type Tensor } from './tensor.ts';

/** Shots that had the same bits so far. */
interface Path {
  readonly at: number;
  readonly shots: number;
  /** The state of what follows, not normalized. */
  readonly vector: Rows;
  readonly bits: string;
}

/**
 * Draws bit after bit, each given those before it: exact, at the cost of the bond's square per site and outcome. Shots go together as long as they agree.
 *
 * @param sites the first is the center, those after it are orthonormal as rows; all others stand outside
 * @param offset the qubit of the first site
 */
export function samplePaths(
  sites: readonly Tensor[],
  offset: number,
  qubits: readonly number[],
  shots: number,
  random: Random,
): Map<string, number> {
  const counts = new Map<string, number>();
  const slices = sites.map((site) => [slice(site, 0), slice(site, 1)] as const);
  const open: Path[] = startsOf(sites[0], shots, random).reverse();
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const parts = slices[path.at];
    if (parts === undefined) {
      const { bits } = path;
      const text = qubits
        .map((qubit) => bits[qubit - offset] ?? '')
        .reverse()
        .join('');
      counts.set(text, (counts.get(text) ?? 0) + path.shots);
      continue;
    }
    const next = parts.map((part) => product(path.vector, part));
    const drawn = draw(
      next.map(({ data }) => squaredNorm(data)),
      path.shots,
      random,
    );
    for (const bit of [1, 0] as const) {
      const vector = next[bit];
      const count = drawn[bit] ?? 0;
      if (count > 0 && vector) open.push({ at: path.at + 1, shots: count, vector, bits: `${path.bits}${bit}` });
    }
  }
  return counts;
}

/** What is to the left of the first site is looked at by no one: as if it had been measured, in the basis of the bond. */
function startsOf(first: Tensor | undefined, shots: number, random: Random): Path[] {
  const { left = 1, right = 0, data = new Float64Array(0) } = first ?? {};
  const weights = Array.from({ length: left }, (_, at) =>
    squaredNorm(data.subarray(4 * at * right, 4 * (at + 1) * right)),
  );
  return draw(weights, shots, random).flatMap((count, index) => {
    const unit = new Float64Array(2 * left);
    unit[2 * index] = 1;
    return count === 0 ? [] : [{ at: 0, shots: count, vector: { count: 1, length: left, data: unit }, bits: '' }];
  });
}

/** How often each came, of `shots` draws by the weights. */
function draw(weights: readonly number[], shots: number, random: Random): number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const drawn = weights.map(() => 0);
  const last = weights.findLastIndex((weight) => weight > 0);
  if (weights[last] === total) {
    drawn[last] = shots;
    return drawn;
  }
  for (let shot = 0; shot < shots; shot += 1) {
    let left = random.next() * total;
    const found = weights.findIndex((weight) => {
      left -= weight;
      return left < 0;
    });
    const index = found < 0 ? last : found;
    drawn[index] = (drawn[index] ?? 0) + 1;
  }
  return drawn;
}
