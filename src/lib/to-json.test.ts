import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JSONFlowError } from './errors.ts';
import { toJSONValue } from './to-json.ts';

test('JSON passes unchanged, as a copy', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const unsafe = JSON.stringify(value, (_, inner) =>
        typeof inner === 'number' && Number.isInteger(inner) && !Number.isSafeInteger(inner) ? 0 : inner,
      );
      assert.equal(JSON.stringify(toJSONValue(JSON.parse(unsafe))), unsafe);
    }),
    { seed: 3, numRuns: 300 },
  );
  const given = { list: [1] };
  assert.notEqual((toJSONValue(given) as typeof given).list, given.list);
});

test('what has one JSON form is converted', () => {
  assert.deepEqual(toJSONValue({ when: new Date(0), gone: undefined }), { when: '1970-01-01T00:00:00.000Z' });
  assert.equal(toJSONValue(undefined), null);
  const own = toJSONValue(JSON.parse('{"__proto__":{"a":1}}'));
  assert.equal(JSON.stringify(own), '{"__proto__":{"a":1}}');
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
      () => toJSONValue(value),
      (thrown) => thrown instanceof JSONFlowError && thrown.code === 'INVALID_OUTPUT' && expected.test(thrown.message),
      String(expected),
    );
});
