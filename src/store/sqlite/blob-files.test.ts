import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sha256 } from '../../lib/hash.ts';
import { BlobFiles } from './blob-files.ts';

describe('BlobFiles', () => {
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'jsonflow-blobs-'));
  });
  after(() => rm(root, { recursive: true }));
  const pathOf = (digest: string) => join(root, digest.slice(0, 2), digest.slice(2));
  const bytes = Buffer.from('some bytes');
  const digest = sha256(bytes);

  test('a blob is a file named by its digest, for its owner alone; nothing stays beside it', async () => {
    const blobs = await BlobFiles.open(root);
    await blobs.put(digest, bytes);
    const { mode, size } = await stat(pathOf(digest));
    assert.equal(size, bytes.length);
    if (process.platform !== 'win32') {
      assert.equal(mode & 0o777, 0o600);
      assert.equal((await stat(join(root, 'tmp'))).mode & 0o777, 0o700);
    }
    assert.deepEqual(await readdir(join(root, 'tmp')), []);
  });

  test('what a crashed writer left is removed on open', async () => {
    await writeFile(join(root, 'tmp', 'left'), 'half a bl');
    const blobs = await BlobFiles.open(root);
    assert.deepEqual(await readdir(join(root, 'tmp')), []);
    assert.ok(await blobs.has(digest));
  });

  test('writes go on while another process opens the directory and clears it', async () => {
    const blobs = await BlobFiles.open(root);
    const values = Array.from({ length: 40 }, (_, index) => Buffer.alloc(200_000, index));
    const writes = values.map((value) => blobs.put(sha256(value), value));
    await BlobFiles.open(root);
    await Promise.all(writes);
    for (const value of values) assert.ok(value.equals((await blobs.get(sha256(value))) ?? Buffer.of()));
  });

  test('damage is found on reading; a length that differs is repaired by the next write', async () => {
    const blobs = await BlobFiles.open(root);
    await writeFile(pathOf(digest), 'some Bytes');
    await assert.rejects(blobs.get(digest), { code: 'STORE_CORRUPT', hint: /backup/ });
    await writeFile(pathOf(digest), 'some');
    await assert.rejects(blobs.get(digest), { code: 'STORE_CORRUPT' });
    await blobs.put(digest, bytes);
    assert.ok(bytes.equals((await blobs.get(digest)) ?? Buffer.of()));
  });

  test('a failing disk is a typed error and does not disturb other blobs', async () => {
    const blobs = await BlobFiles.open(root);
    const other = Buffer.from('other');
    // A file where the directory should be makes every write below it fail.
    await rm(join(root, sha256(other).slice(0, 2)), { recursive: true, force: true });
    await writeFile(join(root, sha256(other).slice(0, 2)), '');
    await assert.rejects(blobs.put(sha256(other), other), { code: 'STORE_FAILED' });
    await rm(join(root, sha256(other).slice(0, 2)));
    await blobs.put(sha256(other), other);
    assert.ok(await blobs.has(sha256(other)));
  });
});
