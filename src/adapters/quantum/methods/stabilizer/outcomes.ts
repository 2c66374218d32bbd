import type { Random } from '../../simulate/random.ts';
import { bitOf, firstBit, flipBit, parity, popcount, randomWord, toText, wordsFor, xorInto } from './bits.ts';
import type { Tableau } from './tableau.ts';

/** All outcomes that a measurement can have, which are equally likely: `first` plus any sum of `generators`, which are independent. */
export interface Outcomes {
  readonly first: Int32Array;
  readonly generators: readonly Int32Array[];
}

/** `i^quarters · X^x Z^z` */
interface Row {
  readonly x: Int32Array;
  readonly z: Int32Array;
  quarters: number;
}

/**
 * Of a measurement of the qubits together: bit k of an outcome is that of `qubits[k]`.
 *
 * The X parts of the stabilizers generate the differences between outcomes; products of stabilizers without an X say of sums of bits what they are.
 */
export function outcomesOf(tableau: Tableau, qubits: readonly number[]): Outcomes {
  const [generators, constraints] = eliminateX(stabilizersOf(tableau));
  const first = solve(constraints, tableau.qubits);
  return { first: project(first, qubits), generators: independent(generators.map(({ x }) => project(x, qubits))) };
}

function stabilizersOf({ qubits, words, x, z, signs }: Tableau): Row[] {
  const rows = Array.from(
    { length: qubits },
    (_, row): Row => ({
      x: new Int32Array(words),
      z: new Int32Array(words),
      quarters: 2 * bitOf(signs, 32 * words + row),
    }),
  );
  const transpose = (part: 'x' | 'z', columns: readonly Int32Array[]): void => {
    columns.forEach((column, qubit) => {
      for (let w = 0; w < words; w += 1)
        for (let left = column[words + w] ?? 0; left !== 0; left &= left - 1) {
          const row = rows[32 * w + 31 - Math.clz32(left & -left)];
          if (row) flipBit(row[part], qubit);
        }
    });
  };
  transpose('x', x);
  transpose('z', z);
  for (const row of rows)
    for (let w = 0; w < words; w += 1) row.quarters += popcount((row.x[w] ?? 0) & (row.z[w] ?? 0));
  return rows;
}

/** @returns rows with independent X parts, and rows without any, that generate what the given rows do */
function eliminateX(rows: readonly Row[]): [Row[], Row[]] {
  const pivots: { row: Row; bit: number }[] = [];
  const constraints: Row[] = [];
  for (const row of rows) {
    for (const pivot of pivots) if (bitOf(row.x, pivot.bit) === 1) multiplyInto(row, pivot.row);
    const bit = firstBit(row.x);
    if (bit < 0) constraints.push(row);
    else pivots.push({ row, bit });
  }
  return [pivots.map(({ row }) => row), constraints];
}

/** Each Z of the factor that moves past an X changes the sign. */
function multiplyInto(row: Row, factor: Row): void {
  let swaps = 0;
  for (let w = 0; w < row.z.length; w += 1) swaps ^= (row.z[w] ?? 0) & (factor.x[w] ?? 0);
  row.quarters += factor.quarters + 2 * parity(swaps);
  xorInto(row.x, factor.x);
  xorInto(row.z, factor.z);
}

/** Bits of which the sums that the constraints name are what their signs say. */
function solve(constraints: readonly Row[], bits: number): Int32Array {
  const pivots: { row: Row; bit: number }[] = [];
  for (const row of constraints) {
    for (const pivot of pivots) {
      if (bitOf(row.z, pivot.bit) === 0) continue;
      xorInto(row.z, pivot.row.z);
      row.quarters += pivot.row.quarters;
    }
    pivots.push({ row, bit: firstBit(row.z) });
  }
  const solution = new Int32Array(wordsFor(bits));
  // A row has none of the pivots before its own, so the last is settled first.
  for (const { row, bit } of pivots.reverse()) {
    let sum = 0;
    for (let w = 0; w < solution.length; w += 1) sum ^= (solution[w] ?? 0) & (row.z[w] ?? 0);
    if (parity(sum) !== ((row.quarters >> 1) & 1)) flipBit(solution, bit);
  }
  return solution;
}

function project(bits: Int32Array, qubits: readonly number[]): Int32Array {
  const some = new Int32Array(wordsFor(qubits.length));
  qubits.forEach((qubit, at) => {
    if (bitOf(bits, qubit) === 1) flipBit(some, at);
  });
  return some;
}

function independent(vectors: readonly Int32Array[]): Int32Array[] {
  const pivots: { vector: Int32Array; bit: number }[] = [];
  for (const vector of vectors) {
    for (const pivot of pivots) if (bitOf(vector, pivot.bit) === 1) xorInto(vector, pivot.vector);
    const bit = firstBit(vector);
    if (bit >= 0) pivots.push({ vector, bit });
  }
  return pivots.map(({ vector }) => vector);
}

/** Draws outcomes. @returns how often each came, as `bits` digits, bit 0 rightmost */
export function sampleOutcomes(outcomes: Outcomes, bits: number, shots: number, random: Random): Map<string, number> {
  // Which generators are added, as words of bits.
  const choices = new Map<number | string, { choice: Int32Array; count: number }>();
  const words = wordsFor(outcomes.generators.length);
  const choice = new Int32Array(words);
  for (let shot = 0; shot < shots; shot += 1) {
    for (let w = 0; w < words; w += 1) choice[w] = randomWord(random);
    // Bits without a generator would tell apart what is the same.
    if (words > 0) choice[words - 1] = (choice[words - 1] ?? 0) >>> (32 * words - outcomes.generators.length);
    const key = words > 1 ? choice.join() : (choice[0] ?? 0);
    const known = choices.get(key);
    if (known) known.count += 1;
    else choices.set(key, { choice: choice.slice(), count: 1 });
  }
  const counts = new Map<string, number>();
  for (const { choice, count } of choices.values()) counts.set(toText(combine(outcomes, choice), bits), count);
  return counts;
}

function combine({ first, generators }: Outcomes, choice: Int32Array): Int32Array {
  const outcome = first.slice();
  choice.forEach((word, w) => {
    for (let left = word; left !== 0; left &= left - 1) {
      const generator = generators[32 * w + 31 - Math.clz32(left & -left)];
      if (generator) xorInto(outcome, generator);
    }
  });
  return outcome;
}
