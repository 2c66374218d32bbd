import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { bufferModule, ModuleRefusal } from './modules.ts';
import { blurred, picture } from './pictures.ts';
import { type Picture, readPNG, writePNG, writeRGBA } from './png.ts';

interface Filtered {
  image: string;
  width: number;
  height: number;
  format: string;
  filter: string;
  radius?: number;
}

const filter = (args: object): Filtered => bufferModule('image_processor.wasm').json('apply_filter', args) as Filtered;
const read = (given: Filtered): Picture => readPNG(Buffer.from(given.image, 'base64'));
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');

test("example 3 of the reference document, over a real PNG: the blur is the reference's, as a PNG", () => {
  const original = picture(97, 61);
  const given = filter({ image: base64(writeRGBA(original)), filter: 'gaussian_blur', radius: 5 });
  assert.deepEqual(
    { ...given, image: '' },
    {
      filter: 'gaussian_blur',
      format: 'png',
      height: 61,
      image: '',
      radius: 5,
      width: 97,
    },
  );
  assert.deepEqual(read(given), blurred(original, 5));
});

test('the blur, over sizes, radii and transparency', () => {
  const cases: [width: number, height: number, radius: number][] = [
    [1, 1, 1],
    [1, 40, 3],
    [33, 1, 7],
    [2, 2, 100],
    [64, 48, 1],
    [31, 45, 2],
    [40, 30, 25],
  ];
  for (const [width, height, radius] of cases) {
    for (const alpha of [() => 255, (at: number) => (at * 37) % 256, () => 0]) {
      const original = picture(width, height, alpha);
      const given = filter({ image: base64(writeRGBA(original)), filter: 'gaussian_blur', radius });
      assert.deepEqual(read(given), blurred(original, radius), `${width}×${height}, radius ${radius}`);
    }
  }
});

test('every form of PNG that has no interlacing is read', () => {
  const [width, height] = [29, 11];
  const invert = (picture: Picture): Picture => ({
    ...picture,
    pixels: picture.pixels.map((value, at) => (at % 4 === 3 ? value : 255 - value)),
  });
  const channels: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
  const palette = Buffer.from(Array.from({ length: 768 }, (_, at) => (at * 89) % 256));
  const shades = Buffer.from(Array.from({ length: 100 }, (_, at) => (at * 31) % 256));
  for (const [colour, depths] of Object.entries({
    0: [1, 2, 4, 8, 16],
    2: [8, 16],
    3: [1, 2, 4, 8],
    4: [8, 16],
    6: [8, 16],
  }))
    for (const depth of depths)
      for (const keyed of [false, true]) {
        const form = Number(colour);
        const count = channels[form] ?? 0;
        const most = 2 ** depth - 1;
        const sample = (at: number): number => (at * at * 7 + at * 3) % (most + 1);
        const row = (y: number): Uint8Array => {
          const bits = Array.from({ length: width * count }, (_, x) =>
            sample(y * width * count + x)
              .toString(2)
              .padStart(depth, '0'),
          ).join('');
          const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, '0');
          return Uint8Array.from(padded.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2));
        };
        const key = Array.from({ length: count }, (_, channel) => sample(5 * count + channel));
        const extra = form === 3 ? [{ kind: 'PLTE', body: palette.subarray(0, 3 * Math.min(256, most + 1)) }] : [];
        if (keyed && form === 3) extra.push({ kind: 'tRNS', body: shades.subarray(0, Math.min(100, most + 1)) });
        if (keyed && (form === 0 || form === 2))
          extra.push({ kind: 'tRNS', body: Buffer.from(key.flatMap((value) => [value >> 8, value & 255])) });
        const file = writePNG({
          width,
          height,
          depth,
          colour: form,
          bytesPerPixel: Math.max(1, (depth * count) / 8),
          row,
          filter: (y) => y % 5,
          extra,
          level: depth % 3 === 0 ? 0 : 9,
          idatBytes: 50,
        });
        const pixels = new Uint8Array(width * height * 4);
        for (let at = 0; at < width * height; at += 1) {
          const samples = Array.from({ length: count }, (_, channel) => sample(at * count + channel));
          const bytes = samples.map((value) => (depth === 16 ? value >> 8 : (value * 255) / most));
          const hidden = keyed && form < 3 && samples.every((value, channel) => value === key[channel]);
          const index = (samples[0] ?? 0) * 3;
          if (form === 3)
            pixels.set([...palette.subarray(index, index + 3), keyed ? (shades[samples[0] ?? 0] ?? 255) : 255], at * 4);
          else {
            const colours = count < 3 ? [bytes[0], bytes[0], bytes[0]] : bytes.slice(0, 3);
            const alpha = count % 2 === 0 ? (bytes.at(-1) ?? 0) : hidden ? 0 : 255;
            pixels.set([...colours.map((value) => value ?? 0), alpha], at * 4);
          }
        }
        const given = read(filter({ image: base64(file), filter: 'invert' }));
        assert.deepEqual(
          given,
          invert({ width, height, pixels }),
          `colour type ${form}, depth ${depth}, keyed ${keyed}`,
        );
      }
});

test('any pixels come back as they were: inverted twice, through PNG each time, raw at first', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }).chain((width) =>
        fc.record({
          width: fc.constant(width),
          pixels: fc.oneof(
            fc.uint8Array({ minLength: width * 4, maxLength: width * 40 }),
            fc.array(fc.constantFrom(0, 255, 7), { minLength: width * 4, maxLength: width * 400 }),
          ),
        }),
      ),
      ({ width, pixels }) => {
        const height = Math.floor(pixels.length / width / 4);
        const whole = Uint8Array.from(pixels.slice(0, width * height * 4));
        const once = filter({ image: base64(whole), filter: 'invert', width, height });
        const twice = filter({ image: `data:image/png;base64,${once.image}`, filter: 'invert' });
        assert.deepEqual(read(twice), { width, height, pixels: whole });
      },
    ),
    { numRuns: 100 },
  );
});

test('gray, bytes in and bytes out, and a live instance', () => {
  const original = picture(50, 40);
  const gray = read(filter({ image: base64(writeRGBA(original)), filter: 'grayscale' }));
  const expected = original.pixels.map((value, at) => {
    const [red, green, blue] = original.pixels.subarray(at - (at % 4), at - (at % 4) + 3);
    return at % 4 === 3 ? value : (77 * (red ?? 0) + 150 * (green ?? 0) + 29 * (blue ?? 0) + 128) >> 8;
  });
  assert.deepEqual(gray.pixels, expected);
  const module = bufferModule('image_processor.wasm');
  for (let call = 0; call < 20; call += 1)
    assert.deepEqual(readPNG(module.call('process', writeRGBA(original))), blurred(original, 5));
  const pages = module.memoryPages();
  for (let call = 0; call < 200; call += 1) module.call('process', writeRGBA(original));
  assert.equal(module.memoryPages(), pages);
});

const refused = (name: string, input: Uint8Array | string, message: RegExp): void =>
  assert.throws(
    () => bufferModule('image_processor.wasm').call(name, input),
    (thrown) => thrown instanceof ModuleRefusal && message.test(thrown.message),
    String(input).slice(0, 100),
  );

test('bad arguments end the call with a message', () => {
  const file = writeRGBA(picture(4, 4));
  const image = base64(file);
  const bad: [args: object, message: RegExp][] = [
    [{}, /apply_filter takes/],
    [{ image }, /apply_filter takes/],
    [{ image, filter: 'gaussian_blur', radius: -1 }, /apply_filter takes/],
    [{ image, filter: 'gaussian_blur', radius: 0 }, /1 to 100/],
    [{ image, filter: 'gaussian_blur', radius: 101 }, /1 to 100/],
    [{ image, filter: 'emboss' }, /filter must be/],
    [{ image, filter: 'invert', colour: 'red' }, /apply_filter takes/],
    [{ image: '!', filter: 'invert' }, /not base64/],
    [{ image: base64(Buffer.from('GIF89a')), filter: 'invert' }, /no PNG/],
    [{ image, filter: 'invert', width: 3, height: 3 }, /raw images/],
  ];
  for (const [args, message] of bad) refused('apply_filter', JSON.stringify(args), message);
});

test('no damaged file is read as a picture, and none leads out of the module', () => {
  const file = writeRGBA(picture(9, 7));
  for (let size = 0; size < file.length; size += 1) refused('process', file.subarray(0, size), /PNG/);
  for (let at = 0; at < file.length - 12; at += 1)
    for (const bit of [1, 0x80]) {
      const damaged = Buffer.from(file);
      damaged[at] = (damaged[at] ?? 0) ^ bit;
      refused('process', damaged, /PNG/);
    }
});

test('damaged data under right checksums never traps', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), fc.nat(), (junk, where) => {
      const original = writePNG({
        width: 20,
        height: 20,
        depth: 8,
        colour: 0,
        bytesPerPixel: 1,
        row: (y) => Uint8Array.from({ length: 20 }, (_, x) => x * y),
      });
      const start = 8 + 25 + 8;
      const data = Buffer.from(original.subarray(start, original.length - 16));
      data.set(junk.subarray(0, Math.max(0, data.length - (where % data.length))), where % data.length);
      const file = writePNG({
        width: 20,
        height: 20,
        depth: 8,
        colour: 0,
        bytesPerPixel: 1,
        row: () => new Uint8Array(20),
        extra: [{ kind: 'IDAT', body: data }],
      });
      const end = start + data.length + 4;
      const whole = Buffer.concat([file.subarray(0, end), original.subarray(-12)]);
      try {
        bufferModule('image_processor.wasm').call('process', whole);
      } catch (thrown) {
        if (!(thrown instanceof ModuleRefusal)) throw thrown;
      }
    }),
    { numRuns: 500 },
  );
});
