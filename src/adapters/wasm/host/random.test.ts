import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { it } from 'node:test';
import fc from 'fast-check';
import { SeededRandom } from './random.ts';

it('is one stream of bytes, in whatever parts it is taken', () => {
  const size = fc.oneof(fc.nat(20), fc.constantFrom(4095, 4096, 4097), fc.nat(20_000));
  fc.assert(
    fc.property(fc.string(), fc.array(size, { maxLength: 8 }), (seed, sizes) => {
      const random = new SeededRandom(seed);
      const parts = sizes.map((length) => {
        const part = new Uint8Array(length).fill(7);
        random.fill(part);
        return part;
      });
      const given = Buffer.concat(parts);
      const key = createHash('sha256').update(seed).digest();
      const stream = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(given.length));
      assert.ok(given.equals(stream));
    }),
  );
});
