import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { contextFor } from '../../../../test/compliance/adapter.ts';
import type { JSONValue } from '../../../lib/json.ts';
import type { DType } from './dtype.ts';
import { readTensor, type Wanted } from './from-json.ts';
import { fromHalf, toHalf } from './half.ts';
import { concatRows, rowsOf } from './tensor.ts';
import { tensorJSON } from './to-json.ts';

const context = contextFor({ id: 'tensor', type: 'ml_infer', params: {} });
const read = (value: JSONValue, wanted: Wanted = {}) => readTensor(value, 'params.input', context, wanted);
const refuses = (value: JSONValue, message: RegExp, wanted: Wanted = {}, code = 'INVALID_PARAMS') =>
  assert.rejects(read(value, wanted), { code, message });

test('lists become tensors, with the type by the first value or as wanted', async () => {
  assert.deepEqual(
    await read([
      [1, 2, 3],
      [4, 5, 6],
    ]),
    {
      dtype: 'float32',
      shape: [2, 3],
      data: new Float32Array([1, 2, 3, 4, 5, 6]),
    },
  );
  assert.deepEqual(await read(7, { dtype: 'int64' }), { dtype: 'int64', shape: [], data: new BigInt64Array([7n]) });
  assert.deepEqual(await read([true, false]), { dtype: 'bool', shape: [2], data: new Uint8Array([1, 0]) });
  assert.deepEqual(await read(['a', 'b']), { dtype: 'string', shape: [2], data: ['a', 'b'] });
  assert.deepEqual((await read([[], []])).shape, [2, 0]);
});

test('numbers of float32 are read alike wherever others stand among them, up to where they would round to none', async () => {
  const largest = 2 ** 128 - 2 ** 104;
  const rows = [
    [1, -largest, '2', 3],
    ['NaN', 0.1, largest + 2 ** 102, '-Infinity'],
  ];
  const wanted = Float32Array.of(1, -largest, 2, 3, Number.NaN, 0.1, largest, Number.NEGATIVE_INFINITY);
  assert.deepEqual((await read(rows, { dtype: 'float32' })).data, wanted);
  await refuses([[1, 2, largest + 2 ** 103, 4]], /^params\.input\[0\]\[2\] must be a number within float32/);
  await refuses([[1], [Number.NaN]], /^params\.input\[1\]\[0\]/);
  await refuses([[1, 2, true]], /^params\.input\[0\]\[2\]/);
});

test('an object states shape and type; its data may be flat, base64 or stored', async () => {
  const wanted = { dtype: 'int16' as const, shape: [2, 2], data: new Int16Array([1, -2, 3, 4]) };
  assert.deepEqual(await read({ shape: [2, 2], dtype: 'int16', data: [1, -2, 3, 4] }), wanted);
  const bytes = new Uint8Array(wanted.data.buffer);
  const base64 = Buffer.from(bytes).toString('base64');
  assert.deepEqual(await read({ shape: [2, 2], dtype: 'int16', base64 }), wanted);
  assert.deepEqual(await read({ shape: [2, 2], dtype: 'int16', data: { base64 } }), wanted);
  assert.deepEqual(await read({ base64 }, { dtype: 'int16', shape: [-1, 2] }), wanted);
  const digest = await context.blobs.put(bytes);
  const stored = { stored: 'bytes', bytes: 8, chunks: [{ digest, bytes: 8 }] };
  assert.deepEqual(await read({ shape: [2, 2], dtype: 'int16', data: stored }), wanted);
});

test('an error names the place', async () => {
  await refuses([[1, 2], [3, 4], [5]], /^params\.input\[2\] must be a list of 2 values, as the first is, not of 1$/);
  await refuses(
    [
      [[1], [2]],
      [[3], [4, 5]],
    ],
    /^params\.input\[1\]\[1\] must be a list of 1 values/,
  );
  await refuses(
    [
      [
        [1, 2],
        [3, 4],
      ],
      [
        [5, 6],
        [7, 'x'],
      ],
    ],
    /^params\.input\[1\]\[1\]\[1\] must be a number within float32, not "x"/,
  );
  await refuses([[1, 2], 3], /^params\.input\[1\] must be a list of 2 values/);
  await refuses([1, 300], /^params\.input\[1\] must be a whole number of uint8, not 300/, { dtype: 'uint8' });
  await refuses([1e39], /within float32/);
  await refuses([70_000], /within float16/, { dtype: 'float16' });
  await refuses([2 ** 53], /int64/, { dtype: 'int64' });
  await refuses({ shape: [3], data: [1, 2] }, /has 2 elements, and the shape \[3\] takes 3/);
  await refuses({ shape: [3], dtype: 'float32', base64: 'AAAA' }, /3 bytes/);
  await refuses({ shape: [1], dtype: 'float32', base64: '!!' }, /not base64/);
  await refuses({ shape: [-1], data: [1] }, /params\.input\.shape\[0\]/);
  await refuses({ shape: [1], data: [1], layout: 'C' }, /without "layout"/);
  await refuses({ dtype: 'complex64', data: [1] }, /params\.input\.dtype must be one of/);
  await refuses({ base64: 'AAAA' }, /needs a dtype/);
});

test('what is too large is refused before it is allocated', async () => {
  await refuses({ shape: [2 ** 40], data: [] }, /takes \d+ bytes; at most/, {}, 'ML_TENSOR_TOO_LARGE');
  await refuses({ shape: [0, 2 ** 50, 2 ** 50], data: [] }, /at most/, {}, 'ML_TENSOR_TOO_LARGE');
  const deep = JSON.parse(`${'['.repeat(20)}1${']'.repeat(20)}`);
  await refuses(deep, /17 axes; at most 16/, {}, 'ML_TENSOR_TOO_LARGE');
});

test('what is written is read as the same, in each form', async () => {
  const values: Record<DType, JSONValue> = {
    float32: [0.1, -1.5, 'NaN', 'Infinity', 1e30],
    float64: [0.1, 1e300, '-Infinity', 2 ** 60, 0],
    float16: [0.5, 65_504, 2 ** -24, 'NaN', -1],
    int8: [-128, 127],
    uint8: [0, 255],
    int16: [-32_768],
    uint16: [65_535],
    int32: [-(2 ** 31)],
    uint32: [2 ** 32 - 1],
    int64: ['9223372036854775807', -5],
    uint64: ['18446744073709551615'],
    bool: [true, false],
    string: ['x', ''],
  };
  for (const [dtype, list] of Object.entries(values) as [DType, JSONValue][]) {
    const tensor = await read(list, { dtype });
    for (const form of ['list', 'base64', 'stored'] as const)
      assert.deepEqual(await read(await tensorJSON(tensor, context, form), { dtype }), tensor, `${dtype} ${form}`);
  }
});

test('many elements are stored, whatever was asked for', async () => {
  const data = new Float32Array(300_000).map((_, at) => at / 7);
  const tensor = { dtype: 'float32' as const, shape: [3, 100_000], data };
  for (const form of ['list', 'base64'] as const) {
    const json = (await tensorJSON(tensor, context, form)) as { data: { stored: string; bytes: number } };
    assert.equal(json.data.stored, 'bytes');
    assert.equal(json.data.bytes, 1_200_000);
    assert.deepEqual(await read(json as unknown as JSONValue), tensor);
  }
});

test('half precision agrees with the engine', () => {
  const view = new DataView(new ArrayBuffer(2)) as DataView & {
    getFloat16(at: number): number;
    setFloat16(at: number, value: number): void;
  };
  for (let bits = 0; bits < 65_536; bits += 1) {
    view.setUint16(0, bits);
    assert.ok(Object.is(fromHalf(bits), view.getFloat16(0)), `bits ${bits}`);
  }
  fc.assert(
    fc.property(
      fc.oneof(
        fc.float({ noNaN: true }),
        fc.float({ min: -1, max: 1, noNaN: true }),
        fc.float({ min: Math.fround(-1e-4), max: Math.fround(1e-4), noNaN: true }),
      ),
      (value) => {
        view.setFloat16(0, value);
        return toHalf(value) === view.getUint16(0);
      },
    ),
    { numRuns: 2000 },
  );
});

test('rows are cut and put together', async () => {
  const tensor = await read([
    [1, 2],
    [3, 4],
    [5, 6],
  ]);
  assert.deepEqual(rowsOf(tensor, 1, 3), { dtype: 'float32', shape: [2, 2], data: new Float32Array([3, 4, 5, 6]) });
  assert.deepEqual(concatRows([rowsOf(tensor, 0, 1), rowsOf(tensor, 1, 3)]), tensor);
  const texts = await read([['a'], ['b'], ['c']]);
  assert.deepEqual(concatRows([rowsOf(texts, 0, 2), rowsOf(texts, 2, 3)]), texts);
});
