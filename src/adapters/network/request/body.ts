import { randomUUID } from 'node:crypto';
import { isStoredData } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { StoredData } from '../../../protocol/stored-data.ts';
import type { HttpBody } from '../http/http-client.ts';

type Blobs = Pick<AdapterContext, 'blobs'>;

/** The body that a step's params describe: `body`, `form` or `multipart`. @throws StepError INVALID_PARAMS */
export function bodyOf({ body, form, multipart }: JSONObject, context: Blobs): HttpBody | undefined {
  if ([body, form, multipart].filter((one) => one !== undefined).length > 1)
    throw new StepError('INVALID_PARAMS', 'params: give one of body, form and multipart');
  if (isObject(form)) return formBody(form as JSONObject);
  if (Array.isArray(multipart)) return multipartBody(multipart, context);
  if (body === undefined) return undefined;
  if (typeof body === 'string') return { content: body, type: 'text/plain; charset=utf-8' };
  if (isStoredData(body)) return storedBody(body, context);
  const bytes = bytesOf(body, 'body');
  if (bytes !== undefined) return { content: bytes, type: 'application/octet-stream' };
  return { content: JSON.stringify(body), type: 'application/json' };
}

/** Of `{ "$bytes": base64 }`; undefined where it is something else. @throws StepError INVALID_PARAMS */
function bytesOf(value: JSONValue | undefined, name: string): Buffer | undefined {
  if (!isObject(value) || Object.keys(value).length !== 1 || typeof value.$bytes !== 'string') return undefined;
  const text = value.$bytes;
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text))
    throw new StepError('INVALID_PARAMS', `params.${name}.$bytes must be base64, with its padding`);
  return Buffer.from(text, 'base64');
}

function formBody(form: JSONObject): HttpBody {
  const fields = new URLSearchParams();
  for (const [name, value] of Object.entries(form))
    for (const one of Array.isArray(value) ? value : [value]) if (one !== null) fields.append(name, String(one));
  return { content: fields.toString(), type: 'application/x-www-form-urlencoded' };
}

const storedType = ({ stored, media_type }: StoredData): string =>
  media_type ?? (stored === 'ndjson' ? 'application/x-ndjson' : 'application/octet-stream');

async function* chunksOf({ chunks }: StoredData, { blobs }: Blobs): AsyncGenerator<Uint8Array> {
  for (const { digest } of chunks) yield await blobs.get(digest);
}

const storedBody = (data: StoredData, context: Blobs): HttpBody => ({
  content: () => chunksOf(data, context),
  length: data.bytes,
  type: storedType(data),
});

interface Part {
  head: Buffer;
  content: Uint8Array | StoredData;
  length: number;
}

/** multipart/form-data (RFC 7578), as a stream: its parts may be stored ones. */
function multipartBody(given: readonly JSONValue[], context: Blobs): HttpBody {
  const boundary = `jsonflow-${randomUUID()}`;
  const parts = given.map((part, index) => partOf(part as JSONObject, `multipart[${index}]`, boundary));
  const end = Buffer.from(`--${boundary}--\r\n`);
  const length = parts.reduce((sum, part) => sum + part.head.length + part.length + 2, end.length);
  const content = async function* (): AsyncGenerator<Uint8Array> {
    for (const part of parts) {
      yield part.head;
      if (part.content instanceof Uint8Array) yield part.content;
      else yield* chunksOf(part.content, context);
      yield lineEnd;
    }
    yield end;
  };
  return { content, length, type: `multipart/form-data; boundary=${boundary}` };
}

const lineEnd = Buffer.from('\r\n');

function partOf(part: JSONObject, where: string, boundary: string): Part {
  const { name, filename, value, bytes, stored } = part;
  if ([value, bytes, stored].filter((one) => one !== undefined).length !== 1)
    throw new StepError('INVALID_PARAMS', `params.${where}: give one of value, bytes and stored`);
  const content = contentOf(part, where);
  const type =
    part.content_type ?? (isStoredData(stored) ? storedType(stored) : bytes === undefined ? undefined : octets);
  const disposition = `form-data; name="${quoted(name)}"${filename === undefined ? '' : `; filename="${quoted(filename)}"`}`;
  const typeLine = type === undefined ? '' : `content-type: ${checkedType(type, where)}\r\n`;
  return {
    head: Buffer.from(`--${boundary}\r\ncontent-disposition: ${disposition}\r\n${typeLine}\r\n`),
    content,
    length: content instanceof Uint8Array ? content.length : content.bytes,
  };
}

const octets = 'application/octet-stream';

function contentOf({ value, bytes, stored }: JSONObject, where: string): Uint8Array | StoredData {
  if (value !== undefined) return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
  if (isStoredData(stored)) return stored;
  const decoded = bytesOf(isObject(bytes) ? (bytes as JSONObject) : { $bytes: bytes ?? null }, `${where}.bytes`);
  if (decoded !== undefined) return decoded;
  throw new StepError('INVALID_PARAMS', `params.${where}: bytes must be base64, and stored what a step has stored`);
}

/** As browsers do it: what would end the quoted text is percent-encoded. */
const quoted = (text: JSONValue | undefined): string =>
  String(text).replace(/[\r\n"]/g, (character) => encodeURIComponent(character));

function checkedType(type: JSONValue, where: string): string {
  if (typeof type === 'string' && /^[\t\x20-\x7e]+$/.test(type)) return type;
  throw new StepError('INVALID_PARAMS', `params.${where}.content_type must be a media type`);
}
