import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JSONFlowError } from './errors.ts';
import { normaliseParamsSchema } from './params-schema.ts';

test('the simple form becomes a JSON Schema', () => {
  assert.deepEqual(normaliseParamsSchema({ input: 'string', limit: 'integer?', rest: 'any' }), {
    type: 'object',
    properties: { input: { type: 'string' }, limit: { type: 'integer' }, rest: {} },
    required: ['input', 'rest'],
  });
  assert.deepEqual(normaliseParamsSchema({ input: { type: 'string', required: true }, n: { type: 'number' } }), {
    type: 'object',
    properties: { input: { type: 'string' }, n: { type: 'number' } },
    required: ['input'],
  });
  assert.deepEqual(normaliseParamsSchema({}), { type: 'object', properties: {} });
});

test('a JSON Schema stays as it is', () => {
  for (const schema of [
    { type: 'object' },
    { type: 'object', description: 'string' },
    { properties: { a: { type: 'string' } } },
    { oneOf: [{ type: 'object' }] },
    { $schema: 'http://json-schema.org/draft-07/schema#', type: 'object' },
    { additionalProperties: false },
  ])
    assert.equal(normaliseParamsSchema(schema), schema);
  assert.deepEqual(normaliseParamsSchema(), { type: 'object' });
});

test('a parameter may have the name of a keyword', () => {
  assert.deepEqual(normaliseParamsSchema({ type: 'object', input: 'string' }), {
    type: 'object',
    properties: { type: { type: 'object' }, input: { type: 'string' } },
    required: ['type', 'input'],
  });
  assert.deepEqual(normaliseParamsSchema({ properties: 'object', required: 'boolean?' }).required, ['properties']);
  const proto = normaliseParamsSchema(JSON.parse('{"__proto__":"string"}'));
  assert.deepEqual(Object.keys(proto.properties as object), ['__proto__']);
});

test('an unknown type is refused by name', () => {
  for (const value of ['text', '', '?', 'toString', 3, null, ['string']])
    assert.throws(
      () => normaliseParamsSchema({ input: value }),
      (thrown) => thrown instanceof JSONFlowError && thrown.code === 'INVALID_CONFIG' && /"input"/.test(thrown.message),
    );
});
