import type { Msg } from '@nats-io/transport-node';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, setOwn } from '../../../lib/json.ts';
import type { Delivery } from '../broker.ts';
import { deadLetterHeaders, deadLetterQueue, headerNames } from '../headers.ts';
import type { Durable } from './consumers.ts';
import { natsError } from './errors.ts';
import type { Session } from './link.ts';
import { nanosOf } from './names.ts';
import { messageIdHeader, publishOne } from './publish.ts';
import { createStream } from './streams.ts';

/** Where a message stands, out of its reply subject: `$JS.ACK.[domain.account.]stream.consumer.delivered.sequence.….time.pending`. */
interface Place {
  stream: string;
  delivered: number;
  sequence: number;
  /** When the stream took the message, the same at each delivery. Ns since 1970, as text: numbers don't hold it exactly. */
  timeNs: string;
  pending: number;
}

function placeOf(reply: string): Place {
  const parts = reply.split('.');
  const old = parts.length === 9;
  const [stream = '', , delivered = '', sequence = '', , time = '', pending = ''] = parts.slice(old ? 2 : 4);
  return {
    stream,
    delivered: Number(delivered),
    sequence: Number(sequence),
    timeNs: time,
    pending: Number(pending),
  };
}

/** A stream that is deleted and made again counts from 1 again: by the time, its messages are others. */
const nameOfPlace = ({ stream, sequence, timeNs }: Place): string => `${stream}/${sequence}/${timeNs}`;

/** The name of its place stands in for an id where the publisher gave none. */
export function deliveryOf(message: Msg): Delivery {
  const place = placeOf(message.reply ?? '');
  const headers: Record<string, string> = {};
  for (const name of message.headers?.keys() ?? [])
    if (!/^nats-/i.test(name) && name !== headerNames.contentType && name !== headerNames.messageId)
      setOwn(headers, name, message.headers?.last(name) ?? '');
  const properties: JSONObject = {
    subject: message.subject,
    stream: place.stream,
    sequence: place.sequence,
    timestamp: new Date(Number(place.timeNs.slice(0, -6))).toISOString(),
  };
  const given = message.headers?.get(headerNames.messageId) || message.headers?.get(messageIdHeader);
  return {
    id: given || nameOfPlace(place),
    body: message.data,
    contentType: message.headers?.get(headerNames.contentType) || undefined,
    headers,
    properties,
    deliveriesBefore: Math.max(0, place.delivered - 1),
  };
}

const answerMs = 10_000;

/** Messages that are held, and how they are settled: each time with the server's answer, so that it is known. */
export class Holding {
  readonly #session: Session;
  readonly #durable: Durable;
  readonly #messages = new Set<Msg>();
  readonly #timer: NodeJS.Timeout;

  constructor(session: Session, durable: Durable) {
    this.#session = session;
    this.#durable = durable;
    this.#timer = setInterval(() => this.#stillWorking(), Math.max(100, durable.ackWaitMs / 3));
    this.#timer.unref();
  }

  get size(): number {
    return this.#messages.size;
  }

  add(message: Msg): void {
    this.#messages.add(message);
  }

  /** Ends the signs of life. What is still held comes again when its time is over. */
  end(): void {
    clearInterval(this.#timer);
    this.#messages.clear();
  }

  ack(message: Msg): Promise<void> {
    return this.#settle(message, '+ACK');
  }

  giveBack(message: Msg, delayMs = 0): Promise<void> {
    return this.#settle(message, delayMs > 0 ? `-NAK ${JSON.stringify({ delay: nanosOf(delayMs) })}` : '-NAK');
  }

  /** Confirmed by the dead letters' stream first, which knows a repetition of this by its id, then settled. */
  async reject(message: Msg, reason: string, params: JSONObject): Promise<void> {
    this.#check(message);
    const place = placeOf(message.reply ?? '');
    const { id, headers, contentType } = deliveryOf(message);
    const subject = deadLetterQueue(message.subject, params.dead_letter);
    const all = this.#session.nats.headers();
    const about = deadLetterHeaders(headers, {
      reason: reason.replace(/[\r\n]+/g, ' '),
      queue: message.subject,
      deliveries: place.delivered,
    });
    for (const [name, value] of Object.entries(about)) all.set(name, value);
    if (contentType !== undefined) all.set(headerNames.contentType, contentType);
    all.set(headerNames.messageId, id);
    // Not the message's own: the same stream may take dead letters, too, and would leave it out.
    all.set(messageIdHeader, `dead/${nameOfPlace(place)}`);
    const letter = { subject, body: message.data, headers: all, timeoutMs: answerMs };
    await publishOne(this.#session, letter).catch(async (thrown: unknown) => {
      if (!(thrown instanceof StepError && thrown.code === 'UNROUTABLE')) throw thrown;
      // A message must not block its queue for want of a stream for it.
      await createStream(this.#session, { subject }, AbortSignal.timeout(answerMs));
      await publishOne(this.#session, letter);
    });
    await this.ack(message);
  }

  #check(message: Msg): void {
    if (!this.#messages.has(message))
      throw new StepError('CONSUME_FAILED', 'this message is settled already, or no longer held');
  }

  async #settle(message: Msg, answer: string): Promise<void> {
    this.#check(message);
    this.#messages.delete(message);
    const { reply } = message;
    if (reply === undefined) return;
    try {
      await this.#session.connection.request(reply, answer, { timeout: answerMs });
    } catch (thrown) {
      throw natsError(thrown, 'CONSUME_FAILED', `settling a message of the stream ${this.#durable.stream}`);
    }
  }

  #stillWorking(): void {
    const { connection } = this.#session;
    if (connection.isClosed()) return clearInterval(this.#timer);
    for (const { reply } of this.#messages) if (reply !== undefined) connection.publish(reply, '+WPI');
  }
}

export const isReplay = (params: JSONObject): boolean =>
  params.replay === true || (isObject(params.options) && params.options.replay === true);
