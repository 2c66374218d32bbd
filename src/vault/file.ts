import { open } from 'node:fs/promises';
import { JSONFlowError, messageOf } from '../lib/errors.ts';
import { isObject } from '../lib/json.ts';
import type { Vault } from '../ports/vault.ts';
import { secretNotFound } from './not-found.ts';

const FILE_BYTES_MAX = 1024 * 1024;

/**
 * Secrets out of a JSON file: `{ "name": "value", "other": { "1": "old", "2": "new" } }`. The file is read anew for each
 * secret, so that a change needs no restart.
 *
 * @throws JSONFlowError INVALID_CONFIG from `resolve` where others than the owner may read the file, or where it is not such a file
 */
export function fileVault(path: string): Vault {
  return {
    async resolve(name, version) {
      const secrets = await read(path);
      const found = Object.hasOwn(secrets, name) ? secrets[name] : undefined;
      const value = isObject(found) ? pick(found, version) : version === undefined ? found : undefined;
      if (value === undefined) throw secretNotFound(name, version);
      if (typeof value !== 'string') throw invalid(path, `the secret "${name}" is not a text`);
      return value;
    },
  };
}

function pick(versions: Record<string, unknown>, version: string | undefined): unknown {
  const wanted = version ?? Object.keys(versions).sort(byNumber).at(-1);
  return wanted !== undefined && Object.hasOwn(versions, wanted) ? versions[wanted] : undefined;
}

const byNumber = (left: string, right: string): number => left.localeCompare(right, 'en', { numeric: true });

async function read(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    const handle = await open(path, 'r');
    try {
      const { mode, size } = await handle.stat();
      // Windows has no such bits.
      if (process.platform !== 'win32' && (mode & 0o077) !== 0)
        throw invalid(path, 'others than its owner may read it', `Run: chmod 600 ${path}`);
      if (size > FILE_BYTES_MAX) throw invalid(path, `it is larger than ${FILE_BYTES_MAX} bytes`);
      text = await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    throw thrown instanceof JSONFlowError ? thrown : invalid(path, messageOf(thrown));
  }
  let secrets: unknown;
  try {
    secrets = JSON.parse(text);
  } catch {
    // The parser's message repeats a piece of the text.
    throw invalid(path, 'it is not JSON');
  }
  if (!isObject(secrets)) throw invalid(path, 'it is not a JSON object');
  return secrets;
}

const invalid = (path: string, what: string, hint = 'See docs/secrets.md for the form of the file.'): JSONFlowError =>
  new JSONFlowError('INVALID_CONFIG', `the secrets file ${path} can't be used: ${what}`, { hint });
