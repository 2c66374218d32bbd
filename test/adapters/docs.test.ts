// The examples of the adapters' documentation do what they say.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { createTransformAdapter } from '../../src/adapters/transform/adapter.ts';
import type { JSONObject, JSONValue } from '../../src/lib/json.ts';
import { AdapterRegistry, type AdapterSource } from '../../src/worker/registry.ts';
import { contextFor } from '../compliance/adapter.ts';

const read = (name: string): Promise<string> => readFile(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
const blocks = (text: string, language: string): string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, code = '']) => code);

function run(registry: AdapterRegistry, type: string, params: JSONObject): Promise<JSONValue> {
  const step = { id: 'step', type, params };
  return registry.run(step, contextFor(step));
}

test('docs/adapters/transform.md: steps and their outputs', async () => {
  const registry = new AdapterRegistry();
  registry.register(createTransformAdapter());
  const examples = blocks(await read('adapters/transform.md'), 'json').map((code) => JSON.parse(code));
  assert.ok(examples.length >= 20 && examples.length % 2 === 0, `${examples.length} blocks`);
  for (let index = 0; index < examples.length; index += 2) {
    const { type, params } = examples[index];
    const { result, count } = (await run(registry, type, params)) as JSONObject;
    assert.deepEqual(
      { result, ...(count === undefined ? {} : { count }) },
      examples[index + 1],
      JSON.stringify(params),
    );
  }
});

test('docs/adapters/transform.md: expressions and their values', async () => {
  const registry = new AdapterRegistry();
  registry.register(createTransformAdapter());
  const rows = [...(await read('adapters/transform.md')).matchAll(/^\| `([^`]+)` \| `([^`]+)` \| `([^`]+)` \|$/gm)];
  assert.ok(rows.length >= 10);
  for (const [, expression = '', item = '', expected = ''] of rows) {
    const output = await run(registry, 'transform_map', { input: [JSON.parse(item)], expression });
    assert.deepEqual(output, { result: [JSON.parse(expected)], count: 1 }, expression);
  }
});

test('docs/adapters/custom.md: the example is an adapter', async () => {
  const [code = ''] = blocks(await read('adapters/custom.md'), 'js');
  const module = await import(`data:text/javascript,${encodeURIComponent(code)}`);
  const registry = new AdapterRegistry();
  registry.register(module.GreetAdapter as AdapterSource);
  assert.deepEqual(await run(registry, 'greet', { name: 'Ada', times: 2 }), {
    result: 'Hello, Ada!\nHello, Ada!',
    count: 2,
  });
  await assert.rejects(run(registry, 'greet', { name: '' }), { code: 'INVALID_PARAMS', message: 'name is empty' });
  await assert.rejects(run(registry, 'greet', {}), { code: 'INVALID_PARAMS' });
  assert.equal((await registry.health()).greet?.status, 'ok');
});
