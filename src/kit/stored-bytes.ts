import type { TextDecoder } from 'node:util';
import { StepError } from '../lib/errors.ts';
import type { AdapterContext } from '../ports/adapter.ts';
import type { StoredChunk, StoredData } from '../protocol/stored-data.ts';

const chunkBytes = 4 * 1024 * 1024;
/** Characters that wait for the next chunk: a secret may begin in one and end in the other. */
const overlap = 64 * 1024;

/** Pieces put together as they come, however small they are. */
export class ByteBuffer {
  #room = Buffer.alloc(0);
  length = 0;

  add(piece: Uint8Array): void {
    const needed = this.length + piece.length;
    if (needed > this.#room.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.#room.length * 2));
      this.#room.copy(grown, 0, 0, this.length);
      this.#room = grown;
    }
    this.#room.set(piece, this.length);
    this.length = needed;
  }

  /** A view of what there is: what is added later may lie elsewhere. */
  get bytes(): Buffer<ArrayBuffer> {
    return this.#room.subarray(0, this.length);
  }
}

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
  let waiting = new ByteBuffer();
  const flush = async (last: boolean): Promise<void> => {
    const bytes = take(waiting.bytes, last);
    waiting = new ByteBuffer();
    if (bytes.length > 0) chunks.push({ digest: await blobs.put(bytes), bytes: bytes.length });
  };
  for await (const piece of source) {
    waiting.add(piece);
    if (waiting.length >= chunkBytes) await flush(false);
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

/** Bytes that another step stored, as one. @param code of the error where they are too many @throws StepError */
export async function storedBytes(
  { chunks }: StoredData,
  { blobs }: Pick<AdapterContext, 'blobs'>,
  bytesMax: number,
  code = 'INVALID_PARAMS',
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for (const { digest } of chunks) {
    const part = await blobs.get(digest);
    size += part.length;
    // Counted, not believed: a param may state anything.
    if (size > bytesMax)
      throw new StepError(code, `the stored data has more than the ${bytesMax} bytes that can be used at once`);
    parts.push(part);
  }
  return parts.length === 1 ? (parts[0] ?? new Uint8Array()) : Buffer.concat(parts, size);
}
