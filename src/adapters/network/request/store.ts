import { TextDecoder } from 'node:util';
import { RowSink } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { StoredChunk, StoredData } from '../../../protocol/stored-data.ts';
import { parseJSON } from '../http/read.ts';

type StoreContext = Pick<AdapterContext, 'blobs' | 'redact'>;

const chunkBytes = 4 * 1024 * 1024;
/** Characters that wait for the next chunk: a secret may begin in one and end in the other. */
const overlap = 64 * 1024;

/**
 * Writes bytes to the blob store, chunk by chunk, without the secrets in them.
 * @param decoder of a text, which is stored as UTF-8; undefined for other data
 */
export async function storeBytes(
  source: AsyncIterable<Uint8Array>,
  decoder: TextDecoder | undefined,
  mediaType: string,
  { blobs, redact }: StoreContext,
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

/** Latin-1 keeps each byte as it is, and secrets are mostly ASCII. */
function bytesTaker(redact: (text: string) => string): Taker {
  let rest: Buffer = Buffer.alloc(0);
  return (data, last) => {
    const whole = rest.length === 0 ? data : Buffer.concat([rest, data]);
    const text = whole.toString('latin1');
    const redacted = redact(text);
    const bytes = redacted === text ? whole : Buffer.from(redacted, 'latin1');
    const cut = last ? bytes.length : Math.max(0, bytes.length - overlap);
    rest = bytes.subarray(cut);
    return bytes.subarray(0, cut);
  };
}

/** The place itself, or one before where that would part a surrogate pair. */
const wholeCharacters = (text: string, at: number): number =>
  at > 0 && at < text.length && (text.charCodeAt(at) & 0xfc00) === 0xdc00 ? at - 1 : at;

const rowsBatch = 1000;

/** Writes newline-delimited JSON objects to the blob store. @throws StepError RESPONSE_INVALID that names the line */
export async function storeRows(source: AsyncIterable<Uint8Array>, context: StoreContext): Promise<JSONValue> {
  const sink = new RowSink(context, 0);
  let batch: JSONObject[] = [];
  for await (const row of rowsOf(source)) {
    batch.push(row);
    if (batch.length < rowsBatch) continue;
    await sink.add(batch);
    batch = [];
  }
  await sink.add(batch);
  const rows = await sink.end();
  return 'stored' in rows ? (rows.stored as unknown as JSONValue) : rows.rows;
}

/** A line that is longer is no row, but would have to be held in memory. */
const lineLengthMax = 16 * 1024 * 1024;

export async function* rowsOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<JSONObject> {
  const decoder = new TextDecoder();
  let parts: string[] = [];
  let length = 0;
  let line = 0;
  const take = (text: string): JSONObject | undefined => {
    line += 1;
    const whole = parts.length === 0 ? text : parts.join('') + text;
    parts = [];
    length = 0;
    return whole.trim() === '' ? undefined : parseRow(whole, line);
  };
  for await (const piece of source) {
    const lines = decoder.decode(piece, { stream: true }).split('\n');
    const last = lines.pop() ?? '';
    for (const text of lines) {
      const row = take(text);
      if (row !== undefined) yield row;
    }
    parts.push(last);
    length += last.length;
    if (length > lineLengthMax)
      throw new StepError(
        'RESPONSE_INVALID',
        `line ${line + 1} of the response is longer than ${lineLengthMax} characters`,
      );
  }
  const row = take(decoder.decode());
  if (row !== undefined) yield row;
}

function parseRow(text: string, line: number): JSONObject {
  let row: JSONValue | undefined;
  try {
    row = parseJSON(text);
  } catch {
    // Said below, with the line.
  }
  if (isObject(row)) return row as JSONObject;
  throw new StepError('RESPONSE_INVALID', `line ${line} of the response is not a JSON object`);
}
