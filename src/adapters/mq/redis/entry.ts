import { isObject, type JSONObject, setOwn } from '../../../lib/json.ts';
import type { Delivery, OutgoingMessage } from '../broker.ts';
import { deadLetterHeaders } from '../headers.ts';
import type { Argument, Reply } from './link.ts';

/** An entry of a stream that the group has given to this consumer. */
export interface Entry {
  id: string;
  delivery: Delivery;
}

/** Arguments of the publishing script, for one message. */
export const argumentsOf = ({ id, contentType, headers, key = '', body }: OutgoingMessage): Argument[] => [
  id,
  contentType,
  Object.keys(headers).length === 0 ? '' : JSON.stringify(headers),
  key,
  Buffer.from(body.buffer, body.byteOffset, body.byteLength),
];

/** Reads what the fetching script gives: `[id, deliveries, fields]`. */
export function entryOf(reply: Reply, stream: string): Entry {
  const [idBytes, count, fields] = reply as [Buffer, number, Buffer[]];
  const id = idBytes.toString();
  const values = new Map<string, Buffer>();
  for (let index = 0; index + 1 < fields.length; index += 2)
    values.set(String(fields[index]), fields[index + 1] ?? Buffer.alloc(0));
  const properties: JSONObject = { stream, entry_id: id, timestamp: Number(id.split('-')[0]) };
  const base = { properties, deliveriesBefore: count - 1 };
  const body = values.get('body');
  // Entries of other programs have fields of their own: they are the message.
  if (body === undefined) return { id, delivery: { ...base, ...foreign(values, `${stream}/${id}`) } };
  const key = values.get('key');
  if (key !== undefined) properties.key = key.toString();
  return {
    id,
    delivery: {
      ...base,
      id: values.get('id')?.toString() || `${stream}/${id}`,
      body,
      contentType: values.get('content_type')?.toString(),
      headers: headersOf(values.get('headers')),
    },
  };
}

/** Fields of the entry that stands for a delivery in a dead letter stream. */
export function deadFields(
  delivery: Delivery,
  about: { reason: string; queue: string; deliveries: number },
): Argument[] {
  const { id, contentType, headers, body } = delivery;
  return [
    ...['id', id, 'headers', JSON.stringify(deadLetterHeaders(headers, about))],
    ...(contentType === undefined ? [] : ['content_type', contentType]),
    'body',
    Buffer.from(body.buffer, body.byteOffset, body.byteLength),
  ];
}

function foreign(
  values: ReadonlyMap<string, Buffer>,
  id: string,
): Pick<Delivery, 'id' | 'body' | 'contentType' | 'headers'> {
  const object: JSONObject = {};
  for (const [name, value] of values) setOwn(object, name, value.toString());
  return { id, body: Buffer.from(JSON.stringify(object)), contentType: 'application/json', headers: {} };
}

function headersOf(bytes: Buffer | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  if (bytes === undefined) return headers;
  try {
    const parsed: unknown = JSON.parse(bytes.toString());
    if (isObject(parsed))
      for (const [name, value] of Object.entries(parsed))
        setOwn(headers, name, typeof value === 'string' ? value : JSON.stringify(value));
  } catch {
    setOwn(headers, 'headers', bytes.toString());
  }
  return headers;
}
