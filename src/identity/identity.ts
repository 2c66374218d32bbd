import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign as signBytes,
} from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { keyIdOf, parsePublicKey } from '../lib/ed25519.ts';
import { JSONFlowError, messageOf } from '../lib/errors.ts';
import { syncDirectory } from '../lib/sync-directory.ts';
import type { Signer } from '../ports/signer.ts';

export { assertSoundKey, keyIdOf } from '../lib/ed25519.ts';
export { createVerifier, syncVerifier } from './verifier.ts';

const KEY_FILE = 'node.key';
const KEY_FILE_BYTES_MAX = 4096;
const SEED_BYTES = 32;
/** PKCS#8 of an Ed25519 private key (RFC 8410 §7), before the 32 bytes of the seed. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * The identity of the node that lives in `dir`: reads `node.key` (PKCS#8 PEM, mode 0600), or creates it where there is none. A key
 * that is there but can't be used is never replaced, because receipts that it signed would lose their signer.
 *
 * @param dir data directory; created with mode 0700 where it is missing
 * @throws JSONFlowError INVALID_CONFIG where the directory can't be used, where others may read the key, or where it is damaged
 */
export async function loadOrCreateIdentity(dir: string): Promise<Signer> {
  const path = join(dir, KEY_FILE);
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    return pooledSigner((await readKey(path)) ?? (await createKey(dir, path)));
  } catch (cause) {
    if (cause instanceof JSONFlowError) throw cause;
    throw invalid(`the node's key ${path} can't be read or created: ${messageOf(cause)}`, {
      hint: 'Name a data directory that this user may write to.',
      cause,
    });
  }
}

/**
 * An identity that lives as long as the process.
 * @param seed 32 bytes, for simulation: the same seed gives the same key, and `sign` works at once, without the thread pool
 * @throws JSONFlowError INVALID_CONFIG where the seed has another length
 */
export function ephemeralIdentity(seed?: Uint8Array): Signer {
  if (seed === undefined) return pooledSigner(generateKeyPairSync('ed25519').privateKey);
  if (seed.length !== SEED_BYTES)
    throw invalid(`the seed of an identity has ${SEED_BYTES} bytes, not ${seed.length}`, {
      hint: 'Hash longer material with SHA-256.',
    });
  const privateKey = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, seed]),
    format: 'der',
    type: 'pkcs8',
  });
  return { ...publicPartOf(privateKey), sign: async (data) => signBytes(null, data, privateKey) };
}

function pooledSigner(privateKey: KeyObject): Signer {
  return {
    ...publicPartOf(privateKey),
    sign: (data) =>
      new Promise((resolve, reject) => {
        signBytes(null, data, privateKey, (error, signature) => (error ? reject(error) : resolve(signature)));
      }),
  };
}

function publicPartOf(privateKey: KeyObject): Pick<Signer, 'keyId' | 'publicKey'> {
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
  return { keyId: keyIdOf(publicKey), publicKey: parsePublicKey(publicKey).pem };
}

async function readKey(path: string): Promise<KeyObject | undefined> {
  let file: FileHandle;
  try {
    // A link could point at a file whose owner is somebody else.
    file = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return undefined;
    throw cause;
  }
  try {
    const { mode, size } = await file.stat();
    // Windows has no such bits: there the profile directory protects the file.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw invalid(`others may read or change the node's key ${path} (mode ${(mode & 0o777).toString(8)})`, {
        hint: `Run "chmod 600 ${path}"; if others may have read it, move it away so that the node creates a new one.`,
      });
    if (size > KEY_FILE_BYTES_MAX) throw damaged(path);
    return parsePrivateKey(await file.readFile('utf8'), path);
  } finally {
    await file.close();
  }
}

function parsePrivateKey(pem: string, path: string): KeyObject {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: 'pem' });
  } catch {
    // OpenSSL's own message may quote the file, so it is not passed on.
    throw damaged(path);
  }
  if (key.asymmetricKeyType !== 'ed25519')
    throw invalid(`the node's key ${path} is of type ${key.asymmetricKeyType}, not Ed25519`, {
      hint: 'Move it away; the node then creates a new identity.',
    });
  return key;
}

/** Writes a new key beside its place, then links it there: a crash leaves a whole key or none, and of two processes one wins. */
async function createKey(dir: string, path: string): Promise<KeyObject> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const draft = join(dir, `.${KEY_FILE}.${randomBytes(8).toString('hex')}`);
  try {
    const file = await open(draft, 'wx', 0o600);
    try {
      await file.writeFile(privateKey.export({ type: 'pkcs8', format: 'pem' }));
      await file.sync();
    } finally {
      await file.close();
    }
    await link(draft, path);
  } catch (cause) {
    if (codeOf(cause) !== 'EEXIST') throw cause;
    const theirs = await readKey(path);
    if (theirs === undefined) throw cause;
    return theirs;
  } finally {
    await rm(draft, { force: true });
  }
  await syncDirectory(dir);
  return privateKey;
}

const codeOf = (thrown: unknown): unknown =>
  thrown instanceof Error ? (thrown as { code?: unknown }).code : undefined;

const invalid = (message: string, options: { hint: string; cause?: unknown }): JSONFlowError =>
  new JSONFlowError('INVALID_CONFIG', message, options);

const damaged = (path: string): JSONFlowError =>
  invalid(`the node's key ${path} is damaged: it is not a private key in PKCS#8 PEM`, {
    hint: 'Restore it from a backup, or move it away: the node then creates a new identity, which others must trust anew.',
  });
