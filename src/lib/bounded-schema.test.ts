import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { unboundedReason } from './bounded-schema.ts';
import type { JSONObject } from './json.ts';

const twice = (ref: JSONObject): JSONObject => ({ properties: { a: { allOf: [ref, ref] } } });

for (const [what, schema, reason] of [
  ['itself', { $ref: '#' }, /refers to #,/],
  ['itself, twice for each level of the value', twice({ $ref: '#' }), /refers to #,/],
  ['a place that refers to itself', { $defs: { b: { items: { $ref: '#/$defs/b' } } } }, /refers to #\/\$defs\/b/],
  ['an anchor', { $ref: '#x', $defs: { q: { $anchor: 'x', ...twice({ $ref: '#x' }) } } }, /refers to #x/],
  ['a dynamic anchor', { $dynamicAnchor: 'x', ...twice({ $dynamicRef: '#x' }) }, /\$dynamicRef/],
  ['a schema within it', { properties: { a: { $id: 'http://b/', ...twice({ $ref: '#' }) } } }, /\$id within/],
  ['another document', { $ref: 'https://elsewhere.example/schema' }, /refers to https/],
] as [string, JSONObject, RegExp][])
  test(`a reference to ${what} is told`, () => {
    assert.match(unboundedReason(schema) ?? '', reason);
  });

test('references that end are fine, and properties may be called like keywords', () => {
  const schema: JSONObject = {
    $id: 'https://example.test/order',
    $ref: '#/$defs/a~1b',
    properties: { $id: { type: 'string' }, uniqueItems: { type: 'boolean' }, $ref: { $ref: '#/$defs/text' } },
    $defs: { 'a/b': { properties: { c: { $ref: '#/$defs/text' } } }, text: { type: 'string' } },
  };
  assert.equal(unboundedReason(schema), undefined);
  const check = new Ajv2020({ strict: false }).compile(schema);
  assert.ok(check({ c: 'x', $ref: 'y' }));
  assert.ok(!check({ c: 1 }));
  // Where they lead nowhere, the compiler says so.
  assert.equal(unboundedReason({ $ref: '#/$defs/%' }), undefined);
});
