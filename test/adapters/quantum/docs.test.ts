// The examples of docs/adapters/quantum.md give what stands below them.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { createQuantumAdapter } from '../../../src/adapters/quantum/adapter.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../src/lib/json.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { contextFor } from '../../compliance/adapter.ts';

/** What is shown is there; numbers are shown to four decimals. */
function assertShown(shown: JSONValue, actual: JSONValue | undefined, path: string): void {
  if (typeof shown === 'number') {
    assert.ok(typeof actual === 'number' && Math.abs(actual - shown) <= 0.5001e-4, `${path}: ${actual}, not ${shown}`);
  } else if (Array.isArray(shown)) {
    assert.ok(Array.isArray(actual) && actual.length === shown.length, `${path}: ${JSON.stringify(actual)}`);
    shown.forEach((value, index) => {
      assertShown(value, actual[index], `${path}[${index}]`);
    });
  } else if (isObject(shown)) {
    for (const [name, value] of Object.entries(shown as JSONObject)) {
      assert.ok(isObject(actual), `${path}: ${JSON.stringify(actual)}`);
      assertShown(value, (actual as JSONObject)[name], `${path}.${name}`);
    }
  } else assert.deepEqual(actual, shown, path);
}

test('the examples of docs/adapters/quantum.md', async () => {
  const page = await readFile(new URL('../../../docs/adapters/quantum.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/^```json\n(.*?)^```/gms)].map(([, code = '']) => JSON.parse(code));
  assert.ok(blocks.length >= 12 && blocks.length % 2 === 0, `${blocks.length} blocks`);
  const registry = new AdapterRegistry();
  registry.register(createQuantumAdapter({ egress: createEgress() }));
  for (let index = 0; index < blocks.length; index += 2) {
    const { type, params } = blocks[index];
    const step = { id: 'step', type, params };
    const output = (await registry.run(step, contextFor(step))) as JSONObject;
    assertShown(blocks[index + 1], output, `${type} ${index / 2}`);
    const teleported = params.gates?.some(({ condition }: { condition?: unknown }) => condition !== undefined);
    if (teleported === true) assert.ok(Object.keys(output.counts as JSONObject).every((bits) => bits.startsWith('0')));
  }
  await registry.close();
});
