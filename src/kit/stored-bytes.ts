import type { TextDecoder } from 'node:util';
import { StepError } from '../lib/errors.ts';
import type { AdapterContext } from '../ports/adapter.ts';
import type { StoredChunk, StoredData } from '../protocol/stored-data.ts';

const chunkBytes = 4 * 1024 * 1024;
/** Characters that wait for the next chunk: a secret may begin in one and end in the other. */
const overlap = 64 * 1024;

/**
 * Writes bytes to the blob store, chunk by chunk, without the secrets in them.
 * @param decoder of a text, which is stored as UTF-8; undefined for other data
 */
export async function storeBytes(
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  decoder: TextDecoder | undefined,
  mediaType: string,
  { blobs, redact }: Pick<AdapterContext, 'blobs' | 'redact'>,
): Promise<StoredData> {
  const chunks: StoredChunk[] = [];
  const take = decoder === undefined ? bytesTaker(redact) : textTaker(decoder, redact);
  let pieces: Uint8Array[] = [];
  let waiting = 0;
  const flush = async (last: boolean): Promise<void> => {
    const bytes = take(Buffer.concat(pieces, waiting), last);
    pieces = [];
    waiting = 0;
    if (bytes.length > 0) chunks.push({ digest: await blobs.put(bytes), bytes: bytes.length });
  };
  for await (const piece of source) {
    pieces.push(piece);
    waiting += piece.length;
    if (waiting >= chunkBytes) await flush(false);
  }
  await flush(true);
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes, 0);
  return { stored: 'bytes', bytes, ...(mediaType === '' ? {} : { media_type: mediaType }), chunks };
}

/** Takes a piece of data; gives what can be stored of it and of what came before: all but the end, which a secret may begin in. */
type Taker = (data: Buffer, last: boolean) => Uint8Array;

function textTaker(decoder: TextDecoder, redact: (text: string) => string): Taker {
  let rest = '';
  return (data, last) => {
    const text = redact(rest + decoder.decode(data, { stream: !last }));
    const cut = last ? text.length : wholeCharacters(text, Math.max(0, text.length - overlap));
    rest = text.slice(cut);
    return Buffer.from(text.slice(0, cut));
  };
}

/** Bytes without the secrets in them. Latin-1 keeps each byte as it is, and secrets are mostly ASCII. */
export function redactBytes(bytes: Buffer, redact: (text: string) => string): Buffer {
  const text = bytes.toString('latin1');
  const redacted = redact(text);
  return redacted === text ? bytes : Buffer.from(redacted, 'latin1');
}

function bytesTaker(redact: (text: string) => string): Taker {
  let rest: Buffer = Buffer.alloc(0);
  return (data, last) => {
    const bytes = redactBytes(rest.length === 0 ? data : Buffer.concat([rest, data]), redact);
    const cut = last ? bytes.length : Math.max(0, bytes.length - overlap);
    rest = bytes.subarray(cut);
    return bytes.subarray(0, cut);
  };
}

/** The place itself, or one before where that would part a surrogate pair. */
const wholeCharacters = (text: string, at: number): number =>
  at > 0 && at < text.length && (text.charCodeAt(at) & 0xfc00) === 0xdc00 ? at - 1 : at;

/** Bytes that another step stored, as one. @throws StepError INVALID_PARAMS where they are too many */
export async function storedBytes(
  { chunks }: StoredData,
  { blobs }: Pick<AdapterContext, 'blobs'>,
  bytesMax: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for (const { digest } of chunks) {
    const part = await blobs.get(digest);
    size += part.length;
    // Counted, not believed: a param may state anything.
    if (size > bytesMax)
      throw new StepError(
        'INVALID_PARAMS',
        `the stored data has more than the ${bytesMax} bytes that can be used at once`,
      );
    parts.push(part);
  }
  return parts.length === 1 ? (parts[0] ?? new Uint8Array()) : Buffer.concat(parts, size);
}
