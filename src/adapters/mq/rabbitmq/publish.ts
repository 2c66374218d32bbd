import type { ConfirmChannel, Message, Options } from 'amqplib';
import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { OutgoingMessage, PublishRequest } from '../broker.ts';
import { optionalQueue, optionsOf, queueOf, refuseParams } from '../params.ts';
import { channelError } from './errors.ts';
import type { Link } from './link.ts';

/** How amqplib says that the broker refused a message. */
const nacked = 'message nacked';
/** Messages that may wait for their confirmation at once. */
const unconfirmedMax = 1_000;

interface Target {
  exchange: string;
  routingKey(message: OutgoingMessage): string;
  shown: string;
}

/** Publishes and waits for all confirmations. Unroutable messages are confirmed, too, but returned before that: their ids tell. */
export async function publish(link: Link, request: PublishRequest): Promise<JSONObject> {
  const { params, messages, signal } = request;
  refuseParams(optionsOf(params), ['partition'], 'RabbitMQ');
  const target = targetOf(params);
  const base = baseOptions(params);
  const flight = new Flight(request, target.shown);
  await onConfirmChannel(link, signal, target.shown, async (channel, failure) => {
    channel.on('return', flight.onReturn);
    try {
      for (const [index, message] of messages.entries()) {
        if (!flight.hasRoom) await abortable(flight.room(), signal);
        flight.throwIfFailed(failure);
        const options = {
          ...base,
          contentType: message.contentType,
          messageId: message.id,
          headers: message.headers,
        };
        channel.publish(target.exchange, target.routingKey(message), bufferOf(message.body), options, (error) =>
          flight.settle(index, error ?? undefined),
        );
        flight.pending += 1;
      }
      await abortable(flight.landed(), signal);
      flight.throwIfFailed(failure);
    } finally {
      channel.off('return', flight.onReturn);
    }
  });
  flight.throwIfUnroutable();
  return { ...(params.exchange === undefined ? {} : { exchange: target.exchange }) };
}

/** Publishes one message to a queue, with all its properties, and waits for the confirmation. */
export async function publishCopy(
  link: Link,
  queue: string,
  content: Buffer,
  options: Options.Publish,
  signal: AbortSignal,
): Promise<void> {
  const what = `publishing to the queue ${queue}`;
  await onConfirmChannel(link, signal, what, async (channel, failure) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let returned = false;
    const onReturn = (): void => {
      returned = true;
    };
    channel.on('return', onReturn);
    try {
      channel.publish('', queue, content, { ...options, mandatory: true }, (error) =>
        error ? reject(failure() ?? refused(error, what)) : resolve(),
      );
      await abortable(promise, signal);
    } finally {
      channel.off('return', onReturn);
    }
    if (returned) throw new StepError('QUEUE_NOT_FOUND', `${what}: there is no such queue`);
  });
}

/** @param error of a confirmation that was refused, or that never came */
const refused = (error: Error, what: string): Error =>
  error.message === nacked
    ? new StepError('PUBLISH_FAILED', `${what}: the broker did not take it; the queue may be full`, { retryable: true })
    : error;

/** A channel is kept for the next use unless anything at all went wrong on it. */
async function onConfirmChannel(
  link: Link,
  signal: AbortSignal,
  what: string,
  body: (channel: ConfirmChannel, failure: () => Error | undefined) => Promise<void>,
): Promise<void> {
  const channel = await link.confirmChannel(signal);
  let failed: Error | undefined;
  const onError = (error: Error): void => {
    failed = error;
  };
  channel.on('error', onError);
  try {
    await body(channel, () => failed);
    link.keep(channel);
  } catch (thrown) {
    channel.close().catch(() => undefined);
    if (thrown instanceof StepError && link.blocked && thrown.code === 'MQ_TIMEOUT')
      throw new StepError(
        'MQ_TIMEOUT',
        `${thrown.message}; the broker takes no messages at present (memory or disk alarm)`,
        {
          retryable: true,
        },
      );
    signal.throwIfAborted();
    throw channelError(failed ?? thrown, what, 'PUBLISH_FAILED');
  } finally {
    channel.off('error', onError);
  }
}

/** Messages on their way, and what became of them. */
class Flight {
  readonly #request: PublishRequest;
  readonly #shown: string;
  readonly #returned = new Map<string, string>();
  #refused = 0;
  #lost: Error | undefined;
  #wake: (() => void) | undefined;
  pending = 0;

  constructor(request: PublishRequest, shown: string) {
    this.#request = request;
    this.#shown = shown;
  }

  readonly onReturn = ({ properties, fields }: Message): void => {
    const why = 'replyText' in fields && typeof fields.replyText === 'string' ? fields.replyText : 'NO_ROUTE';
    this.#returned.set(String(properties.messageId), why);
  };

  get hasRoom(): boolean {
    return this.pending < unconfirmedMax;
  }

  settle(index: number, error: Error | undefined): void {
    this.pending -= 1;
    if (error === undefined) {
      const message = this.#request.messages[index];
      if (message !== undefined && !this.#returned.has(message.id)) this.#request.onConfirmed?.(message);
    } else if (error.message === nacked) this.#refused += 1;
    else this.#lost = error;
    if (this.pending === 0 || this.pending === unconfirmedMax >> 1 || this.#lost !== undefined) this.#wake?.();
  }

  /** Resolves when half of the window is free again: a wake-up for each message would cost more. */
  room(): Promise<void> {
    return this.#when(() => this.pending <= unconfirmedMax >> 1);
  }

  landed(): Promise<void> {
    return this.#when(() => this.pending === 0);
  }

  throwIfFailed(failure: () => Error | undefined): void {
    if (this.#lost !== undefined) throw failure() ?? this.#lost;
    if (this.#refused > 0 && this.pending === 0)
      throw new StepError(
        'PUBLISH_FAILED',
        `${this.#shown}: the broker did not take ${this.#refused} of ${this.#request.messages.length} messages; the queue may be full`,
        { retryable: true },
      );
  }

  throwIfUnroutable(): void {
    if (this.#returned.size === 0) return;
    const { messages } = this.#request;
    const first = messages.find(({ id }) => this.#returned.has(id))?.id ?? '';
    throw new StepError(
      'UNROUTABLE',
      `${this.#shown}: message ${first.slice(first.lastIndexOf('/') + 1)} reaches no queue (${this.#returned.get(first)}), as ${
        this.#returned.size
      } of ${messages.length}; bind a queue with mq_create_queue, or set options.mandatory to false`,
    );
  }

  #when(done: () => boolean): Promise<void> {
    if (done() || this.#lost !== undefined) return Promise.resolve();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = () => {
      if (!done() && this.#lost === undefined) return;
      this.#wake = undefined;
      resolve();
    };
    return promise;
  }
}

function targetOf(params: JSONObject): Target {
  const { exchange, routing_key } = params;
  if (typeof exchange === 'string') {
    const fixed = typeof routing_key === 'string' ? routing_key : undefined;
    return {
      exchange,
      routingKey: ({ key }) => fixed ?? key ?? '',
      shown: `publishing to the exchange ${exchange}`,
    };
  }
  if (typeof routing_key === 'string' && optionalQueue(params) === undefined)
    throw new StepError('INVALID_PARAMS', 'params.routing_key goes with params.exchange');
  const queue = queueOf(params);
  return { exchange: '', routingKey: () => queue, shown: `publishing to the queue ${queue}` };
}

function baseOptions(params: JSONObject): Options.Publish {
  const { persistent = true, priority, expiration, mandatory = true } = optionsOf(params);
  return {
    persistent: persistent !== false,
    mandatory: mandatory !== false,
    timestamp: Math.floor(Date.now() / 1000),
    appId: 'jsonflow',
    ...(typeof priority === 'number' ? { priority } : {}),
    ...(typeof expiration === 'number' ? { expiration } : {}),
  };
}

const bufferOf = (body: Uint8Array): Buffer => Buffer.from(body.buffer, body.byteOffset, body.byteLength);
