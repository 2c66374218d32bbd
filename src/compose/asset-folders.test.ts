import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { sha256 } from '../lib/hash.ts';
import { AssetFolders } from './asset-folders.ts';

describe('asset folders', () => {
  let root: string;
  let folders: AssetFolders;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'assets-'));
    for (const folder of ['first/deep', 'second']) await mkdir(join(root, folder), { recursive: true });
    await writeFile(join(root, 'outside.wasm'), 'secret');
    await writeFile(join(root, 'first', 'a.wasm'), 'one');
    await writeFile(join(root, 'second', 'a.wasm'), 'two');
    await writeFile(join(root, 'second', 'b.wasm'), 'three');
    await writeFile(join(root, 'first', 'deep', 'c.wasm'), 'four');
    await symlink(join(root, 'outside.wasm'), join(root, 'first', 'link.wasm'));
    await symlink(join(root, 'first', 'a.wasm'), join(root, 'first', 'inner.wasm'));
    folders = new AssetFolders([join(root, 'first'), join(root, 'second'), join(root, 'absent')]);
  });
  after(() => rm(root, { recursive: true }));

  const textOf = async (name: string): Promise<string | undefined> => {
    const asset = await folders.find(name);
    return asset === undefined ? undefined : Buffer.from(await asset.read()).toString();
  };

  it('gives the first file of the name, and its digest', async () => {
    assert.equal(await textOf('a.wasm'), 'one');
    assert.equal(await textOf('./b.wasm'), 'three');
    assert.equal(await textOf('deep/c.wasm'), 'four');
    assert.equal(await textOf('inner.wasm'), 'one');
    const asset = await folders.find('a.wasm');
    assert.deepEqual([asset?.digest, asset?.size], [sha256('one'), 3]);
  });

  it('finds a file by its digest', async () => {
    assert.equal(await textOf(`sha256:${sha256('four')}`), 'four');
    assert.equal(await textOf(`sha256:${sha256('secret')}`), undefined);
  });

  it('reads nothing outside the folders', async () => {
    for (const name of [
      '../outside.wasm',
      'deep/../../outside.wasm',
      join(root, 'outside.wasm'),
      'link.wasm',
      'absent.wasm',
      'deep',
      '',
      '.',
      '__proto__',
      'https://a.example/a.wasm',
      'a.wasm/b',
      'a\0.wasm',
    ])
      assert.equal(await folders.find(name), undefined, name);
    assert.equal(await textOf(join(root, 'first', 'a.wasm')), 'one', 'a full path into a folder');
  });

  it('notices that a file has changed', async () => {
    const path = join(root, 'first', 'changing.wasm');
    await writeFile(path, 'before');
    const before = await folders.find('changing.wasm');
    await writeFile(path, 'after!');
    await assert.rejects(async () => before?.read(), { code: 'CONFLICT' });
    assert.equal(await textOf('changing.wasm'), 'after!');
  });

  it('refuses a file that is too large', async () => {
    const path = join(root, 'first', 'huge.wasm');
    await writeFile(path, '');
    await truncate(path, 256 * 1024 * 1024 + 1);
    await assert.rejects(folders.find('huge.wasm'), { code: 'LIMIT_EXCEEDED' });
    await rm(path);
  });
});
