import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Model } from '../model/runner.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { Batcher } from './batcher.ts';

type Tensors = Record<string, Tensor>;
const model: Model = { kind: 'onnx', name: 'm', key: 'm', digest: 'm', read: async () => new Uint8Array() };
const row = (value: number): Tensors => ({ x: { dtype: 'float32', shape: [1, 1], data: Float32Array.of(value) } });
const valuesOf = ({ x }: Tensors): number[] => [...((x?.data ?? []) as Float32Array)];
const live = (): AbortSignal => new AbortController().signal;

/** Gives rows back as they are, when it is let go on. `bad` makes a run fail, `endless` makes it hang. */
function fake({ bad = -1, endless = -2 } = {}) {
  const runs: number[][] = [];
  const run = (_: unknown, __: unknown, inputs: Tensors, ___: unknown, signal: AbortSignal): Promise<Tensors> => {
    const values = valuesOf(inputs);
    runs.push(values);
    if (values.includes(endless))
      return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    if (values.includes(bad)) return Promise.reject(new RangeError('bad row'));
    return new Promise((resolve) => setImmediate(resolve, inputs));
  };
  const batcher = new Batcher({ run });
  const ask = (value: number, signal = live()): Promise<number[]> =>
    batcher.run(model, 'cpu', row(value), 1, [], signal).then(valuesOf);
  return { runs, ask, batcher };
}

test('what comes while the model runs goes together', async () => {
  const { runs, ask } = fake();
  const first = ask(0);
  await new Promise(setImmediate);
  const others = [1, 2, 3].map((value) => ask(value));
  assert.deepEqual(await Promise.all([first, ...others]), [[0], [1], [2], [3]]);
  assert.deepEqual(runs, [[0], [1, 2, 3]]);
});

test('a row that the model fails at costs its own step alone', async () => {
  const { runs, ask } = fake({ bad: 2 });
  const results = await Promise.allSettled([1, 2, 3].map((value) => ask(value)));
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.deepEqual(runs, [[1, 2, 3], [1], [2], [3]]);
});

test('a row that never ends holds up neither those beside it, once its step has ended, nor those that come later', async () => {
  const { runs, ask } = fake({ endless: 9 });
  const stop = new AbortController();
  const endless = assert.rejects(ask(9, stop.signal), /over/);
  const beside = ask(1);
  await new Promise(setImmediate);
  assert.deepEqual(runs, [[9, 1]]);
  assert.deepEqual(await ask(2), [2]);
  stop.abort(new RangeError('over'));
  await endless;
  assert.deepEqual(await beside, [1]);
  assert.deepEqual(runs, [[9, 1], [2], [1]]);
});

test("rows of another shape or type don't go together", async () => {
  const { runs, batcher } = fake();
  const wide: Tensors = { x: { dtype: 'float32', shape: [1, 2], data: Float32Array.of(5, 6) } };
  await Promise.all([row(1), row(2), wide, row(3)].map((inputs) => batcher.run(model, 'cpu', inputs, 1, [], live())));
  assert.deepEqual(runs, [[1, 2], [5, 6], [3]]);
});
