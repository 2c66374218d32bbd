import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom, type Random } from '../../simulate/random.ts';
import { orthonormal, product, type Rows, rightSingular, transposed } from './orthogonal.ts';
import { dagger } from './tensor.ts';

const randomRows = (random: Random, count: number, length: number): Rows => ({
  count,
  length,
  data: Float64Array.from({ length: 2 * count * length }, () => random.next() - 0.5),
});

/** Of any shape; of low rank, with rows nearly parallel, or with rows that differ in length by up to 10 powers of ten. */
function someMatrix(random: Random, round: number): Rows {
  const count = 1 + Math.floor(random.next() * 12);
  const length = 1 + Math.floor(random.next() * 12);
  if (round % 4 === 0) return randomRows(random, count, length);
  const inner = 1 + Math.floor(random.next() * 4);
  if (round % 4 === 1) return product(randomRows(random, count, inner), randomRows(random, inner, length));
  const rows = randomRows(random, count, length);
  if (round % 4 === 2)
    return { ...rows, data: rows.data.map((value, at) => 1e-9 * value + (rows.data[at % (2 * length)] ?? 0)) };
  return { ...rows, data: rows.data.map((value, at) => value * 10 ** -((Math.floor(at / 2 / length) * 7) % 11)) };
}

const largest = ({ data }: Rows): number => data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

const difference = (left: Rows, right: Rows): number => {
  assert.deepEqual([left.count, left.length], [right.count, right.length]);
  return largest({ ...left, data: left.data.map((value, at) => value - (right.data[at] ?? Number.NaN)) });
};

const identity = (count: number): Rows => {
  const data = new Float64Array(2 * count * count);
  for (let at = 0; at < count; at += 1) data[2 * at * (count + 1)] = 1;
  return { count, length: count, data };
};

function forMatrices(body: (matrix: Rows) => void): void {
  for (let round = 0; round < 90; round += 1) {
    const matrix = someMatrix(createRandom(`matrix ${round}`), round);
    try {
      body(matrix);
    } catch (cause) {
      throw new Error(`matrix ${round}`, { cause });
    }
  }
}

test('rows are coefficients times an orthonormal basis', () => {
  forMatrices((matrix) => {
    const { coefficients, basis } = orthonormal(matrix);
    assert.ok(difference(product(basis, dagger(basis)), identity(basis.count)) < 1e-14);
    assert.ok(difference(product(coefficients, basis), matrix) < 1e-14 * (1 + largest(matrix)));
  });
});

test('singular vectors are orthonormal, also those of small values, and take the matrix apart', () => {
  forMatrices((matrix) => {
    const { vectors, squares } = rightSingular(matrix);
    assert.ok(difference(product(vectors, dagger(vectors)), identity(vectors.count)) < 1e-13);
    assert.deepEqual(
      [...squares],
      [...squares].sort((a, b) => b - a),
    );
    const parts = product(matrix, dagger(vectors));
    assert.ok(difference(product(parts, vectors), matrix) < 1e-13);
    // The columns of what is left are orthogonal, and as long as the values.
    const gram = product(dagger(parts), parts);
    const diagonal = identity(gram.count);
    squares.forEach((square, at) => {
      diagonal.data[2 * at * (gram.count + 1)] = square;
    });
    assert.ok(difference(gram, diagonal) < 1e-13 * (1 + (squares[0] ?? 0)));
  });
});

test('a matrix of nothing has no basis, and one of rank 1 a basis of one', () => {
  const nothing = { count: 3, length: 4, data: new Float64Array(24) };
  assert.equal(orthonormal(nothing).basis.count, 0);
  const random = createRandom('rank');
  const single = product(randomRows(random, 20, 1), randomRows(random, 1, 30));
  assert.equal(orthonormal(single).basis.count, 1);
  assert.equal(rightSingular(transposed(single)).squares.length, 1);
});
