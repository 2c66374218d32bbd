import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { StepError } from '../../../lib/errors.ts';
import { Cursor } from './cursor.ts';

/** LEB128 of a whole number, with `padding` bytes more than it needs. */
function leb(value: bigint, signed: boolean, padding = 0): Uint8Array {
  const bytes: number[] = [];
  for (let left = value; ; ) {
    const low = Number(left & 0x7fn);
    left >>= 7n;
    const done = signed ? left === ((low & 0x40) === 0 ? 0n : -1n) : left === 0n;
    if (done) {
      bytes.push(low);
      break;
    }
    bytes.push(low | 0x80);
  }
  for (let each = 0; each < padding; each += 1) {
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80;
    bytes.push(value < 0n ? 0x7f : 0);
  }
  return Uint8Array.from(bytes);
}

const length = (bits: number): number => Math.ceil(bits / 7);
const padding = fc.nat(9);

it('unsigned numbers are read as they were written, however long within their bits', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 33n }), padding, (value, more) => {
      const bytes = leb(value, false, more);
      const cursor = new Cursor(bytes);
      if (value < 2n ** 32n && bytes.length <= length(32)) {
        assert.equal(cursor.u32(), Number(value));
        assert.ok(cursor.done);
      } else assert.throws(() => cursor.u32(), { code: 'MODULE_INVALID' });
    }),
  );
});

it('signed numbers of 32, 33 and 64 bits are taken within their bits alone', () => {
  const bits = fc.constantFrom(32, 33, 64) as fc.Arbitrary<32 | 33 | 64>;
  const value = fc.oneof(
    fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }),
    fc.bigInt({ min: -(2n ** 34n), max: 2n ** 34n }),
  );
  fc.assert(
    fc.property(bits, value, padding, (width, number, more) => {
      const bytes = leb(number, true, more);
      const cursor = new Cursor(bytes);
      const fits = BigInt.asIntN(width, number) === number && bytes.length <= length(width);
      if (!fits) assert.throws(() => cursor.skipSigned(width), { code: 'MODULE_INVALID' });
      else {
        cursor.skipSigned(width);
        assert.ok(cursor.done);
        if (width === 33) assert.equal(new Cursor(bytes).s33(), Number(number));
      }
    }),
    { numRuns: 500 },
  );
});

it('nothing is read beyond the end, and every failure is typed', () => {
  const reads: ((cursor: Cursor) => unknown)[] = [
    (cursor) => cursor.u8(),
    (cursor) => cursor.u32(),
    (cursor) => cursor.skipSigned(64),
    (cursor) => cursor.s33(),
    (cursor) => cursor.name(10),
    (cursor) => cursor.count(100, 2, 'items'),
    (cursor) => cursor.skip(3),
    (cursor) => cursor.part(cursor.u32()),
  ];
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 30 }),
      fc.nat(30),
      fc.array(fc.constantFrom(...reads)),
      (bytes, at, steps) => {
        const end = Math.min(at, bytes.length);
        const cursor = new Cursor(bytes, 0, end);
        try {
          for (const step of steps) step(cursor);
        } catch (thrown) {
          assert.ok(thrown instanceof StepError && thrown.code === 'MODULE_INVALID', String(thrown));
        }
        assert.ok(cursor.position <= end);
      },
    ),
    { numRuns: 500 },
  );
});
