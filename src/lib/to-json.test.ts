import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JSONFlowError } from './errors.ts';
import { SizeBudget } from './size-budget.ts';
import { toJSONValue } from './to-json.ts';

const toJSON = (value: unknown) => toJSONValue(value, new SizeBudget(1_000_000));

test('JSON passes unchanged, as a copy', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const unsafe = JSON.stringify(value, (_, inner) =>
        typeof inner === 'number' && Number.isInteger(inner) && !Number.isSafeInteger(inner) ? 0 : inner,
      );
      assert.equal(JSON.stringify(toJSON(JSON.parse(unsafe))), unsafe);
    }),
    { seed: 3, numRuns: 300 },
  );
  const given = { list: [1] };
  assert.notEqual((toJSON(given) as typeof given).list, given.list);
});

test('what has one JSON form is converted', () => {
  assert.deepEqual(toJSON({ when: new Date(0), gone: undefined }), { when: '1970-01-01T00:00:00.000Z' });
  assert.equal(toJSON(undefined), null);
  const own = toJSON(JSON.parse('{"__proto__":{"a":1}}'));
  assert.equal(JSON.stringify(own), '{"__proto__":{"a":1}}');
});

test('a number that is written with an exponent passes, as everywhere else', () => {
  for (const value of [1e300, -1e21, 5e-324, Number.MAX_VALUE]) assert.equal(toJSON(value), value);
  for (const value of [2 ** 53, 999999999999999900000]) assert.throws(() => toJSON(value), JSONFlowError);
});

test('what is not JSON is refused with its path', () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const cases: [unknown, RegExp][] = [
    [{ a: [1, () => 1] }, /function at output\.a\[1\]/],
    [[1, undefined], /undefined at output\[1\]/],
    [{ n: Number.NaN }, /NaN at output\.n/],
    [{ n: 2 ** 53 }, /2\^53 at output\.n/],
    [1n, /bigint at output,/],
    [Symbol('s'), /symbol/],
    [new Map(), /Map/],
    [{ b: Buffer.from('x') }, /binary data at output\.b/],
    [Promise.resolve(1), /promise/],
    [cycle, /64 levels/],
  ];
  for (const [value, expected] of cases)
    assert.throws(
      () => toJSON(value),
      (thrown) => thrown instanceof JSONFlowError && thrown.code === 'INVALID_OUTPUT' && expected.test(thrown.message),
      String(expected),
    );
});

test('a value that shares parts with itself, or is just large, ends at the budget', () => {
  let doubled: unknown = 0;
  for (let level = 0; level < 60; level++) doubled = [doubled, doubled];
  const row = { a: 1 };
  for (const value of [
    doubled,
    new Array(10_000).fill(row),
    new Array(20_000).fill([]),
    new Array(1e8),
    'x'.repeat(1_000_001),
    { ['k'.repeat(1_000_001)]: 1 },
  ])
    assert.throws(
      () => toJSON(value),
      (thrown) => thrown instanceof JSONFlowError && ['LIMIT_EXCEEDED', 'INVALID_OUTPUT'].includes(thrown.code),
    );
  assert.throws(() => toJSON(doubled), /more than 1000000 bytes/);
  assert.equal((toJSON(new Array(5_000).fill(row)) as unknown[]).length, 5_000);
});
