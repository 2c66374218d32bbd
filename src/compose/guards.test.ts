import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVerifier } from '../identity/identity.ts';
import { JSONFlowError } from '../lib/errors.ts';
import type { JSONObject } from '../lib/json.ts';
import type { Bundle } from '../protocol/receipt.ts';
import { settingsOf } from './config.ts';
import { DistributedEngine } from './distributed-engine.ts';
import { ReceiptStore } from './receipt-store.ts';

const isConfig = (thrown: unknown): boolean => thrown instanceof JSONFlowError && thrown.code === 'INVALID_CONFIG';

test('a coordinator with a ca alone would listen in plain text, and is refused', () => {
  assert.throws(() => settingsOf({ port: 0, host: '0.0.0.0', token: 'x', tls: { ca: 'CA' } }), isConfig);
  assert.throws(() => settingsOf({ port: 0, tls: { cert: 'CERT' } }), isConfig);
  assert.equal(settingsOf({ connect: 'wss://there', tls: { ca: 'CA' } }).role, 'worker');
});

const effects: JSONObject[] = [];
const poster = (deterministic: boolean) => ({
  getManifest: () => ({ adapter_id: 'poster', version: '1', step_types: [{ type: 'post', deterministic }] }),
  execute: ({ params }: { params: JSONObject }) => {
    effects.push(params);
    return { result: 'sent' };
  },
});
const vault = { resolve: async () => 'the secret of this machine' };
const posting = { workflow: 'post', steps: [{ id: 'post', type: 'post', params: { auth: 'vault://key' } }] };

async function bundleOf(deterministic: boolean): Promise<Bundle> {
  const engine = new DistributedEngine({ dataDir: false, adapters: [poster(deterministic)], vault });
  const { run_id } = await engine.execute(posting);
  const bundle = await engine.api.bundle(run_id);
  await engine.close();
  return bundle;
}

test('a foreign bundle neither repeats effects nor gets secrets', async (context) => {
  const bundle = await bundleOf(true);
  effects.length = 0;
  const careful = new DistributedEngine({ dataDir: false, adapters: [poster(false)], vault });
  context.after(() => careful.close());
  assert.match((await careful.replay(bundle)).steps[0]?.detail ?? '', /the adapter here does not promise/);
  const open = new DistributedEngine({ dataDir: false, adapters: [poster(true)], vault });
  context.after(() => open.close());
  assert.match((await open.replay(bundle)).steps[0]?.detail ?? '', /trusted signers only/);
  assert.deepEqual(effects, []);
  const trust = { jsonflow_trust: 1 as const, keys: bundle.keys };
  assert.equal((await open.replay(bundle, { trust })).same, 1);
  await assert.rejects(
    open.replay(bundle, { trust: { jsonflow_trust: 1, keys: [] } }),
    (thrown) => thrown instanceof JSONFlowError && thrown.code === 'BAD_EVIDENCE',
  );
});

test('a receipt counts only under the root that was signed for its run', async () => {
  const [one, two] = [await bundleOf(true), await bundleOf(true)];
  const store = (bundle: Bundle) => new ReceiptStore(async () => bundle, createVerifier());
  assert.equal(await store(one).verifyReceipt('post'), true);
  const keys = [...one.keys, ...two.keys];
  assert.equal(await store({ ...one, keys, receipts: two.receipts }).verifyReceipt('post'), false);
  assert.equal(await store({ ...one, keys, run_statement: two.run_statement }).verifyReceipt('post'), false);
});
