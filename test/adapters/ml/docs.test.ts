// The examples of docs/adapters/ml.md give what stands below them.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, test } from 'node:test';
import { createMlAdapter } from '../../../src/adapters/ml/adapter.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { contextFor } from '../../compliance/adapter.ts';
import { withoutDevice } from './devices.ts';

const page = await readFile(new URL('../../../docs/adapters/ml.md', import.meta.url), 'utf8');
const blocks = [...page.matchAll(/^```json\n(.*?)^```/gms)].map(([, code = '']) => JSON.parse(code));
const noOpenCL = await withoutDevice('opencl');
const registry = new AdapterRegistry();
registry.register(createMlAdapter({ egress: createEgress() }));
after(() => registry.close());

for (let index = 0; index < blocks.length; index += 2) {
  const { type, params } = blocks[index];
  test(`docs/adapters/ml.md: ${type}`, { skip: type === 'gpu_compute' && noOpenCL }, async () => {
    const step = { id: 'step', type, params };
    const output = (await registry.run(step, contextFor(step))) as JSONObject;
    for (const [name, shown] of Object.entries(blocks[index + 1] as JSONObject)) {
      const actual = output[name];
      if (name === 'metrics') assert.equal((actual as JSONObject).accuracy, (shown as JSONObject).accuracy);
      else assert.deepEqual(actual, shown, name);
    }
  });
}
