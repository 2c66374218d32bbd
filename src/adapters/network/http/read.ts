import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONValue } from '../../../lib/json.ts';
import type { HttpResponse } from './http-client.ts';

/**
 * A whole body in memory.
 * @throws StepError RESPONSE_TOO_LARGE; what reading the body throws
 */
async function readBytes({ body }: Pick<HttpResponse, 'body'>, bytesMax: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of body) {
    length += piece.length;
    if (length > bytesMax)
      throw new StepError('RESPONSE_TOO_LARGE', `the response is larger than ${bytesMax} bytes of memory for it`);
    pieces.push(piece);
  }
  return pieces.length === 1 && pieces[0] !== undefined ? asBuffer(pieces[0]) : Buffer.concat(pieces, length);
}

export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A whole body as JSON; an empty one is null. @throws StepError RESPONSE_TOO_LARGE, RESPONSE_INVALID; what reading throws */
export async function readJSON(response: Pick<HttpResponse, 'body'>, bytesMax: number): Promise<JSONValue> {
  return parseJSON((await readBytes(response, bytesMax)).toString());
}

/**
 * JSON of a server. Whole numbers beyond 2^53 become texts, digit by digit, since a double would change them.
 * @throws StepError RESPONSE_INVALID, without a word of the text
 */
export function parseJSON(text: string): JSONValue {
  const bare = text.startsWith('\ufeff') ? text.slice(1) : text;
  if (bare === '') return null;
  try {
    const value = JSON.parse(bare) as JSONValue;
    return isExact(value) ? value : (JSON.parse(bare, keepDigits as Reviver) as JSONValue);
  } catch (cause) {
    if (cause instanceof RangeError)
      throw new StepError('RESPONSE_INVALID', 'the response is nested too deeply', { cause });
    throw new StepError('RESPONSE_INVALID', 'the response says that it is JSON, but it is not', { cause });
  }
}

/** Whether all numbers are what the text says, as far as that matters. */
function isExact(value: JSONValue): boolean {
  if (typeof value === 'number') return isExactNumber(value);
  if (typeof value !== 'object' || value === null) return true;
  if (Array.isArray(value)) return value.every(isExact);
  for (const key in value) if (!isExact(value[key] ?? null)) return false;
  return true;
}

const isExactNumber = (value: number): boolean =>
  Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value));

type Reviver = (key: string, value: unknown) => unknown;

function keepDigits(_key: string, value: unknown, context: unknown): unknown {
  if (typeof value !== 'number' || isExactNumber(value)) return value;
  return isObject(context) && typeof context.source === 'string' ? context.source : String(value);
}
