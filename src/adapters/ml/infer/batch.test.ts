import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { batch, contextOf, deps, runner } from '../../../../test/adapters/ml/inference.ts';
import { readLines } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { StoredData } from '../../../protocol/stored-data.ts';
import type { Runner } from '../model/runner.ts';
import { mlBatch } from './batch.ts';

test('many rows go batch by batch; more results than fit are stored, and are rows for the next step', async () => {
  const done: (number | null)[] = [];
  const context = contextOf({ progress: (fraction) => void done.push(fraction) });
  const input = Array.from({ length: 1000 }, (_, row) => [row, 0, 0]);
  const params = { model: 'linear.onnx', batch_size: 128 };
  const first = await batch({ ...params, input, max_rows_inline: 10 }, context);
  assert.deepEqual([first.row_count, first.batches], [1000, 8]);
  assert.deepEqual([done.length, done.at(-1)], [8, 1]);
  const stored = first.result as unknown as StoredData;
  const rows: JSONValue[] = [];
  for await (const lines of readLines(stored, context)) rows.push(...lines);
  assert.deepEqual(
    rows,
    input.map(([x = 0]) => [x + 10, 2 * x + 20]),
  );

  const again = { model: 'two.onnx', outputs: ['sum'] };
  const next = await batch({ ...again, input: rows.map((row) => ({ a: row, b: [1, 1] })) }, context);
  assert.deepEqual((next.result as JSONValue[])[999], [1010, 2019]);
  const both = await batch({ model: 'two.onnx', input: [{ a: [1, 2], b: [3, 4] }] });
  assert.deepEqual(both.result, [{ sum: [4, 6], product: [3, 8] }]);
});

test('rows are objects, stored, or the first axis of a tensor', async () => {
  const context = contextOf();
  const text = '{"a":1,"b":0,"c":0}\n{"a":0,"b":1,"c":1}\n';
  const chunks = [text, text].map((part) => Buffer.from(part));
  const stored = {
    stored: 'ndjson',
    bytes: 2 * text.length,
    row_count: 4,
    chunks: await Promise.all(
      chunks.map(async (bytes) => ({ digest: await context.blobs.put(bytes), bytes: bytes.length })),
    ),
  };
  const wanted = [
    [11, 22],
    [18, 30],
    [11, 22],
    [18, 30],
  ];
  const params = { model: 'linear.onnx', batch_size: 3 };
  assert.deepEqual((await batch({ ...params, input: stored, columns: ['a', 'b', 'c'] }, context)).result, wanted);
  const tensor = { shape: [4, 3], dtype: 'int8', data: [1, 0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1] };
  assert.deepEqual((await batch({ ...params, input: tensor })).result, wanted);
  const top = await batch({ ...params, input: [[1, 0, 0]], postprocess: { labels: ['cat', 'dog'] } });
  assert.deepEqual(top.result, [[{ index: 1, label: 'dog', score: 22 }]]);
  assert.deepEqual(
    (
      await batch({
        model: 'one.onnx',
        input: [
          [1, 0, 0],
          [0, 1, 1],
        ],
      })
    ).result,
    wanted.slice(0, 2),
  );
  assert.deepEqual((await batch({ ...params, input: [] })).result, []);
});

test('another attempt goes on from the rows that were saved, with the same model and device', async (t) => {
  t.mock.timers.enable({ apis: ['Date'] });
  const input = Array.from({ length: 20 }, (_, row) => [row, 0, 0]);
  const blobs = contextOf().blobs;
  const bytes = Buffer.from(input.map((row) => `${JSON.stringify(row)}\n`).join(''));
  const stored = {
    stored: 'ndjson',
    bytes: bytes.length,
    row_count: 20,
    chunks: [{ digest: await blobs.put(bytes), bytes: bytes.length, rows: 5 }],
  };
  const tensor = { shape: [20, 3], dtype: 'float32', data: input.flat() };
  for (const given of [input, stored, tensor] as JSONValue[])
    for (const inlineMax of [0, 100]) {
      const params = { model: 'linear.onnx', input: given, batch_size: 4, max_rows_inline: inlineMax };
      const saved: JSONValue[] = [];
      const stop = new AbortController();
      const first = contextOf({
        blobs,
        signal: stop.signal,
        checkpoint: async (state) => void saved.push(state),
        progress(_, note) {
          t.mock.timers.tick(note === '8 rows' ? 6_000 : 0);
          if (note === '16 rows') stop.abort(new Error('the node is lost'));
        },
      });
      await assert.rejects(batch(params, first), /the node is lost/);
      assert.equal(saved.length, 1);
      const notes: unknown[] = [];
      const again = { blobs, progress: (_: unknown, note: unknown) => void notes.push(note) };
      const second = await batch(params, contextOf({ ...again, last_checkpoint: saved[0] }));
      assert.deepEqual(notes, ['16 rows', '20 rows']);
      assert.deepEqual([second.row_count, second.batches], [20, 5]);
      const plain = await batch(params, contextOf({ blobs }));
      const read = async (rows: JSONValue | undefined): Promise<JSONValue[]> => {
        if (Array.isArray(rows)) return rows;
        const all: JSONValue[] = [];
        for await (const lines of readLines(rows as unknown as StoredData, { blobs })) all.push(...lines);
        return all;
      };
      assert.deepEqual(await read(second.result), await read(plain.result));
      const other = { ...(saved[0] as JSONObject), model: 'another' };
      await batch(params, contextOf({ ...again, last_checkpoint: other }));
      assert.equal(notes.length, 2 + 5, 'rows of another model do not count');
    }
});

test('where nobody keeps states, none are written', async (t) => {
  t.mock.timers.enable({ apis: ['Date'] });
  let written = 0;
  const { blobs } = contextOf();
  const put = (bytes: Uint8Array): Promise<string> => {
    written += 1;
    return blobs.put(bytes);
  };
  const context = contextOf({
    keeps_checkpoints: false,
    blobs: { ...blobs, put },
    checkpoint: () => assert.fail('a state'),
    progress: () => t.mock.timers.tick(60_000),
  });
  const input = Array.from({ length: 20 }, (_, row) => [row, 0, 0]);
  await batch({ model: 'linear.onnx', input, batch_size: 4 }, context);
  assert.equal(written, 0);
});

test('the longer a step has run, the rarer its states are', async (t) => {
  t.mock.timers.enable({ apis: ['Date'] });
  const states: JSONValue[] = [];
  const context = contextOf({
    checkpoint: async (state) => void states.push(state),
    progress: () => t.mock.timers.tick(10_000),
  });
  const input = Array.from({ length: 360 }, (_, row) => [row, 0, 0]);
  await batch({ model: 'linear.onnx', input, batch_size: 1 }, context);
  assert.ok(states.length > 50 && states.length < 100, `${states.length} states in an hour`);
});

test('a batch that fails ends the one beside it', async () => {
  const ended: boolean[] = [];
  const both = Promise.withResolvers<void>();
  const run: Runner['run'] = async (_, __, { x }, ___, signal) => {
    if (x?.data[0] === 0) return both.promise.then(() => Promise.reject(new StepError('ML_RUN_FAILED', 'bad')));
    both.resolve();
    await once(signal, 'abort');
    ended.push(true);
    throw signal.reason;
  };
  const failing = { ...deps, runner: { info: runner.info.bind(runner), run } as unknown as Runner };
  const input = [
    [0, 0, 0],
    [1, 0, 0],
  ];
  const params = { model: 'linear.onnx', input, batch_size: 1 };
  const step = { id: 'batch', type: 'ml_batch', params };
  await assert.rejects(mlBatch(step, contextOf(), failing), { code: 'ML_RUN_FAILED' });
  await new Promise(setImmediate);
  assert.deepEqual(ended, [true]);
});

test('a bad row is named, and a model without rows refused', async () => {
  const input = [...Array.from({ length: 9 }, () => [1, 2, 3]), [1, 2, 'x']];
  await assert.rejects(batch({ model: 'linear.onnx', input, batch_size: 4 }), {
    code: 'INVALID_PARAMS',
    message: /counted from row 8\)\[1\]\[2\]/,
  });
  await assert.rejects(
    batch({
      model: 'total.onnx',
      input: [
        [1, 2, 3],
        [1, 2, 3],
      ],
    }),
    { code: 'ML_NOT_BATCHED' },
  );
});
