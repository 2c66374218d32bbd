import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deps, files, infer, resultOf } from '../../../../test/adapters/ml/inference.ts';
import { sha256 } from '../../../lib/hash.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { MessageWriter } from '../onnx/wire.ts';
import { activate } from './postprocess.ts';

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

test('an input that is too large in the type of the model is refused before it is made', async () => {
  const bytes = { shape: [70_000, 1024], dtype: 'uint8', base64: Buffer.alloc(70_000 * 1024).toString('base64') };
  await assert.rejects(infer({ model: 'rows.onnx', input: bytes }), { code: 'ML_TENSOR_TOO_LARGE' });
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
