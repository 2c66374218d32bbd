import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { resample } from './resample.ts';

const line = (...values: number[]) => Float32Array.from(values);
const row = (values: Float32Array, width: number, others = {}) =>
  [...resample(values, { outer: 1, height: 1, width: values.length, inner: 1 }, { width, height: 1, ...others })].map(
    (value) => Math.round(value * 1000) / 1000,
  );

// By hand from the triangle; Image.resize() of Pillow 13 gives the same.
test('rows shrink and grow as by hand', () => {
  assert.deepEqual(row(line(0, 0, 240, 240), 2), [34.286, 205.714]);
  assert.deepEqual(row(line(0, 0, 240, 240), 2, { antialias: false }), [0, 240]);
  assert.deepEqual(row(line(0, 100), 4), [0, 25, 75, 100]);
  assert.deepEqual(row(line(1, 2, 3, 4, 5, 6), 2, { method: 'nearest' }), [1, 4]);
  assert.deepEqual(row(line(5, 7), 2), [5, 7]);
});

test('cover keeps the proportions and shows the middle', () => {
  const wide = { outer: 1, height: 1, width: 3, inner: 1 };
  assert.deepEqual([...resample(line(1, 2, 3), wide, { width: 1, height: 1, fit: 'cover' })], [2]);
  const grown = resample(line(1, 2, 3), wide, { width: 3, height: 3, fit: 'cover' });
  assert.deepEqual(
    [...grown].slice(3, 6).map((value) => Math.round(value * 1e6)),
    [1_666_667, 2_000_000, 2_333_333],
  );
});

test('both layouts give the same, a plain image stays plain, and its own size changes nothing', () => {
  const sizes = fc.integer({ min: 1, max: 9 });
  fc.assert(
    fc.property(
      sizes,
      sizes,
      sizes,
      sizes,
      fc.constantFrom('fill', 'cover'),
      fc.nat(),
      (width, height, newWidth, newHeight, fit, seed) => {
        const channels = 3;
        const beside = Float32Array.from({ length: width * height * channels }, (_, at) => ((at + seed) * 7919) % 256);
        const apart = Float32Array.from(
          beside,
          (_, at) => beside[(at % (width * height)) * channels + Math.floor(at / (width * height))] ?? 0,
        );
        const to = { width: newWidth, height: newHeight, fit } as const;
        const a = resample(beside, { outer: 1, height, width, inner: channels }, to);
        const b = resample(apart, { outer: channels, height, width, inner: 1 }, to);
        const area = newWidth * newHeight;
        for (let at = 0; at < a.length; at += 1)
          assert.equal(a[at], b[(at % channels) * area + Math.floor(at / channels)]);
        const plain = resample(new Float32Array(width * height).fill(7), { outer: 1, height, width, inner: 1 }, to);
        for (const value of plain) assert.ok(Math.abs(value - 7) < 1e-5);
        const same = resample(apart, { outer: channels, height, width, inner: 1 }, { width, height });
        assert.deepEqual(same, apart);
      },
    ),
    { seed: 7 },
  );
});
