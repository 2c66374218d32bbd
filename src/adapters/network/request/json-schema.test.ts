import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { SchemaCache } from './json-schema.ts';

const schemas = new SchemaCache();
const problems = async (schema: JSONObject, value: never): Promise<string[]> => (await schemas.get(schema))(value);

test('problems say where and which rule, and no value', async () => {
  const schema = { properties: { list: { items: { type: 'string', maxLength: 3, enum: ['a'] } } }, required: ['id'] };
  assert.deepEqual(await problems(schema, {} as never), ["body must have required property 'id' (required)"]);
  const [one = ''] = await problems(schema, { id: 1, list: ['a', 'hunter2'] } as never);
  assert.match(one, /body\.list\[1\]/);
  assert.doesNotMatch(one, /hunter2/);
  assert.deepEqual(
    await problems({ $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: 'string' }] }, [1] as never),
    ['body[0] must be string (type)'],
  );
});

test('patterns take linear time', async () => {
  const schema = { type: 'string', pattern: '^(a+)+$' };
  assert.equal((await problems(schema, `${'a'.repeat(50_000)}!` as never)).length, 1);
  assert.match((await problems(schema, 'a'.repeat(20_000_000) as never))[0] ?? '', /can't be checked/);
});

test('schemas that take too long, reach out or are none are refused', async () => {
  const doubling: JSONObject = { $ref: '#/$defs/d0', $defs: {} };
  for (let index = 0; index < 40; index += 1)
    (doubling.$defs as JSONObject)[`d${index}`] = {
      anyOf: [{ $ref: `#/$defs/d${index + 1}` }, { $ref: `#/$defs/d${index + 1}` }],
    };
  for (const schema of [
    doubling,
    { $ref: '#' },
    { $ref: 'https://a.example/schema' },
    { $ref: 'file:///etc/passwd' },
    { type: 'nothing' },
    { pattern: '(' },
    { pattern: '(a)\\1' },
    { pattern: '(?<=a)b' },
    { items: { uniqueItems: true } },
    { description: 'x'.repeat(70_000) },
  ] as JSONObject[])
    await assert.rejects(
      schemas.get(schema),
      (thrown) => thrown instanceof StepError && thrown.code === 'INVALID_PARAMS',
      JSON.stringify(schema).slice(0, 80),
    );
});
