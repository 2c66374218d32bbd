import { isUtf8 } from 'node:buffer';
import { type JSONObject, setOwn } from '../../../lib/json.ts';
import type { Delivery } from '../broker.ts';
import type { ReadRecord } from './fetch.ts';

const own = ['message-id', 'content-type'];

interface Place {
  topic: string;
  incarnation: string;
  partition: number;
}

export function deliveryOf(
  { topic, incarnation, partition }: Place,
  record: ReadRecord,
  deliveriesBefore: number,
): Delivery {
  const headers: Record<string, string> = {};
  const named = new Map<string, string>();
  for (const [name, value] of record.headers) {
    const key = name?.toString() ?? '';
    named.set(key, value?.toString() ?? '');
    if (!own.includes(key)) setOwn(headers, key, value?.toString() ?? '');
  }
  const properties: JSONObject = {
    topic,
    partition,
    offset: record.offset,
    timestamp: new Date(Math.max(0, record.timestampMs)).toISOString(),
  };
  if (record.key !== null) {
    if (isUtf8(record.key)) properties.key = record.key.toString();
    else properties.key_base64 = record.key.toString('base64');
  }
  return {
    // A topic that is deleted and made again counts its offsets from 0 again: its messages are others.
    id: named.get('message-id') || `${topic}/${partition}/${record.offset}/${incarnation}`,
    // Copied: the record is a piece of a whole read, which would be kept with it.
    body: Uint8Array.from(record.value ?? Buffer.alloc(0)),
    contentType: named.get('content-type'),
    headers,
    properties,
    deliveriesBefore,
  };
}
