import { isStoredData } from '../../kit/rows.ts';
import { StepError } from '../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue, setOwn } from '../../lib/json.ts';
import type { AdapterContext } from '../../ports/adapter.ts';
import { limits } from '../../protocol/limits.ts';
import type { Value } from './abi/numbers.ts';
import type { CallInput } from './abi/params.ts';
import { storedBytes } from './stored-bytes.ts';

type Blobs = Pick<AdapterContext, 'blobs'>;

/** What a call is given by `args` or `input`, with bytes in place of `{ "base64": … }` and stored bytes. @throws StepError INVALID_PARAMS */
export async function callInput({ args, input }: JSONObject, context: Blobs): Promise<CallInput> {
  if (args !== undefined && input !== undefined)
    throw new StepError('INVALID_PARAMS', 'params: give either args or input, not both');
  if (input !== undefined) return { kind: 'input', value: await withBytes(input, 'params.input', context) };
  return { kind: 'args', args: (await withBytes(args ?? [], 'params.args', context)) as Value[] };
}

/** A value in which bytes stand as such. */
async function withBytes(value: JSONValue, path: string, context: Blobs, depth = 0): Promise<Value> {
  if (typeof value !== 'object' || value === null) return value;
  if (depth > limits.jsonDepthMax) throw new StepError('INVALID_PARAMS', `${path} is nested too deeply`);
  if (Array.isArray(value)) {
    // Long lists of plain values are common, and need no copy.
    if (!value.some((item) => typeof item === 'object' && item !== null)) return value;
    const items: Value[] = [];
    for (const [index, item] of value.entries())
      items.push(await withBytes(item, `${path}[${index}]`, context, depth + 1));
    return items;
  }
  if (isStoredData(value) && value.stored === 'bytes') return storedBytes(value, context, limits.blobBytesMax);
  const keys = Object.keys(value);
  if (keys.length === 1 && typeof value.base64 === 'string') return fromBase64(value.base64, path);
  const copy: { [key: string]: Value } = {};
  for (const key of keys)
    setOwn(
      copy as JSONObject,
      key,
      (await withBytes(value[key] ?? null, `${path}.${key}`, context, depth + 1)) as JSONValue,
    );
  return copy;
}

function fromBase64(text: string, path: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64').replace(/=+$/, '') !== text.replace(/=+$/, ''))
    throw new StepError('INVALID_PARAMS', `${path}.base64 is not base64`);
  return bytes;
}

/** Standard input as bytes. */
export async function stdinOf(value: JSONValue | undefined, context: Blobs): Promise<Uint8Array> {
  if (value === undefined || value === null) return new Uint8Array();
  const given = await withBytes(value, 'params.wasi.stdin', context);
  if (given instanceof Uint8Array) return given;
  return Buffer.from(typeof given === 'string' ? given : JSON.stringify(value));
}

/** The items of a stream. */
export async function* itemsOf(
  input: JSONValue,
  chunkBytes: number,
  context: Blobs,
): AsyncGenerator<{ input: CallInput; bytes: boolean }> {
  const item = (value: Value, bytes = false) => ({ input: { kind: 'input', value } as CallInput, bytes });
  if (Array.isArray(input)) {
    for (const [index, value] of input.entries()) yield item(await withBytes(value, `params.input[${index}]`, context));
    return;
  }
  if (isStoredData(input)) {
    for (const { digest } of input.chunks) {
      const blob = await context.blobs.get(digest);
      if (input.stored === 'bytes') for (const part of chunksOf(blob, chunkBytes)) yield item(part, true);
      else
        for (const line of Buffer.from(blob.buffer, blob.byteOffset, blob.length).toString().split('\n'))
          if (line !== '') yield item(rowOf(line));
    }
    return;
  }
  const bytes = isObject(input) ? await withBytes(input, 'params.input', context) : input;
  if (typeof bytes !== 'string' && !(bytes instanceof Uint8Array))
    throw new StepError('INVALID_PARAMS', 'params.input must be a list, a text, { "base64": … } or stored data');
  for (const part of chunksOf(typeof bytes === 'string' ? Buffer.from(bytes) : bytes, chunkBytes))
    yield item(part, true);
}

function rowOf(line: string): JSONValue {
  try {
    return JSON.parse(line) as JSONValue;
  } catch (cause) {
    throw new StepError('INVALID_PARAMS', 'the stored rows are not newline-delimited JSON', { cause });
  }
}

function* chunksOf(bytes: Uint8Array, chunkBytes: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}
