// ml_infer and ml_batch as a workflow uses them, on a node.
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createMlAdapter } from '../../../src/adapters/ml/adapter.ts';
import { Graph } from '../../../src/adapters/ml/onnx/graph.ts';
import { encodeModel } from '../../../src/adapters/ml/onnx/model.ts';
import { MessageWriter } from '../../../src/adapters/ml/onnx/wire.ts';
import { AssetFolders } from '../../../src/compose/asset-folders.ts';
import { DistributedEngine } from '../../../src/compose/distributed-engine.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import { sha256 } from '../../../src/lib/hash.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { adapterCompliance } from '../../compliance/adapter.ts';

const folder = await mkdtemp(join(tmpdir(), 'jsonflow-models-'));
after(() => rm(folder, { recursive: true, force: true }));

/** y = x times [[1, 2], [3, 4]] */
const graph = new Graph();
graph.output('y', graph.gemm(graph.input('x', ['batch', 2]), graph.constant(Float32Array.of(1, 2, 3, 4), [2, 2])));
const model = encodeModel(graph);
await writeFile(join(folder, 'linear.onnx'), model);

/** The same as a model of TensorFlow.js. */
const dense = { class_name: 'Dense', config: { name: 'd', units: 2, use_bias: false, batch_input_shape: [null, 2] } };
const modelTopology = { class_name: 'Sequential', config: [dense] };
const weights = [{ name: 'd/kernel', shape: [2, 2], dtype: 'float32' }];
await writeFile(
  join(folder, 'model.json'),
  JSON.stringify({ modelTopology, weightsManifest: [{ paths: ['weights.bin'], weights }] }),
);
await writeFile(join(folder, 'weights.bin'), Float32Array.of(1, 2, 3, 4));

/** A model that never ends: `Loop` without a number of rounds, and a condition that stays true. */
function endlessModel(): Uint8Array {
  const value = (name: string, type: number, shape: number[]) => {
    const axes = new MessageWriter();
    for (const length of shape) axes.message(1, new MessageWriter().int(1, length));
    const tensor = new MessageWriter().int(1, type).message(2, axes);
    return new MessageWriter().text(1, name).message(2, new MessageWriter().message(1, tensor));
  };
  const node = (op: string, inputs: string[], outputs: string[]) => {
    const written = new MessageWriter();
    for (const name of inputs) written.text(1, name);
    for (const name of outputs) written.text(2, name);
    return written.text(4, op);
  };
  const [float, int64, bool] = [1, 7, 9];
  const body = new MessageWriter()
    .message(1, node('Identity', ['going'], ['on']))
    .message(1, node('Identity', ['v'], ['w']));
  body
    .text(2, 'body')
    .message(11, value('round', int64, []))
    .message(11, value('going', bool, []));
  body
    .message(11, value('v', float, [1]))
    .message(12, value('on', bool, []))
    .message(12, value('w', float, [1]));
  const attribute = new MessageWriter().text(1, 'body').message(6, body).int(20, 5);
  const yes = new MessageWriter().int(2, bool).text(8, 'yes').bytes(9, Uint8Array.of(1));
  const outer = new MessageWriter().message(1, node('Loop', ['', 'yes', 'x'], ['y']).message(5, attribute));
  outer
    .text(2, 'endless')
    .message(5, yes)
    .message(11, value('x', float, [1]))
    .message(12, value('y', float, [1]));
  return new MessageWriter()
    .int(1, 8)
    .message(7, outer)
    .message(8, new MessageWriter().text(1, '').int(2, 17))
    .finish();
}
await writeFile(join(folder, 'endless.onnx'), endlessModel());

interface Outcome {
  status: string;
  error?: unknown;
  outputs: Record<string, JSONObject>;
  receipts: { step_id: string }[];
}

async function run(steps: object[]): Promise<Outcome> {
  const engine = new DistributedEngine({ dataDir: false, assets: [folder] });
  try {
    return (await engine.execute({ workflow: 'infer', steps })) as unknown as Outcome;
  } finally {
    await engine.close();
  }
}

test("the reference document's step runs: a model that the vault names, the input of an earlier step", async () => {
  process.env.JSONFLOW_VAULT_MODEL_PATH = 'model.json';
  const prepared = {
    id: 'preprocessed_data',
    type: 'mock_compute',
    params: {
      input: [
        [1, 0],
        [0, 1],
        [1, 1],
      ],
    },
  };
  const params = {
    model: 'vault://model_path',
    framework: 'tensorflow',
    input: '$preprocessed_data.result',
    batch_size: 2,
  };
  const resource_requirements = { timeout_ms: 60_000 };
  const { status, error, outputs } = await run([
    prepared,
    { id: 'ml_inference', type: 'ml_infer', params, resource_requirements },
  ]);
  assert.equal(status, 'completed', JSON.stringify(error));
  const { result, runs, device } = outputs.ml_inference ?? {};
  assert.deepEqual(
    [result, runs, device],
    [
      [
        [1, 2],
        [3, 4],
        [4, 6],
      ],
      2,
      'cpu',
    ],
  );
});

test('what runs a model leaves no file behind, and so no log of what would be reported to its maker', async () => {
  const before = process.env.TMPDIR;
  const own = await mkdtemp(join(folder, 'tmp-'));
  process.env.TMPDIR = own;
  try {
    const params = { model: 'linear.onnx', input: [[1, 0]] };
    const { status, error } = await run([{ id: 'a', type: 'ml_infer', params }]);
    assert.equal(status, 'completed', JSON.stringify(error));
    assert.deepEqual(await readdir(own), []);
  } finally {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  }
});

test('rows that one step stores, another reads; the model is the file as it was when the run began', async () => {
  const rows = Array.from({ length: 300 }, (_, row) => [row, 1]);
  const first = { id: 'first', type: 'ml_batch', params: { model: 'linear.onnx', input: rows, max_rows_inline: 10 } };
  const params = { model: `sha256:${sha256(model)}`, input: '$first.result', batch_size: 100 };
  const { status, error, outputs } = await run([first, { id: 'second', type: 'ml_batch', params }]);
  assert.equal(status, 'completed', JSON.stringify(error));
  const { result, row_count, model_digest } = outputs.second ?? {};
  assert.deepEqual([row_count, model_digest], [300, sha256(model)]);
  assert.deepEqual((result as number[][])[299], [302 + 3 * 602, 2 * 302 + 4 * 602]);
  assert.equal((outputs.first?.result as JSONObject | undefined)?.stored, 'ndjson');
});

test('a bad input fails its step with the code and the place', async () => {
  const { status, error } = await run([
    { id: 'bad', type: 'ml_infer', params: { model: 'linear.onnx', input: [[1, 2], [3]] } },
  ]);
  assert.equal(status, 'failed');
  assert.match(JSON.stringify(error), /INVALID_PARAMS.*params\.input\[1\]/);
});

test('a model that never ends costs its step alone', async () => {
  const endless = { id: 'endless', type: 'ml_infer', params: { model: 'endless.onnx', input: [1] } };
  const other = { id: 'other', type: 'ml_infer', params: { model: 'linear.onnx', input: [1, 2] } };
  const { status, error, outputs } = await run([{ ...endless, resource_requirements: { timeout_ms: 1_500 } }, other]);
  assert.equal(status, 'failed');
  assert.match(JSON.stringify(error), /STEP_TIMEOUT/);
  assert.deepEqual(outputs.other?.result, [[7, 10]]);
});

const sources = { egress: createEgress(), assets: new AssetFolders([folder]) };
const covered = ['ml_infer', 'ml_batch'];

adapterCompliance(
  'ml',
  () => {
    const adapter = createMlAdapter(sources);
    const manifest = adapter.getManifest();
    const step_types = manifest.step_types.filter(({ type }) => covered.includes(type));
    return { ...adapter, getManifest: () => ({ ...manifest, step_types }) };
  },
  covered.map((type) => ({
    type,
    params: { model: 'linear.onnx', input: [[1, 2]] },
    endlessParams: { model: 'endless.onnx', input: [1] },
    badParams: { model: 'linear.onnx', input: [[1, 2]], batch_size: 0 },
  })),
);
