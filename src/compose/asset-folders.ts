import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, opendir, realpath } from 'node:fs/promises';
import { isAbsolute, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { JSONFlowError, messageOf } from '../lib/errors.ts';
import { type Asset, type Assets, assetDigest, isAssetName } from '../ports/assets.ts';
import { limits } from '../protocol/limits.ts';

/** The modules that come with JSONFlow. */
export const ownModules = fileURLToPath(new URL('../../modules', import.meta.url));

/** Files looked at for a digest, in all folders. */
const filesMax = 10_000;
/** Files whose digest is remembered. */
const digestsMax = 10_000;
/** What they may have together. */
const lookBytesMax = 4 * 1024 * 1024 * 1024;
const lookIntervalMs = 1_000;
const folderDepthMax = 4;

interface KnownDigest {
  stamp: string;
  digest: string;
}

/** Assets in folders of this machine, the first that has the name. Nothing outside the folders is ever read, links included. */
export class AssetFolders implements Assets {
  readonly places: readonly string[];
  /** By path, the oldest first: a large file is hashed once, as long as it stays as it is. */
  readonly #digests = new Map<string, KnownDigest>();
  /** By digest, as of the last look. */
  #paths = new Map<string, string>();
  #lookedAt = Number.NEGATIVE_INFINITY;
  #looking: Promise<void> = Promise.resolve();

  constructor(folders: readonly string[]) {
    this.places = folders.map((folder) => resolve(folder));
  }

  async find(name: string): Promise<Asset | undefined> {
    const digest = assetDigest(name);
    if (digest !== undefined) return this.#byDigest(digest);
    if (!isAssetName(name)) return undefined;
    for (const folder of this.places) {
      const asset = await this.#within(folder, isAbsolute(name) ? name : join(folder, name));
      if (asset !== undefined) return asset;
    }
    return undefined;
  }

  async #byDigest(digest: string): Promise<Asset | undefined> {
    const known = this.#paths.get(digest);
    const asset = known === undefined ? undefined : await this.#asset(known).catch(() => undefined);
    if (asset?.digest === digest) return asset;
    await this.#look();
    const path = this.#paths.get(digest);
    const found = path === undefined ? undefined : await this.#asset(path);
    return found?.digest === digest ? found : undefined;
  }

  /** Notes the digests of all files; at most once a second, since anyone may name digests that nobody has. */
  #look(): Promise<void> {
    if (performance.now() - this.#lookedAt < lookIntervalMs) return this.#looking;
    this.#lookedAt = performance.now();
    this.#looking = this.#lookAt();
    return this.#looking;
  }

  async #lookAt(): Promise<void> {
    const paths = new Map<string, string>();
    const budget = { files: filesMax };
    let bytes = 0;
    for (const folder of this.places)
      for await (const path of filesOf(folder, folderDepthMax, budget)) {
        const asset = await this.#within(folder, path).catch(() => undefined);
        if (asset === undefined) continue;
        bytes += asset.size;
        if (bytes > lookBytesMax) break;
        if (!paths.has(asset.digest)) paths.set(asset.digest, await realpath(path).catch(() => path));
      }
    this.#paths = paths;
    this.#lookedAt = performance.now();
  }

  /** The file, unless it lies outside the folder. */
  async #within(folder: string, path: string): Promise<Asset | undefined> {
    let real: string;
    try {
      const [root, target] = await Promise.all([realpath(folder), realpath(path)]);
      const inside = relative(root, target);
      if (inside === '' || inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) return undefined;
      real = target;
    } catch (thrown) {
      if (isAbsent(thrown)) return undefined;
      throw unreadable(path, thrown);
    }
    return this.#asset(real);
  }

  async #asset(path: string): Promise<Asset | undefined> {
    return withFile(path, async (file) => {
      const stats = await file.stat();
      if (!stats.isFile()) return undefined;
      if (stats.size > limits.blobBytesMax)
        throw new JSONFlowError(
          'LIMIT_EXCEEDED',
          `${path} has ${stats.size} bytes; at most ${limits.blobBytesMax} are allowed`,
        );
      const stamp = `${stats.dev} ${stats.ino} ${stats.size} ${stats.mtimeMs} ${stats.ctimeMs}`;
      const digest = await this.#digest(path, stamp, file);
      return { digest, size: stats.size, read: () => readChecked(path, digest) };
    });
  }

  async #digest(path: string, stamp: string, file: FileHandle): Promise<string> {
    const known = this.#digests.get(path);
    if (known?.stamp === stamp) return known.digest;
    const hash = createHash('sha256');
    let total = 0;
    for await (const chunk of file.createReadStream({ autoClose: false, start: 0, highWaterMark: 1 << 20 })) {
      hash.update(chunk as Buffer);
      total += (chunk as Buffer).length;
      // It grows while it is read.
      if (total > limits.blobBytesMax) throw changed(path);
    }
    const digest = hash.digest('hex');
    this.#digests.delete(path);
    this.#digests.set(path, { stamp, digest });
    for (const oldest of this.#digests.keys()) {
      if (this.#digests.size <= digestsMax) break;
      this.#digests.delete(oldest);
    }
    return digest;
  }
}

async function readChecked(path: string, digest: string): Promise<Uint8Array> {
  const bytes = await withFile(path, (file) => file.readFile());
  if (bytes !== undefined && createHash('sha256').update(bytes).digest('hex') === digest) return bytes;
  throw changed(path);
}

const changed = (path: string): JSONFlowError =>
  new JSONFlowError('CONFLICT', `${path} changed while it was read`, {
    hint: 'Try again; put a new version of a file in place by renaming it.',
    retriable: true,
  });

const unreadable = (path: string, cause: unknown): JSONFlowError =>
  new JSONFlowError('INVALID_CONFIG', `${path} can't be read: ${messageOf(cause)}`, {
    hint: 'Let the process read the file.',
    cause,
  });

const isAbsent = (thrown: unknown): boolean =>
  ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG', 'EINVAL'].includes((thrown as NodeJS.ErrnoException)?.code ?? '');

/** A pipe or a device must not hold whoever opens it. */
async function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (thrown) {
    if (isAbsent(thrown)) return undefined;
    throw unreadable(path, thrown);
  }
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

async function* filesOf(folder: string, depth: number, budget: { files: number }): AsyncGenerator<string> {
  const entries = await opendir(folder).catch(() => undefined);
  if (entries === undefined) return;
  for await (const entry of entries) {
    if (budget.files <= 0) return;
    const path = join(folder, entry.name);
    if (entry.isFile()) {
      budget.files -= 1;
      yield path;
    } else if (entry.isDirectory() && depth > 1 && !entry.name.startsWith('.') && entry.name !== 'node_modules')
      yield* filesOf(path, depth - 1, budget);
  }
}
