import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { after, test } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import { createEgress } from '../../../egress/egress.ts';
import type { BytesDeps } from '../../../kit/named-bytes.ts';
import type { JSONValue } from '../../../lib/json.ts';
import { Processes } from '../process/processes.ts';
import { areImages, readImages } from './images.ts';

const sharp = createRequire(import.meta.url)('sharp') as typeof import('sharp')['default'];
const processes = new Processes();
after(() => processes.close());

const deps = { processes, egress: createEgress() };
const context = {
  assets: {},
  blobs: { get: async () => Uint8Array.from([1]), put: async () => '' },
  pin: () => undefined,
  redact: (text: string) => text,
  signal: new AbortController().signal,
};
const plain = { channels: 3, resize: undefined } as const;

/** A PNG (RFC 2083) of RGB pixels, written by hand. */
function png(width: number, height: number, pixel: (x: number, y: number) => number[]): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const rows = Array.from({ length: height }, (_, y) => [
    0,
    ...Array.from({ length: width }, (__, x) => pixel(x, y)).flat(),
  ]);
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(Buffer.from(rows.flat()))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

const image = (bytes: Uint8Array): JSONValue => ({ image_file: { base64: Buffer.from(bytes).toString('base64') } });
const coloured = png(3, 2, (x, y) => [x * 10, y * 10, 7]);

test('pixels come as they are, one image or a list', async () => {
  const pixels = [0, 0, 7, 10, 0, 7, 20, 0, 7, 0, 10, 7, 10, 10, 7, 20, 10, 7];
  const one = await readImages(image(coloured), 'params.input', plain, context, deps);
  assert.deepEqual([one.dtype, one.shape, [...one.data]], ['uint8', [2, 3, 3], pixels]);
  const two = await readImages([image(coloured), image(coloured)], 'params.input', plain, context, deps);
  assert.deepEqual(
    [two.shape, [...two.data]],
    [
      [2, 2, 3, 3],
      [...pixels, ...pixels],
    ],
  );
});

test('grey, alpha and other sizes', async () => {
  const grey = await readImages(image(png(1, 1, () => [200, 200, 200])), 'i', { ...plain, channels: 1 }, context, deps);
  assert.deepEqual([grey.shape, [...grey.data]], [[1, 1, 1], [200]]);
  const alpha = await readImages(image(coloured), 'i', { ...plain, channels: 4 }, context, deps);
  assert.deepEqual([...alpha.data].slice(0, 8), [0, 0, 7, 255, 10, 0, 7, 255]);
  const halves = png(4, 2, (x) => (x < 2 ? [0, 0, 0] : [240, 240, 240]));
  const small = { channels: 1, resize: { width: 2, height: 2 } } as const;
  const { data } = await readImages(image(halves), 'i', small, context, deps);
  const [left = 0, right = 0, ...below] = data as Uint8Array;
  assert.ok(left < 60 && right > 180 && left + right === 240, `${left}, ${right}`);
  assert.deepEqual(below, [left, right]);
  const nearest = { channels: 1, resize: { width: 2, height: 2, method: 'nearest' } } as const;
  assert.deepEqual([...(await readImages(image(halves), 'i', nearest, context, deps)).data], [0, 240, 0, 240]);
  const cut = { channels: 1, resize: { width: 1, height: 1, fit: 'cover' } } as const;
  const middle = png(3, 1, (x) => (x === 1 ? [99, 99, 99] : [0, 0, 0]));
  assert.deepEqual([...(await readImages(image(middle), 'i', cut, context, deps)).data], [99]);
});

test('a photograph lies as its EXIF data say', async () => {
  const lying = await sharp(coloured).withMetadata({ orientation: 6 }).jpeg().toBuffer();
  assert.deepEqual((await readImages(image(lying), 'i', plain, context, deps)).shape, [3, 2, 3]);
});

test('what is no image, or not what it should be, is refused and named', async () => {
  const refused = (value: JSONValue, code: string, message: RegExp) =>
    assert.rejects(readImages(value, 'params.input', plain, context, deps), { name: 'StepError', code, message });
  const huge = png(1, 1, () => [0, 0, 0]);
  huge.writeUInt32BE(60_000, 16);
  huge.writeUInt32BE(60_000, 20);
  huge.writeUInt32BE(crc32(huge.subarray(12, 29)), 29);
  const svg = Buffer.from(
    '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><rect width="4" height="4"/></svg>',
  );
  for (const bytes of [Buffer.from('no image'), coloured.subarray(0, 60), huge, svg, Buffer.alloc(0)])
    await refused([image(coloured), image(bytes)], 'ML_INVALID_IMAGE', /^params\.input\[1\] can't be read as an image/);
  await refused(
    [image(coloured), image(png(2, 2, () => [0, 0, 0]))],
    'ML_INPUT_MISMATCH',
    /input\[1\] has 2×2 pixels.*3×2.*resize/,
  );
  await refused([image(coloured), 5], 'INVALID_PARAMS', /input\[1\] must be \{ "image_file"/);
  await refused({ image_file: 5 }, 'INVALID_PARAMS', /input\.image_file must be the name of a file/);
  await refused({ image_file: 'cat.png' }, 'IMAGE_NOT_FOUND', /cat\.png/);
});

test('files are read no further than what is decoded together', async () => {
  let reads = 0;
  const assets: BytesDeps['assets'] = {
    places: [],
    async find() {
      const read = async (): Promise<Uint8Array> => {
        reads += 1;
        return new Uint8Array(60 * 1024 * 1024);
      };
      return { digest: '', size: 0, read };
    },
  };
  const many = Array.from({ length: 10 }, () => ({ image_file: 'large.png' }));
  await assert.rejects(readImages(many, 'params.input', plain, context, { ...deps, assets }), {
    code: 'ML_TENSOR_TOO_LARGE',
    message: /^the files of params\.input have more than.*ml_batch/,
  });
  assert.equal(reads, 5);
});

test('images are told from tensors', () => {
  for (const value of [{ image_file: 'a.png' }, [{ image_file: {} }, 1]]) assert.ok(areImages(value as JSONValue));
  for (const value of [{ image_file: 'a.png', other: [[2]] }, [[1]], [], 5, { data: [1] }])
    assert.ok(!areImages(value as JSONValue));
});
