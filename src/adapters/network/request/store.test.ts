import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TextDecoder } from 'node:util';
import fc from 'fast-check';
import { storeBytes } from '../../../kit/stored-bytes.ts';
import { sha256 } from '../../../lib/hash.ts';
import { redactor } from '../../../lib/secrets.ts';
import { rowsOf } from './store.ts';

function memory(redact: (text: string) => string = (text) => text) {
  const blobs = new Map<string, Uint8Array>();
  const put = async (bytes: Uint8Array): Promise<string> => {
    const digest = sha256(bytes);
    blobs.set(digest, bytes);
    return digest;
  };
  const get = async (digest: string): Promise<Uint8Array> => blobs.get(digest) ?? assert.fail();
  return { redact, blobs: { put, get } };
}

async function* inPieces(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

const sizes = fc.array(fc.integer({ min: 1, max: 2_000_000 }), { minLength: 1, maxLength: 5 });

test('what is stored is what came, in chunks, however it came', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 9_000_000 }), sizes, fc.boolean(), async (length, pieces, text) => {
      const bytes = Buffer.alloc(length, text ? 'aé😀' : Uint8Array.from({ length: 251 }, (_, index) => index));
      const context = memory();
      // A text that was cut within a character ends in U+FFFD, as decoders do it.
      const expected = text ? Buffer.from(bytes.toString()) : bytes;
      const stored = await storeBytes(inPieces(bytes, pieces), text ? new TextDecoder() : undefined, 'x/y', context);
      const read = await Promise.all(stored.chunks.map(({ digest }) => context.blobs.get(digest)));
      assert.ok(Buffer.concat(read).equals(expected));
      assert.equal(stored.bytes, expected.length);
      for (const chunk of read) assert.ok(chunk.length <= 4 * 1024 * 1024 * 1.5 + 2_000_000);
    }),
    { numRuns: 6 },
  );
});

test('no secret is left, wherever it lies', async () => {
  const secret = 'S3cret/Value';
  const redact = redactor([{ pointer: 'vault://s', value: secret }]);
  const forms = [secret, Buffer.from(secret).toString('base64'), encodeURIComponent(secret)];
  const place = fc.integer({ min: 0, max: 8_500_000 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(place, { minLength: 1, maxLength: 5 }),
      fc.constantFrom(...forms),
      fc.boolean(),
      async (places, form, text) => {
        const bytes = Buffer.alloc(8_600_000, '-');
        for (const at of places) bytes.write(form, at);
        const context = memory(redact);
        const stored = await storeBytes(inPieces(bytes, [65_536]), text ? new TextDecoder() : undefined, '', context);
        const read = await Promise.all(stored.chunks.map(({ digest }) => context.blobs.get(digest)));
        assert.ok(!Buffer.concat(read).includes(form));
      },
    ),
    { numRuns: 4 },
  );
});

test('rows are read however the lines are cut', async () => {
  const row = fc.dictionary(
    fc.string({ unit: 'grapheme' }),
    fc.oneof(fc.string({ unit: 'grapheme' }), fc.integer(), fc.constant(null)),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(row),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      async (rows, pieces) => {
        const lines = rows.map((one) => JSON.stringify(one)).join('\r\n');
        const read = [];
        for await (const one of rowsOf(inPieces(Buffer.from(lines), pieces))) read.push(one);
        assert.equal(JSON.stringify(read), JSON.stringify(rows));
      },
    ),
  );
});
