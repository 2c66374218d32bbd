import assert from 'node:assert/strict';
import test from 'node:test';
import { bufferModule, ModuleRefusal } from './modules.ts';

interface Trained {
  kind: string;
  features: number;
  samples: number;
  epochs: number;
  initial_loss: number;
  final_loss: number;
  losses: number[];
  accuracy?: number;
  model: { hidden: number; means: number[]; deviations: number[]; first: number[]; second: number[] };
}

const train = (input: unknown): Trained => bufferModule('ml_training.wasm').json('train_model', input) as Trained;

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, value) => total + value, 0);
const dot = (a: readonly number[], b: readonly number[]): number => sum(a.map((value, at) => value * (b[at] ?? 0)));

interface Options {
  epochs: number;
  learning_rate: number;
  hidden: number;
  seed: number;
}

/** Full-batch gradient descent over scaled features, written with lists and no more. */
function reference(features: number[][], labels: number[], { epochs, learning_rate: rate, hidden, seed }: Options) {
  const width = features[0]?.length ?? 0;
  const classifier = labels.every((label) => label === 0 || label === 1);
  const columns = Array.from({ length: width }, (_, at) => features.map((row) => row[at] ?? 0));
  const means = columns.map((column) => sum(column) / column.length);
  const deviations = columns.map((column, at) => {
    const deviation = Math.sqrt(sum(column.map((value) => (value - (means[at] ?? 0)) ** 2)) / column.length);
    return deviation > 0 ? deviation : 1;
  });
  const rows = features.map((row) => row.map((value, at) => (value - (means[at] ?? 0)) / (deviations[at] ?? 1)));
  const random = mulberry32(seed);
  let first = Array.from({ length: hidden }, () => [
    ...Array.from({ length: width }, () => (random() * 2 - 1) / Math.sqrt(width)),
    0,
  ]);
  let second =
    hidden === 0
      ? Array(width + 1).fill(0)
      : Array.from({ length: hidden }, () => (random() * 2 - 1) / Math.sqrt(hidden));
  if (hidden > 0) second.push(0);
  const run = (row: number[]) => {
    const active = hidden === 0 ? row : first.map((weights) => Math.tanh(dot(weights, [...row, 1])));
    const out = dot(second, [...active, 1]);
    return { active, output: classifier ? 1 / (1 + Math.exp(-out)) : out };
  };
  const loss = () =>
    sum(
      rows.map((row, at) => {
        const { output } = run(row);
        const label = labels[at] ?? 0;
        return classifier
          ? -(label * Math.log(output) + (1 - label) * Math.log(1 - output))
          : (output - label) ** 2 / 2;
      }),
    ) / rows.length;
  const initial = loss();
  for (let epoch = 0; epoch < epochs; epoch += 1) {
    const slopes = rows.map((row, at) => {
      const { active, output } = run(row);
      const slope = output - (labels[at] ?? 0);
      return {
        second: [...active, 1].map((value) => slope * value),
        first:
          hidden === 0
            ? []
            : active.map((value, unit) =>
                [...row, 1].map((input) => slope * (second[unit] ?? 0) * (1 - value * value) * input),
              ),
      };
    });
    const mean = (numbers: number[]): number => sum(numbers) / rows.length;
    const next = second.map((weight, at) => weight - rate * mean(slopes.map((slope) => slope.second[at] ?? 0)));
    first = first.map((weights, unit) =>
      weights.map((weight, at) => weight - rate * mean(slopes.map((slope) => slope.first[unit]?.[at] ?? 0))),
    );
    second = next;
  }
  return { initial, final: loss(), means, deviations, first: first.flat(), second };
}

const near = (given: number, expected: number, what: string): void =>
  assert.ok(Math.abs(given - expected) <= 1e-9 * Math.max(1, Math.abs(expected)), `${what}: ${given}, not ${expected}`);

function same(trained: Trained, expected: ReturnType<typeof reference>): void {
  near(trained.initial_loss, expected.initial, 'initial loss');
  near(trained.final_loss, expected.final, 'final loss');
  for (const name of ['means', 'deviations', 'first', 'second'] as const) {
    assert.equal(trained.model[name].length, expected[name].length, name);
    trained.model[name].forEach((value, at) => {
      near(value, expected[name][at] ?? Number.NaN, `${name}[${at}]`);
    });
  }
}

/** Two clouds of points, somewhat mixed. */
function clouds(count: number): { features: number[][]; labels: number[] } {
  const random = mulberry32(42);
  const labels = Array.from({ length: count }, (_, at) => at % 2);
  return {
    labels,
    features: labels.map((label) => [random() * 4 + label * 3, random() * 10 - label * 3, random() * 1e-3]),
  };
}

test('a classifier: its loss falls, and its weights are those of the same training in JavaScript', () => {
  const data = clouds(60);
  const options = { epochs: 150, learning_rate: 0.3, hidden: 0, seed: 1 };
  const trained = train({ ...data, ...options });
  assert.deepEqual(
    { kind: trained.kind, samples: trained.samples, features: trained.features, epochs: trained.epochs },
    { kind: 'classifier', samples: 60, features: 3, epochs: 150 },
  );
  assert.ok(trained.final_loss < trained.initial_loss / 2);
  assert.deepEqual(
    trained.losses,
    [...trained.losses].sort((a, b) => b - a),
    'it falls all the way',
  );
  assert.ok((trained.accuracy ?? 0) > 0.85);
  same(trained, reference(data.features, data.labels, options));
});

test('a hidden layer learns what a line cannot separate, as JavaScript does from the same seed', () => {
  const features = [
    [0, 0],
    [0, 1],
    [1, 0],
    [1, 1],
  ];
  const labels = [0, 1, 1, 0];
  const options = { epochs: 400, learning_rate: 0.5, hidden: 6, seed: 7 };
  const trained = train({ features, labels, ...options });
  assert.equal(trained.accuracy, 1);
  assert.equal(train({ features, labels, epochs: 400 }).accuracy, 0.5);
  same(trained, reference(features, labels, options));
  assert.deepEqual(train({ features, labels, ...options }), trained, 'the same again');
  assert.notDeepEqual(train({ features, labels, ...options, seed: 8 }).model, trained.model);
});

test('a regression finds the line', () => {
  const data = Array.from({ length: 20 }, (_, at) => [at, (at * 7) % 5, 3 * at - 2 * ((at * 7) % 5) + 0.25]);
  const trained = train({ data, epochs: 500, learning_rate: 0.3 });
  assert.equal(trained.kind, 'regression');
  assert.ok(trained.final_loss < 1e-6);
  const options = { epochs: 500, learning_rate: 0.3, hidden: 0, seed: 1 };
  same(
    trained,
    reference(
      data.map((row) => row.slice(0, 2)),
      data.map((row) => row[2] ?? 0),
      options,
    ),
  );
});

test('the forms of data mean the same', () => {
  const { features, labels } = clouds(12);
  const expected = train({ features, labels });
  assert.equal(expected.epochs, 200);
  assert.deepEqual(train(features.map((row, at) => ({ features: row, label: labels[at] }))), expected);
  assert.deepEqual(train(features.map((row, at) => [...row, labels[at]])), expected);
  assert.deepEqual(train({ samples: features, targets: labels.map((label) => label === 1) }), expected);
});

test('a live instance trains again and again in the same memory', () => {
  const module = bufferModule('ml_training.wasm');
  const data = { ...clouds(50), epochs: 5 };
  const expected = module.json('train_model', data);
  for (let call = 0; call < 50; call += 1) module.json('process', data);
  const pages = module.memoryPages();
  for (let call = 0; call < 300; call += 1) assert.deepEqual(module.json('process', data), expected);
  assert.ok(module.memoryPages() <= pages * 2, `${pages} → ${module.memoryPages()} pages`);
});

test('bad arguments end the call with a message', () => {
  const bad: [input: string, message: RegExp][] = [
    ['', /not JSON/],
    ['[', /not JSON/],
    ['[]', /no samples/],
    ['{}', /train_model takes/],
    ['"text"', /train_model takes/],
    ['[[1]]', /train_model takes/],
    ['[["a",1]]', /train_model takes/],
    ['[[1,2],[1,2,3]]', /same number/],
    ['{"features":[[1]],"labels":[1,2]}', /train_model takes/],
    ['{"features":[[1]],"labels":[1],"epochs":0}', /epochs must be from 1 to 100000/],
    ['{"features":[[1]],"labels":[1],"epochs":1.5}', /epochs must be/],
    ['{"features":[[1],[2]],"labels":[1,5000],"learning_rate":100,"epochs":9999}', /did not converge/],
    ['['.repeat(100), /nested too deep/],
  ];
  for (const [input, message] of bad)
    assert.throws(
      () => bufferModule('ml_training.wasm').call('train_model', input),
      (thrown) => thrown instanceof ModuleRefusal && message.test(thrown.message),
      input,
    );
});
