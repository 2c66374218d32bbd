import { isUtf8 } from 'node:buffer';
import { storeBytes } from '../../../kit/stored-bytes.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { HttpResponse } from '../http/http-client.ts';
import { numberOr } from '../http/options.ts';
import { asBuffer, parseJSON } from '../http/read.ts';
import { type BodyKind, decoderOf, essenceOf, kindOf } from './content-type.ts';
import { rowsOf, storeRows } from './store.ts';

const inlineBytesDefault = 1024 * 1024;

export interface ReadBody {
  value: JSONValue;
  stored: boolean;
}

/**
 * The body as a value: JSON, rows, text, or bytes as `{ "$bytes": base64 }`; null where it is empty. Above `options.max_inline_bytes` it goes
 * to the blob store, piece by piece.
 */
export async function readBody(
  { headers, body }: HttpResponse,
  options: JSONObject,
  context: AdapterContext,
): Promise<ReadBody> {
  const type = headers['content-type'];
  const kind = typeof options.parse === 'string' ? (options.parse as BodyKind) : kindOf(essenceOf(type));
  const inlineMax = numberOr(options.max_inline_bytes, inlineBytesDefault);
  const pieces = body[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let length = 0;
  try {
    while (length <= inlineMax) {
      const next = await pieces.next();
      if (next.done === true) return { value: await inlineValue(joined(head), kind, type), stored: false };
      head.push(next.value);
      length += next.value.length;
    }
    const whole = async function* (): AsyncGenerator<Uint8Array> {
      yield* head;
      head.length = 0;
      for (;;) {
        const next = await pieces.next();
        if (next.done === true) return;
        yield next.value;
      }
    };
    const value =
      kind === 'ndjson'
        ? await storeRows(whole(), context)
        : await storeBytes(whole(), isText(kind) ? decoderOf(type) : undefined, essenceOf(type), context);
    return { value: value as JSONValue, stored: true };
  } finally {
    await pieces.return?.();
  }
}

const isText = (kind: BodyKind): boolean => kind === 'json' || kind === 'text';

const joined = (pieces: readonly Uint8Array[]): Buffer =>
  pieces.length === 1 && pieces[0] !== undefined ? asBuffer(pieces[0]) : Buffer.concat(pieces);

async function inlineValue(bytes: Buffer, kind: BodyKind, type: string | string[] | undefined): Promise<JSONValue> {
  if (bytes.length === 0) return null;
  switch (kind) {
    case 'json':
      return parseJSON(textOf(bytes, type));
    case 'ndjson':
      return listOf(rowsOf(once(bytes)));
    case 'text':
      return textOf(bytes, type);
    case 'bytes':
      return { $bytes: bytes.toString('base64') };
    case 'unknown':
      // A server that does not say what it sends, sends text mostly.
      return isUtf8(bytes) && !bytes.includes(0) ? bytes.toString() : { $bytes: bytes.toString('base64') };
    default:
      throw new StepError('INVALID_PARAMS', `params.options.parse: there is no ${kind satisfies never}`);
  }
}

/** Making a decoder takes longer than all the rest of a small body: most need none. */
const textOf = (bytes: Buffer, type: string | string[] | undefined): string =>
  typeof type === 'string' && /charset/i.test(type) && !/charset="?utf-8"?/i.test(type)
    ? decoderOf(type).decode(bytes)
    : bytes.toString().replace(/^\ufeff/, '');

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

async function listOf<T>(source: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const one of source) list.push(one);
  return list;
}
