import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { createWasmAdapter } from '../../../src/adapters/wasm/adapter.ts';
import { AssetFolders, ownModules } from '../../../src/compose/asset-folders.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { contextFor } from '../../compliance/adapter.ts';

it('docs/adapters/wasm.md: the step and its output', async () => {
  const text = await readFile(new URL('../../../docs/adapters/wasm.md', import.meta.url), 'utf8');
  const [step, output] = [...text.matchAll(/^```json\n(.*?)^```/gms)].map(([, code = '']) => JSON.parse(code));
  const registry = new AdapterRegistry();
  registry.register(createWasmAdapter({ egress: createEgress(), assets: new AssetFolders([ownModules]) }));
  try {
    const real = await registry.run({ id: 's', ...step }, contextFor({ id: 's', ...step }));
    assert.deepEqual(real, output);
  } finally {
    await registry.close();
  }
});

it('docs/adapters/wasm.md names every param and every field of an output', async () => {
  const text = await readFile(new URL('../../../docs/adapters/wasm.md', import.meta.url), 'utf8');
  const { step_types } = createWasmAdapter({ egress: createEgress() }).getManifest();
  for (const { params_schema } of step_types)
    for (const name of Object.keys((params_schema?.properties ?? {}) as object))
      assert.ok(text.includes(`\`${name}\``), name);
});
