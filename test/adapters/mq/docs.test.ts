// The examples of docs/adapters/mq.md do what they say.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { stepTypes } from '../../../src/adapters/mq/schemas.ts';
import { isObject, type JSONObject } from '../../../src/lib/json.ts';
import { describeWith } from '../../support/services.ts';
import { stepsOf } from './steps.ts';

const page = (): Promise<string> => readFile(new URL('../../../docs/adapters/mq.md', import.meta.url), 'utf8');

describeWith('rabbitmq', 'docs/adapters/mq.md', (url) => {
  test('its examples', async () => {
    const { host, username, password } = new URL(url);
    const unique = randomUUID();
    // The server, and the names in it, are this test's own.
    const own = (await page())
      .replaceAll(/(amqp|rabbitmq):\/\/localhost/g, `$1://${username}:${password}@${host}`)
      .replaceAll(/"(signups|events)"/g, `"$1-${unique}"`);
    const blocks = [...own.matchAll(/^```json\n(.*?)^```/gms)].map(([, code = '']) => JSON.parse(code) as JSONObject);
    assert.equal(blocks.length, 8);
    const steps = stepsOf();
    try {
      for (let index = 0; index < blocks.length; index += 2) {
        const { type, params } = blocks[index] as { type: string; params: JSONObject };
        const output = await steps.run(type, params);
        for (const [name, expected] of Object.entries(blocks[index + 1] ?? {}))
          assert.deepEqual(output[name], expected, `${type}: ${name}`);
      }
    } finally {
      await steps.close();
    }
  });
});

test('every property of the schemas has a description', () => {
  const visit = (schema: JSONObject, at: string): void => {
    if (!isObject(schema.properties)) return;
    for (const [name, property] of Object.entries(schema.properties as Record<string, JSONObject>)) {
      assert.ok(typeof property.description === 'string' && property.description !== '', `${at}.${name}`);
      visit(property, `${at}.${name}`);
    }
  };
  for (const { type, params_schema = {} } of stepTypes) visit(params_schema, type);
});
