import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pae, toEnvelope } from '../core/receipt/dsse.ts';
import { receiptPayload } from '../core/receipt/statement.ts';
import { planWorkflow } from '../core/workflow/plan.ts';
import { createVerifier, ephemeralIdentity } from '../identity/identity.ts';
import { digestOf } from '../lib/canonical.ts';
import { sha256 } from '../lib/hash.ts';
import type { Assets } from '../ports/assets.ts';
import { payloadType, type ReceiptPredicate } from '../protocol/receipt.ts';
import { MemoryDisk, MemoryStore } from '../store/memory/memory-store.ts';
import { checkResult } from './evidence.ts';
import { assetsOf, pinAssets } from './pinned-assets.ts';

const bytes = Uint8Array.of(1);
const one = sha256(bytes);
const assets: Assets = {
  places: [],
  find: async (name) => (name.startsWith('no') ? undefined : { digest: one, size: 1, read: async () => bytes }),
};
const types = new Map([['use', { type: 'use', asset_params: ['file'] }]]);
const planOf = (files: unknown[]) =>
  planWorkflow({
    workflow: 'w',
    steps: files.map((file, index) => ({ id: `s${index}`, type: 'use', params: { file, other: 'a.bin' } })),
  } as never);
const pinned = (files: unknown[]) =>
  pinAssets(planOf(files), types, { assets, store: new MemoryStore({ disk: new MemoryDisk() }), shared: true });

it('only texts of the params that may name files are looked for, and no references or URLs', async () => {
  const found = await pinned([
    'm.wasm',
    '$s0.result',
    'https://x.example/m.wasm',
    7,
    null,
    'no.wasm',
    '__proto__',
    '../up',
  ]);
  assert.deepEqual(found, { 'm.wasm': one });
  assert.equal(await pinned(['$input.file']), undefined);
});

it('a step is told of the files that it names itself', async () => {
  const plan = planOf(['m.wasm', 'n.wasm']);
  const [step] = plan.steps;
  assert.ok(step !== undefined);
  assert.deepEqual(assetsOf(step, { 'm.wasm': one, 'x.wasm': one }), { 'm.wasm': one });
  assert.equal(assetsOf(step, undefined), undefined);
});

it('files are named within objects and lists, too', async () => {
  const nested = new Map([['use', { type: 'use', asset_params: ['file.image', 'file.*.image'] }]]);
  const names = async (file: unknown) => {
    const plan = planOf([file]);
    const found = await pinAssets(plan, nested, {
      assets,
      store: new MemoryStore({ disk: new MemoryDisk() }),
      shared: true,
    });
    const [step] = plan.steps;
    assert.ok(step !== undefined);
    assert.deepEqual(assetsOf(step, found), found);
    return Object.keys(found ?? {});
  };
  assert.deepEqual(await names({ image: 'a.png', other: 'b.png' }), ['a.png']);
  assert.deepEqual(await names([{ image: 'a.png' }, [{ image: 'b.png' }], 'c.png', null]), ['a.png', 'b.png']);
  assert.deepEqual(await names({ x: [{ image: 'a.png' }], y: { image: 'b.png' } }), ['a.png', 'b.png']);
  assert.deepEqual(await names({ image: { image: 'a.png' } }), ['a.png']);
  assert.deepEqual(await names('a.png'), []);
  const many = Array.from({ length: 65 }, (_, index) => ({ image: `${index}.png` }));
  await assert.rejects(names(many), { code: 'LIMIT_EXCEEDED' });
});

it('a run may use so many files and no more', async () => {
  const many = (count: number) => Array.from({ length: count }, (_, index) => `m${index}.wasm`);
  assert.equal(Object.keys((await pinned(many(1_000))) ?? {}).length, 1_000);
  await assert.rejects(pinned(many(1_001)), { code: 'LIMIT_EXCEEDED' });
});

it('a receipt that names other bytes than those that the run was begun with does not hold', async () => {
  const signer = ephemeralIdentity();
  const node = { node_id: 'n', key_id: signer.keyId, public_key: signer.publicKey };
  const check = async (stated: Record<string, string>): Promise<unknown> => {
    const predicate: ReceiptPredicate = {
      ...{ run_id: 'r', step_id: 's', step_type: 'use', attempt: 1, epoch: 1, tenant_id: null },
      ...{ workflow_digest: one, step_digest: one, input_digest: one, output_digest: digestOf(null), parents: [] },
      assets: stated,
      adapter: { id: 'a', version: '1' },
      node: { id: 'n', key_id: signer.keyId },
      ...{ started_at: '2026-01-01T00:00:00.000Z', finished_at: '2026-01-01T00:00:00.000Z' },
      ...{ status: 'success', deterministic: true, resources: {} },
    };
    const payload = receiptPayload(predicate);
    const envelope = toEnvelope(payload, signer.keyId, await signer.sign(pae(payloadType, payload)));
    const result = {
      ...({ kind: 'result', run_id: 'r', step_id: 's', attempt: 1, epoch: 1 } as const),
      ...{ envelope, output: { value: null }, output_digest: digestOf(null) },
    };
    const expected = {
      tenantId: null,
      workflowDigest: one,
      stepDigest: one,
      stepType: 'use',
      parents: [],
      assets: { 'm.wasm': one },
    };
    return checkResult(result, node, expected, createVerifier());
  };
  await check({ 'm.wasm': one, 'https://x.example/y.wasm': '2'.repeat(64) });
  await assert.rejects(check({ 'm.wasm': '2'.repeat(64) }), /digest of m\.wasm/);
});
