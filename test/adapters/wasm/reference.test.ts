// The reference document's WebAssembly examples, run by an engine as they are written there. In place of its placeholder stands a real PNG, and of its
// database on localhost one of the tests' server.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, it } from 'node:test';
import { MongoClient } from 'mongodb';
import { DistributedEngine } from '../../../src/compose/distributed-engine.ts';
import { decodeReceipt } from '../../../src/core/receipt/statement.ts';
import { verifyBundle } from '../../../src/core/receipt/verify.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import type { Workflow } from '../../../src/protocol/workflow.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { describeWith } from '../../support/services.ts';
import { blurred, picture } from './pictures.ts';
import { readPNG, writeRGBA } from './png.ts';

const engine = new DistributedEngine({ dataDir: false });
after(() => engine.close());

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

async function moduleDigest(name: string): Promise<string> {
  return sha256(await readFile(new URL(`../../../modules/${name}`, import.meta.url)));
}

/** Verifies the run's evidence. @returns the digests of the files that the step's receipt states */
async function proven(run_id: string, step: string): Promise<Record<string, string> | undefined> {
  const bundle = await engine.api.bundle(run_id);
  const report = verifyBundle(bundle, { trust: await engine.api.trust() });
  assert.ok(report.ok && report.pinned, JSON.stringify(report.problems));
  const predicates = bundle.receipts.map((envelope) => decodeReceipt(envelope).predicate);
  return predicates.find(({ step_id }) => step_id === step)?.assets;
}

const example3 = (image: string, connection: string): Workflow => ({
  workflow: 'wasm_image_processing',
  steps: [
    { id: 'load_image', type: 'mock_compute', params: { input: image } },
    {
      id: 'process_wasm',
      type: 'wasm_execute',
      params: {
        module: 'image_processor.wasm',
        function: 'apply_filter',
        args: { image: '$load_image.result', filter: 'gaussian_blur', radius: 5 },
      },
      resource_requirements: { ram_mb: 512, timeout_ms: 5000 },
      parent_step_ids: ['load_image'],
    },
    {
      id: 'save_result',
      type: 'db_insert',
      params: { connection, collection: 'processed', document: '$process_wasm.result' },
      parent_step_ids: ['process_wasm'],
    },
  ],
});

async function stored(url: string): Promise<Record<string, unknown>[]> {
  const client = await MongoClient.connect(url);
  const documents = client.db().collection('processed').find().toArray();
  return await documents.finally(() => client.close());
}

describeWith('mongodb', 'example 3: an image pipeline', () => {
  it('loads a PNG, blurs it by a module, and stores what that gave', async () => {
    const original = picture(64, 48);
    const { url, drop } = await freshDatabase('mongodb');
    after(drop);
    const result = await engine.execute(example3(Buffer.from(writeRGBA(original)).toString('base64'), url));
    assert.equal(result.status, 'completed', JSON.stringify(result.error));
    assert.deepEqual(await proven(result.run_id, 'process_wasm'), {
      'image_processor.wasm': await moduleDigest('image_processor.wasm'),
    });

    const documents = await stored(url);
    assert.equal(documents.length, 1);
    const { image, width, height, format, filter, radius } = documents[0] ?? {};
    assert.deepEqual(
      { width, height, format, filter, radius },
      { width: 64, height: 48, format: 'png', filter: 'gaussian_blur', radius: 5 },
    );
    assert.deepEqual(readPNG(Buffer.from(String(image), 'base64')), blurred(original, 5));

    const replayed = await engine.replay(await engine.api.bundle(result.run_id));
    assert.ok(replayed.verified);
    assert.equal(replayed.steps.find(({ step_id }) => step_id === 'process_wasm')?.status, 'same');
  });

  it('its placeholder is no picture: the step says so, and nothing is stored', async () => {
    const { url, drop } = await freshDatabase('mongodb');
    after(drop);
    const { status, error } = await engine.execute(example3('image_data_base64', url));
    assert.deepEqual([status, error?.code], ['failed', 'WASM_EXITED']);
    assert.match(String(error?.message), /not base64|no PNG/);
    assert.deepEqual(await stored(url), []);
  });
});

it('the adapter’s example: a SHA-256 within 10 pages, 640 MB and a second', async () => {
  const result = await engine.execute({
    workflow: 'wasm_crypto',
    steps: [
      {
        id: 'wasm_compute',
        type: 'wasm_execute',
        params: {
          module: 'crypto_hash.wasm',
          function: 'sha256',
          args: { data: 'Hello, WASM!' },
          memory_pages: 10,
        },
        resource_requirements: { ram_mb: 640, timeout_ms: 1000 },
      },
    ],
  });
  assert.equal(result.status, 'completed', JSON.stringify(result.error));
  const { result: digest, memory_used_bytes } = result.outputs.wasm_compute as JSONObject;
  assert.equal(digest, sha256('Hello, WASM!'));
  assert.ok(Number(memory_used_bytes) <= 10 * 65_536);
  assert.deepEqual(await proven(result.run_id, 'wasm_compute'), {
    'crypto_hash.wasm': await moduleDigest('crypto_hash.wasm'),
  });
});
