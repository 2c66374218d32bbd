import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JSONFlowError } from '../../lib/errors.ts';
import type { JSONObject } from '../../lib/json.ts';
import { compileSchema } from './schema-check.ts';

const text = (pattern: string): JSONObject => ({ type: 'object', properties: { a: { type: 'string', pattern } } });
const isLimit = (thrown: unknown): boolean => thrown instanceof JSONFlowError && thrown.code === 'LIMIT_EXCEEDED';

test('patterns that would backtrack without end are tested in linear time', () => {
  const long = 'x'.repeat(10_000);
  for (const pattern of ['^x*x*x*$', 'x*x*x*y', '^(x+)+$', `(x|x){26}y`]) {
    const check = compileSchema(text(pattern));
    assert.deepEqual(check({ a: `${long}!` }).length <= 1, true, pattern);
  }
  assert.equal(compileSchema(text('^[a-z]+$'))({ a: 'A' }).length, 1);
  assert.deepEqual(compileSchema(text('^[a-z]+$'))({ a: 'a' }), []);
});

test('a pattern with a look-around is refused, for there is no linear way', () => {
  assert.throws(() => compileSchema(text('^(?=a)a')));
});

test('references that unfold to too much, or without end, are refused', () => {
  const $defs: Record<string, JSONObject> = { d40: { type: 'string' } };
  for (let i = 0; i < 40; i++)
    $defs[`d${i}`] = { anyOf: [{ $ref: `#/$defs/d${i + 1}` }, { $ref: `#/$defs/d${i + 1}` }] };
  assert.throws(() => compileSchema({ $ref: '#/$defs/d0', $defs }), isLimit);
  assert.throws(() => compileSchema({ $ref: '#' }), isLimit);
  assert.throws(() => compileSchema({ $ref: 'https://elsewhere.example/schema' }), isLimit);
  const check = compileSchema({ properties: { a: { $ref: '#/$defs/text' } }, $defs: { text: { type: 'string' } } });
  assert.equal(check({ a: 1 }).length, 1);
});

test('uniqueItems is left to the node; a property of that name is not', () => {
  const check = compileSchema({
    properties: { list: { type: 'array', uniqueItems: true }, uniqueItems: { type: 'boolean' } },
  });
  assert.deepEqual(check({ list: [1, 1] }), []);
  assert.equal(check({ uniqueItems: 'yes' }).length, 1);
});
