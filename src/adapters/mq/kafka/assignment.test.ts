import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assignPartitions } from './assignment.ts';

test('every partition has one owner, evenly', () => {
  const members = fc.uniqueArray(
    fc.record({ id: fc.string(), owned: fc.array(fc.nat({ max: 40 }), { maxLength: 10 }) }),
    { selector: ({ id }) => id, minLength: 1, maxLength: 10 },
  );
  fc.assert(
    fc.property(fc.nat({ max: 30 }), members, (count, all) => {
      const lists = [...assignPartitions(count, all).values()];
      assert.equal(lists.length, all.length);
      assert.deepEqual(
        lists.flat().sort((one, other) => one - other),
        Array.from({ length: count }, (_, index) => index),
      );
      const sizes = lists.map(({ length }) => length);
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
    }),
  );
});

test('members keep what they have', () => {
  const result = assignPartitions(4, [
    { id: 'b', owned: [1, 3] },
    { id: 'a', owned: [0, 2] },
  ]);
  assert.deepEqual(
    [...result],
    [
      ['a', [0, 2]],
      ['b', [1, 3]],
    ],
  );
  const grown = assignPartitions(4, [
    { id: 'a', owned: [0, 1, 2, 3] },
    { id: 'b', owned: [] },
  ]);
  assert.deepEqual(
    [...grown],
    [
      ['a', [0, 1]],
      ['b', [2, 3]],
    ],
  );
});

test('a group of nobody has nothing', () => assert.equal(assignPartitions(3, []).size, 0));
