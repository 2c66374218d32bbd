import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { JSONFlowError, messageOf } from '../lib/errors.ts';
import { parsePointer } from '../lib/secrets.ts';
import { syncDirectory } from '../lib/sync-directory.ts';
import type { Vault } from '../ports/vault.ts';
import { createDurably, readBounded } from './durable-file.ts';
import { secretNotFound } from './not-found.ts';
import { newKey, seal, unseal } from './seal.ts';
import { createHeader, FORMAT, parseObject, readHeader, unlock, unusable, type VaultKey } from './unlock.ts';

export interface SecretListing {
  name: string;
  /** Oldest first. */
  versions: { version: string; created_at: string }[];
}

/** A version of a secret, or the mark of its removal. All is authenticated with `value`. */
interface Entry {
  version: number;
  created_at: string;
  removed: boolean;
  /** The data key, sealed with the master key. */
  key: string;
  /** The secret, sealed with the data key; nothing in a mark. */
  value: string;
}

const NAME_LENGTH_MAX = 100;
const VALUE_BYTES_MAX = 64 * 1024;
const FILE_BYTES_MAX = 256 * 1024;
const CONFLICTS_MAX = 100;
const entryPattern = /^([0-9a-f]+)\.([1-9]\d{0,9})\.json$/;

/**
 * The encrypted local store. Each version of a secret is a file of its own, sealed with a data key of its own, which the
 * master key seals; name, version and time are authenticated with both. Files are only ever created, never changed, so that
 * two processes can't lose each other's updates: of two that write the same version, the second takes the next number.
 */
export class LocalVault implements Vault {
  readonly #dir: string;
  readonly #masterKey: Uint8Array;

  private constructor(dir: string, masterKey: Uint8Array) {
    this.#dir = dir;
    this.#masterKey = masterKey;
  }

  /**
   * Opens the store in `dir`, or makes a new one. With a passphrase it takes some tenths of a second (scrypt).
   *
   * @throws JSONFlowError UNAUTHORIZED for the wrong passphrase or kind of key, INVALID_CONFIG where the directory or the
   *   key file can't be used, STORE_CORRUPT where the header is damaged
   */
  static async open(dir: string, key: VaultKey): Promise<LocalVault> {
    if (key !== 'key-file' && key.passphrase === '') throw unusable(dir, 'the passphrase is empty');
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      const header = (await readHeader(dir)) ?? (await createHeader(dir, key));
      return new LocalVault(dir, await unlock(dir, header, key));
    } catch (thrown) {
      throw thrown instanceof JSONFlowError ? thrown : unusable(dir, messageOf(thrown));
    }
  }

  /**
   * Stores a new version; older ones stay readable by number.
   *
   * @returns the version, from `'1'` on; numbers are not used again after a removal
   * @throws JSONFlowError INVALID_INPUT for a bad name or an empty or too long value; OVERLOADED where others keep writing
   */
  async set(name: string, value: string): Promise<string> {
    checkName(name);
    const bytes = Buffer.from(value, 'utf8');
    if (bytes.length === 0 || bytes.length > VALUE_BYTES_MAX)
      throw new JSONFlowError('INVALID_INPUT', `a secret has 1 to ${VALUE_BYTES_MAX} bytes, not ${bytes.length}`);
    return this.#append(name, false, bytes);
  }

  /**
   * @returns undefined where there is no such secret or version
   * @throws JSONFlowError STORE_CORRUPT where the file was changed, or was sealed with another key
   */
  async get(name: string, version?: string): Promise<string | undefined> {
    for (const number of (await this.#numbers(name)).reverse()) {
      const entry = await this.#read(name, number);
      if (entry?.removed === true) return undefined;
      if (entry !== undefined && (version === undefined || version === String(number)))
        return this.#open(name, entry).toString('utf8');
    }
    return undefined;
  }

  async resolve(name: string, version?: string): Promise<string> {
    const value = await this.get(name, version);
    if (value === undefined) throw secretNotFound(name, version);
    return value;
  }

  /** Names, versions and times, sorted by name; never values. */
  async list(): Promise<SecretListing[]> {
    const files = (await readdir(this.#dir)).map((file) => entryPattern.exec(file)?.[1]);
    const names = [...new Set(files)]
      .filter((hex) => hex !== undefined)
      .map((hex) => Buffer.from(hex, 'hex').toString());
    const listings: SecretListing[] = [];
    for (const name of names.sort()) {
      const versions = await this.#versions(name);
      if (versions.length > 0)
        listings.push({
          name,
          versions: versions.map(({ version, created_at }) => ({ version: String(version), created_at })),
        });
    }
    return listings;
  }

  /** Removes all versions, damaged ones too. @returns false where there was none */
  async remove(name: string): Promise<boolean> {
    checkName(name);
    const last = (await this.#numbers(name)).at(-1);
    if (last === undefined || (await this.#isMark(name, last))) return false;
    const mark = Number(await this.#append(name, true, Buffer.alloc(0)));
    // The mark stays, so that no number is used twice.
    for (const version of await this.#numbers(name))
      if (version < mark) await rm(join(this.#dir, fileOf(name, version)), { force: true });
    await syncDirectory(this.#dir);
    return true;
  }

  async #append(name: string, removed: boolean, bytes: Uint8Array): Promise<string> {
    for (let attempt = 0; attempt < CONFLICTS_MAX; attempt++) {
      const version = ((await this.#numbers(name)).at(-1) ?? 0) + 1;
      const created_at = new Date().toISOString();
      const context = contextOf(name, { version, created_at, removed });
      const dataKey = newKey();
      const entry: Entry = {
        version,
        created_at,
        removed,
        key: seal(this.#masterKey, dataKey, `key:${context}`),
        value: seal(dataKey, bytes, `value:${context}`),
      };
      if (await createDurably(this.#dir, fileOf(name, version), `${JSON.stringify(entry)}\n`)) return String(version);
    }
    throw new JSONFlowError('OVERLOADED', `too many others write the secret "${name}" at once`, { retriable: true });
  }

  /** Numbers of the files there are, ascending. */
  async #numbers(name: string): Promise<number[]> {
    const hex = hexOf(name);
    const numbers: number[] = [];
    for (const file of await readdir(this.#dir)) {
      const [, owner, version] = entryPattern.exec(file) ?? [];
      if (owner === hex) numbers.push(Number(version));
    }
    return numbers.sort((left, right) => left - right);
  }

  /** The versions since the last removal, oldest first. */
  async #versions(name: string): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (const version of (await this.#numbers(name)).reverse()) {
      const entry = await this.#read(name, version);
      if (entry?.removed === true) break;
      if (entry !== undefined) entries.unshift(entry);
    }
    return entries;
  }

  async #isMark(name: string, version: number): Promise<boolean> {
    try {
      return (await this.#read(name, version))?.removed === true;
    } catch (thrown) {
      if (thrown instanceof JSONFlowError && thrown.code === 'STORE_CORRUPT') return false;
      throw thrown;
    }
  }

  async #read(name: string, version: number): Promise<Entry | undefined> {
    const bytes = await readBounded(join(this.#dir, fileOf(name, version)), FILE_BYTES_MAX);
    // Removed by another process in between.
    if (bytes === undefined) return undefined;
    const entry = parseObject(bytes.bytes);
    if (entry === undefined || !isEntry(entry) || entry.version !== version) throw corrupt(name, version);
    this.#open(name, entry);
    return entry;
  }

  #open(name: string, entry: Entry): Buffer {
    const context = contextOf(name, entry);
    const dataKey = unseal(this.#masterKey, entry.key, `key:${context}`);
    const bytes = dataKey && unseal(dataKey, entry.value, `value:${context}`);
    if (bytes === undefined) throw corrupt(name, entry.version);
    return bytes;
  }
}

/** What a seal is bound to: nobody can pass one version, name or removal off as another. */
const contextOf = (name: string, { version, created_at, removed }: Omit<Entry, 'key' | 'value'>): string =>
  JSON.stringify(['jsonflow-vault', FORMAT, name, version, created_at, removed]);

const hexOf = (name: string): string => Buffer.from(name, 'utf8').toString('hex');
/** In hexadecimal, as names may differ by case alone and some file systems don't. */
const fileOf = (name: string, version: number): string => `${hexOf(name)}.${version}.json`;

const isEntry = (value: Record<string, unknown>): value is Record<string, unknown> & Entry =>
  typeof value.version === 'number' &&
  typeof value.created_at === 'string' &&
  typeof value.removed === 'boolean' &&
  typeof value.key === 'string' &&
  typeof value.value === 'string' &&
  Object.keys(value).length === 5;

function checkName(name: string): void {
  try {
    if (name.length <= NAME_LENGTH_MAX && parsePointer(`vault://${name}`).name === name) return;
  } catch {
    // Said below, for names instead of pointers.
  }
  throw new JSONFlowError('INVALID_INPUT', 'the name of the secret is not allowed', {
    hint: `Use up to ${NAME_LENGTH_MAX} letters, digits, "_", ".", "-", and "/" between the parts.`,
  });
}

const corrupt = (name: string, version: number): JSONFlowError =>
  new JSONFlowError(
    'STORE_CORRUPT',
    `version ${version} of the secret "${name}" was changed, or sealed with another key`,
    {
      hint: `Restore it from a backup, or set it anew with "jsonflow vault set ${name}".`,
    },
  );
