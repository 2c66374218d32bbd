import { fetchBytes } from '../../../kit/fetch-bytes.ts';
import { isStoredData } from '../../../kit/rows.ts';
import { storedBytes } from '../../../kit/stored-bytes.ts';
import { StepError } from '../../../lib/errors.ts';
import { sha256 } from '../../../lib/hash.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { type Assets, assetDigest } from '../../../ports/assets.ts';
import type { Egress } from '../../../ports/egress.ts';
import { moduleLimits } from '../binary/limits.ts';
import { fromBase64 } from '../call-input.ts';

/** A module as a step names it: its digest, and its bytes once they are needed. */
export interface ModuleSource {
  /** For errors and receipts. */
  name: string;
  digest: string;
  read(): Promise<Uint8Array>;
}

export interface SourceDeps {
  egress: Egress;
  /** Files of this node, for what the coordinator did not have. */
  assets?: Assets | undefined;
}

const { sizeBytes: moduleBytesMax } = moduleLimits;

/**
 * Finds a step's module by `params.module`: a name or digest that the run has fixed or this node has a file for, a URL, `{ base64 }`, or bytes that
 * another step stored. Its digest stands in the receipt.
 *
 * @throws StepError MODULE_NOT_FOUND, MODULE_FETCH_FAILED, MODULE_DIGEST_MISMATCH, MODULE_TOO_LARGE, INVALID_PARAMS, EGRESS_DENIED
 */
export async function findModule(params: JSONObject, context: AdapterContext, deps: SourceDeps): Promise<ModuleSource> {
  const wanted = typeof params.digest === 'string' ? params.digest.replace(/^sha256:/, '') : undefined;
  const source = await locate(params.module ?? null, wanted, context, deps);
  if (wanted !== undefined && wanted !== source.digest) throw mismatch(source.name, source.digest, wanted);
  context.pin(source.name, source.digest);
  return source;
}

async function locate(
  module: JSONValue,
  digest: string | undefined,
  context: AdapterContext,
  deps: SourceDeps,
): Promise<ModuleSource> {
  if (typeof module === 'string') {
    const pinned = Object.hasOwn(context.assets, module) ? context.assets[module] : undefined;
    if (pinned !== undefined) return { name: module, digest: pinned, read: () => context.blobs.get(pinned) };
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(module)) return atUrl(module, digest, context, deps.egress);
    const asset = await deps.assets?.find(module);
    if (asset !== undefined) return { name: module, digest: asset.digest, read: () => asset.read() };
    throw notFound(module, deps.assets?.places ?? []);
  }
  if (isStoredData(module))
    return inHand('stored bytes', await storedBytes(module, context, moduleBytesMax, 'MODULE_TOO_LARGE'));
  if (isObject(module) && typeof module.base64 === 'string') {
    const bytes = fromBase64(module.base64, 'params.module');
    if (bytes.length > moduleBytesMax) throw tooLarge('inline', bytes.length);
    return inHand('inline', bytes);
  }
  throw new StepError('INVALID_PARAMS', 'params.module must be a name, a URL, { "base64": … } or stored bytes');
}

function inHand(name: string, bytes: Uint8Array): ModuleSource {
  return { name, digest: sha256(bytes), read: async () => bytes };
}

/** With a digest stated it is fetched only where nothing compiled of that digest is there. */
async function atUrl(
  url: string,
  digest: string | undefined,
  context: AdapterContext,
  egress: Egress,
): Promise<ModuleSource> {
  const name = url.replace(/[?#].*$/s, '');
  if (digest === undefined) return inHand(name, await fetched(url, context, egress));
  return {
    name,
    digest,
    async read() {
      const bytes = await fetched(url, context, egress);
      if (sha256(bytes) !== digest) throw mismatch(name, sha256(bytes), digest);
      return bytes;
    },
  };
}

/** What a failure to fetch is called of a module. */
const fetchCodes: Readonly<Record<string, string>> = {
  FETCH_FAILED: 'MODULE_FETCH_FAILED',
  FETCH_TOO_LARGE: 'MODULE_TOO_LARGE',
};

async function fetched(url: string, { blobs, signal }: AdapterContext, egress: Egress): Promise<Uint8Array> {
  try {
    // As of every URL that a workflow names: public addresses, unless the node's rules open others.
    const options = { egress, signal, reach: 'public', bytesMax: moduleBytesMax, name: 'params.module' } as const;
    const bytes = await fetchBytes(url, options);
    // A replay finds it there, when the URL gives something else.
    await blobs.put(bytes);
    return bytes;
  } catch (thrown) {
    const code = thrown instanceof StepError ? fetchCodes[thrown.code] : undefined;
    if (!(thrown instanceof StepError) || code === undefined) throw thrown;
    throw new StepError(code, thrown.message, { retryable: thrown.retryable });
  }
}

const mismatch = (name: string, digest: string, wanted: string): StepError =>
  new StepError(
    'MODULE_DIGEST_MISMATCH',
    `module ${name} has the digest ${digest}, not the ${wanted} of params.digest`,
  );

function notFound(name: string, places: readonly string[]): StepError {
  if (assetDigest(name) !== undefined)
    return new StepError('MODULE_NOT_FOUND', `no module with ${name} is in the asset folders or the blob store`);
  const looked = places.length === 0 ? 'no folder was given' : `looked in ${places.join(', ')}`;
  return new StepError(
    'MODULE_NOT_FOUND',
    `there is no module ${JSON.stringify(name)}: ${looked}; name its folder with --assets, or give a URL`,
  );
}

const tooLarge = (name: string, size: number): StepError =>
  new StepError('MODULE_TOO_LARGE', `module ${name} has ${size} bytes; at most ${moduleBytesMax} are allowed`);
