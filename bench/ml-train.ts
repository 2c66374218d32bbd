// ml_train beside TensorFlow.js, in one run.
// Options: --rounds N, --json
//
// Samples per second while the loss is going down, without start-up: a perceptron and a convolutional net, Adam, batches of 32, one thread each.
// Ours is the whole step in its process, with progress and checkpoints; theirs is `model.fit` in this one. The best of some rounds counts, since
// machines have other things to do. TensorFlow.js' WebAssembly backend can't train convolutions by itself: it gets a kernel for that here, of
// its own matrix products.
import { createRequire } from 'node:module';
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import type * as TF from '@tensorflow/tfjs';
import { Processes } from '../src/adapters/ml/process/processes.ts';
import { mlTrain, type TrainDeps } from '../src/adapters/ml/train/train.ts';
import type { JSONObject } from '../src/lib/json.ts';
import { contextFor } from '../test/compliance/adapter.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '3' }, json: { type: 'boolean' } } });
const rounds = Number(values.rounds);
const batchSize = 32;
const classes = 10;
const side = 28;
const features = side * side;

interface Net {
  name: string;
  layers: JSONObject[];
  inputShape?: number[];
  build(tf: typeof TF): TF.Sequential;
  /** Samples of an epoch: ours, and of the backends. */
  samples: Record<'ours' | 'wasm' | 'cpu', number>;
}

const nets: Net[] = [
  {
    name: 'dense 784-512-512-10',
    layers: [
      { type: 'dense', units: 512, activation: 'relu' },
      { type: 'dense', units: 512, activation: 'relu' },
      { type: 'dense' },
    ],
    build: (tf) =>
      tf.sequential({
        layers: [
          tf.layers.dense({ units: 512, activation: 'relu', inputShape: [features] }),
          tf.layers.dense({ units: 512, activation: 'relu' }),
          tf.layers.dense({ units: classes, activation: 'softmax' }),
        ],
      }),
    samples: { ours: 4096, wasm: 2048, cpu: 64 },
  },
  {
    name: 'conv 8×3×3/2, 16×3×3/2, dense',
    layers: [
      { type: 'conv2d', filters: 8, kernel_size: 3, strides: 2, activation: 'relu' },
      { type: 'conv2d', filters: 16, kernel_size: 3, strides: 2, activation: 'relu' },
      { type: 'flatten' },
      { type: 'dense' },
    ],
    inputShape: [1, side, side],
    build: (tf) =>
      tf.sequential({
        layers: [
          tf.layers.conv2d({
            filters: 8,
            kernelSize: 3,
            strides: 2,
            activation: 'relu',
            inputShape: [side, side, 1],
          }),
          tf.layers.conv2d({ filters: 16, kernelSize: 3, strides: 2, activation: 'relu' }),
          tf.layers.flatten(),
          tf.layers.dense({ units: classes, activation: 'softmax' }),
        ],
      }),
    samples: { ours: 8192, wasm: 2048, cpu: 256 },
  },
];

/** Numbers that look like pictures of something, and labels that follow from them. */
function dataOf(count: number): { x: Float32Array; y: Int32Array } {
  const x = Float32Array.from({ length: count * features }, (_, at) =>
    Math.sin(at * 0.7 + Math.floor(at / features) ** 2),
  );
  const y = Int32Array.from({ length: count }, (_, sample) => sample % classes);
  return { x, y };
}

const processes = new Processes();
const deps: TrainDeps = {
  processes,
  egress: {
    addresses: () => Promise.reject(new Error('nothing is fetched')),
    lookup: () => () => undefined,
    checkPath: () => undefined,
  },
};

/** Samples per second from the end of the first epoch on. */
async function ours({ layers, inputShape, samples }: Net): Promise<number> {
  const { x, y } = dataOf(samples.ours);
  const base64 = Buffer.from(x.buffer).toString('base64');
  const params: JSONObject = {
    data: { x: { dtype: 'float32', shape: [samples.ours, features], data: { base64 } }, y: Array.from(y) },
    ...(inputShape === undefined ? {} : { input_shape: inputShape }),
    layers,
    epochs: 4,
    batch_size: batchSize,
    threads: 1,
  };
  const step = { id: 'train', type: 'ml_train', params };
  const ends: number[] = [];
  await mlTrain(step, contextFor(step, undefined, { progress: () => void ends.push(performance.now()) }), deps);
  const [first = 0, ...others] = ends;
  return (samples.ours * others.length * 1000) / ((others.at(-1) ?? 0) - first);
}

async function theirs(tf: typeof TF, net: Net, backend: 'wasm' | 'cpu'): Promise<number> {
  await tf.setBackend(backend);
  const count = net.samples[backend];
  const { x, y } = dataOf(count);
  const inputs = tf.tensor(x, net.inputShape === undefined ? [count, features] : [count, side, side, 1]);
  const labels = tf.oneHot(tf.tensor1d(y, 'int32'), classes);
  const model = net.build(tf);
  model.compile({ optimizer: tf.train.adam(0.001), loss: 'categoricalCrossentropy', metrics: ['accuracy'] });
  const ends: number[] = [];
  const onEpochEnd = (): void => void ends.push(performance.now());
  await model.fit(inputs, labels, { epochs: 3, batchSize, verbose: 0, callbacks: { onEpochEnd } });
  const [first = 0, ...others] = ends;
  model.dispose();
  tf.dispose([inputs, labels]);
  return (count * others.length * 1000) / ((others.at(-1) ?? 0) - first);
}

function loadTensorFlow(): typeof TF {
  const require = createRequire(import.meta.url);
  const tf = require('@tensorflow/tfjs') as typeof TF;
  const wasm = require('@tensorflow/tfjs-backend-wasm') as typeof import('@tensorflow/tfjs-backend-wasm');
  const [, folder = ''] = /^(.*\/)[^/]*$/.exec(require.resolve('@tensorflow/tfjs-backend-wasm')) ?? [];
  wasm.setWasmPaths(folder);
  addFilterGradient(tf);
  return tf;
}

/** The gradient of a convolution by its filter, which the backend lacks: for each place of the filter, a product of matrices. */
function addFilterGradient(tf: typeof TF): void {
  tf.registerKernel({
    kernelName: 'Conv2DBackpropFilter',
    backendName: 'wasm',
    kernelFunc({ inputs, attrs }) {
      const { x, dy } = inputs as unknown as { x: TF.Tensor4D; dy: TF.Tensor4D };
      const { strides, filterShape } = attrs as unknown as {
        strides: [number, number] | number;
        filterShape: number[];
      };
      const [down, across] = Array.isArray(strides) ? strides : [strides, strides];
      const [rows = 1, columns = 1, channels = 1, filters = 1] = filterShape;
      return tf.tidy(() => {
        const [images, height, width] = dy.shape;
        const gradient = tf.reshape(dy, [-1, filters]) as TF.Tensor2D;
        const places = Array.from({ length: rows * columns }, (_, at) => {
          const [top, left] = [Math.floor(at / columns), at % columns];
          const end = [images, top + (height - 1) * down + 1, left + (width - 1) * across + 1, channels];
          const seen = tf.stridedSlice(x, [0, top, left, 0], end, [1, down, across, 1]);
          return tf.matMul(tf.reshape(seen, [-1, channels]) as TF.Tensor2D, gradient, true);
        });
        return tf.reshape(tf.stack(places), filterShape);
      });
    },
  });
}

async function best(measure: () => Promise<number>): Promise<number> {
  let most = 0;
  for (let round = 0; round < rounds; round++) most = Math.max(most, await measure());
  return Math.round(most);
}

const tf = loadTensorFlow();
const table: Record<string, string | number>[] = [];
for (const net of nets) {
  const [own, wasm, cpu] = [
    await best(() => ours(net)),
    await best(() => theirs(tf, net, 'wasm')),
    await best(() => theirs(tf, net, 'cpu')),
  ];
  table.push({
    net: net.name,
    'ml_train, samples/s': own,
    'tfjs wasm': wasm,
    'tfjs cpu': cpu,
    'times wasm': Math.round((10 * own) / wasm) / 10,
    'times cpu': Math.round(own / cpu),
  });
}
await processes.close();
if (values.json) console.log(JSON.stringify(table));
else {
  console.table(table);
  console.log(
    `load of the machine: ${loadavg()
      .map((load) => load.toFixed(1))
      .join(', ')}`,
  );
}
process.exit(0);
