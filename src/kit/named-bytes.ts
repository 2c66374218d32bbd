import { StepError } from '../lib/errors.ts';
import { sha256 } from '../lib/hash.ts';
import { isObject, type JSONValue } from '../lib/json.ts';
import type { AdapterContext } from '../ports/adapter.ts';
import { type Assets, assetDigest } from '../ports/assets.ts';
import type { Egress } from '../ports/egress.ts';
import { fetchBytes } from './fetch-bytes.ts';
import { isStoredData } from './rows.ts';
import { storedBytes } from './stored-bytes.ts';

/** Bytes as a step names them: their digest, and themselves once they are needed. */
export interface NamedBytes {
  /** For errors and receipts: no secret. */
  name: string;
  /** SHA-256, hexadecimal. */
  digest: string;
  read(): Promise<Uint8Array>;
}

export interface BytesDeps {
  egress: Egress;
  /** Files of this node, for what the coordinator did not have. */
  assets?: Assets | undefined;
}

/** What the bytes are, for errors: `{ noun: 'module', codes: 'MODULE', param: 'params.module' }`. */
export interface BytesKind {
  noun: string;
  /** Of the error codes `…_NOT_FOUND`, `…_FETCH_FAILED`, `…_DIGEST_MISMATCH`, `…_TOO_LARGE`. */
  codes: string;
  param: string;
  bytesMax: number;
}

/** What of a step's context finding bytes needs. */
export type BytesContext = Pick<AdapterContext, 'assets' | 'blobs' | 'pin' | 'redact' | 'signal'>;

/**
 * Finds what a param names: a name or digest that the run has fixed or this node has a file for, a URL, `{ base64 }`, or bytes that another
 * step stored. Its digest stands in the receipt.
 *
 * @param digest that it must have, as the step states it
 * @throws StepError with the kind's codes, INVALID_PARAMS, EGRESS_DENIED
 */
export async function findBytes(
  value: JSONValue,
  digest: string | undefined,
  kind: BytesKind,
  context: BytesContext,
  deps: BytesDeps,
): Promise<NamedBytes> {
  const wanted = digest?.replace(/^sha256:/, '');
  const found = await locate(value, wanted, kind, context, deps);
  if (wanted !== undefined && wanted !== found.digest) throw mismatch(kind, found.name, found.digest, wanted);
  context.pin(found.name, found.digest);
  return found;
}

async function locate(
  value: JSONValue,
  digest: string | undefined,
  kind: BytesKind,
  context: BytesContext,
  deps: BytesDeps,
): Promise<NamedBytes> {
  const { noun, codes, param, bytesMax } = kind;
  if (typeof value === 'string') {
    // It may have come out of the vault.
    const name = context.redact(value);
    const pinned = Object.hasOwn(context.assets, value) ? context.assets[value] : undefined;
    if (pinned !== undefined) return { name, digest: pinned, read: () => context.blobs.get(pinned) };
    if (/^[a-z][a-z0-9+.-]*:\/\//i.test(value)) return atUrl(value, digest, kind, context, deps.egress);
    const asset = await deps.assets?.find(value);
    if (asset !== undefined) return { name, digest: asset.digest, read: () => asset.read() };
    throw notFound(kind, name, assetDigest(value) !== undefined, deps.assets?.places ?? []);
  }
  if (isStoredData(value) && value.stored === 'bytes')
    return inHand('stored bytes', await storedBytes(value, context, bytesMax, `${codes}_TOO_LARGE`));
  if (isObject(value) && typeof value.base64 === 'string') {
    const bytes = fromBase64(value.base64, param);
    if (bytes.length > bytesMax)
      throw new StepError(
        `${codes}_TOO_LARGE`,
        `${noun} inline has ${bytes.length} bytes; at most ${bytesMax} are allowed`,
      );
    return inHand('inline', bytes);
  }
  throw new StepError('INVALID_PARAMS', `${param} must be a name, a URL, { "base64": … } or stored bytes`);
}

const inHand = (name: string, bytes: Uint8Array): NamedBytes => ({
  name,
  digest: sha256(bytes),
  read: async () => bytes,
});

/** With a digest stated it is fetched only where nothing of that digest is there already. */
async function atUrl(
  url: string,
  digest: string | undefined,
  kind: BytesKind,
  context: BytesContext,
  egress: Egress,
): Promise<NamedBytes> {
  const name = context.redact(url.replace(/[?#].*$/s, ''));
  if (digest === undefined) return inHand(name, await fetched(url, kind, context, egress));
  return {
    name,
    digest,
    async read() {
      const bytes = await fetched(url, kind, context, egress);
      if (sha256(bytes) !== digest) throw mismatch(kind, name, sha256(bytes), digest);
      return bytes;
    },
  };
}

async function fetched(
  url: string,
  { codes, param, bytesMax }: BytesKind,
  { blobs, signal }: BytesContext,
  egress: Egress,
): Promise<Uint8Array> {
  /** What a failure to fetch is called of this kind. */
  const renamed: Readonly<Record<string, string>> = {
    FETCH_FAILED: `${codes}_FETCH_FAILED`,
    FETCH_TOO_LARGE: `${codes}_TOO_LARGE`,
  };
  try {
    // As of every URL that a workflow names: public addresses, unless the node's rules open others.
    const bytes = await fetchBytes(url, { egress, signal, reach: 'public', bytesMax, name: param });
    // A replay finds it there, when the URL gives something else.
    await blobs.put(bytes);
    return bytes;
  } catch (thrown) {
    const code = thrown instanceof StepError ? renamed[thrown.code] : undefined;
    if (!(thrown instanceof StepError) || code === undefined) throw thrown;
    throw new StepError(code, thrown.message, { retryable: thrown.retryable });
  }
}

const mismatch = ({ noun, codes }: BytesKind, name: string, digest: string, wanted: string): StepError =>
  new StepError(
    `${codes}_DIGEST_MISMATCH`,
    `${noun} ${name} has the digest ${digest}, not the ${wanted} of params.digest`,
  );

function notFound({ noun, codes }: BytesKind, name: string, isDigest: boolean, places: readonly string[]): StepError {
  const code = `${codes}_NOT_FOUND`;
  if (isDigest) return new StepError(code, `no ${noun} with ${name} is in the asset folders or the blob store`);
  const looked = places.length === 0 ? 'no folder was given' : `looked in ${places.join(', ')}`;
  return new StepError(
    code,
    `there is no ${noun} ${JSON.stringify(name)}: ${looked}; name its folder with --assets, or give a URL`,
  );
}

/** @param path of the object that holds the text, for the error @throws StepError INVALID_PARAMS */
export function fromBase64(text: string, path: string): Uint8Array {
  const digits = unpadded(text);
  const bytes = Buffer.from(digits, 'base64');
  // The decoder passes over what is no digit, without a word, and takes the alphabet of URLs, too.
  const isWhole = digits.length % 4 !== 1 && bytes.length === Math.floor((digits.length * 3) / 4);
  if (!isWhole || digits.includes('-') || digits.includes('_') || !endsWhole(digits, bytes))
    throw new StepError('INVALID_PARAMS', `${path}.base64 is not base64`);
  return bytes;
}

/** Whether the bits that the last digits have too many are zero. */
function endsWhole(digits: string, bytes: Buffer): boolean {
  const rest = digits.length % 4;
  if (rest === 0) return true;
  const last = bytes.subarray(bytes.length - (rest - 1)).toString('base64');
  return unpadded(last) === digits.slice(-rest);
}

/** No pattern: one tries again from each "=" of a text that holds many. */
function unpadded(text: string): string {
  let end = text.length;
  while (end > 0 && text[end - 1] === '=') end -= 1;
  return text.slice(0, end);
}
