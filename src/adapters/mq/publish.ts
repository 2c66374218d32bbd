import { deadlineOf } from '../../kit/deadline.ts';
import { reachOf } from '../../kit/reach.ts';
import { retrying } from '../../kit/retry.ts';
import { isStoredData, readRows } from '../../kit/rows.ts';
import { StepError } from '../../lib/errors.ts';
import { sha256 } from '../../lib/hash.ts';
import { isObject, type JSONObject, type JSONValue, setOwn } from '../../lib/json.ts';
import type { AdapterContext } from '../../ports/adapter.ts';
import { encodeBody } from './bodies.ts';
import type { Broker, OutgoingMessage, PublishRequest } from './broker.ts';
import type { BrokerName, Brokers } from './connect.ts';
import { optionsOf } from './params.ts';

/** Messages, and bytes of their bodies, that are encoded at once and tried again together. */
const batchMax = 5_000;
const batchBytesMax = 8 * 1024 * 1024;
const timeoutMsDefault = 30_000;
const attemptsDefault = 2;
/** Ids that an output lists. */
const idsMax = 10_000;
/** Identifiers of AMQP have up to 255 bytes. */
const idPrefixBytesMax = 200;

/** Publishes the messages of a step, in order, and waits until the broker has confirmed all of them. */
export async function publish(brokers: Brokers, params: JSONObject, context: AdapterContext): Promise<JSONValue> {
  const idPrefix = idPrefixOf(context.idempotency_key);
  const known: JSONObject = {};
  let count = 0;
  const name = { text: String(params.broker), reach: reachOf(context), tenantId: context.tenant_id };
  for await (const messages of batchesOf(params, context, idPrefix)) {
    context.signal.throwIfAborted();
    const batch = { params, messages, idPrefix, firstIndex: count };
    const output = await publishBatch(brokers, name, batch, context);
    merge(known, output);
    count += messages.length;
    context.progress(totalOf(params) === undefined ? null : count / (totalOf(params) ?? count), `${count} published`);
  }
  return { ...known, published: count, ...idsOf(idPrefix, count), result: count };
}

async function publishBatch(
  brokers: Brokers,
  name: BrokerName,
  batch: Pick<PublishRequest, 'params' | 'messages' | 'idPrefix' | 'firstIndex'>,
  context: AdapterContext,
): Promise<JSONObject> {
  const { timeout = timeoutMsDefault, retry_attempts = attemptsDefault } = optionsOf(batch.params);
  const timeoutMs = Number(timeout);
  const deadline = deadlineOf(context, timeoutMs, 'MQ_TIMEOUT', 'publishing');
  const confirmed = new Set<OutgoingMessage>();
  const options = {
    attempts: 1 + Number(retry_attempts),
    signal: deadline.signal,
    again: (thrown: unknown) => thrown instanceof StepError && thrown.retryable && thrown.code !== 'MQ_TIMEOUT',
  };
  try {
    const once = (broker: Broker) =>
      broker.publish({
        ...batch,
        messages: confirmed.size === 0 ? batch.messages : batch.messages.filter((message) => !confirmed.has(message)),
        onConfirmed: (message) => confirmed.add(message),
        dedupe: batch.params.idempotency !== 'off',
        signal: deadline.signal,
        timeoutMs,
      });
    return await retrying(options, () => brokers.use(name, once, deadline.signal));
  } finally {
    deadline.done();
  }
}

async function* batchesOf(
  params: JSONObject,
  context: AdapterContext,
  idPrefix: string,
): AsyncGenerator<OutgoingMessage[]> {
  let batch: OutgoingMessage[] = [];
  let bytes = 0;
  let index = 0;
  for await (const list of listsOf(params, context)) {
    for (const message of list) {
      const encoded = outgoing(message, params, idPrefix, index);
      index += 1;
      bytes += encoded.body.length;
      batch.push(encoded);
      if (batch.length < batchMax && bytes < batchBytesMax) continue;
      yield batch;
      batch = [];
      bytes = 0;
    }
  }
  if (batch.length > 0) yield batch;
}

function listsOf(
  { message, messages }: JSONObject,
  context: AdapterContext,
): AsyncIterable<readonly JSONValue[]> | Iterable<readonly JSONValue[]> {
  if (message !== undefined) return [[message]];
  if (isStoredData(messages)) return readRows(messages, 'params.messages', context);
  return [Array.isArray(messages) ? messages : [messages ?? null]];
}

function totalOf({ message, messages }: JSONObject): number | undefined {
  if (message !== undefined) return 1;
  if (isStoredData(messages)) return messages.row_count;
  return Array.isArray(messages) ? messages.length : 1;
}

function outgoing(message: JSONValue, params: JSONObject, idPrefix: string, index: number): OutgoingMessage {
  const { content_type, key, key_field } = optionsOf(params);
  const where = params.message === undefined ? `params.messages[${index}]` : 'params.message';
  const { body, contentType } = encodeBody(message, typeof content_type === 'string' ? content_type : undefined, where);
  const ownKey = typeof key_field === 'string' ? keyIn(message, key_field, where) : undefined;
  const found = ownKey ?? (typeof key === 'string' ? key : undefined);
  const base = { id: `${idPrefix}/${index}`, body, contentType, headers: headersOf(params) };
  return found === undefined ? base : { ...base, key: found };
}

/** @param path names separated by dots @throws StepError INVALID_PARAMS where the message has no such field */
function keyIn(message: JSONValue, path: string, where: string): string {
  let value: JSONValue | undefined = message;
  for (const name of path.split('.'))
    value = isObject(value) && Object.hasOwn(value, name) ? (value as JSONObject)[name] : undefined;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new StepError('INVALID_PARAMS', `${where} has no text or number at options.key_field ("${path}")`);
}

function headersOf({ headers }: JSONObject): Record<string, string> {
  const texts: Record<string, string> = {};
  if (isObject(headers)) for (const [name, value] of Object.entries(headers)) setOwn(texts, name, String(value));
  return texts;
}

const idPrefixOf = (key: string): string => (Buffer.byteLength(key) > idPrefixBytesMax ? sha256(key) : key);

function idsOf(prefix: string, count: number): JSONObject {
  if (count === 1) return { message_id: `${prefix}/0`, message_ids: [`${prefix}/0`] };
  if (count > idsMax) return { message_id_prefix: `${prefix}/` };
  return { message_ids: Array.from({ length: count }, (_, index) => `${prefix}/${index}`) };
}

/** Brings what a broker says about several batches into one: `first` stays, `count` adds up, lists grow, the rest is as it was last. */
function merge(into: JSONObject, more: JSONObject): void {
  for (const [name, value] of Object.entries(more)) {
    const before = into[name];
    if (name === 'first' && before !== undefined) continue;
    if (name === 'count' && typeof before === 'number' && typeof value === 'number') into[name] = before + value;
    else if (Array.isArray(before) && Array.isArray(value)) into[name] = [...before, ...value].slice(0, idsMax);
    else if (isObject(before) && isObject(value)) merge(before as JSONObject, value as JSONObject);
    else setOwn(into, name, value);
  }
}
