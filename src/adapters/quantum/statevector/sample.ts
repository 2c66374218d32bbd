import type { Random } from '../simulate/random.ts';

/** Uniform in [0, total), ascending. */
export function drawSorted(shots: number, total: number, random: Random): Float64Array {
  const draws = new Float64Array(shots);
  for (let shot = 0; shot < shots; shot += 1) draws[shot] = random.next() * total;
  return draws.sort();
}

/**
 * Finds the index on which each draw falls, in one walk over chunks and, where a draw falls, the weights within.
 *
 * @param chunks the weight of each chunk of `size` indices; they add up to what the draws are below
 * @returns how often each outcome came, keys as those of `State.sample`
 */
export function outcomes(
  draws: Float64Array,
  chunks: Float64Array,
  size: number,
  weightAt: (index: number) => number,
  qubits: readonly number[],
): Map<string, number> {
  const counts = new Map<string, number>();
  const lastChunk = chunks.findLastIndex((weight) => weight > 0);
  let chunk = 0;
  let beforeChunk = 0;
  let index = 0;
  let before = 0;
  let weight = weightAt(0);
  // What rounding leaves over falls to the last index that is possible.
  let possible = 0;
  let shots = 0;
  let counted = -1;
  const count = (): void => {
    if (shots === 0) return;
    const key = keyOf(counted, qubits);
    counts.set(key, (counts.get(key) ?? 0) + shots);
    shots = 0;
  };
  for (const draw of draws) {
    const at = chunk;
    for (; chunk < lastChunk && draw >= beforeChunk + (chunks[chunk] ?? 0); chunk += 1)
      beforeChunk += chunks[chunk] ?? 0;
    if (chunk !== at) {
      index = chunk * size;
      before = beforeChunk;
      weight = weightAt(index);
    }
    if (weight > 0) possible = index;
    while (draw >= before + weight && index < (chunk + 1) * size - 1) {
      before += weight;
      index += 1;
      weight = weightAt(index);
      if (weight > 0) possible = index;
    }
    if (possible !== counted) count();
    counted = possible;
    shots += 1;
  }
  count();
  return counts;
}

function keyOf(index: number, qubits: readonly number[]): string {
  let key = '';
  for (const qubit of qubits) key = `${Math.floor(index / 2 ** qubit) % 2}${key}`;
  return key;
}
