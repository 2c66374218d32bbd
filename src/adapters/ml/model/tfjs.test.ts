import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';
import type { io, LayersModel, Tensor as TfTensor } from '@tensorflow/tfjs';
import { contextFor } from '../../../../test/compliance/adapter.ts';
import { sha256 } from '../../../lib/hash.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { Batcher } from '../infer/batcher.ts';
import { type InferDeps, mlInfer } from '../infer/infer.ts';
import { Processes } from '../process/processes.ts';
import { Runner } from './runner.ts';

const tf = createRequire(import.meta.url)('@tensorflow/tfjs') as typeof import('@tensorflow/tfjs');
tf.enableProdMode();
await tf.setBackend('cpu');

const processes = new Processes();
after(() => processes.close());
const runner = new Runner(processes);
const kinds: string[] = [];
const files = new Map<string, Uint8Array>();
const deps: InferDeps = {
  processes,
  runner: Object.assign(Object.create(runner), {
    info: (...args: Parameters<Runner['info']>) => {
      kinds.push(args[0].kind);
      return runner.info(...args);
    },
    run: (...args: Parameters<Runner['run']>) => runner.run(...args),
  }) as Runner,
  batcher: new Batcher(runner),
  egress: {
    addresses: () => Promise.reject(new Error('nothing is fetched here')),
    lookup: () => () => undefined,
    checkPath: () => undefined,
  },
  assets: {
    places: ['models/'],
    async find(name) {
      const bytes = files.get(name);
      return bytes && { digest: sha256(bytes), size: bytes.length, read: async () => bytes };
    },
  },
};

const infer = (params: JSONObject): Promise<JSONObject> =>
  mlInfer({ id: 'i', type: 'ml_infer', params }, contextFor({ id: 'i', type: 'ml_infer', params }), deps);

/** Weights in two files, as converters divide them. */
function write(folder: string, json: object, weights: Uint8Array, specs: unknown): void {
  const half = weights.length >> 1;
  files.set(`${folder}/a.bin`, weights.subarray(0, half));
  files.set(`${folder}/b.bin`, weights.subarray(half));
  const manifest = [{ paths: ['a.bin', 'b.bin'], weights: specs }];
  files.set(`${folder}/model.json`, Buffer.from(JSON.stringify({ ...json, weightsManifest: manifest })));
}

async function save(folder: string, model: LayersModel): Promise<void> {
  const handler = {
    async save({ modelTopology, weightSpecs, weightData }: io.ModelArtifacts) {
      write(folder, { format: 'layers-model', modelTopology }, new Uint8Array(weightData as ArrayBuffer), weightSpecs);
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' as const } };
    },
  };
  await model.save(handler);
}

const seeded = (seed: number) => tf.initializers.glorotUniform({ seed });
const spread = (seed: number) => tf.initializers.randomUniform({ minval: 0.2, maxval: 1.5, seed });

/** Layers of all kinds that are converted, in a net with branches. */
function branched(): LayersModel {
  const input = tf.input({ shape: [9, 8, 3] });
  const conv = tf.layers
    .conv2d({
      filters: 4,
      kernelSize: [3, 2],
      strides: 2,
      padding: 'same',
      activation: 'relu',
      kernelInitializer: seeded(1),
      biasInitializer: spread(9),
    })
    .apply(input);
  const normal = tf.layers
    .batchNormalization({
      gammaInitializer: spread(2),
      betaInitializer: spread(3),
      movingMeanInitializer: spread(4),
      movingVarianceInitializer: spread(5),
    })
    .apply(conv);
  const dilated = tf.layers
    .conv2d({
      filters: 4,
      kernelSize: 3,
      dilationRate: 2,
      padding: 'same',
      useBias: false,
      activation: 'elu',
      kernelInitializer: seeded(6),
    })
    .apply(normal);
  const sum = tf.layers.add().apply([normal, dilated] as never);
  const pooled = tf.layers.maxPooling2d({ poolSize: 2, strides: 1, padding: 'same' }).apply(sum);
  const mean = tf.layers.averagePooling2d({ poolSize: [2, 3], strides: 2, padding: 'same' }).apply(pooled);
  const flat = tf.layers.flatten().apply(mean);
  const global = tf.layers.globalAveragePooling2d({}).apply(sum as never);
  const both = tf.layers.concatenate().apply([flat, global] as never);
  const dropped = tf.layers.dropout({ rate: 0.5 }).apply(both);
  const leaky = tf.layers.leakyReLU({ alpha: 0.1 }).apply(dropped as never);
  const reshaped = tf.layers.reshape({ targetShape: [4, 7] }).apply(leaky);
  const wide = tf.layers.dense({ units: 5, activation: 'tanh', kernelInitializer: seeded(7) }).apply(reshaped);
  const last = tf.layers.flatten().apply(wide);
  const output = tf.layers.dense({ units: 3, activation: 'softmax', kernelInitializer: seeded(8) }).apply(last);
  return tf.model({ inputs: input, outputs: output as never });
}

const numbers = (count: number): number[] => Array.from({ length: count }, (_, at) => Math.sin(at * 12.9898) * 1.5);
const flatOf = (value: unknown): number[] => [value].flat(9) as number[];

function near(found: unknown, wanted: number[], what: string): void {
  const list = flatOf(found);
  assert.equal(list.length, wanted.length, what);
  for (const [at, number] of wanted.entries())
    assert.ok(
      Math.abs((list[at] as number) - number) <= 1e-4 * Math.max(1, Math.abs(number)),
      `${what}[${at}]: ${list[at]}, not ${number}`,
    );
}

test('layers models are run as ONNX, and give what TensorFlow.js gives', async () => {
  const model = branched();
  await save('branched', model);
  const data = numbers(2 * 9 * 8 * 3);
  const wanted = [...(model.predict(tf.tensor(data, [2, 9, 8, 3])) as TfTensor).dataSync()];
  kinds.length = 0;
  const output = await infer({ model: 'branched/model.json', input: { shape: [2, 9, 8, 3], data } });
  assert.deepEqual(kinds, ['onnx']);
  near(output.result, wanted, 'branched');
});

test('every activation is what TensorFlow.js calls so', async () => {
  const named = [
    'linear',
    'relu',
    'relu6',
    'sigmoid',
    'tanh',
    'elu',
    'selu',
    'softplus',
    'softsign',
    'hardSigmoid',
    'swish',
  ] as const;
  for (const activation of named) {
    const model = tf.sequential({ layers: [tf.layers.activation({ activation, inputShape: [7] })] });
    await save(activation, model);
    const data = numbers(14).map((number) => number * 5);
    const wanted = [...(model.predict(tf.tensor(data, [2, 7])) as TfTensor).dataSync()];
    near(
      (await infer({ model: `${activation}/model.json`, input: { shape: [2, 7], data } })).result,
      wanted,
      activation,
    );
  }
});

test('layers without a counterpart are run by TensorFlow.js itself', async () => {
  const model = tf.sequential({
    layers: [
      tf.layers.gru({ units: 3, inputShape: [4, 2], kernelInitializer: seeded(1), recurrentInitializer: seeded(2) }),
    ],
  });
  await save('gru', model);
  const data = numbers(16);
  const wanted = [...(model.predict(tf.tensor(data, [2, 4, 2])) as TfTensor).dataSync()];
  kinds.length = 0;
  const output = await infer({ model: 'gru/model.json', framework: 'tensorflow', input: { shape: [2, 4, 2], data } });
  assert.deepEqual(kinds, ['tfjs']);
  near(output.result, wanted, 'gru');
});

test('a shape with an open length, a layer that is used twice, and an axis that is not the last', async () => {
  const open = tf.sequential({
    layers: [
      tf.layers.reshape({ targetShape: [-1, 2], inputShape: [3, 4] }),
      tf.layers.dense({ units: 3, kernelInitializer: seeded(1) }),
    ],
  });
  await save('open', open);
  const data = numbers(24);
  const { result, shapes } = await infer({ model: 'open/model.json', input: { shape: [2, 3, 4], data } });
  const wanted = open.predict(tf.tensor(data, [2, 3, 4])) as TfTensor;
  near(result, [...wanted.dataSync()], 'open');
  assert.deepEqual(Object.values(shapes as object)[0], { dtype: 'float32', shape: [2, 6, 3] });

  const input = tf.input({ shape: [4] });
  const twice = tf.layers.dense({ units: 4, kernelInitializer: seeded(2) });
  const shared = tf.model({ inputs: input, outputs: twice.apply(twice.apply(input)) as never });
  await save('shared', shared);
  kinds.length = 0;
  const output = await infer({ model: 'shared/model.json', input: { shape: [2, 4], data: data.slice(0, 8) } });
  assert.deepEqual(kinds, ['tfjs']);
  near(output.result, [...(shared.predict(tf.tensor(data.slice(0, 8), [2, 4])) as TfTensor).dataSync()], 'shared');

  await save('axis', tf.sequential({ layers: [tf.layers.softmax({ axis: 1, inputShape: [3, 4] })] }));
  await assert.rejects(infer({ model: 'axis/model.json', input: { shape: [2, 3, 4], data } }), {
    code: 'ML_UNSUPPORTED_MODEL',
    message: /Softmax over axis 1/,
  });
});

test('graph models are run by TensorFlow.js, with quantized weights too', async () => {
  const node = (name: string, op: string, input: string[] = [], attr: object = {}) => ({ name, op, input, attr });
  const float = { dtype: { type: 'DT_FLOAT' } };
  const modelTopology = {
    node: [
      node('x', 'Placeholder', [], { ...float, shape: { shape: { dim: [{ size: '-1' }, { size: '2' }] } } }),
      node('w', 'Const', [], float),
      node('y', 'MatMul', ['x', 'w'], {
        transpose_a: { b: false },
        transpose_b: { b: false },
        T: { type: 'DT_FLOAT' },
      }),
      node('z', 'Relu', ['y'], { T: { type: 'DT_FLOAT' } }),
    ],
    versions: { producer: 1 },
  };
  const specs = [{ name: 'w', shape: [2, 2], dtype: 'float32', quantization: { dtype: 'uint8', scale: 0.5, min: -1 } }];
  write('graph', { format: 'graph-model', modelTopology }, Uint8Array.of(4, 0, 2, 6), specs);
  kinds.length = 0;
  // The weights are [[1, -1], [0, 2]].
  const output = await infer({
    model: 'graph/model.json',
    input: [
      [1, 2],
      [3, -1],
    ],
  });
  assert.deepEqual(kinds, ['tfjs']);
  assert.deepEqual(output.result, [
    [1, 3],
    [3, 0],
  ]);
  assert.deepEqual(Object.keys(output.outputs as JSONObject), ['z']);
});

test('what is broken or foreign is refused with a reason', async () => {
  await save('sound', tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [2] })] }));
  const json = JSON.parse(Buffer.from(files.get('sound/model.json') ?? '').toString());
  const put = (name: string, value: unknown) => files.set(name, Buffer.from(JSON.stringify(value)));
  put('sound/out.json', { ...json, weightsManifest: [{ paths: ['../a.bin'], weights: [] }] });
  put('sound/short.json', {
    ...json,
    weightsManifest: [{ paths: ['a.bin'], weights: json.weightsManifest[0].weights }],
  });
  put('sound/none.json', { ...json, weightsManifest: [{ paths: ['no.bin'], weights: [] }] });
  put('sound/empty.json', {});
  for (const [name, code] of [
    ['out', 'ML_INVALID_MODEL'],
    ['short', 'ML_INVALID_MODEL'],
    ['none', 'MODEL_NOT_FOUND'],
    ['empty', 'ML_INVALID_MODEL'],
  ])
    await assert.rejects(infer({ model: `sound/${name}.json`, input: [1, 2] }), { code }, name);
  files.set('saved', Buffer.from('\x08\x01'));
  await assert.rejects(infer({ model: 'saved', framework: 'tensorflow', input: [] }), {
    code: 'ML_UNSUPPORTED_MODEL',
    message: /tensorflowjs_converter/,
  });
});
