// The examples of docs/adapters/ml.md give what stands below them, and it names what there is.
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { createMlAdapter } from '../../../src/adapters/ml/adapter.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../src/lib/json.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { contextFor } from '../../compliance/adapter.ts';
import { withoutDevice } from './devices.ts';

const page = await readFile(new URL('../../../docs/adapters/ml.md', import.meta.url), 'utf8');
const blocks = [...page.matchAll(/^```json\n(.*?)^```/gms)].map(([, code = '']) => JSON.parse(code));
const noOpenCL = await withoutDevice('opencl');
const adapter = createMlAdapter({ egress: createEgress() });
const registry = new AdapterRegistry();
registry.register(adapter);
after(() => registry.close());

const { blobs } = contextFor({ id: '', type: '', params: {} });
const outputs: JSONObject = {};

/** A param with what earlier examples gave in the place of `$step.name`. */
function resolved(value: JSONValue): JSONValue {
  const [, id, name] = typeof value === 'string' ? (/^\$(\w+)\.(\w+)$/.exec(value) ?? []) : [];
  if (id !== undefined && name !== undefined) return (outputs[id] as JSONObject)[name] as JSONValue;
  if (Array.isArray(value)) return value.map(resolved);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, resolved(inner as JSONValue)]));
}

/** What is shown, to as many digits, is there; objects may have more. */
function isShown(actual: JSONValue | undefined, shown: JSONValue, path: string): void {
  if (isObject(shown)) {
    assert.ok(isObject(actual), path);
    for (const [name, inner] of Object.entries(shown))
      isShown(actual[name] as JSONValue, inner as JSONValue, `${path}.${name}`);
  } else if (Array.isArray(shown)) {
    assert.ok(Array.isArray(actual) && actual.length === shown.length, path);
    for (const [index, inner] of shown.entries()) isShown(actual[index], inner, `${path}[${index}]`);
  } else if (typeof shown === 'number' && !Number.isInteger(shown))
    assert.ok(typeof actual === 'number' && Math.abs(actual - shown) < 0.001, `${path}: ${actual}`);
  else assert.deepEqual(actual, shown, path);
}

for (let index = 0; index < blocks.length; index += 2) {
  const { id = 'step', type, params } = blocks[index];
  test(`docs/adapters/ml.md: ${type}`, { skip: type === 'gpu_compute' && noOpenCL }, async () => {
    const step = { id, type, params: resolved(params) as JSONObject };
    const output = (await registry.run(step, contextFor(step, undefined, { blobs }))) as JSONObject;
    outputs[id] = output;
    isShown(output, blocks[index + 1], type);
  });
}

test('docs/adapters/ml.md names every param and every error code', () => {
  const { step_types: types } = adapter.getManifest();
  for (const { type, params_schema: schema } of types)
    for (const name of Object.keys((schema as JSONObject).properties ?? {}))
      assert.ok(new RegExp(`[\`"]${name}[\`"]`).test(page), `${type}: ${name}`);
  const codes = new Set<string>();
  const folder = new URL('../../../src/adapters/ml/', import.meta.url);
  for (const file of globSync('**/*.ts', { cwd: folder, exclude: ['**/*.test.ts'] }))
    for (const [code] of readFileSync(new URL(file, folder), 'utf8').matchAll(/\bML_[A-Z_]+\b/g)) codes.add(code);
  assert.ok(codes.size > 20);
  for (const code of codes) assert.ok(page.includes(code), code);
});
