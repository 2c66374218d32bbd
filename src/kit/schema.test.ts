import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileSchema } from '../core/workflow/schema-check.ts';
import { fields, flag, object, text, whole } from './schema.ts';

test('the parts take what they say, and nothing beside it', () => {
  const check = compileSchema(
    fields(
      {
        name: text('Name.', 3),
        size: whole('Size.', 1, 4),
        count: whole('Count.', 0),
        fast: flag('Whether.'),
        inner: object('More.', { path: text('Path.') }, ['path']),
      },
      ['name'],
    ),
  );
  const valid = { name: 'abc', size: 4, count: 10_000_000, fast: true, inner: { path: 'x'.repeat(256) } };
  assert.deepEqual(check(valid), []);
  assert.deepEqual(check({ name: 'a' }), []);

  const wrong = [
    { name: undefined },
    { name: '' },
    { name: 'abcd' },
    { size: 0 },
    { size: 5 },
    { size: 1.5 },
    { count: -1 },
    { fast: 'true' },
    { inner: {} },
    { inner: { path: 'x'.repeat(257) } },
    { inner: { path: 'x', other: 1 } },
    { other: 1 },
  ];
  for (const change of wrong) {
    const value = JSON.parse(JSON.stringify({ ...valid, ...change }));
    assert.equal(check(value).length, 1, JSON.stringify(change));
  }
});
