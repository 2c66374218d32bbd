// The examples of docs/adapters/database.md do what they say.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { stepTypes } from '../../../src/adapters/database/schemas.ts';
import { isObject, type JSONObject } from '../../../src/lib/json.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { describeWith } from '../../support/services.ts';
import { errorCodesOf } from './error-codes.ts';
import { Harness } from './harness.ts';

const page = await readFile(new URL('../../../docs/adapters/database.md', import.meta.url), 'utf8');
const blocks = [...page.matchAll(/^```json\n(.*?)^```/gms)].map(([, code = '']) => JSON.parse(code) as JSONObject);

describeWith('postgres', 'docs/adapters/database.md', () => {
  let harness: Harness;
  let drop: () => Promise<void>;
  before(async () => {
    const fresh = await freshDatabase('postgres');
    drop = fresh.drop;
    harness = new Harness(fresh.url);
  });
  after(async () => {
    await harness.close();
    await drop();
  });

  test('steps and their outputs', async () => {
    assert.ok(blocks.length >= 20 && blocks.length % 2 === 0, `${blocks.length} blocks`);
    for (let index = 0; index < blocks.length; index += 2) {
      const { type, params } = blocks[index] as { type: string; params: JSONObject };
      const {
        result: _result,
        fields: _fields,
        ...output
      } = await harness.step(type, { ...params, connection: harness.url });
      for (const one of Array.isArray(output.migrations) ? output.migrations : [])
        if (isObject(one)) delete one.applied_at;
      assert.deepEqual(output, blocks[index + 1], JSON.stringify(params));
    }
  });
});

/** The params of MongoDB and Redis stand on their own pages. */
const isOfOthers = (schema: JSONObject | undefined): boolean =>
  /^(?:MongoDB|Redis)\b/.test(String(schema?.description));

test('docs/adapters/database.md names every SQL param, option and error code', async () => {
  const missing = (names: Iterable<string>): string[] => [...names].filter((name) => !page.includes(`\`${name}\``));
  for (const { type, params_schema } of stepTypes) {
    const { properties } = params_schema as { properties: Record<string, JSONObject> };
    assert.deepEqual(missing(Object.keys(properties).filter((name) => !isOfOthers(properties[name]))), [], type);
    assert.deepEqual(missing(Object.keys(properties.options?.properties ?? {})), [], type);
  }
  assert.deepEqual(missing(await errorCodesOf(['.', 'sql', 'postgres', 'mysql', 'sqlite'])), []);
});
