import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, test } from 'node:test';
import { contextFor } from '../../../../test/compliance/adapter.ts';
import { readLines } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { sha256 } from '../../../lib/hash.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { StoredData } from '../../../protocol/stored-data.ts';
import { Runner } from '../model/runner.ts';
import { Graph, type Shape } from '../onnx/graph.ts';
import { encodeModel } from '../onnx/model.ts';
import { MessageWriter } from '../onnx/wire.ts';
import { Processes } from '../process/processes.ts';
import { mlBatch } from './batch.ts';
import { Batcher } from './batcher.ts';
import { type InferDeps, mlInfer } from './infer.ts';
import { activate } from './postprocess.ts';

const processes = new Processes();
after(() => processes.close());
const runner = new Runner(processes);
const files = new Map<string, Uint8Array>();
const deps: InferDeps = {
  processes,
  runner,
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

function fileOf(name: string, build: (graph: Graph) => void): void {
  const graph = new Graph();
  build(graph);
  files.set(name, encodeModel(graph));
}

/** y = x times [[1, 2], [3, 4], [5, 6]] plus [10, 20] */
const linear = (rows: Shape[0]) => (graph: Graph) => {
  const x = graph.input('x', [rows, 3]);
  const weights = graph.constant(Float32Array.of(1, 2, 3, 4, 5, 6), [3, 2]);
  graph.output('y', graph.gemm(x, weights, graph.constant(Float32Array.of(10, 20), [2])));
};
fileOf('linear.onnx', linear('batch'));
fileOf('one.onnx', linear(1));
fileOf('two.onnx', (graph) => {
  const [a, b] = [graph.input('a', ['n', 2]), graph.input('b', ['n', 2])];
  graph.output('sum', graph.add(a, b));
  graph.output('product', graph.mul(a, b));
});
fileOf('image.onnx', (graph) => {
  graph.output('same', graph.identity(graph.input('image', ['batch', 3, 2, 2])));
});
fileOf('rows.onnx', (graph) => {
  graph.output('same', graph.identity(graph.input('x', ['batch', 1024])));
});
fileOf('total.onnx', (graph) => {
  graph.output('total', graph.sum(graph.input('x', ['batch', 3]), [0], true));
});

const contextOf = (others: Partial<AdapterContext> = {}): AdapterContext =>
  contextFor({ id: 'infer', type: 'ml_infer', params: {} }, undefined, others);
const infer = (params: JSONObject, others: Partial<AdapterContext> = {}): Promise<JSONObject> =>
  mlInfer({ id: 'infer', type: 'ml_infer', params }, contextOf(others), deps);
const resultOf = async (params: JSONObject): Promise<JSONValue | undefined> => (await infer(params)).result;

test('a model runs over rows, and says what it is', async () => {
  const pins: string[][] = [];
  const bytes = files.get('linear.onnx') ?? new Uint8Array();
  const output = await infer(
    {
      model: 'linear.onnx',
      input: [
        [1, 0, 0],
        [0, 1, 1],
      ],
    },
    { pin: (name, digest) => void pins.push([name, digest]) },
  );
  assert.deepEqual(output, {
    result: [
      [11, 22],
      [18, 30],
    ],
    outputs: {
      y: [
        [11, 22],
        [18, 30],
      ],
    },
    shapes: { y: { dtype: 'float32', shape: [2, 2] } },
    model_digest: sha256(bytes),
    device: 'cpu',
    runs: 1,
  });
  assert.deepEqual(pins, [['linear.onnx', sha256(bytes)]]);
});

test('one row, flat rows, bytes and other types of numbers fit', async () => {
  const model = 'linear.onnx';
  assert.deepEqual(await resultOf({ model, input: [1, 0, 0] }), [[11, 22]]);
  assert.deepEqual(await resultOf({ model, input: { shape: [1, 3], dtype: 'uint8', data: [1, 0, 0] } }), [[11, 22]]);
  const base64 = Buffer.from(Float32Array.of(1, 0, 0, 0, 0, 1).buffer).toString('base64');
  assert.deepEqual(await resultOf({ model, input: { base64 } }), [
    [11, 22],
    [15, 26],
  ]);
  assert.deepEqual(await resultOf({ model, input: { x: [[1, 0, 0]] } }), [[11, 22]]);
  const rows = [{ a: 1, b: 0, c: 0, other: 'x' }];
  assert.deepEqual(await resultOf({ model, input: rows, columns: ['a', 'b', 'c'] }), [[11, 22]]);
  assert.deepEqual(await resultOf({ model: 'image.onnx', input: [[...Array(12).keys()]] }), [
    [
      [
        [0, 1],
        [2, 3],
      ],
      [
        [4, 5],
        [6, 7],
      ],
      [
        [8, 9],
        [10, 11],
      ],
    ],
  ]);
});

test('several inputs and outputs go by name', async () => {
  const params = { model: 'two.onnx', input: { a: [[1, 2]], b: [[3, 4]] } };
  const output = await infer(params);
  assert.deepEqual(output.outputs, { sum: [[4, 6]], product: [[3, 8]] });
  assert.deepEqual(output.result, [[4, 6]]);
  const only = await infer({ ...params, outputs: ['product'] });
  assert.deepEqual([only.result, only.outputs], [[[3, 8]], { product: [[3, 8]] }]);
});

test('rows are divided by batch_size, or by a model that takes one at a time', async () => {
  const input = Array.from({ length: 5 }, (_, row) => [row, 0, 0]);
  const result = input.map(([x = 0]) => [x + 10, 2 * x + 20]);
  const divided = await infer({ model: 'linear.onnx', input, batch_size: 2 });
  assert.deepEqual([divided.result, divided.runs], [result, 3]);
  const single = await infer({ model: 'one.onnx', input });
  assert.deepEqual([single.result, single.runs], [result, 5]);
  await assert.rejects(infer({ model: 'total.onnx', input, batch_size: 2 }), { code: 'ML_NOT_BATCHED' });
});

test('what does not fit is refused before the model runs', async () => {
  const cases: [JSONObject, RegExp, string?][] = [
    [
      { model: 'linear.onnx', input: [[1, 2]] },
      /params\.input has the shape \[1, 2\]; .* "x" takes \[batch, 3\] of float32/,
    ],
    [{ model: 'linear.onnx', input: { z: [1] } }, /params\.input\.z is no input of the model; its inputs are x/],
    [{ model: 'two.onnx', input: [[1, 2]] }, /the inputs a, b/],
    [{ model: 'two.onnx', input: { a: [[1, 2]] } }, /params\.input\.b is missing/],
    [
      {
        model: 'two.onnx',
        input: {
          a: [[1, 2]],
          b: [
            [1, 2],
            [3, 4],
          ],
        },
      },
      /"n" has the length 1 in "a" and 2 in "b"/,
    ],
    [{ model: 'linear.onnx', input: [['a', 'b', 'c']] }, /params\.input\[0\]\[0\] must be a number/, 'INVALID_PARAMS'],
    [{ model: 'linear.onnx', input: [1, 2, 3], outputs: ['z'] }, /"z", which is no output .* are y/, 'INVALID_PARAMS'],
    [{ model: 'no.onnx', input: [] }, /models\//, 'MODEL_NOT_FOUND'],
    [{ input: [] }, /params\.model is needed/, 'INVALID_PARAMS'],
    [{ model: 'linear.onnx', input: [], digest: '0'.repeat(64) }, /digest/, 'MODEL_DIGEST_MISMATCH'],
    [{ model: { base64: 'aGVsbG8=' }, input: [] }, /can not be loaded/, 'ML_INVALID_MODEL'],
    [{ model: 'export/saved_model.pb', framework: 'tensorflow', input: [] }, /tf2onnx/, 'ML_UNSUPPORTED_MODEL'],
    [{ model: 'net.h5', input: [] }, /Keras/, 'ML_UNSUPPORTED_MODEL'],
    [{ model: 'linear.onnx', framework: 'tfjs', input: [] }, /tf2onnx/, 'ML_UNSUPPORTED_MODEL'],
  ];
  for (const [params, message, code = 'ML_INPUT_MISMATCH'] of cases)
    await assert.rejects(infer(params), { code, message }, JSON.stringify(params));
});

test('a model reads no file of the machine', async () => {
  for (const location of ['onnx.ts', '../adapter.ts', '/etc/hostname']) {
    const entry = (key: string, value: string) => new MessageWriter().text(1, key).text(2, value);
    const outside = new MessageWriter()
      .int(1, 1)
      .int(2, 1)
      .text(8, 'w')
      .message(13, entry('location', location))
      .int(14, 1);
    const vector = new MessageWriter()
      .int(1, 1)
      .message(2, new MessageWriter().message(1, new MessageWriter().int(1, 1)));
    const value = (name: string) =>
      new MessageWriter().text(1, name).message(2, new MessageWriter().message(1, vector));
    const graph = new MessageWriter().message(
      1,
      new MessageWriter().text(1, 'x').text(1, 'w').text(2, 'y').text(4, 'Add'),
    );
    graph.text(2, 'g').message(5, outside).message(11, value('x')).message(12, value('y'));
    const model = new MessageWriter()
      .int(1, 8)
      .message(7, graph)
      .message(8, new MessageWriter().text(1, '').int(2, 17));
    const base64 = Buffer.from(model.finish()).toString('base64');
    await assert.rejects(
      infer({ model: { base64 }, input: [1] }),
      { code: 'ML_UNSUPPORTED_MODEL', message: /as one file/ },
      location,
    );
  }
});

test('a step that reserves a GPU never runs on the CPU', async (t) => {
  const params = { model: 'linear.onnx', input: [1, 0, 0] };
  const ran = await infer(params, { resources: { gpu: 1 } }).catch((thrown) => thrown);
  if (!(ran instanceof Error)) return t.skip('there is a GPU');
  assert.equal((ran as unknown as JSONObject).code, 'ML_NO_GPU');
  await assert.rejects(infer({ ...params, device: 'cpu' }, { resources: { gpu: 1 } }), { code: 'INVALID_PARAMS' });
});

test('images are resized, normalised and brought into the layout of the model', async () => {
  // 4 × 4 pixels of three channels: place, 100, and 0 or 255.
  const image = Array.from({ length: 4 }, (_, y) =>
    Array.from({ length: 4 }, (_, x) => [x + 4 * y, 100, 255 * (x >> 1)]),
  );
  const resize = { width: 2, height: 2, antialias: false };
  const preprocess = { layout: 'nhwc', resize, scale: 0.5, mean: [1, 0, 0], std: [1, 50, 1] };
  assert.deepEqual(await resultOf({ model: 'image.onnx', input: image, preprocess }), [
    [
      [
        [0.25, 1.25],
        [4.25, 5.25],
      ],
      [
        [1, 1],
        [1, 1],
      ],
      [
        [0, 127.5],
        [0, 127.5],
      ],
    ],
  ]);
  const nearest = { ...preprocess, resize: { width: 2, height: 2, method: 'nearest' }, mean: 0, std: 1, scale: 1 };
  const [[places]] = (await resultOf({ model: 'image.onnx', input: image, preprocess: nearest })) as [[number[][]]];
  assert.deepEqual(places, [
    [0, 2],
    [8, 10],
  ]);
  await assert.rejects(infer({ model: 'image.onnx', input: image, preprocess: { ...preprocess, mean: [1] } }), {
    code: 'INVALID_PARAMS',
    message: /mean has 1 numbers/,
  });
});

test('scores become probabilities and labels', async () => {
  const params = {
    model: 'linear.onnx',
    input: [
      [0, 0, 0],
      [-5, 0, 0],
    ],
  };
  const softmax = (await resultOf({ ...params, postprocess: { activation: 'softmax' } })) as number[][];
  for (const [row, [a = 0, b = 0]] of softmax.entries()) {
    const wanted = 1 / (1 + Math.exp(row === 0 ? 10 : 5));
    assert.ok(Math.abs(a - wanted) < 1e-6 && Math.abs(a + b - 1) < 1e-6);
  }
  assert.deepEqual(await resultOf({ ...params, postprocess: { labels: ['cat', 'dog'] } }), [
    [{ index: 1, label: 'dog', score: 20 }],
    [{ index: 1, label: 'dog', score: 10 }],
  ]);
  assert.deepEqual(await resultOf({ ...params, input: [0, 0, 0], postprocess: { top_k: 5 } }), [
    [
      { index: 1, score: 20 },
      { index: 0, score: 10 },
    ],
  ]);
  await assert.rejects(infer({ ...params, postprocess: { labels: ['cat'] } }), { message: /1 labels.* 2 places/ });
});

test('rows of concurrent steps run together, and each step gets its own', async () => {
  const before = { ...deps.batcher.counts };
  const many = await Promise.all(
    Array.from({ length: 50 }, (_, at) => resultOf({ model: 'linear.onnx', input: [at, 0, 0] })),
  );
  assert.deepEqual(
    many,
    Array.from({ length: 50 }, (_, at) => [[at + 10, 2 * at + 20]]),
  );
  assert.ok(deps.batcher.counts.runs - before.runs < 25, `${deps.batcher.counts.runs - before.runs} runs`);
});

test('a model that mixes rows is not run over rows of several steps, though its axes are called batch', async () => {
  const inputs = Array.from({ length: 8 }, (_, at) => [
    [at, 1, 0],
    [at, 1, 0],
  ]);
  const totals = await Promise.all(
    inputs.map((input) => resultOf({ model: 'total.onnx', input, dynamic_batching: true })),
  );
  assert.deepEqual(
    totals,
    inputs.map((_, at) => [[2 * at, 2, 0]]),
  );
});

test('a cancelled step ends at once, and others go on', async () => {
  const stop = new AbortController();
  const stopped = infer({ model: 'linear.onnx', input: [1, 0, 0] }, { signal: stop.signal });
  const other = resultOf({ model: 'linear.onnx', input: [2, 0, 0] });
  const reason = new Error('enough');
  stop.abort(reason);
  await assert.rejects(stopped, reason);
  assert.deepEqual(await other, [[12, 24]]);
});

const batch = (params: JSONObject, context = contextOf()): Promise<JSONObject> =>
  mlBatch({ id: 'batch', type: 'ml_batch', params }, context, deps);

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

test('others of the node have their turn while a large output is computed', async () => {
  const shape = [3 * 1024, 1024];
  const zeros = { dtype: 'float32' as const, shape, data: new Float32Array(3 * 1024 * 1024) };
  for (const [activation, value] of [
    ['softmax', 1 / 1024],
    ['sigmoid', 0.5],
  ] as const) {
    let turns = 0;
    const other = (): void => {
      turns += 1;
      pending = setImmediate(other);
    };
    let pending = setImmediate(other);
    const { data } = await activate(zeros, activation);
    clearImmediate(pending);
    assert.ok(turns >= 2, `${turns}`);
    assert.ok(data.length === zeros.data.length && data.every((element) => element === value));
  }
});

test('an input that is too large in the type of the model is refused before it is made', async () => {
  const bytes = { shape: [70_000, 1024], dtype: 'uint8', base64: Buffer.alloc(70_000 * 1024).toString('base64') };
  await assert.rejects(infer({ model: 'rows.onnx', input: bytes }), { code: 'ML_TENSOR_TOO_LARGE' });
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
