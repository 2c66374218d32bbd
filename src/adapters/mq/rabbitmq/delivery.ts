import { randomUUID } from 'node:crypto';
import type { ConsumeMessage, Options } from 'amqplib';
import { isObject, type JSONObject, setOwn } from '../../../lib/json.ts';
import type { Delivery } from '../broker.ts';
import { headerNames } from '../headers.ts';

/** A message as `Broker` gives it. */
export function deliveryOf(message: ConsumeMessage, queue: string): Delivery {
  const { properties, fields, content } = message;
  const headers = textHeaders(properties.headers ?? {});
  const known: JSONObject = {
    exchange: fields.exchange,
    routing_key: fields.routingKey,
    redelivered: fields.redelivered,
  };
  for (const [name, value] of [
    ['priority', properties.priority],
    ['timestamp', properties.timestamp],
    ['correlation_id', properties.correlationId],
    ['reply_to', properties.replyTo],
    ['type', properties.type],
    ['app_id', properties.appId],
    ['offset', properties.headers?.['x-stream-offset']],
  ])
    if (typeof value === 'string' || typeof value === 'number') known[name] = value;
  const id: unknown = properties.messageId;
  return {
    // Without the publisher's id nothing says that two deliveries are of the same message: a made-up name never claims it.
    id: typeof id === 'string' && id !== '' ? id : `${queue}/${randomUUID()}`,
    body: content,
    contentType: typeof properties.contentType === 'string' ? properties.contentType : undefined,
    headers,
    properties: known,
    deliveriesBefore: deliveriesBefore(message),
  };
}

/** Quorum queues count; for classic ones `swap` does, but the delivery it follows from is not counted yet. */
export function deliveriesBefore(message: ConsumeMessage): number {
  const copied = Number(message.properties.headers?.[headerNames.deliveredBefore] ?? 0);
  const counted = message.properties.headers?.['x-delivery-count'];
  const here = typeof counted === 'number' ? counted : message.fields.redelivered ? 1 : 0;
  return (Number.isSafeInteger(copied) && copied > 0 ? copied : 0) + here;
}

/** Whether the message comes again from a queue that doesn't count how often. */
export const isUncounted = ({ fields, properties }: ConsumeMessage): boolean =>
  fields.redelivered &&
  properties.headers?.['x-delivery-count'] === undefined &&
  properties.headers?.['x-stream-offset'] === undefined;

/** Headers that the broker writes anew for a copy, and those by which it would send the copy to further queues. */
const brokerHeaders = /^(x-(death|first-death-.*|last-death-.*|delivery-count|stream-offset)|CC|BCC)$/;

/** Properties of a copy of a message, as it was published first, with headers of ours. */
export function copyOptions(
  { properties }: ConsumeMessage,
  headers: Record<string, unknown>,
  { keepExpiration }: { keepExpiration: boolean },
): Options.Publish {
  const all: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(properties.headers ?? {}))
    if (!brokerHeaders.test(name) && name !== headerNames.deliveredBefore) setOwn(all, name, value);
  for (const [name, value] of Object.entries(headers)) setOwn(all, name, value);
  const options: Options.Publish = { headers: all, persistent: properties.deliveryMode !== 1 };
  for (const name of [
    'contentType',
    'contentEncoding',
    'priority',
    'correlationId',
    'replyTo',
    'messageId',
    'timestamp',
    'type',
    'appId',
  ] as const) {
    const value: unknown = properties[name];
    if (value !== undefined) Object.assign(options, { [name]: value });
  }
  if (keepExpiration && properties.expiration !== undefined) options.expiration = String(properties.expiration);
  return options;
}

function textHeaders(headers: Record<string, unknown>): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) setOwn(texts, name, textOf(value));
  return texts;
}

function textOf(value: unknown): string {
  if (typeof value === 'string') return value;
  if (Buffer.isBuffer(value)) return value.toString('base64');
  if (isObject(value) && value['!'] === 'timestamp' && typeof value.value === 'number')
    return new Date(value.value * 1000).toISOString();
  return JSON.stringify(value) ?? 'null';
}
