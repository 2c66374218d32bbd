import type { Channel, ConsumeMessage } from 'amqplib';
import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Batch, ConsumeRequest, Delivery, Incoming, SubscribeRequest, Subscription } from '../broker.ts';
import { deadLetterQueue } from '../headers.ts';
import { queueOf, refuseParams } from '../params.ts';
import { Aside } from './aside.ts';
import { deliveryOf, isUncounted } from './delivery.ts';
import { channelError } from './errors.ts';
import type { Link } from './link.ts';

/** Messages that a consumer is sent before anything is known about their size. */
const firstRoundMax = 1_000;
const roundMax = 4_096;
const bytesMaxDefault = 32 * 1024 * 1024;
/** How long to wait for more once something has come. */
const lingerMs = 50;

/** Takes up to so many messages and holds them, unacknowledged, on a channel of their own. */
export async function consume(link: Link, publishing: Link, request: ConsumeRequest): Promise<Batch> {
  const { params, max, signal } = request;
  const queue = queueOf(params);
  refuseParams(params, ['group'], 'RabbitMQ');
  const aside = new Aside(publishing, queue, deadLetterQueue(queue, params.dead_letter));
  const channel = await link.channel(signal);
  const watch = watched(channel, queue);
  const bytesMax = typeof params.max_bytes === 'number' ? params.max_bytes : bytesMaxDefault;
  const messages: ConsumeMessage[] = [];
  let bytes = 0;
  try {
    while (messages.length < max && bytes < bytesMax) {
      const average = messages.length === 0 ? 0 : bytes / messages.length;
      const fitting = average === 0 ? firstRoundMax : Math.ceil((bytesMax - bytes) / average);
      const size = Math.min(max - messages.length, fitting, messages.length === 0 ? firstRoundMax : roundMax);
      const round = await takeRound(channel, watch, aside, request, size, messages.length > 0);
      for (const message of round) bytes += message.content.length;
      messages.push(...round);
      if (round.length < size) break;
    }
    signal.throwIfAborted();
  } catch (thrown) {
    // Closing the channel gives back what came meanwhile.
    await channel.close().catch(() => undefined);
    signal.throwIfAborted();
    throw watch.error(thrown);
  }
  return new HeldBatch(channel, watch, aside, messages, queue);
}

/** One consumer with a prefetch of what is wanted: the broker sends no more than that. */
async function takeRound(
  channel: Channel,
  watch: Watch,
  aside: Aside,
  { params, waitMs, signal }: ConsumeRequest,
  size: number,
  more: boolean,
): Promise<ConsumeMessage[]> {
  const taken: ConsumeMessage[] = [];
  const swaps: Promise<void>[] = [];
  const { promise: enough, resolve: stop } = Promise.withResolvers<void>();
  let timer = setTimeout(stop, more ? Math.min(lingerMs, waitMs) : waitMs);
  const take = (message: ConsumeMessage): void => {
    taken.push(message);
    clearTimeout(timer);
    if (taken.length >= size) stop();
    else timer = setTimeout(stop, Math.min(lingerMs, waitMs));
  };
  const onMessage = (message: ConsumeMessage | null): void => {
    if (message === null) return watch.cancelled();
    if (!isUncounted(message)) return take(message);
    swaps.push(swap(channel, aside, message).then((gone) => void (gone || take(message))));
  };
  try {
    await channel.prefetch(size);
    const { consumerTag } = await channel.consume(queueOf(params), onMessage, consumeOptions(params));
    await abortable(Promise.race([enough, watch.lost]), signal);
    await channel.cancel(consumerTag);
    await Promise.all(swaps);
    return taken;
  } finally {
    clearTimeout(timer);
  }
}

/** `from` is the offset in a stream; other queues have none. */
function consumeOptions({ from }: JSONObject): { arguments?: Record<string, unknown> } {
  if (from === undefined) return {};
  const offset = from === 'earliest' ? 'first' : from === 'latest' ? 'next' : from;
  return { arguments: { 'x-stream-offset': offset } };
}

/** @returns whether a counted copy now stands for the message; if not, the message itself will do */
async function swap(channel: Channel, aside: Aside, message: ConsumeMessage): Promise<boolean> {
  try {
    await aside.recount(message);
  } catch {
    return false;
  }
  channel.ack(message);
  return true;
}

/** What happens to a channel that holds messages. */
interface Watch {
  /** Rejects when the channel is lost. */
  readonly lost: Promise<never>;
  readonly isLost: boolean;
  cancelled(): void;
  error(thrown: unknown): StepError;
}

function watched(channel: Channel, queue: string): Watch {
  const { promise: lost, reject } = Promise.withResolvers<never>();
  lost.catch(() => undefined);
  const what = `consuming from the queue ${queue}`;
  let failed: unknown;
  let isLost = false;
  channel.on('error', (error) => {
    failed = error;
  });
  channel.on('close', () => {
    isLost = true;
    reject(channelError(failed, what, 'CONSUME_FAILED'));
  });
  return {
    lost,
    get isLost() {
      return isLost;
    },
    cancelled: () => reject(new StepError('QUEUE_NOT_FOUND', `${what}: the queue was deleted meanwhile`)),
    error: (thrown) => channelError(failed ?? thrown, what, 'CONSUME_FAILED'),
  };
}

class HeldBatch implements Batch {
  readonly deliveries: readonly Delivery[];
  readonly #channel: Channel;
  readonly #watch: Watch;
  readonly #aside: Aside;
  /** Undefined where it is settled. */
  readonly #messages: (ConsumeMessage | undefined)[];

  constructor(channel: Channel, watch: Watch, aside: Aside, messages: ConsumeMessage[], queue: string) {
    this.deliveries = messages.map((message) => deliveryOf(message, queue));
    this.#channel = channel;
    this.#watch = watch;
    this.#aside = aside;
    this.#messages = messages;
  }

  async ack(): Promise<void> {
    const last = this.#messages.findLast((one) => one !== undefined);
    this.#messages.fill(undefined);
    if (last === undefined && this.#watch.isLost) return;
    await this.#settle(() => last !== undefined && this.#channel.ack(last, true));
  }

  async release(): Promise<void> {
    this.#messages.fill(undefined);
    // The broker does it itself when the channel goes, and has done so if it is lost.
    if (!this.#watch.isLost) await this.#settle(() => undefined);
  }

  async reject(index: number, reason: string): Promise<void> {
    await this.#putAside(index, (message) => this.#aside.deadLetter(message, reason));
  }

  async retryLater(index: number, delayMs: number): Promise<void> {
    await this.#putAside(index, (message) => this.#aside.delay(message, delayMs));
  }

  async #putAside(index: number, copy: (message: ConsumeMessage) => Promise<void>): Promise<void> {
    const message = this.#messages[index];
    if (message === undefined) return;
    await copy(message);
    this.#messages[index] = undefined;
    try {
      this.#channel.ack(message);
    } catch (thrown) {
      throw this.#watch.error(thrown);
    }
  }

  /** Acknowledgements have no answer, but closing the channel after them has one. */
  async #settle(send: () => unknown): Promise<void> {
    try {
      send();
      await this.#channel.close();
    } catch (thrown) {
      throw this.#watch.error(thrown);
    }
  }
}

/** Delivers until it is closed: the broker keeps to the prefetch. */
export async function subscribe(link: Link, publishing: Link, request: SubscribeRequest): Promise<Subscription> {
  const { params, prefetch, onMessage, signal } = request;
  const queue = queueOf(params);
  refuseParams(params, ['group'], 'RabbitMQ');
  const aside = new Aside(publishing, queue, deadLetterQueue(queue, params.dead_letter));
  const channel = await link.channel(signal);
  const watch = watched(channel, queue);
  let closing = false;
  const deliver = (message: ConsumeMessage | null): void => {
    if (message === null) return watch.cancelled();
    if (closing) return;
    if (!isUncounted(message)) return onMessage(incomingOf(channel, watch, aside, message, queue));
    void swap(channel, aside, message)
      .then((gone) => void (gone || closing || onMessage(incomingOf(channel, watch, aside, message, queue))))
      // The channel went meanwhile, and the message with it: it comes again.
      .catch(() => undefined);
  };
  try {
    await channel.prefetch(prefetch);
    await abortable(channel.consume(queue, deliver, consumeOptions(params)), signal);
  } catch (thrown) {
    channel.close().catch(() => undefined);
    signal.throwIfAborted();
    throw watch.error(thrown);
  }
  const close = async (): Promise<void> => {
    closing = true;
    await channel.close().catch(() => undefined);
  };
  const onAbort = (): void => void close();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const ended = watch.lost.catch((thrown) => {
    signal.removeEventListener('abort', onAbort);
    if (closing) return;
    closing = true;
    channel.close().catch(() => undefined);
    throw thrown;
  });
  ended.catch(() => undefined);
  return { ended, close };
}

function incomingOf(channel: Channel, watch: Watch, aside: Aside, message: ConsumeMessage, queue: string): Incoming {
  const ack = (): void => {
    try {
      channel.ack(message);
    } catch (thrown) {
      throw watch.error(thrown);
    }
  };
  return {
    delivery: deliveryOf(message, queue),
    ack: async () => ack(),
    async retryLater(delayMs) {
      await aside.delay(message, delayMs);
      ack();
    },
    async reject(reason) {
      await aside.deadLetter(message, reason);
      ack();
    },
  };
}
