import { join } from 'node:path';
import { JSONFlowError } from '../lib/errors.ts';
import { isObject } from '../lib/json.ts';
import { createDurably, readBounded } from './durable-file.ts';
import { PASSPHRASE_VARIABLE } from './environment.ts';
import { keyFromPassphrase, newKey, newSalt, seal, unseal } from './seal.ts';

/** What unlocks the store: a passphrase, or a random key in the file `vault.key` beside the secrets. */
export type VaultKey = { passphrase: string } | 'key-file';

export const FORMAT = 1;
const HEADER = 'vault.json';
const KEY_FILE = 'vault.key';
const KEY_FILE_BYTES = 32;
const HEADER_BYTES_MAX = 4096;

/** The passphrase of JSONFLOW_VAULT_PASSPHRASE, or the key file where it is not set. */
export function vaultKeyFrom(environment: Readonly<Record<string, string | undefined>>): VaultKey {
  const passphrase = environment[PASSPHRASE_VARIABLE];
  return passphrase === undefined || passphrase === '' ? 'key-file' : { passphrase };
}

/** The file `vault.json`. */
interface Header {
  jsonflow_vault: typeof FORMAT;
  unlocked_by: 'passphrase' | 'key-file';
  salt: string;
  /** Tells a wrong passphrase from a damaged secret. */
  check: string;
}

const checkContext = ({ unlocked_by, salt }: Omit<Header, 'check'>): string =>
  JSON.stringify(['jsonflow-vault-header', FORMAT, unlocked_by, salt]);

/** The vault's header; undefined where there is no vault. @throws JSONFlowError STORE_CORRUPT */
export async function readHeader(dir: string): Promise<Header | undefined> {
  const bytes = await readBounded(join(dir, HEADER), HEADER_BYTES_MAX);
  if (bytes === undefined) return undefined;
  const header = parseObject(bytes.bytes);
  if (
    header?.jsonflow_vault !== FORMAT ||
    (header.unlocked_by !== 'passphrase' && header.unlocked_by !== 'key-file') ||
    typeof header.salt !== 'string' ||
    typeof header.check !== 'string'
  )
    throw new JSONFlowError('STORE_CORRUPT', `${join(dir, HEADER)} is damaged, or of a newer version`, {
      hint: 'Restore the directory from a backup.',
    });
  const { unlocked_by, salt, check } = header;
  return { jsonflow_vault: FORMAT, unlocked_by, salt, check };
}

/** Makes a vault. Where another process was first, its header is given. */
export async function createHeader(dir: string, key: VaultKey): Promise<Header> {
  if (key === 'key-file') await createDurably(dir, KEY_FILE, newKey());
  const part = {
    jsonflow_vault: FORMAT,
    unlocked_by: key === 'key-file' ? ('key-file' as const) : ('passphrase' as const),
    salt: newSalt().toString('base64'),
  } as const;
  const masterKey = await masterKeyOf(dir, part.salt, key);
  const header: Header = { ...part, check: seal(masterKey, Buffer.alloc(0), checkContext(part)) };
  await createDurably(dir, HEADER, `${JSON.stringify(header)}\n`);
  // Another process may have been first.
  return (await readHeader(dir)) ?? header;
}

/** The master key. */
export async function unlock(dir: string, header: Header, key: VaultKey): Promise<Uint8Array> {
  const given = key === 'key-file' ? 'key-file' : 'passphrase';
  if (given !== header.unlocked_by)
    throw unauthorized(
      header.unlocked_by === 'passphrase'
        ? 'it needs its passphrase'
        : 'it is unlocked by its key file, not by a passphrase',
      header.unlocked_by === 'passphrase' ? `Set ${PASSPHRASE_VARIABLE}.` : `Unset ${PASSPHRASE_VARIABLE}.`,
    );
  const masterKey = await masterKeyOf(dir, header.salt, key);
  if (unseal(masterKey, header.check, checkContext(header)) === undefined)
    throw unauthorized(
      given === 'passphrase' ? 'the passphrase is wrong' : `${KEY_FILE} is not the key of this vault`,
      'If it is the right one, the header was changed: restore the directory from a backup.',
    );
  return masterKey;
}

async function masterKeyOf(dir: string, salt: string, key: VaultKey): Promise<Uint8Array> {
  if (key !== 'key-file') return keyFromPassphrase(key.passphrase, Buffer.from(salt, 'base64'));
  const path = join(dir, KEY_FILE);
  const file = await readBounded(path, KEY_FILE_BYTES);
  if (file === undefined) throw unauthorized(`${path} is missing`, 'Restore it from a backup.');
  if (file.exposed) throw unusable(dir, `others than its owner may read ${KEY_FILE}`, `Run: chmod 600 ${path}`);
  if (file.bytes.length !== KEY_FILE_BYTES)
    throw unauthorized(`${path} is not a key of ${KEY_FILE_BYTES} bytes`, 'Restore it from a backup.');
  return file.bytes;
}

/** Bytes as a JSON object; undefined where they are none. */
export function parseObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const unauthorized = (why: string, hint: string): JSONFlowError =>
  new JSONFlowError('UNAUTHORIZED', `the vault can't be unlocked: ${why}`, { hint });

export const unusable = (dir: string, why: string, hint?: string): JSONFlowError =>
  new JSONFlowError('INVALID_CONFIG', `the vault in ${dir} can't be used: ${why}`, hint === undefined ? {} : { hint });
