import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { fromBase64 } from '../../kit/named-bytes.ts';
import { limits } from '../../protocol/limits.ts';
import { callInput } from './call-input.ts';

const half = new Uint8Array(limits.blobBytesMax / 2);
let reads = 0;
const blobs = {
  get: async () => {
    reads += 1;
    return half;
  },
  put: async () => '',
};
const stored = { stored: 'bytes', bytes: 1, chunks: [{ digest: '0'.repeat(64), bytes: 1 }] };
const refused = { code: 'INVALID_PARAMS' };

it('bytes that a call names many times are read no further than its limit', async () => {
  const { args } = (await callInput({ args: [stored, stored] }, { blobs })) as { args: Uint8Array[] };
  assert.deepEqual(
    args.map(({ length }) => length),
    [half.length, half.length],
  );
  reads = 0;
  await assert.rejects(callInput({ input: { many: Array.from({ length: 1000 }, () => stored) } }, { blobs }), refused);
  assert.equal(reads, 3);
});

it('arguments as a whole are no bytes', async () => {
  await assert.rejects(callInput({ args: { base64: 'YWJj' } }, { blobs }), refused);
  assert.deepEqual(await callInput({ args: { data: { base64: 'YWJj' } } }, { blobs }), {
    kind: 'args',
    args: { data: Buffer.from('abc') },
  });
});

it('base64 is taken with and without its padding, and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.boolean(), (bytes, padded) => {
      const text = Buffer.from(bytes).toString('base64');
      assert.deepEqual(new Uint8Array(fromBase64(padded ? text : text.replaceAll('=', ''), 'x')), bytes);
    }),
  );
  // A pattern that looks for padding would take days.
  for (const text of ['a', 'YWJ=j', 'YW Jj', 'YWK', `${'='.repeat(4_000_000)}x`])
    assert.throws(() => fromBase64(text, 'x'), refused, text.slice(0, 10));
});
