import { fromBase64 } from '../../kit/named-bytes.ts';
import { isStoredData, readLines } from '../../kit/rows.ts';
import { storedBytes } from '../../kit/stored-bytes.ts';
import { StepError } from '../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue, setOwn } from '../../lib/json.ts';
import type { AdapterContext } from '../../ports/adapter.ts';
import { limits } from '../../protocol/limits.ts';
import type { Value } from './abi/numbers.ts';
import type { CallInput } from './abi/params.ts';

type Blobs = Pick<AdapterContext, 'blobs'>;

/** What is read for one call: a short text may name the same stored bytes many times. */
interface Reading extends Blobs {
  bytesLeft: number;
}

const reading = ({ blobs }: Blobs): Reading => ({ blobs, bytesLeft: limits.blobBytesMax });

/** What a call is given by `args` or `input`, with bytes in place of `{ "base64": … }` and stored bytes. @throws StepError INVALID_PARAMS */
export async function callInput({ args, input }: JSONObject, context: Blobs): Promise<CallInput> {
  if (args !== undefined && input !== undefined)
    throw new StepError('INVALID_PARAMS', 'params: give either args or input, not both');
  if (input !== undefined) return { kind: 'input', value: await withBytes(input, 'params.input', reading(context)) };
  const values = await withBytes(args ?? [], 'params.args', reading(context));
  if (values instanceof Uint8Array)
    throw new StepError(
      'INVALID_PARAMS',
      'params.args must be a list, or an object by names; give bytes as params.input',
    );
  return { kind: 'args', args: values as Value[] };
}

/** A value in which bytes stand as such. */
async function withBytes(value: JSONValue, path: string, read: Reading, depth = 0): Promise<Value> {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > limits.jsonDepthMax) throw new StepError('INVALID_PARAMS', `${path} is nested too deeply`);
  if (Array.isArray(value)) {
    // Long lists of plain values are common, and need no copy.
    if (!value.some((item) => typeof item === 'object' && item !== null)) return value;
    const items: Value[] = [];
    for (const [index, item] of value.entries())
      items.push(await withBytes(item, `${path}[${index}]`, read, depth + 1));
    return items;
  }
  if (isStoredData(value) && value.stored === 'bytes') {
    const bytes = await storedBytes(value, read, read.bytesLeft);
    read.bytesLeft -= bytes.length;
    return bytes;
  }
  const keys = Object.keys(value);
  if (keys.length === 1 && typeof value.base64 === 'string') return fromBase64(value.base64, path);
  const copy: { [key: string]: Value } = {};
  for (const key of keys)
    setOwn(
      copy as JSONObject,
      key,
      (await withBytes(value[key] ?? null, `${path}.${key}`, read, depth + 1)) as JSONValue,
    );
  return copy;
}

/** Standard input as bytes. */
export async function stdinOf(value: JSONValue | undefined, context: Blobs): Promise<Uint8Array> {
  if (value === undefined || value === null) return new Uint8Array();
  const given = await withBytes(value, 'params.wasi.stdin', reading(context));
  if (given instanceof Uint8Array) return given;
  return Buffer.from(typeof given === 'string' ? given : JSON.stringify(value));
}

/** Whether a stream's input is bytes in chunks, and not a list of items. */
export const isBytesInput = (input: JSONValue): boolean =>
  typeof input === 'string' || (isObject(input) && (typeof input.base64 === 'string' || input.stored === 'bytes'));

/** The items of a stream. @throws StepError INVALID_PARAMS */
export async function* itemsOf(input: JSONValue, chunkBytes: number, context: Blobs): AsyncGenerator<Value> {
  if (isStoredData(input)) {
    if (input.stored === 'ndjson') for await (const rows of readLines(input, context)) yield* rows;
    else for (const { digest } of input.chunks) yield* chunksOf(await context.blobs.get(digest), chunkBytes);
  } else if (Array.isArray(input)) {
    for (const [index, value] of input.entries())
      yield await withBytes(value, `params.input[${index}]`, reading(context));
  } else {
    const bytes =
      typeof input === 'string' ? Buffer.from(input) : await withBytes(input, 'params.input', reading(context));
    if (!(bytes instanceof Uint8Array))
      throw new StepError('INVALID_PARAMS', 'params.input must be a list, a text, { "base64": … } or stored data');
    yield* chunksOf(bytes, chunkBytes);
  }
}

function* chunksOf(bytes: Uint8Array, chunkBytes: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}
