import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { link, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject } from '../lib/json.ts';
import { syncDirectory } from '../lib/sync-directory.ts';

const codeOf = (thrown: unknown): unknown => (isObject(thrown) ? thrown.code : undefined);

/**
 * Creates `dir/name` with all its bytes on disk, or not at all, and never replaces a file: of two processes one wins.
 *
 * @returns false where the file is there already
 */
export async function createDurably(dir: string, name: string, bytes: string | Uint8Array): Promise<boolean> {
  const temporary = join(dir, `.${randomBytes(8).toString('hex')}.tmp`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await link(temporary, join(dir, name));
  } catch (thrown) {
    if (codeOf(thrown) === 'EEXIST') return false;
    throw thrown;
  } finally {
    await rm(temporary, { force: true });
  }
  await syncDirectory(dir);
  return true;
}

/**
 * Reads a file of limited size.
 *
 * @returns undefined where there is none; no bytes where it is too large; `exposed` where others than the owner may read it
 */
export async function readBounded(
  path: string,
  bytesMax: number,
): Promise<{ bytes: Uint8Array; exposed: boolean } | undefined> {
  try {
    // Not through a symbolic link, which someone else may have put there.
    const handle = await open(path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
    try {
      const { mode, size } = await handle.stat();
      // Windows has no such bits.
      const exposed = process.platform !== 'win32' && (mode & 0o077) !== 0;
      return { bytes: size > bytesMax ? new Uint8Array() : await handle.readFile(), exposed };
    } finally {
      await handle.close();
    }
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}
