// Gradients of the graphs against finite differences of a second implementation, which is plain and computes in 64 bits.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { buildModel, buildTraining, parametersOf } from '../../../src/adapters/ml/train/graphs.ts';
import type { LossKind } from '../../../src/adapters/ml/train/net/names.ts';
import { type Net, parseNet } from '../../../src/adapters/ml/train/net/parse.ts';
import { Random } from '../../../src/adapters/ml/train/random.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { ReferenceNet } from './reference-net.ts';

const sgd = { kind: 'sgd', learningRate: 0.1, momentum: 0.9 } as const;
const size = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

interface Case {
  input: number[];
  layers: JSONObject[];
  outputs: number;
  loss: LossKind;
  batch?: number;
  classWeights?: Float32Array;
}

async function check({ input, layers, outputs, loss, batch = 3, classWeights }: Case): Promise<void> {
  const net = parseNet({ input, layers, outputs, loss });
  const random = new Random('gradients');
  const fill = (count: number, by = 1): Float32Array =>
    Float32Array.from({ length: count }, () => by * random.normal());
  const x = fill(batch * size(input));
  const t = labels(net, batch, random);
  const parameters: Map<string, Float32Array | Float64Array> = new Map(
    parametersOf(net).map(({ id, shape }) => [
      id,
      id.endsWith('variance') ? new Float32Array(size(shape)).fill(1.5) : fill(size(shape), 0.5),
    ]),
  );
  const training = buildTraining(net, undefined, { optimizer: sgd, l2: 0, classWeights });
  const masks = training.masks.map(({ size: width, rate }) =>
    Float32Array.from({ length: batch * width }, () => (random.uniform() < rate ? 0 : 1 / (1 - rate))),
  );
  const feeds: Record<string, Tensor> = {
    x: new Tensor('float32', x, [batch, ...input]),
    t: new Tensor('float32', t, [batch, outputs]),
    inverse_batch: new Tensor('float32', Float32Array.of(1 / batch), []),
    rate: new Tensor('float32', Float32Array.of(0.1), []),
  };
  for (const [index, { name, shape }] of training.masks.entries())
    feeds[name] = new Tensor('float32', masks[index] ?? [], [batch, ...shape]);
  for (const { name, shape } of training.states)
    feeds[name] = new Tensor('float32', parameters.get(name) ?? new Float32Array(size(shape)), [...shape]);
  const session = await InferenceSession.create(training.model);
  const out = await session.run(feeds);

  const reference = new ReferenceNet(input, layers, outputs, loss);
  const lossAt = (): number => reference.loss(parameters, x, t, batch, masks, classWeights);
  close([Number(out.loss?.data[0]) / batch], [lossAt()], 'loss');
  for (const { id, trained } of parametersOf(net)) {
    if (!trained) continue;
    const values = parameters.get(id) ?? new Float32Array();
    // The first velocity is the gradient.
    const gradient = Array.from(out[`next.velocity.${id}`]?.data as Float32Array);
    const wide = Float64Array.from(values);
    parameters.set(id, wide);
    close(
      gradient,
      Array.from(wide, (_, at) => difference(wide, at, lossAt)),
      id,
    );
    parameters.set(id, values);
  }
  const inference = await InferenceSession.create(
    buildModel(net, { parameters: parameters as never, scaling: undefined }, {}),
  );
  const { output } = await inference.run({ input: new Tensor('float32', x, [batch, ...input]) });
  const wanted = reference.output(parameters, x, batch);
  const both = loss === 'binary_cross_entropy' && outputs === 1 ? wanted.flatMap((p) => [1 - p, p]) : wanted;
  close(Array.from(output?.data as Float32Array), both, 'output');
}

/** By five points, which is exact to the fourth order. */
function difference(values: Float64Array, at: number, f: () => number): number {
  const [before, h] = [values[at] ?? 0, 1e-4];
  const moved = (by: number): number => {
    values[at] = before + by;
    return f();
  };
  const result = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
  values[at] = before;
  return result;
}

function close(actual: number[], expected: number[], what: string): void {
  assert.equal(actual.length, expected.length, what);
  const norm = (list: number[]): number => Math.hypot(...list);
  const off = norm(actual.map((value, index) => value - (expected[index] ?? Number.NaN)));
  assert.ok(off <= 1e-4 * norm(expected) + 1e-7, `${what}: off by ${off} of ${norm(expected)}`);
}

function labels({ loss, outputs }: Net, batch: number, random: Random): Float32Array {
  if (loss === 'mse') return Float32Array.from({ length: batch * outputs }, () => random.normal());
  if (loss === 'binary_cross_entropy')
    return Float32Array.from({ length: batch * outputs }, () => Number(random.uniform() < 0.5));
  return Float32Array.from({ length: batch * outputs }, (_, at) =>
    Number(at % outputs === Math.floor(at / outputs) % outputs),
  );
}

const image = [2, 6, 5];
const sequence = [2, 9];
const cases: Record<string, Partial<Case>> = {
  'dense, mean squared error': { loss: 'mse' },
  'dense, cross entropy': {},
  'dense, binary cross entropy': { loss: 'binary_cross_entropy' },
  'dense without bias': { layers: [{ type: 'dense', units: 5, bias: false, activation: 'tanh' }, { type: 'dense' }] },
  'softmax within, and under the mean squared error': {
    loss: 'mse',
    layers: [
      { type: 'dense', units: 5, activation: 'softmax' },
      { type: 'dense', activation: 'softmax' },
    ],
  },
  ...Object.fromEntries(
    ['relu', 'tanh', 'sigmoid', 'gelu', 'linear'].map((activation) => [
      activation,
      { layers: [{ type: 'dense', units: 6 }, { type: 'activation', activation }, { type: 'dense' }] },
    ]),
  ),
  'cross entropy, classes of different weight': { classWeights: Float32Array.of(0.5, 3, 1), batch: 5 },
  'binary cross entropy, classes of different weight': {
    ...{ loss: 'binary_cross_entropy', outputs: 1, classWeights: Float32Array.of(0.5, 3), batch: 5 },
  },
  dropout: {
    layers: [{ type: 'dense', units: 8, activation: 'tanh' }, { type: 'dropout', rate: 0.4 }, { type: 'dense' }],
  },
  'batch_norm of rows': { batch: 5, layers: [{ type: 'dense', units: 6 }, { type: 'batch_norm' }, { type: 'dense' }] },
  'batch_norm of images': {
    input: image,
    layers: [
      { type: 'conv2d', filters: 3, kernel_size: 3 },
      { type: 'batch_norm' },
      { type: 'flatten' },
      { type: 'dense' },
    ],
  },
  'batch_norm of sequences': {
    input: sequence,
    layers: [
      { type: 'conv1d', filters: 3, bias: false },
      { type: 'batch_norm' },
      { type: 'flatten' },
      { type: 'dense' },
    ],
  },
  reshape: {
    input: [12],
    layers: [
      { type: 'dense', units: 18 },
      { type: 'reshape', shape: [2, 3, 3] },
      { type: 'conv2d', filters: 2, kernel_size: 2 },
      { type: 'flatten' },
      { type: 'dense' },
    ],
  },
};
const convolutions: JSONObject[] = [
  { kernel_size: 3 },
  { kernel_size: [2, 3], strides: 2 },
  { kernel_size: 3, strides: [2, 3], padding: 'same' },
  { kernel_size: 2, padding: 'same', bias: false },
];
for (const options of convolutions)
  cases[`conv2d ${JSON.stringify(options)}`] = {
    input: image,
    // Two of them, so that the gradient by images is checked as well.
    layers: [
      { type: 'conv2d', filters: 3, kernel_size: 3, padding: 'same', activation: 'tanh' },
      { type: 'conv2d', filters: 2, ...options },
      { type: 'flatten' },
      { type: 'dense' },
    ],
  };
for (const type of ['max_pool2d', 'avg_pool2d'])
  for (const options of [{}, { pool_size: 3, strides: 2 }, { pool_size: [3, 2], strides: [1, 2], padding: 'same' }])
    cases[`${type} ${JSON.stringify(options)}`] = {
      input: image,
      layers: [
        { type: 'conv2d', filters: 3, kernel_size: 3, padding: 'same' },
        { type, ...options },
        { type: 'flatten' },
        { type: 'dense' },
      ],
    };
for (const options of [
  {},
  { kernel_size: 4, strides: 2 },
  { kernel_size: 3, strides: 3, padding: 'same', bias: false },
])
  cases[`conv1d ${JSON.stringify(options)}`] = {
    input: sequence,
    layers: [
      { type: 'conv1d', filters: 3, kernel_size: 3, padding: 'same', activation: 'tanh' },
      { type: 'conv1d', filters: 2, ...options },
      { type: 'flatten' },
      { type: 'dense' },
    ],
  };
for (const options of [{}, { pool_size: 3, strides: 2 }, { pool_size: 3, strides: 1, padding: 'same' }])
  cases[`max_pool1d ${JSON.stringify(options)}`] = {
    input: sequence,
    layers: [
      { type: 'conv1d', filters: 3, padding: 'same' },
      { type: 'max_pool1d', ...options },
      { type: 'flatten' },
      { type: 'dense' },
    ],
  };
cases.global_avg_pool2d = {
  input: image,
  layers: [{ type: 'conv2d', filters: 4, kernel_size: 3 }, { type: 'global_avg_pool2d' }, { type: 'dense' }],
};

describe('gradients', () => {
  for (const [name, given] of Object.entries(cases))
    it(name, () =>
      check({
        input: [4],
        layers: [{ type: 'dense', units: 5, activation: 'tanh' }, { type: 'dense' }],
        outputs: 3,
        loss: 'cross_entropy',
        ...given,
      }),
    );
});
