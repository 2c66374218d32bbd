import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { keyOf, rounded } from './counts.ts';

test('Counts are keyed as on a simulator: bit 0 rightmost, the last register leftmost', () => {
  const registers = [
    { name: 'a', size: 3 },
    { name: 'b', size: 2 },
  ];
  assert.equal(keyOf([3n, 1n], { qubits: 5, registers, operations: [] }), '01 011');
});

test('Rounded counts add up to the shots, and none is off by one or more', () => {
  assert.deepEqual(rounded({ '00': 0.5, '11': 0.5 }, 1000), { '00': 500, '11': 500 });
  assert.deepEqual(rounded({ a: 1 / 3, b: 1 / 3, c: 1 / 3 }, 100), { a: 34, b: 33, c: 33 });
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 1e-6, max: 1, noNaN: true }), { minLength: 1, maxLength: 40 }),
      fc.integer({ min: 1, max: 1_000_000 }),
      (weights, shots) => {
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const shares = Object.fromEntries(weights.map((weight, at) => [`k${at}`, weight / total]));
        const counts = rounded(shares, shots);
        assert.equal(
          Object.values(counts).reduce((sum, count) => sum + count, 0),
          shots,
        );
        for (const [key, share] of Object.entries(shares))
          assert.ok(Math.abs((counts[key] ?? 0) - share * shots) < 1 + 1e-6);
      },
    ),
  );
});
