import assert from 'node:assert/strict';
import { fstatSync, openSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { pack, SharedFile, unpack } from './exchange.ts';
import { mapFile } from './mapping.ts';

const mib = 1024 * 1024;
const linux = { skip: process.platform !== 'linux' && 'only Linux has such files' };

function withFile(work: (file: SharedFile) => void, bytesMax = 4 * mib): void {
  const file = SharedFile.open(bytesMax);
  try {
    work(file);
  } finally {
    file.close();
  }
}

/** The file as the other process has it. */
const other = ({ fd, bytesMax }: SharedFile): SharedFile =>
  new SharedFile(fd, bytesMax, fd === undefined ? undefined : mapFile(fd, bytesMax));

const views = [Uint8Array, Int16Array, Float32Array, Float64Array, BigInt64Array, Uint8ClampedArray] as const;
/** Of a few bytes up to more than the file holds, at odd places in their buffers. */
const view = fc
  .tuple(fc.constantFrom(...views), fc.constantFrom(0, 1, 5, 5_000, 70_000, 300_000), fc.nat(3), fc.nat(255))
  .map(([View, length, from, fill]) => {
    const bytes = new Uint8Array((from + length) * 8).map((_, index) => index + fill);
    return new View(bytes.buffer, from * View.BYTES_PER_ELEMENT, length);
  });
const value = fc.letrec((tie) => ({
  leaf: fc.oneof(view, fc.string(), fc.double({ noNaN: true }), fc.bigInt(), fc.constant(undefined)),
  node: fc.oneof(
    { depthSize: 'small' },
    tie('leaf'),
    fc.array(tie('node'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor')), tie('node'), {
      maxKeys: 4,
      noNullPrototype: true,
    }),
  ),
})).node;

test('property: what crosses is what was sent, there and back, with and without a file', () => {
  fc.assert(
    fc.property(value, fc.boolean(), (sent, shares) => {
      withFile(
        (ours) => {
          const theirs = other(ours);
          const there = unpack(pack(sent, ours), theirs);
          assert.deepEqual(there, sent);
          // The answer lies beside what was sent, which it may be made of.
          const back = unpack(pack(there, theirs), ours);
          assert.deepEqual(there, sent);
          assert.deepEqual(back, sent);
        },
        shares ? 4 * mib : 0,
      );
    }),
    { numRuns: 60 },
  );
});

test('what is read is a copy for whoever began the call, and lies in the file for whoever answers', linux, () =>
  withFile((ours) => {
    const theirs = other(ours);
    const message = pack(new Uint8Array(mib).fill(1), ours);
    assert.ok(message.length < 100);
    const lent = unpack(message, theirs) as Uint8Array;
    const copy = unpack(message, ours) as Uint8Array;
    ours.restart();
    pack(new Uint8Array(mib).fill(2), ours);
    assert.equal(copy[0], 1);
    assert.equal(lent[0], 2);
  }),
);

test('the file has a limit, and is empty once it is emptied', linux, () =>
  withFile((file) => {
    const half = new Uint8Array(2 * mib);
    assert.deepEqual([file.put(half), file.put(half), file.put(half)], [0, 2 * mib, undefined]);
    assert.equal(fstatSync(file.fd ?? -1).size, 4 * mib);
    file.empty();
    assert.equal(fstatSync(file.fd ?? -1).blocks, 0);
  }),
);

test('where the system has no memory for it, tensors go along with the message', { skip: linux.skip }, () => {
  const full = new SharedFile(openSync('/dev/full', 'r+'), 4 * mib);
  const tensor = new Float32Array(100_000).fill(3);
  const message = pack([tensor, tensor.slice()], full);
  assert.ok(message.length > 800_000);
  assert.deepEqual(unpack(message, full), [tensor, tensor]);
  full.close();
});

test('a message about what is not in the file is refused, and so is one after the end', linux, () =>
  withFile((file) => {
    const message = pack(new Uint8Array(mib), file);
    file.empty();
    assert.throws(() => unpack(message, file), { code: 'ML_PROCESS_CRASHED', retryable: true });
    assert.throws(() => unpack(message, new SharedFile(file.fd, 100)), { code: 'ML_PROCESS_CRASHED' });
    file.close();
    assert.throws(() => unpack(message, file), { code: 'ML_PROCESS_CRASHED' });
    assert.equal(file.put(new Uint8Array(10)), undefined);
  }),
);

test('a file that is none is no memory', linux, () => assert.equal(mapFile(-1, 4096), undefined));
