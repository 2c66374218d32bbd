import type { Stats } from 'node:fs';
import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { sha256 } from '../../../lib/hash.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { Egress, Reach } from '../../../ports/egress.ts';
import { invalidParams } from '../errors.ts';

const countMax = 10_000;
const textMax = 16 * 1024 * 1024;
const idMax = 255;
/** The first line of a migration that must run outside of a transaction, such as CREATE INDEX CONCURRENTLY. */
const outside = /^\s*--\s*jsonflow:\s*no-transaction\b/;

export interface Migration {
  id: string;
  sql: string;
  checksum: string;
  transaction: boolean;
}

/** Whom the files of a folder must be allowed by. */
export interface FileAccess {
  egress: Egress;
  reach: Reach;
}

/** `params.migrations`, or the files of `params.directory`, in order. @throws StepError INVALID_PARAMS, EGRESS_DENIED */
export async function migrationsOf(params: JSONObject, access: FileAccess): Promise<Migration[]> {
  const list =
    params.directory === undefined ? inline(params.migrations) : await files(String(params.directory), access);
  const ids = new Set<string>();
  for (const { id } of list) {
    if (id.length > idMax || id.includes('\0'))
      throw invalidParams(`params.migrations: an id has more than ${idMax} characters`);
    if (ids.has(id)) throw invalidParams(`params.migrations: two are called ${JSON.stringify(id)}`);
    ids.add(id);
  }
  return list;
}

function inline(given: JSONValue | undefined): Migration[] {
  if (!Array.isArray(given)) throw invalidParams('params.migrations must be a list');
  return given.map((one, index) => {
    const at = `params.migrations[${index}]`;
    if (!isObject(one) || typeof one.id !== 'string' || one.id === '') throw invalidParams(`${at}.id must be a text`);
    if (typeof one.sql !== 'string' || one.sql.trim() === '') throw invalidParams(`${at}.sql must be SQL`);
    return migration(one.id, one.sql, one.transaction !== false);
  });
}

async function files(directory: string, { egress, reach }: FileAccess): Promise<Migration[]> {
  const asked = resolve(directory);
  egress.checkPath('file', asked, reach);
  try {
    const path = await realpath(asked);
    // A link may lead elsewhere.
    if (path !== asked) egress.checkPath('file', path, reach);
    const names = (await readdir(path)).filter((name) => name.endsWith('.sql')).sort();
    if (names.length > countMax) throw invalidParams(`params.directory has more than ${countMax} migrations`);
    const list: Migration[] = [];
    for (const name of names) {
      const file = await realpath(join(path, name));
      if (dirname(file) !== path) egress.checkPath('file', file, reach);
      const { size } = await regular(file, name);
      if (size > textMax) throw invalidParams(`params.directory: ${name} is longer than ${textMax} bytes`);
      list.push(migration(name.slice(0, -'.sql'.length), await readFile(file, 'utf8'), true));
    }
    return list;
  } catch (thrown) {
    if (thrown instanceof Error && 'syscall' in thrown) throw invalidParams(`params.directory: ${thrown.message}`);
    throw thrown;
  }
}

/** Reading from anything else may never end. */
async function regular(file: string, name: string): Promise<Stats> {
  const stats = await stat(file);
  if (!stats.isFile()) throw invalidParams(`params.directory: ${name} is not a file`);
  return stats;
}

function migration(id: string, text: string, transaction: boolean): Migration {
  // A file has other line ends on other systems, and is the same migration.
  const sql = text.replaceAll('\r\n', '\n');
  return { id, sql, checksum: sha256(sql), transaction: transaction && !outside.test(sql) };
}
