import type { PubAck } from '@nats-io/jetstream';
import type { MsgHdrs } from '@nats-io/transport-node';
import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { OutgoingMessage, PublishRequest } from '../broker.ts';
import { headerNames } from '../headers.ts';
import { paramOf } from '../params.ts';
import { isNoResponders, natsError } from './errors.ts';
import type { NatsModule, Session } from './link.ts';
import { nameOf, subjectOf } from './names.ts';

export const messageIdHeader = 'Nats-Msg-Id';
const expectedStreamHeader = 'Nats-Expected-Stream';
/** Publishes whose confirmation is awaited at once. */
const inFlightMax = 1000;
const inFlightBytesMax = 8 * 1024 * 1024;

/** @throws StepError */
export async function publishMessages(session: Session, request: PublishRequest): Promise<JSONObject> {
  const subject = subjectOf(request.params);
  checkSizes(session, request.messages);
  if (paramOf(request.params, 'jetstream') === false) return publishCore(session, subject, request);
  const stream = nameOf(request.params, 'stream');
  const acks = await inOrder(request, (message) => {
    const headers = headersOf(session.nats, message, request.dedupe);
    if (stream !== undefined) headers.set(expectedStreamHeader, stream);
    return publishOne(session, { subject, body: message.body, headers, timeoutMs: request.timeoutMs });
  });
  const sequences: JSONObject = { count: acks.length };
  let duplicates = 0;
  for (const { seq, duplicate } of acks) {
    if (duplicate) duplicates += 1;
    sequences.first = Math.min(Number(sequences.first ?? seq), seq);
    sequences.last = Math.max(Number(sequences.last ?? seq), seq);
  }
  return { subject, stream: acks[0]?.stream ?? stream ?? null, sequences, duplicates: { count: duplicates } };
}

export interface OneMessage {
  subject: string;
  body: Uint8Array;
  headers: MsgHdrs;
  timeoutMs: number;
}

/** @throws StepError UNROUTABLE where no stream takes the subject */
export async function publishOne(
  { client }: Session,
  { subject, body, headers, timeoutMs }: OneMessage,
): Promise<PubAck> {
  try {
    return await client.publish(subject, body, { headers, timeout: timeoutMs });
  } catch (thrown) {
    if (isNoResponders(thrown))
      throw new StepError(
        'UNROUTABLE',
        `no stream takes messages of ${subject}; create one with mq_create_queue, or publish without a confirmation by options.jetstream: false`,
        { cause: thrown },
      );
    throw natsError(thrown, 'PUBLISH_FAILED', `publishing to ${subject}`);
  }
}

/** Sends them in order, awaiting many confirmations at once. After a failure nothing more is sent, but what was sent is awaited. */
async function inOrder(
  { messages, onConfirmed, signal }: PublishRequest,
  publish: (message: OutgoingMessage) => Promise<PubAck>,
): Promise<PubAck[]> {
  const acks: PubAck[] = [];
  const flying = new Set<Promise<void>>();
  let bytes = 0;
  let failure: { thrown: unknown } | undefined;
  for (const [index, message] of messages.entries()) {
    while (
      failure === undefined &&
      !signal.aborted &&
      flying.size > 0 &&
      (flying.size >= inFlightMax || bytes + message.body.length > inFlightBytesMax)
    )
      await Promise.race(flying);
    if (failure !== undefined || signal.aborted) break;
    bytes += message.body.length;
    const one = publish(message)
      .then(
        (ack) => {
          acks[index] = ack;
          onConfirmed?.(message);
        },
        (thrown: unknown) => {
          failure ??= { thrown };
        },
      )
      .finally(() => {
        bytes -= message.body.length;
        flying.delete(one);
      });
    flying.add(one);
  }
  await abortable(Promise.all(flying), signal);
  signal.throwIfAborted();
  if (failure !== undefined) throw failure.thrown;
  return acks;
}

/** At most once: the server has them, and that is all that is known. */
async function publishCore(
  { connection, nats }: Session,
  subject: string,
  { messages, dedupe, signal }: PublishRequest,
): Promise<JSONObject> {
  try {
    for (const [index, message] of messages.entries()) {
      connection.publish(subject, message.body, { headers: headersOf(nats, message, dedupe) });
      if (index % inFlightMax === inFlightMax - 1) await abortable(connection.flush(), signal);
    }
    await abortable(connection.flush(), signal);
  } catch (thrown) {
    signal.throwIfAborted();
    throw natsError(thrown, 'PUBLISH_FAILED', `publishing to ${subject}`);
  }
  return { subject, jetstream: false };
}

function checkSizes({ connection }: Session, messages: readonly OutgoingMessage[]): void {
  const max = connection.info?.max_payload ?? Number.POSITIVE_INFINITY;
  for (const [index, { body }] of messages.entries())
    if (body.length > max)
      throw new StepError(
        'MESSAGE_TOO_LARGE',
        `message ${index} has ${body.length} bytes; this NATS server takes ${max}`,
      );
}

/** @throws StepError INVALID_PARAMS */
function headersOf({ headers: make }: NatsModule, message: OutgoingMessage, dedupe: boolean): MsgHdrs {
  const headers = make();
  for (const name of Object.keys(message.headers)) {
    // Headers of this kind are orders to JetStream: one of them deletes everything before the message.
    if (/^nats-/i.test(name))
      throw new StepError('INVALID_PARAMS', `headers[${JSON.stringify(name)}]: names with Nats- are the server's own`);
    if (!/^[\x21-\x39\x3b-\x7e]+$/.test(name))
      throw new StepError(
        'INVALID_PARAMS',
        `headers[${JSON.stringify(name)}]: NATS takes printable ASCII without ":" as a name`,
      );
    const value = message.headers[name] ?? '';
    if (/[\r\n]/.test(value))
      throw new StepError('INVALID_PARAMS', `headers[${JSON.stringify(name)}]: NATS takes no line breaks in values`);
    headers.set(name, value);
  }
  headers.set(headerNames.contentType, message.contentType);
  headers.set(dedupe ? messageIdHeader : headerNames.messageId, message.id);
  return headers;
}
