import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { JSONFlowError } from '../lib/errors.ts';
import { chainVault } from './chain.ts';
import { environmentVault, secretsFileOf } from './environment.ts';
import { fileVault } from './file.ts';
import { LocalVault } from './local.ts';
import { vaultKeyFrom } from './unlock.ts';

async function directory(context: TestContext): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'jsonflow-vault-'));
  context.after(() => rm(dir, { recursive: true, force: true }));
  return dir;
}

const CANARY = 'canary-7f3a9d51';

const failsWith =
  (code: string, message = /./) =>
  (thrown: unknown): boolean => {
    assert.ok(thrown instanceof JSONFlowError, String(thrown));
    assert.equal(thrown.code, code);
    assert.match(thrown.message, message);
    assert.ok(!`${thrown.message}${thrown.hint}`.includes(CANARY), 'an error tells the secret');
    return true;
  };

test('environment: names become variables; versions and the passphrase are not there', async () => {
  const vault = environmentVault({
    JSONFLOW_VAULT_DB_MAIN_PASSWORD: CANARY,
    JSONFLOW_VAULT_EMPTY: '',
    JSONFLOW_VAULT_PASSPHRASE: 'the key of keys',
    JSONFLOW_VAULT_FILE: 'secrets.json',
  });
  assert.equal(await vault.resolve('db/main-password'), CANARY);
  for (const [name, version] of [['empty'], ['other'], ['passphrase'], ['file'], ['db/main-password', '1']] as const)
    await assert.rejects(
      vault.resolve(name ?? '', version),
      failsWith('SECRET_NOT_FOUND', new RegExp(`vault://${name}`)),
    );
});

test('environment: the secrets file', () => {
  assert.equal(secretsFileOf({ JSONFLOW_VAULT_FILE: 'secrets.json' }), 'secrets.json');
  assert.equal(secretsFileOf({ JSONFLOW_VAULT_FILE: '' }), undefined);
});

test('file: values and versions, read anew each time', async (context) => {
  const path = join(await directory(context), 'secrets.json');
  await writeFile(path, JSON.stringify({ a: CANARY, b: { 2: 'two', 10: 'ten' }, c: 7 }), { mode: 0o600 });
  const vault = fileVault(path);
  assert.equal(await vault.resolve('a'), CANARY);
  assert.equal(await vault.resolve('b'), 'ten');
  assert.equal(await vault.resolve('b', '2'), 'two');
  await assert.rejects(vault.resolve('a', '1'), failsWith('SECRET_NOT_FOUND'));
  await assert.rejects(vault.resolve('b', '3'), failsWith('SECRET_NOT_FOUND', /vault:\/\/b#3/));
  await assert.rejects(vault.resolve('toString'), failsWith('SECRET_NOT_FOUND'));
  await assert.rejects(vault.resolve('c'), failsWith('INVALID_CONFIG', /not a text/));
  await writeFile(path, `{"a": "${CANARY}"`);
  await assert.rejects(vault.resolve('a'), failsWith('INVALID_CONFIG', /not JSON/));
  await writeFile(path, '{"a":"new"}');
  assert.equal(await vault.resolve('a'), 'new');
});

test('file: refused where others may read it', { skip: process.platform === 'win32' }, async (context) => {
  const path = join(await directory(context), 'secrets.json');
  await writeFile(path, '{"a":"b"}');
  for (const mode of [0o640, 0o604, 0o620]) {
    await chmod(path, mode);
    await assert.rejects(fileVault(path).resolve('a'), failsWith('INVALID_CONFIG', /others/));
  }
  await assert.rejects(fileVault(`${path}.no`).resolve('a'), failsWith('INVALID_CONFIG', /ENOENT/));
});

test('chain: the first answer counts, a broken vault ends the search', async () => {
  const first = environmentVault({ JSONFLOW_VAULT_A: 'one' });
  const second = environmentVault({ JSONFLOW_VAULT_A: 'two', JSONFLOW_VAULT_B: 'three' });
  const vault = chainVault([first, second]);
  assert.deepEqual([await vault.resolve('a'), await vault.resolve('b')], ['one', 'three']);
  await assert.rejects(vault.resolve('c', '4'), failsWith('SECRET_NOT_FOUND', /vault:\/\/c#4/));
  await assert.rejects(chainVault([]).resolve('c'), failsWith('SECRET_NOT_FOUND'));
  const locked = { resolve: () => Promise.reject(new JSONFlowError('UNAUTHORIZED', 'locked')) };
  await assert.rejects(chainVault([locked, second]).resolve('b'), failsWith('UNAUTHORIZED'));
});

test('local: versions are kept, listed without values, and survive a new start', async (context) => {
  const dir = await directory(context);
  const vault = await LocalVault.open(dir, 'key-file');
  assert.deepEqual(await vault.list(), []);
  assert.equal(await vault.set('db/main', CANARY), '1');
  assert.equal(await vault.set('db/main', 'second ü'), '2');
  assert.equal(await vault.set('DB/main', 'another'), '1');
  const again = await LocalVault.open(dir, 'key-file');
  assert.equal(await again.get('db/main'), 'second ü');
  assert.equal(await again.resolve('db/main', '1'), CANARY);
  assert.equal(await again.get('db/main', '3'), undefined);
  await assert.rejects(again.resolve('db/other'), failsWith('SECRET_NOT_FOUND'));
  const listed = await again.list();
  assert.deepEqual(
    listed.map(({ name, versions }) => [name, versions.map(({ version }) => version)]),
    [
      ['DB/main', ['1']],
      ['db/main', ['1', '2']],
    ],
  );
  assert.ok(!JSON.stringify(listed).includes(CANARY));
  for (const file of await readdir(dir)) assert.ok(!(await readFile(join(dir, file), 'latin1')).includes(CANARY), file);
});

test('local: a removal removes all versions, and no number comes back', async (context) => {
  const vault = await LocalVault.open(await directory(context), 'key-file');
  await vault.set('a', 'one');
  await vault.set('a', 'two');
  assert.equal(await vault.remove('a'), true);
  assert.equal(await vault.remove('a'), false);
  assert.equal(await vault.remove('never'), false);
  assert.deepEqual([await vault.get('a'), await vault.get('a', '1'), await vault.list()], [undefined, undefined, []]);
  assert.equal(await vault.set('a', 'new'), '4');
  assert.deepEqual([await vault.get('a'), await vault.get('a', '3')], ['new', undefined]);
});

test('local: bad names and values are refused', async (context) => {
  const vault = await LocalVault.open(await directory(context), 'key-file');
  for (const name of ['', '../x', 'a b', 'a#1', 'a@1', '/a', 'a/', 'a\0', 'a'.repeat(200)])
    await assert.rejects(vault.set(name, CANARY), failsWith('INVALID_INPUT', /name/), name);
  await assert.rejects(vault.set('a', ''), failsWith('INVALID_INPUT', /bytes/));
  await assert.rejects(vault.set('a', CANARY.repeat(10_000)), failsWith('INVALID_INPUT', /bytes/));
});

test('local: only the right passphrase or key file opens', async (context) => {
  const dir = await directory(context);
  const vault = await LocalVault.open(dir, { passphrase: `${CANARY} é` });
  await vault.set('a', 'value');
  assert.equal(await (await LocalVault.open(dir, { passphrase: `${CANARY} e\u0301` })).get('a'), 'value');
  await assert.rejects(
    LocalVault.open(dir, { passphrase: `${CANARY} e` }),
    failsWith('UNAUTHORIZED', /passphrase is wrong/),
  );
  await assert.rejects(LocalVault.open(dir, { passphrase: '' }), failsWith('INVALID_CONFIG', /empty/));
  await assert.rejects(LocalVault.open(dir, 'key-file'), failsWith('UNAUTHORIZED', /needs its passphrase/));

  const other = await directory(context);
  await LocalVault.open(other, 'key-file');
  await assert.rejects(LocalVault.open(other, { passphrase: CANARY }), failsWith('UNAUTHORIZED', /key file/));
  if (process.platform !== 'win32') {
    await chmod(join(other, 'vault.key'), 0o644);
    await assert.rejects(LocalVault.open(other, 'key-file'), failsWith('INVALID_CONFIG', /others/));
  }
  await writeFile(join(other, 'vault.key'), Buffer.alloc(32), { mode: 0o600 });
  await chmod(join(other, 'vault.key'), 0o600);
  await assert.rejects(LocalVault.open(other, 'key-file'), failsWith('UNAUTHORIZED', /not the key/));
  await rm(join(other, 'vault.key'));
  await assert.rejects(LocalVault.open(other, 'key-file'), failsWith('UNAUTHORIZED', /missing/));
  assert.deepEqual(vaultKeyFrom({ JSONFLOW_VAULT_PASSPHRASE: 'p' }), { passphrase: 'p' });
  assert.equal(vaultKeyFrom({}), 'key-file');
});

test('local: every flipped bit of a secret is found, and so is a swapped file', async (context) => {
  const dir = await directory(context);
  const vault = await LocalVault.open(dir, 'key-file');
  await vault.set('a', CANARY);
  const file = join(dir, `${Buffer.from('a').toString('hex')}.1.json`);
  const good = await readFile(file);
  const text = good.toString().trimEnd();
  for (let bit = 0; bit < text.length * 8; bit++) {
    const bad = Buffer.from(good);
    const index = bit >> 3;
    bad[index] = (bad[index] ?? 0) ^ (1 << (bit & 7));
    await writeFile(file, bad);
    // White space between the tokens is the only thing that may differ; a flip makes none in this text.
    await assert.rejects(vault.get('a'), failsWith('STORE_CORRUPT'), `bit ${bit}`);
  }
  await writeFile(file, good);
  await vault.set('b', 'other');
  await vault.set('b', 'newer');
  const [b1, b2] = [1, 2].map((version) => join(dir, `${Buffer.from('b').toString('hex')}.${version}.json`));
  await writeFile(b2 ?? '', await readFile(b1 ?? ''));
  await assert.rejects(vault.get('b'), failsWith('STORE_CORRUPT', /"b"/));
  await writeFile(b2 ?? '', (await readFile(file, 'utf8')).replace('"version":1', '"version":2'));
  await assert.rejects(vault.get('b'), failsWith('STORE_CORRUPT'));
  await assert.rejects(vault.list(), failsWith('STORE_CORRUPT'));
  assert.equal(await vault.get('a'), CANARY);
  assert.equal(await vault.set('b', 'healed'), '3');
  assert.equal(await vault.get('b'), 'healed');
  assert.equal(await vault.remove('b'), true);
  assert.deepEqual(
    (await vault.list()).map(({ name }) => name),
    ['a'],
  );
});

test('local: a damaged header is found', async (context) => {
  const dir = await directory(context);
  await LocalVault.open(dir, 'key-file');
  const file = join(dir, 'vault.json');
  const good = await readFile(file);
  for (let bit = 0; bit < good.toString().trimEnd().length * 8; bit += 3) {
    const bad = Buffer.from(good);
    const index = bit >> 3;
    bad[index] = (bad[index] ?? 0) ^ (1 << (bit & 7));
    await writeFile(file, bad);
    await assert.rejects(LocalVault.open(dir, 'key-file'), (thrown) => {
      assert.ok(thrown instanceof JSONFlowError && /^(STORE_CORRUPT|UNAUTHORIZED)$/.test(thrown.code), `bit ${bit}`);
      return true;
    });
  }
});

test('local: writers at the same time lose nothing', async (context) => {
  const dir = await directory(context);
  const vaults = await Promise.all(Array.from({ length: 4 }, () => LocalVault.open(dir, 'key-file')));
  const script = `
    const { parentPort, workerData } = require('node:worker_threads');
    import(workerData.module).then(async ({ LocalVault }) => {
      const vault = await LocalVault.open(workerData.dir, 'key-file');
      const versions = [];
      for (let count = 0; count < 8; count++) versions.push(await vault.set('a', 'thread ' + count));
      parentPort.postMessage(versions);
    });`;
  const thread = new Worker(script, {
    eval: true,
    workerData: { dir, module: new URL('./local.ts', import.meta.url).href },
  });
  const fromThread = once(thread, 'message') as Promise<[string[]]>;
  const fromHere = await Promise.all(
    vaults.flatMap((vault, writer) => [0, 1, 2].map((count) => vault.set('a', `value ${writer} ${count}`))),
  );
  const versions = [...fromHere, ...(await fromThread)[0]];
  assert.deepEqual(
    versions.map(Number).sort((left, right) => left - right),
    Array.from({ length: 20 }, (_, index) => index + 1),
  );
  const values = new Set(await Promise.all(versions.map((version) => vaults[0]?.get('a', version))));
  assert.equal(values.size, 20);
  assert.ok(!(await readdir(dir)).some((file) => file.endsWith('.tmp')));
});
