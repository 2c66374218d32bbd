import { RowSink } from '../../kit/rows.ts';
import { ByteBuffer, redactBytes, storeBytes } from '../../kit/stored-bytes.ts';
import type { JSONValue } from '../../lib/json.ts';
import type { AdapterContext } from '../../ports/adapter.ts';
import { decode } from './abi/decode.ts';
import type { OutputForm } from './abi/outcome.ts';

type Context = Pick<AdapterContext, 'blobs' | 'redact'>;
type Result = JSONValue | Uint8Array;

/** Bytes that an output holds itself; more go to the blob store. */
const inlineBytesMax = 1024 * 1024;

/** A result as JSON: bytes as `{ "base64": … }`, many of them stored. */
export async function jsonOf(result: Result, context: Context): Promise<JSONValue> {
  if (!(result instanceof Uint8Array)) return result;
  if (result.length > inlineBytesMax)
    return (await storeBytes([result], undefined, '', context)) as unknown as JSONValue;
  return { base64: redactBytes(bufferOf(result), context.redact).toString('base64') };
}

/** The results of a stream of items: a list, or stored rows where they are many. */
export async function listOf(results: AsyncIterable<Result>, context: Context): Promise<JSONValue> {
  const sink = new RowSink<JSONValue>(context);
  for await (const result of results) await sink.add([await jsonOf(result, context)]);
  const rows = await sink.end();
  return 'stored' in rows ? (rows.stored as unknown as JSONValue) : rows.rows;
}

/** The results of a stream of pieces, as one: read in the form that the step wants while they are few bytes, else stored. */
export async function wholeOf(results: AsyncIterable<Result>, form: OutputForm, context: Context): Promise<JSONValue> {
  const iterator = results[Symbol.asyncIterator]();
  const head = new ByteBuffer();
  async function* all(): AsyncGenerator<Uint8Array> {
    yield head.bytes;
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) yield asBytes(next.value);
  }
  try {
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
      head.add(asBytes(next.value));
      if (head.length > inlineBytesMax)
        return (await storeBytes(all(), undefined, '', context)) as unknown as JSONValue;
    }
    return await jsonOf(decode({ kind: 'bytes', bytes: head.bytes }, form), context);
  } finally {
    await iterator.return?.();
  }
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** What a function gives for a chunk: nothing, bytes, a text, or a line of JSON. */
function asBytes(result: Result): Uint8Array {
  if (result instanceof Uint8Array) return result;
  if (result === null) return new Uint8Array();
  return Buffer.from(typeof result === 'string' ? result : `${JSON.stringify(result)}\n`);
}
