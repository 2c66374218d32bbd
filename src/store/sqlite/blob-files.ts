import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { EvidenceError, JSONFlowError } from '../../lib/errors.ts';
import { sha256 } from '../../lib/hash.ts';
import { syncDirectory } from '../../lib/sync-directory.ts';
import { checkDigest } from '../runs.ts';
import { storeError } from './errors.ts';

/** Above this size the hash is computed off the event loop. */
const HASH_INLINE_BYTES_MAX = 64 * 1024;
/** How often a write starts again because another process opened the directory and cleared it. */
const WRITES_MAX = 3;

/**
 * Content-addressed files, `ab/cdef…` for digest `abcdef…`. A file appears under its name only when its bytes are on the disk:
 * it is written beside, synced, renamed, and then the directory is synced.
 */
export class BlobFiles {
  readonly #root: string;
  readonly #writing = new Map<string, Promise<void>>();
  /** Folders whose names are known to be durable: 256 at most. */
  readonly #shards = new Set<string>();

  private constructor(root: string) {
    this.#root = root;
  }

  /**
   * Creates the directory where it is missing, and removes what crashed writers left.
   * @throws JSONFlowError STORE_FAILED
   */
  static async open(root: string): Promise<BlobFiles> {
    const blobs = new BlobFiles(root);
    try {
      await mkdir(blobs.#temporary, { recursive: true, mode: 0o700 });
      for (const name of await readdir(blobs.#temporary)) await rm(join(blobs.#temporary, name), { force: true });
      await syncDirectory(root);
    } catch (error) {
      throw storeError(`open ${root}`, error);
    }
    return blobs;
  }

  /**
   * Resolves when the file and its name are durable; the bytes must not change before.
   * @throws JSONFlowError BAD_EVIDENCE, INVALID_INPUT, STORE_FAILED
   */
  async put(digest: string, bytes: Uint8Array): Promise<void> {
    checkDigest(digest);
    if ((await digestOf(bytes)) !== digest) throw new EvidenceError(`the bytes are not those of blob ${digest}`);
    // Writers of one digest share one write, so that all resolve when it is durable.
    const writing = this.#writing.get(digest) ?? this.#write(digest, bytes).finally(() => this.#writing.delete(digest));
    this.#writing.set(digest, writing);
    await writing;
  }

  /** @throws JSONFlowError STORE_CORRUPT where the file does not hold what was stored */
  async get(digest: string): Promise<Uint8Array | undefined> {
    checkDigest(digest);
    let bytes: Uint8Array;
    try {
      bytes = await readFile(this.#path(digest));
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw storeError(`read blob ${digest}`, error);
    }
    if ((await digestOf(bytes)) !== digest)
      throw new JSONFlowError('STORE_CORRUPT', `blob ${digest} is damaged: its bytes have another digest`, {
        hint: `Restore ${this.#path(digest)} from a backup, or delete it if the run may fail.`,
      });
    return bytes;
  }

  async has(digest: string): Promise<boolean> {
    checkDigest(digest);
    try {
      await access(this.#path(digest), constants.F_OK);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw storeError(`look up blob ${digest}`, error);
    }
  }

  /** Digests of all blobs, with their bytes. What else lies in the folders is left out. @throws JSONFlowError STORE_FAILED */
  async list(): Promise<Map<string, number>> {
    const sizes = new Map<string, number>();
    try {
      for (const shard of await readdir(this.#root)) {
        if (!/^[0-9a-f]{2}$/.test(shard)) continue;
        for (const rest of await readdir(join(this.#root, shard)))
          if (/^[0-9a-f]{62}$/.test(rest)) sizes.set(shard + rest, (await sizeOf(join(this.#root, shard, rest))) ?? 0);
      }
    } catch (error) {
      throw storeError(`list ${this.#root}`, error);
    }
    return sizes;
  }

  /** @throws JSONFlowError STORE_FAILED */
  async remove(digest: string): Promise<void> {
    checkDigest(digest);
    try {
      await rm(this.#path(digest), { force: true });
    } catch (error) {
      throw storeError(`remove blob ${digest}`, error);
    }
  }

  /** Resolves when no write is under way. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#writing.values());
  }

  get #temporary(): string {
    return join(this.#root, 'tmp');
  }

  #path(digest: string): string {
    return join(this.#root, digest.slice(0, 2), digest.slice(2));
  }

  async #write(digest: string, bytes: Uint8Array): Promise<void> {
    const path = this.#path(digest);
    const directory = join(this.#root, digest.slice(0, 2));
    try {
      // Whoever made it may have been killed before its name was durable, so that is seen to once.
      if (!this.#shards.has(directory)) {
        await mkdir(directory, { recursive: true, mode: 0o700 });
        await syncDirectory(this.#root);
        this.#shards.add(directory);
      }
      // A length that differs is damage, which a write repairs. A name that exists may be one that a killed process did not sync.
      for (let writes = 0; (await sizeOf(path)) !== bytes.length; writes++) {
        try {
          await this.#writeBeside(path, bytes);
        } catch (error) {
          if (!isMissing(error) || writes === WRITES_MAX) throw error;
        }
      }
      await syncDirectory(directory);
    } catch (error) {
      throw storeError(`write blob ${digest}`, error);
    }
  }

  async #writeBeside(path: string, bytes: Uint8Array): Promise<void> {
    const temporary = join(this.#temporary, randomBytes(16).toString('hex'));
    try {
      const file = await open(temporary, 'wx', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}

async function digestOf(bytes: Uint8Array): Promise<string> {
  if (bytes.length <= HASH_INLINE_BYTES_MAX) return sha256(bytes);
  const digest = await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>);
  return Buffer.from(digest).toString('hex');
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

const isMissing = (error: unknown): boolean => (error as { code?: string }).code === 'ENOENT';
