// Updates of the graphs against the algorithms as their papers have them, in 64 bits; what batch normalization keeps.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { buildTraining } from '../../../src/adapters/ml/train/graphs.ts';
import { parseNet } from '../../../src/adapters/ml/train/net/parse.ts';
import { feedsOf, type Optimizer } from '../../../src/adapters/ml/train/optimizers.ts';

const batch = 4;
const x = [0.5, -1, 1.5, 2, -0.5, 1];
const t = [1, -2, 0.5];
/** Rows of two features, one output. */
const rows = [...x, 0.25, 0.75];
const labels = [...t, 1.25];

/** Weights of y = x w after each step, by the graph. */
async function trained(
  optimizer: Optimizer,
  l2: number,
  steps: number,
  clipNorm?: number,
  factorAt: (step: number) => number = () => 1,
): Promise<number[][]> {
  const net = parseNet({ input: [2], layers: [{ type: 'dense', bias: false }], outputs: 1, loss: 'mse' });
  const { model, states } = buildTraining(net, undefined, { optimizer, l2, clipNorm });
  const session = await InferenceSession.create(model);
  const shape = [2, 1];
  let kept = new Map(
    states.map(({ name, initial }) => [
      name,
      new Tensor('float32', initial === 'zeros' ? new Float32Array(2) : Float32Array.of(0.3, -0.2), shape),
    ]),
  );
  const scalar = (value: number): Tensor => new Tensor('float32', Float32Array.of(value), []);
  const history: number[][] = [];
  for (let step = 1; step <= steps; step++) {
    const numbers = Object.entries(feedsOf(optimizer, step, factorAt(step))).map(
      ([name, value]) => [name, scalar(value)] as const,
    );
    const out = await session.run({
      x: new Tensor('float32', rows, [batch, 2]),
      t: new Tensor('float32', labels, [batch, 1]),
      inverse_batch: scalar(1 / batch),
      ...Object.fromEntries(numbers),
      ...Object.fromEntries(kept),
    });
    kept = new Map(states.map(({ name }) => [name, out[`next.${name}`] as never]));
    history.push(Array.from(out['next.0.dense.weight']?.data as Float32Array));
  }
  return history;
}

type Update = (weight: number, gradient: number, at: 0 | 1, step: number) => number;

/** The same by plain numbers. @param l2 of the loss: half of it times the squares of the weights */
function expected(update: Update, l2: number, steps: number, clipNorm = Number.POSITIVE_INFINITY): number[][] {
  let weights = [0.3, -0.2];
  return Array.from({ length: steps }, (_, step) => {
    const errors = labels.map((label, row) => {
      const [a = 0, b = 0] = rows.slice(2 * row, 2 * row + 2);
      return a * (weights[0] ?? 0) + b * (weights[1] ?? 0) - label;
    });
    const gradient = (at: 0 | 1): number =>
      errors.reduce((sum, error, row) => sum + (2 * error * (rows[2 * row + at] ?? 0)) / batch, 0) +
      l2 * (weights[at] ?? 0);
    const [first, second] = [gradient(0), gradient(1)];
    const scale = Math.min(1, clipNorm / Math.hypot(first, second));
    weights = [first, second]
      .map((by, at) => [weights[at] ?? 0, by * scale] as const)
      .map(([weight, by], at) => update(weight, by, at as 0 | 1, step + 1));
    return weights;
  });
}

function close(actual: number[][], wanted: number[][]): void {
  for (const [step, weights] of wanted.entries())
    for (const [at, weight] of weights.entries()) {
      const got = actual[step]?.[at] ?? Number.NaN;
      assert.ok(Math.abs(got - weight) < 1e-5 * Math.max(1, Math.abs(weight)), `step ${step}: ${got}, not ${weight}`);
    }
}

const steps = 50;

it('SGD, plain and with momentum', async () => {
  for (const momentum of [0, 0.9]) {
    const velocity = [0, 0];
    const update: Update = (weight, gradient, at) => {
      velocity[at] = momentum * (velocity[at] ?? 0) + gradient;
      return weight - 0.05 * (velocity[at] ?? 0);
    };
    close(await trained({ kind: 'sgd', learningRate: 0.05, momentum }, 0, steps), expected(update, 0, steps));
  }
});

it('Adam, as algorithm 1 has it, with L2', async () => {
  const [beta1, beta2, epsilon, learningRate] = [0.9, 0.999, 1e-3, 0.05];
  const [mean, square] = [
    [0, 0],
    [0, 0],
  ];
  const update: Update = (weight, gradient, at, step) => {
    mean[at] = beta1 * (mean[at] ?? 0) + (1 - beta1) * gradient;
    square[at] = beta2 * (square[at] ?? 0) + (1 - beta2) * gradient ** 2;
    const [m, v] = [(mean[at] ?? 0) / (1 - beta1 ** step), (square[at] ?? 0) / (1 - beta2 ** step)];
    return weight - (learningRate * m) / (Math.sqrt(v) + epsilon);
  };
  const actual = await trained({ kind: 'adam', learningRate, beta1, beta2, epsilon }, 0.1, steps);
  close(actual, expected(update, 0.1, steps));
});

it('a gradient that is too long is scaled down, that of L2 with it; others are left as they are', async () => {
  const update: Update = (weight, gradient) => weight - 0.05 * gradient;
  const plain = await trained({ kind: 'sgd', learningRate: 0.05, momentum: 0 }, 0.1, steps);
  for (const clipNorm of [0.5, 2]) {
    const actual = await trained({ kind: 'sgd', learningRate: 0.05, momentum: 0 }, 0.1, steps, clipNorm);
    close(actual, expected(update, 0.1, steps, clipNorm));
    assert.notDeepEqual(actual, plain);
  }
  close(await trained({ kind: 'sgd', learningRate: 0.05, momentum: 0 }, 0.1, steps, 1e6), plain);
});

it('the learning rate is what the schedule makes of it', async () => {
  const factorAt = (step: number): number => 1 / step;
  const update: Update = (weight, gradient, _, step) => weight - (0.05 / step) * gradient;
  close(
    await trained({ kind: 'sgd', learningRate: 0.05, momentum: 0 }, 0, steps, undefined, factorAt),
    expected(update, 0, steps),
  );
});

it('batch normalization keeps running means and variances', async () => {
  const layers = [{ type: 'batch_norm', momentum: 0.75 }, { type: 'dense' }];
  const net = parseNet({ input: [2], layers, outputs: 1, loss: 'mse' });
  const { model, states } = buildTraining(net, undefined, {
    optimizer: { kind: 'sgd', learningRate: 0.1, momentum: 0 },
    l2: 0,
  });
  const session = await InferenceSession.create(model);
  const feeds: Record<string, Tensor> = {
    x: new Tensor('float32', rows, [batch, 2]),
    t: new Tensor('float32', labels, [batch, 1]),
    inverse_batch: new Tensor('float32', [1 / batch], []),
    rate: new Tensor('float32', [0.1], []),
  };
  for (const { name, shape } of states)
    feeds[name] = new Tensor('float32', new Float32Array(shape.reduce((a, b) => a * b, 1)).fill(1), [...shape]);
  const out = await session.run(feeds);
  for (const feature of [0, 1]) {
    const column = rows.filter((_, at) => at % 2 === feature);
    const mean = column.reduce((sum, value) => sum + value, 0) / batch;
    const variance = column.reduce((sum, value) => sum + (value - mean) ** 2, 0) / batch;
    const kept = (name: string): number => Number(out[`next.0.batch_norm.${name}`]?.data[feature]);
    assert.ok(Math.abs(kept('mean') - (0.75 + 0.25 * mean)) < 1e-6);
    assert.ok(Math.abs(kept('variance') - (0.75 + 0.25 * variance)) < 1e-6);
  }
});
