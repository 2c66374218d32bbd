import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { identity, type Matrix, multiply, unitarityError } from './complex.ts';
import { type Gate, gateNamed, gateNames, inverseOf, matrixOf, powerOf, shapeOf, unitary } from './gates.ts';

const angle = fc.double({ min: -7, max: 7, noNaN: true });
const anyGate: fc.Arbitrary<Gate> = fc
  .constantFrom(...gateNames)
  .chain((name) =>
    fc
      .array(angle, { minLength: shapeOf(name).params.length, maxLength: shapeOf(name).params.length })
      .map((params) => gateNamed(name, ...params)),
  );

function assertClose(actual: Matrix, expected: Matrix): void {
  assert.equal(actual.dimension, expected.dimension);
  actual.data.forEach((value, at) => {
    assert.ok(
      Math.abs(value - (expected.data[at] ?? Number.NaN)) < 1e-9,
      `entry ${at}: ${value}, not ${expected.data[at]}`,
    );
  });
}

test('every gate has a unitary matrix of the size it says', () => {
  fc.assert(
    fc.property(anyGate, (gate) => {
      assert.equal(matrixOf(gate).dimension, 2 ** (gate.name === 'unitary' ? Number.NaN : shapeOf(gate.name).targets));
      assert.ok(unitarityError(matrixOf(gate)) < 1e-12);
    }),
  );
});

test('a gate and its inverse do nothing', () => {
  fc.assert(
    fc.property(anyGate, (gate) => {
      const both = multiply(matrixOf(inverseOf(gate)), matrixOf(gate));
      assertClose(both, identity(both.dimension));
    }),
  );
});

test('powers add up, the first power is the gate, fractions included', () => {
  const exponent = fc.double({ min: -3, max: 3, noNaN: true });
  fc.assert(
    fc.property(anyGate, exponent, exponent, (gate, a, b) => {
      const [one, left, right, sum] = [powerOf(gate, 1), powerOf(gate, a), powerOf(gate, b), powerOf(gate, a + b)];
      if (!one || !left || !right || !sum) return;
      assertClose(matrixOf(one), matrixOf(gate));
      assertClose(multiply(matrixOf(left), matrixOf(right)), matrixOf(sum));
    }),
  );
});

test('every gate of one qubit and every gate that is its own inverse has all powers', () => {
  for (const name of gateNames) {
    const gate = gateNamed(name, ...shapeOf(name).params.map((_, at) => 0.3 + at));
    const isSelfInverse = JSON.stringify(inverseOf(gate)) === JSON.stringify(gate);
    if (shapeOf(name).targets === 1 || isSelfInverse) assert.ok(powerOf(gate, 0.5), name);
  }
});

test('known powers: half an x is sx, a quarter of z is t', () => {
  const root = powerOf(gateNamed('x'), 0.5);
  const quarter = powerOf(gateNamed('z'), 0.25);
  assert.ok(root && quarter);
  assertClose(matrixOf(root), matrixOf(gateNamed('sx')));
  assertClose(matrixOf(quarter), matrixOf(gateNamed('t')));
  const third = powerOf(unitary(matrixOf(gateNamed('u', 1.1, 2.2, 0.3))), 1 / 3);
  assert.ok(third);
  assertClose(
    multiply(multiply(matrixOf(third), matrixOf(third)), matrixOf(third)),
    matrixOf(gateNamed('u', 1.1, 2.2, 0.3)),
  );
});
