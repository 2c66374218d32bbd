import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fromBase64 } from './named-bytes.ts';

test('base64 is what encodes to itself, and nothing else', () => {
  const digit = fc.constantFrom(...'ABab09+/-_=!. \n');
  const texts = fc.oneof(
    fc.array(digit, { maxLength: 12 }).map((digits) => digits.join('')),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  );
  fc.assert(
    fc.property(texts, (text) => {
      const wanted = Buffer.from(text, 'base64');
      const plain = (other: string): string => other.replace(/=+$/, '');
      if (plain(wanted.toString('base64')) === plain(text))
        assert.deepEqual(Buffer.from(fromBase64(text, 'x')), wanted);
      else assert.throws(() => fromBase64(text, 'x'), { code: 'INVALID_PARAMS' });
    }),
    { numRuns: 3000 },
  );
});
