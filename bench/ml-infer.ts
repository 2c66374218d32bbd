// ml_infer and ml_batch beside the bare runtime.
// Options: --seconds N, --json
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { mlBatch } from '../src/adapters/ml/infer/batch.ts';
import { Batcher } from '../src/adapters/ml/infer/batcher.ts';
import { type InferDeps, mlInfer } from '../src/adapters/ml/infer/infer.ts';
import { sessionOptions } from '../src/adapters/ml/model/onnx-handlers.ts';
import { Runner } from '../src/adapters/ml/model/runner.ts';
import { Graph } from '../src/adapters/ml/onnx/graph.ts';
import { encodeModel } from '../src/adapters/ml/onnx/model.ts';
import { Processes } from '../src/adapters/ml/process/processes.ts';
import { sha256 } from '../src/lib/hash.ts';
import type { JSONObject } from '../src/lib/json.ts';
import { contextFor } from '../test/compliance/adapter.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '3' }, json: { type: 'boolean' } } });
const ms = Number(values.seconds) * 1000;

function perceptron(widths: readonly number[]): Uint8Array {
  const graph = new Graph();
  let x = graph.input('x', ['batch', widths[0] ?? 1]);
  for (const [index, width] of widths.slice(1).entries()) {
    const from = widths[index] ?? 1;
    const weights = Float32Array.from({ length: from * width }, (_, at) => Math.sin(at) / Math.sqrt(from));
    x = graph.gemm(x, graph.constant(weights, [from, width]), graph.constant(new Float32Array(width), [width]));
    if (index < widths.length - 2) x = graph.relu(x);
  }
  graph.output('y', x);
  return encodeModel(graph);
}

const side = 224;

/**
 * A net for images of 224 × 224.
 * @param width 1 for about 240 million multiplications an image, as small nets for phones have; 3 for 2 billion, as ResNet-18 has
 */
function convolutions(width: number): Uint8Array {
  const graph = new Graph();
  const channels = [3, 32 * width, 64 * width, 128 * width, 128 * width];
  let x = graph.input('x', ['batch', 3, side, side]);
  for (const [index, filters] of channels.slice(1).entries()) {
    const from = channels[index] ?? 1;
    const weights = Float32Array.from({ length: filters * from * 9 }, (_, at) => Math.sin(at) / Math.sqrt(from * 9));
    const stride = index < 3 ? 2 : 1;
    const window = { kernel: [3, 3], strides: [stride, stride], pads: [1, 1, 1, 1] } as const;
    x = graph.relu(graph.conv(x, graph.constant(weights, [filters, from, 3, 3]), undefined, window));
  }
  graph.output('y', graph.sum(x, [2, 3]));
  return encodeModel(graph);
}

const features = 784;
const bytes = perceptron([features, 512, 512, 10]);
const digest = sha256(bytes);
const imageModels = { small: convolutions(1), large: convolutions(3) };
const assetOf = (file: Uint8Array) => ({ digest: sha256(file), size: file.length, read: async () => file });
const models = new Map([
  ['mlp.onnx', assetOf(bytes)],
  ['small.onnx', assetOf(imageModels.small)],
  ['large.onnx', assetOf(imageModels.large)],
]);
const processes = new Processes();
const runner = new Runner(processes);
const deps: InferDeps = {
  processes,
  runner,
  batcher: new Batcher(runner),
  egress: {
    addresses: () => Promise.reject(new Error('nothing is fetched')),
    lookup: () => () => undefined,
    checkPath: () => undefined,
  },
  assets: { places: [], find: async (name) => models.get(name) },
};

type Body = () => Promise<unknown>;
const sliceMs = 40;

/** Rows per second of one slice of time. */
async function slice(rows: number, body: Body): Promise<number> {
  const start = performance.now();
  let count = 0;
  do {
    await body();
    count += rows;
  } while (performance.now() - start < sliceMs);
  return (count / (performance.now() - start)) * 1000;
}

const median = (numbers: readonly number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;

interface Rate {
  /** Rows per second, the median of slices. */
  rate: number;
  /** Median of what it was of the first's in the slice before. */
  'of the first': number;
}

/** In turns of short slices, so that other load on the machine meets all alike. */
async function compare(bodies: Record<string, [rows: number, body: Body]>): Promise<Record<string, Rate>> {
  const names = Object.keys(bodies);
  const rates = names.map((): number[] => []);
  for (const [, body] of Object.values(bodies)) await body();
  const end = performance.now() + ms * names.length;
  while (performance.now() < end)
    for (const [index, [rows, body]] of Object.values(bodies).entries()) rates[index]?.push(await slice(rows, body));
  const [first = []] = rates;
  const ratio = (list: readonly number[]): number => median(list.map((rate, at) => rate / (first[at] ?? rate)));
  return Object.fromEntries(
    names.map((name, index) => {
      const list = rates[index] ?? [];
      return [name, { rate: Math.round(median(list)), 'of the first': Math.round(ratio(list) * 100) / 100 }];
    }),
  );
}

const ort = createRequire(import.meta.url)('onnxruntime-node') as typeof import('onnxruntime-node');
// As the processes run it: with the runtime's own settings its threads would go on within the turns of the others.
const session = await ort.InferenceSession.create(bytes, { executionProviders: ['cpu'], ...sessionOptions });
const step = (type: string, params: JSONObject) => ({ id: type, type, params: { model: 'mlp.onnx', ...params } });
const context = contextFor(step('ml_infer', {}));
const data = (rows: number): Float32Array<ArrayBuffer> => new Float32Array(rows * features).fill(0.25);
const base64 = (rows: number): JSONObject => ({
  dtype: 'float32',
  shape: [rows, features],
  base64: Buffer.from(data(rows).buffer).toString('base64'),
});

const report: Record<string, unknown> = { cores: availableParallelism(), node: process.version };
for (const rows of [1, 32, 256, 1024]) {
  const tensor = new ort.Tensor('float32', data(rows), [rows, features]);
  const input = base64(rows);
  const lists = Array.from({ length: rows }, () => [...data(1)]);
  const infer = (value: JSONObject[string]) => () =>
    mlInfer(step('ml_infer', { input: value, output_form: 'base64', dynamic_batching: false }), context, deps);
  const model = { kind: 'onnx', name: '', key: digest, digest, read: async () => bytes } as const;
  const direct = { x: { dtype: 'float32', shape: [rows, features], data: data(rows) } } as const;
  report[`rows/s, batches of ${rows}`] = await compare({
    'bare runtime': [rows, () => session.run({ x: tensor })],
    'process alone': [rows, () => runner.run(model, 'cpu', direct, [], context.signal)],
    'ml_infer, base64': [rows, infer(input)],
    'ml_infer, lists': [rows, infer(lists)],
  });
}
const many = Array.from({ length: 8192 }, () => [...data(1)]);
const manyBytes = base64(many.length);
report['rows/s, ml_batch of 8,192'] = await compare({
  'bare runtime, batches of 256': [
    256,
    () => session.run({ x: new ort.Tensor('float32', data(256), [256, features]) }),
  ],
  'ml_batch, lists': [8192, () => mlBatch(step('ml_batch', { input: many, batch_size: 256 }), context, deps)],
  'ml_batch, base64': [8192, () => mlBatch(step('ml_batch', { input: manyBytes, batch_size: 256 }), context, deps)],
});
for (const [size, imageModel] of Object.entries(imageModels)) {
  const imageSession = await ort.InferenceSession.create(imageModel, {
    executionProviders: ['cpu'],
    ...sessionOptions,
  });
  for (const count of [1, 8]) {
    const shape = [count, 3, side, side];
    const pixels = new Float32Array(count * 3 * side * side).fill(0.5);
    const tensor = new ort.Tensor('float32', pixels, shape);
    const input = { dtype: 'float32', shape, base64: Buffer.from(pixels.buffer).toString('base64') };
    const params = { model: `${size}.onnx`, input, output_form: 'base64', dynamic_batching: false };
    report[`images/s, convolutions, ${size}, batches of ${count}`] = await compare({
      'bare runtime': [count, () => imageSession.run({ x: tensor })],
      'ml_infer, base64': [count, () => mlInfer(step('ml_infer', params), context, deps)],
    });
  }
}
const one = base64(1);
const single = (dynamic_batching: boolean) => () =>
  mlInfer(step('ml_infer', { input: one, dynamic_batching }), context, deps);
report['steps/s, one row each'] = await compare({
  'one after the other': [1, single(false)],
  '64 at once, each alone': [64, () => Promise.all(Array.from({ length: 64 }, single(false)))],
  '64 at once, run together': [64, () => Promise.all(Array.from({ length: 64 }, single(true)))],
  '256 at once, run together': [256, () => Promise.all(Array.from({ length: 256 }, single(true)))],
});
if (values.json === true) console.log(JSON.stringify(report, null, 2));
else
  for (const [what, numbers] of Object.entries(report)) {
    console.log(`\n${what}`);
    console.log(numbers);
  }
await processes.close();
