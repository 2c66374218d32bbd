import { canonicalize } from '../../lib/canonical.ts';
import { JSONFlowError, StepError } from '../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../lib/json.ts';
import { SizeBudget } from '../../lib/size-budget.ts';
import { toJSONValue } from '../../lib/to-json.ts';
import { limits } from '../../protocol/limits.ts';
import type { Decoded } from './broker.ts';

export interface EncodedBody {
  body: Uint8Array;
  contentType: string;
}

/** The largest body of one message. */
const bodyBytesMax = 64 * 1024 * 1024;

/**
 * A message as bytes. `{ "$bytes": "<base64>" }` stands for bytes, and a string for its text where the content type says that it is
 * text; everything else becomes JSON.
 * @param where names the message, for errors
 * @throws StepError INVALID_PARAMS, MESSAGE_TOO_LARGE
 */
export function encodeBody(message: JSONValue, contentType: string | undefined, where: string): EncodedBody {
  const encoded = encode(message, contentType, where);
  if (encoded.body.length > bodyBytesMax)
    throw new StepError('MESSAGE_TOO_LARGE', `${where} has ${encoded.body.length} bytes; ${bodyBytesMax} are possible`);
  return encoded;
}

function encode(message: JSONValue, contentType: string | undefined, where: string): EncodedBody {
  const base64 = bytesIn(message);
  if (base64 !== undefined) {
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64) || base64.length % 4 !== 0)
      throw new StepError('INVALID_PARAMS', `${where}.$bytes is not base64`);
    return { body: Buffer.from(base64, 'base64'), contentType: contentType ?? 'application/octet-stream' };
  }
  if (contentType === undefined || kindOf(contentType) === 'json')
    return { body: Buffer.from(JSON.stringify(message)), contentType: contentType ?? 'application/json' };
  if (typeof message === 'string') return { body: Buffer.from(message), contentType };
  throw new StepError(
    'INVALID_PARAMS',
    `${where} must be a text, or { "$bytes": base64 }, to be sent as ${contentType}`,
  );
}

function bytesIn(message: JSONValue): string | undefined {
  if (!isObject(message) || Object.keys(message).length !== 1) return undefined;
  const { $bytes } = message;
  return typeof $bytes === 'string' ? $bytes : undefined;
}

/** A body that is not what its content type says: the message can never be used. */
export interface Undecodable {
  undecodable: string;
}

/**
 * A body as JSON: what it holds where it is JSON, a text where it is text, else `{ "$bytes": base64 }`. Without a content type: JSON if
 * it parses, text if it is UTF-8, else bytes.
 */
export function decodeBody(body: Uint8Array, contentType: string | undefined): { message: Decoded } | Undecodable {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const kind = contentType === undefined || contentType === '' ? 'unknown' : kindOf(contentType);
  if (kind === 'bytes') return { message: asBytes(bytes) };
  const text = utf8(bytes);
  if (text === undefined)
    return kind === 'json'
      ? { undecodable: 'the body is declared to be JSON, but is not UTF-8' }
      : { message: asBytes(bytes) };
  if (kind === 'text') return { message: text };
  const parsed = parse(text);
  if (kind === 'unknown' && 'undecodable' in parsed) return { message: text };
  return parsed;
}

/** Surrogates in JSON may be escaped, and stand alone then, which no digest can be made of. */
const escapedSurrogate = /\\u[dD][89a-fA-F]/;

function parse(text: string): { message: Decoded } | Undecodable {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return { undecodable: 'the body is declared to be JSON, but does not parse' };
  }
  try {
    const message = toJSONValue(parsed, new SizeBudget(limits.blobBytesMax));
    if (escapedSurrogate.test(text)) canonicalize(message);
    return { message };
  } catch (thrown) {
    if (!(thrown instanceof JSONFlowError)) throw thrown;
    return { undecodable: `the body is JSON that no step can carry: ${thrown.message}` };
  }
}

function kindOf(contentType: string): 'json' | 'text' | 'bytes' {
  const type = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  if (type === 'application/json' || type.endsWith('+json')) return 'json';
  if (type.startsWith('text/') || type === 'application/xml' || type.endsWith('+xml')) return 'text';
  return type === 'application/x-www-form-urlencoded' ? 'text' : 'bytes';
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function utf8(bytes: Buffer): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}

const asBytes = (bytes: Buffer): JSONObject => ({ $bytes: bytes.toString('base64') });
