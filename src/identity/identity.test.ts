import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
  assertSoundKey,
  createVerifier,
  ephemeralIdentity,
  keyIdOf,
  loadOrCreateIdentity,
  syncVerifier,
} from './identity.ts';

let root = '';
before(async () => {
  root = await mkdtemp(join(tmpdir(), 'jsonflow-identity-'));
});
after(() => rm(root, { recursive: true, force: true }));

const bytes = (hex: string): Uint8Array => Buffer.from(hex, 'hex');

/** RFC 8032 §7.1: TEST 1, 2, 3 and SHA(abc). */
const rfc8032: [seed: string, publicKey: string, message: string, signature: string][] = [
  [
    '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
    'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    '',
    'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
  ],
  [
    '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
    '72',
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  ],
  [
    'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
    'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
    'af82',
    '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
  ],
  [
    '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
    'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
    'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
  ],
];

const verifiers = { 'thread pool': createVerifier(), synchronous: syncVerifier() };

test('RFC 8032 §7.1: keys and signatures', async () => {
  for (const [seed, publicKey, message, signature] of rfc8032) {
    const signer = ephemeralIdentity(bytes(seed));
    const raw = createPublicKey(signer.publicKey).export({ type: 'spki', format: 'der' }).subarray(-32);
    assert.equal(raw.toString('hex'), publicKey);
    assert.equal(signer.keyId, keyIdOf(signer.publicKey));
    assert.equal(Buffer.from(await signer.sign(bytes(message))).toString('hex'), signature);
    for (const verifier of Object.values(verifiers))
      assert.equal(await verifier.verify(signer.publicKey, bytes(message), bytes(signature)), true);
  }
});

const L = 2n ** 252n + 27742317777372353535851937790883648493n;

/** Adds n times the group order to the scalar of a signature: the classic malleability. */
function plusOrder(signature: Uint8Array, n: bigint): Uint8Array | undefined {
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`) + n * L;
  if (s >= 2n ** 256n) return undefined;
  const scalar = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse();
  return Buffer.concat([signature.subarray(0, 32), scalar]);
}

for (const [name, verifier] of Object.entries(verifiers))
  test(`wrong signatures are refused (${name})`, async () => {
    const signer = ephemeralIdentity(new Uint8Array(32).fill(7));
    const message = Buffer.from('message');
    const signature = await signer.sign(message);
    const wrong: Uint8Array[] = [
      new Uint8Array(0),
      new Uint8Array(64),
      signature.subarray(0, 63),
      signature.subarray(1),
      Buffer.concat([signature, Uint8Array.of(0)]),
      // R without S, S without R, S = L, R not a point, R not canonical.
      Buffer.concat([signature.subarray(0, 32), new Uint8Array(32)]),
      Buffer.concat([new Uint8Array(32), signature.subarray(32)]),
      Buffer.concat([signature.subarray(0, 32), Buffer.from(L.toString(16).padStart(64, '0'), 'hex').reverse()]),
      Buffer.concat([Uint8Array.of(2), new Uint8Array(31), signature.subarray(32)]),
      Buffer.concat([new Uint8Array(32).fill(255), signature.subarray(32)]),
    ];
    for (let n = 1n; n < 16n; n++) {
      const malleable = plusOrder(signature, n);
      if (malleable !== undefined) wrong.push(malleable);
    }
    for (let bit = 0; bit < 512; bit++) {
      const flipped = Uint8Array.from(signature);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      wrong.push(flipped);
    }
    for (const bad of wrong) assert.equal(await verifier.verify(signer.publicKey, message, bad), false);
    assert.equal(await verifier.verify(signer.publicKey, Buffer.from('massage'), signature), false);
    assert.equal(await verifier.verify(ephemeralIdentity().publicKey, message, signature), false);
    assert.equal(await verifier.verify('no key', message, signature), false);
    assert.equal(await verifier.verify(signer.publicKey, message, signature), true);
  });

test('a small-order key verifies nothing, although the equation holds for its universal signature', async () => {
  const neutral = Buffer.alloc(32);
  neutral[0] = 1;
  const der = Buffer.concat([bytes('302a300506032b6570032100'), neutral]);
  const pem = `-----BEGIN PUBLIC KEY-----\n${der.toString('base64')}\n-----END PUBLIC KEY-----\n`;
  assert.throws(() => assertSoundKey(pem), { code: 'INVALID_CONFIG' });
  const universal = Buffer.concat([neutral, Buffer.alloc(32)]);
  const message = Buffer.from('anything');
  // OpenSSL 3.0 accepts this signature for every message, so the key itself must be refused.
  for (const verifier of Object.values(verifiers)) assert.equal(await verifier.verify(pem, message, universal), false);
});

test('the cache of keys stays right when it is too small', async () => {
  const verifier = createVerifier({ keysMax: 2 });
  const message = Buffer.from('m');
  const signers = [1, 2, 3, 4].map((n) => ephemeralIdentity(new Uint8Array(32).fill(n)));
  for (const _ of [1, 2])
    for (const signer of signers)
      assert.equal(await verifier.verify(signer.publicKey, message, await signer.sign(message)), true);
});

test('an ephemeral identity: new each time, or fixed by its seed', () => {
  assert.notEqual(ephemeralIdentity().keyId, ephemeralIdentity().keyId);
  const seed = new Uint8Array(32).fill(9);
  assert.equal(ephemeralIdentity(seed).keyId, ephemeralIdentity(seed).keyId);
  assert.throws(() => ephemeralIdentity(new Uint8Array(31)), { code: 'INVALID_CONFIG' });
});

test('an identity is created once, privately, and read again', async () => {
  const dir = join(root, 'new', 'nested');
  const first = await loadOrCreateIdentity(dir);
  const again = await loadOrCreateIdentity(dir);
  assert.equal(again.keyId, first.keyId);
  assert.equal(again.publicKey, first.publicKey);
  assert.deepEqual(await readdir(dir), ['node.key']);
  assert.match(await readFile(join(dir, 'node.key'), 'utf8'), /^-----BEGIN PRIVATE KEY-----\n/);
  if (process.platform !== 'win32') {
    assert.equal((await stat(join(dir, 'node.key'))).mode & 0o777, 0o600);
    assert.equal((await stat(dir)).mode & 0o777, 0o700);
  }
  const message = Buffer.from('m');
  const verifier = createVerifier();
  assert.equal(await verifier.verify(first.publicKey, message, await again.sign(message)), true);
});

test('nodes that start in one directory at once agree on one identity', async () => {
  const dir = join(root, 'race');
  const signers = await Promise.all(Array.from({ length: 8 }, () => loadOrCreateIdentity(dir)));
  assert.equal(new Set(signers.map(({ keyId }) => keyId)).size, 1);
  assert.deepEqual(await readdir(dir), ['node.key']);
});

test('a key that can’t be used is named and left as it is', async (t) => {
  const dir = join(root, 'damaged');
  await loadOrCreateIdentity(dir);
  const path = join(dir, 'node.key');
  const pem = await readFile(path, 'utf8');
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' });
  for (const content of ['', pem.slice(0, 60), pem.replace('MC4', 'MC5'), 'x'.repeat(5000), ec.toString()]) {
    await writeFile(path, content);
    await assert.rejects(loadOrCreateIdentity(dir), (error: Error & { code?: string; hint?: string }) => {
      assert.equal(error.code, 'INVALID_CONFIG');
      assert.ok(error.message.includes(path));
      assert.ok(!error.message.includes(pem.split('\n')[1] ?? pem), 'the key itself is not shown');
      assert.notEqual(error.hint, undefined);
      return true;
    });
    assert.equal(await readFile(path, 'utf8'), content);
  }
  if (process.platform === 'win32') return t.diagnostic('permissions are not checked on Windows');
  await writeFile(path, pem);
  for (const mode of [0o644, 0o640, 0o602]) {
    await chmod(path, mode);
    await assert.rejects(loadOrCreateIdentity(dir), { code: 'INVALID_CONFIG', message: /others may read or change/ });
  }
  await chmod(path, 0o600);
  await loadOrCreateIdentity(dir);
});

test('a link in the place of the key is refused', { skip: process.platform === 'win32' }, async () => {
  const dir = join(root, 'linked');
  const other = join(root, 'other');
  await loadOrCreateIdentity(other);
  await loadOrCreateIdentity(dir);
  await rm(join(dir, 'node.key'));
  await symlink(join(other, 'node.key'), join(dir, 'node.key'));
  await assert.rejects(loadOrCreateIdentity(dir), { code: 'INVALID_CONFIG' });
});

test('a data directory that is a file is refused', async () => {
  const path = join(root, 'file');
  await writeFile(path, '');
  await assert.rejects(loadOrCreateIdentity(path), { code: 'INVALID_CONFIG', message: /can't be read or created/ });
});
