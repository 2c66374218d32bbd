import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { contextFor } from '../../../../test/compliance/adapter.ts';
import { createEgress } from '../../../egress/egress.ts';
import { sha256 } from '../../../lib/hash.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { Graph } from '../onnx/graph.ts';
import { encodeModel } from '../onnx/model.ts';
import { Processes } from '../process/processes.ts';
import { BytesCache } from './cache.ts';
import { type Model, Runner } from './runner.ts';
import { findModel } from './source.ts';

/** y = x times a factor */
function modelOf(factor: number): Uint8Array {
  const graph = new Graph();
  graph.output('y', graph.mul(graph.input('x', ['batch']), graph.scalar(factor)));
  return encodeModel(graph);
}
const bytes = modelOf(3);
const digest = sha256(bytes);

const requests: string[] = [];
const server = createServer((request, response) => {
  requests.push(request.url ?? '');
  if (request.url?.startsWith('/model.onnx') === true) response.end(bytes);
  else response.writeHead(404).end();
});
const processes = new Processes();
before(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
after(async () => {
  server.close();
  await processes.close();
});
const url = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}/model.onnx?key=secret`;

const contextOf = (others: Partial<AdapterContext> = {}): AdapterContext =>
  contextFor({ id: 's', type: 'ml_infer', params: {} }, undefined, others);
const open = createEgress({ allow: ['127.0.0.1'] });
const find = (params: JSONObject, context = contextOf(), egress = open): Promise<Model> =>
  findModel(params, context, { egress });

test('a model comes as base64, stored, as the output of a training, or by URL, and is pinned by its digest', async () => {
  const base64 = Buffer.from(bytes).toString('base64');
  const pins: [string, string][] = [];
  const context = contextOf({ pin: (name, pinned) => void pins.push([name, pinned]) });
  const stored = {
    stored: 'bytes',
    bytes: bytes.length,
    chunks: [{ digest: await context.blobs.put(bytes), bytes: bytes.length }],
  };
  for (const model of [{ base64 }, stored, { model: stored, metrics: {} }, url()]) {
    const found = await find({ model, framework: 'onnx', digest: `sha256:${digest}` }, context);
    assert.deepEqual([found.digest, Buffer.from((await found.read()) as Uint8Array)], [digest, Buffer.from(bytes)]);
  }
  const place = url().replace(/\?.*/, '');
  assert.deepEqual(
    pins.map(([name]) => name),
    ['inline', 'stored bytes', 'stored bytes', place],
  );
  assert.ok(pins.every(([, pinned]) => pinned === digest));
});

test('a URL is fetched once a digest asks for something new, and within the rules of the node alone', async () => {
  requests.length = 0;
  await find({ model: url(), digest });
  assert.deepEqual(requests, [], 'it may be there already');
  const other = await find({ model: url(), digest: '0'.repeat(64) });
  await assert.rejects(other.read(), { code: 'MODEL_DIGEST_MISMATCH' });
  await assert.rejects(find({ model: url().replace('model', 'none') }), { code: 'MODEL_FETCH_FAILED' });
  await assert.rejects(find({ model: url() }, contextOf(), createEgress()), { code: 'EGRESS_DENIED' });
});

test("a name out of the vault doesn't leave it", async () => {
  const pins: string[] = [];
  const redact = (text: string): string => text.replaceAll('secret-place', 'vault://m');
  const context = contextOf({ redact, pin: (name) => void pins.push(name), assets: { 'secret-place.onnx': digest } });
  await find({ model: 'secret-place.onnx' }, context);
  assert.deepEqual(pins, ['vault://m.onnx']);
  await assert.rejects(
    find({ model: 'secret-place/none.onnx' }, context),
    (error: Error) => !error.message.includes('secret-place'),
  );
});

test('the cache keeps what was used last within its bytes', async () => {
  const released: number[] = [];
  const cache = new BytesCache<number>((value) => void released.push(value));
  for (const value of [1, 2, 3]) await cache.put(`${value}`, value, 10, 30);
  assert.equal(cache.get('1'), 1);
  await cache.put('4', 4, 15, 30);
  assert.deepEqual([released, cache.get('2'), cache.get('1'), cache.get('4')], [[2, 3], undefined, 1, 4]);
  await cache.put('5', 5, 1000, 30);
  assert.deepEqual([released, cache.get('5')], [[2, 3, 1, 4], 5]);
});

test('models that go out of the cache are loaded again', async () => {
  const runner = new Runner(processes, { model_cache_mb: 0 });
  let reads = 0;
  const models = [2, 5].map((factor) => {
    const own = modelOf(factor);
    const read = async (): Promise<Uint8Array> => {
      reads += 1;
      return own;
    };
    return { factor, model: { kind: 'onnx' as const, name: '', key: sha256(own), digest: sha256(own), read } };
  });
  const { signal } = contextOf();
  for (let round = 0; round < 3; round += 1)
    for (const { factor, model } of models) {
      const x = { dtype: 'float32' as const, shape: [2], data: Float32Array.of(1, 2) };
      const { y } = await runner.run(model, 'cpu', { x }, [], signal);
      assert.deepEqual([...((y?.data ?? []) as Float32Array)], [factor, 2 * factor]);
    }
  assert.equal(reads, 6);
});
