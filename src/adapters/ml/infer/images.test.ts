// Image files as the input of a model, from a param to what the model sees.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { batch, contextOf, deps, files, mirrorOf, resultOf } from '../../../../test/adapters/ml/inference.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONValue } from '../../../lib/json.ts';
import type { Processes } from '../process/processes.ts';
import { mlBatch } from './batch.ts';
import { mlInfer } from './infer.ts';

const sharp = createRequire(import.meta.url)('sharp') as typeof import('sharp')['default'];
mirrorOf('planes.onnx', 'pixels', ['batch', 3, 1, 2]);
mirrorOf('grey.onnx', 'pixels', ['batch', 1, 2, 2]);
mirrorOf('unclear.onnx', 'pixels', ['batch', 3, 4, 4]);
mirrorOf('any.onnx', 'pixels', ['batch', 'height', 'width', 3]);

const pixels = Uint8Array.of(10, 20, 30, 40, 50, 60);
const png = await sharp(pixels, { raw: { width: 2, height: 1, channels: 3 } })
  .png()
  .toBuffer();
files.set('two.png', png);
const file: JSONValue = { image_file: { base64: png.toString('base64') } };

test('a file becomes what the model takes: planes, grey, of its size', async () => {
  assert.deepEqual(await resultOf({ model: 'planes.onnx', input: file }), [[[[10, 40]], [[20, 50]], [[30, 60]]]]);
  assert.deepEqual(
    await resultOf({ model: 'any.onnx', input: [file, file] }),
    Array(2).fill([
      [
        [10, 20, 30],
        [40, 50, 60],
      ],
    ]),
  );
  const grey = (await resultOf({ model: 'grey.onnx', input: file })) as number[][][][];
  const [above = [], below = []] = grey[0]?.[0] ?? [];
  assert.deepEqual(above, below);
  // Luminance: red and blue count less than green.
  assert.ok(
    above.length === 2 && Math.abs((above[0] ?? 0) - 18.2) < 2 && Math.abs((above[1] ?? 0) - 48.2) < 2,
    `${above}`,
  );
});

test('what preprocess says is done to it, and a file of the node stands in the receipt', async () => {
  const preprocess = { scale: 0.1, mean: [1, 2, 3] };
  const pinned: string[] = [];
  const result = await resultOf(
    { model: 'planes.onnx', input: { image_file: 'two.png' }, preprocess },
    { pin: (name) => void pinned.push(name) },
  );
  assert.deepEqual(result, [[[[0, 3]], [[0, 3]], [[0, 3]]]]);
  assert.deepEqual(pinned, ['planes.onnx', 'two.png']);
});

test('what is large is prepared in a process, to the same', async () => {
  const [width, height] = [1024, 512];
  const data = Float32Array.from({ length: width * height * 3 }, (_, at) => at % 251);
  const input = { shape: [1, height, width, 3], dtype: 'float32', base64: Buffer.from(data.buffer).toString('base64') };
  const preprocess = { resize: { width: 2, height: 2, method: 'nearest' }, scale: 2, mean: [1, 2, 3] };
  const pixel = (x: number, y: number) => [0, 1, 2].map((c) => 2 * ((3 * (x + width * y) + c) % 251) - (c + 1));
  assert.deepEqual(await resultOf({ model: 'any.onnx', input, preprocess }), [
    [0, height / 2].map((y) => [0, width / 2].map((x) => pixel(x, y))),
  ]);
  // What becomes large is, too.
  const calls: string[] = [];
  const call: Processes['call'] = (kind, device, request, hooks) => {
    calls.push(request.method);
    return deps.processes.call(kind, device, request, hooks);
  };
  const params = { model: 'any.onnx', input: [[[1, 2, 3]]], preprocess: { resize: { width: 1024, height: 512 } } };
  const step = { id: 'infer', type: 'ml_infer', params };
  const { shapes } = await mlInfer(step, contextOf(), { ...deps, processes: { call } });
  assert.deepEqual(shapes, { same: { dtype: 'float32', shape: [1, 512, 1024, 3] } });
  assert.deepEqual(calls, ['preprocess']);
  await assert.rejects(resultOf({ model: 'any.onnx', input, preprocess: { ...preprocess, mean: [1, 2] } }), {
    code: 'INVALID_PARAMS',
    message: /mean has 2 numbers, and params\.input has 3 channels/,
  });
  // In ml_batch no less.
  calls.length = 0;
  const batchStep = { id: 'batch', type: 'ml_batch', params: { model: 'any.onnx', input, preprocess } };
  const { result } = await mlBatch(batchStep, contextOf(), { ...deps, processes: { call } });
  assert.deepEqual(result, await resultOf({ model: 'any.onnx', input, preprocess }));
  assert.deepEqual(calls, ['preprocess']);
});

test('a batch that fails ends the decoding of the one beside it', async () => {
  const ended: string[] = [];
  const both = Promise.withResolvers<void>();
  const waiting: AbortSignal[] = [];
  const call: Processes['call'] = async (_, __, request, { signal }) => {
    waiting.push(signal);
    if (waiting.length === 1) {
      await both.promise;
      throw new StepError('ML_INVALID_IMAGE', 'bad');
    }
    both.resolve();
    await once(signal, 'abort');
    ended.push(request.method);
    throw signal.reason;
  };
  const params = { model: 'any.onnx', input: [file, file], batch_size: 1 };
  const step = { id: 'batch', type: 'ml_batch', params };
  await assert.rejects(mlBatch(step, contextOf(), { ...deps, processes: { call } }), { code: 'ML_INVALID_IMAGE' });
  await new Promise(setImmediate);
  assert.deepEqual(ended, ['decode']);
});

test('ml_batch takes a file for each row', async () => {
  const params = { model: 'planes.onnx', input: [file, file, file], batch_size: 2 };
  const output = await batch(params);
  assert.deepEqual([output.row_count, output.batches], [3, 2]);
  assert.deepEqual(output.result, Array(3).fill([[[10, 40]], [[20, 50]], [[30, 60]]]));
});

test('a shape that does not tell where the channels are is no reason to guess', async () => {
  const params = { model: 'unclear.onnx', input: file };
  await assert.rejects(resultOf(params), { code: 'INVALID_PARAMS', message: /\[batch, 3, 4, 4\].*model_layout/ });
  const result = (await resultOf({ ...params, preprocess: { model_layout: 'nchw' } })) as number[][][][];
  assert.deepEqual(
    result[0]?.map((plane) => plane[0]?.[0]),
    [10, 20, 30],
  );
});

test('a file that is no image is named with its place', async () => {
  const bad: JSONValue = { image_file: { base64: 'AAAA' } };
  await assert.rejects(resultOf({ model: 'any.onnx', input: { pixels: [file, bad] } }), {
    code: 'ML_INVALID_IMAGE',
    message: /^params\.input\.pixels\[1\] can't be read/,
  });
});
