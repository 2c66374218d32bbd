import type { Channel, ConsumeMessage } from 'amqplib';
import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Batch, ConsumeRequest, Delivery } from '../broker.ts';
import { batchBytesOf, Gathering, Portions, sizeOf } from '../gathering.ts';
import { deadLetterQueue } from '../headers.ts';
import { queueOf, refuseParams } from '../params.ts';
import { within } from '../waiting.ts';
import { Aside } from './aside.ts';
import { deliveryOf, isUncounted } from './delivery.ts';
import { channelError } from './errors.ts';
import type { Link } from './link.ts';

/** Messages of one consumer of a batch. */
const roundMax = 4_096;
/** How long giving up a channel may take. */
const closeMs = 1_000;

/** Takes up to so many messages and holds them, unacknowledged, on a channel of their own. */
export async function consume(link: Link, publishing: Link, request: ConsumeRequest): Promise<Batch> {
  const { params, max, waitMs, signal } = request;
  const queue = queueOf(params);
  refuseParams(params, ['group'], 'RabbitMQ');
  const aside = new Aside(publishing, queue, deadLetterQueue(queue, params.dead_letter));
  const channel = await link.channel(signal);
  const watch = watched(channel, queue);
  const gathering = new Gathering({ max, bytesMax: batchBytesOf(params), waitMs });
  const portions = new Portions();
  const taken: Taken[] = [];
  try {
    for (let more = true; more && !gathering.satisfied; ) {
      const { messages, bytes } = gathering.room;
      const before = { count: gathering.count, bytes: gathering.bytes };
      const size = Math.min(portions.next(messages, bytes), roundMax);
      await abortable(takeRound({ channel, watch, aside, request, queue }, size, gathering, taken), signal);
      const came = gathering.count - before.count;
      portions.came(came, gathering.bytes - before.bytes);
      more = came >= size;
    }
  } catch (thrown) {
    // Closing the channel gives back what came meanwhile.
    await within(closeMs, channel.close());
    signal.throwIfAborted();
    throw watch.error(thrown);
  }
  return new HeldBatch(channel, watch, aside, taken);
}

/** A message, and how others see it. */
interface Taken {
  message: ConsumeMessage;
  delivery: Delivery;
}

interface Round {
  channel: Channel;
  watch: Watch;
  aside: Aside;
  request: ConsumeRequest;
  queue: string;
}

/** One consumer with a prefetch of what is wanted: the broker sends no more than that. */
async function takeRound(
  { channel, watch, aside, request: { params, signal }, queue }: Round,
  size: number,
  gathering: Gathering,
  taken: Taken[],
): Promise<void> {
  const swaps: Promise<void>[] = [];
  const { promise: enough, resolve: stop } = Promise.withResolvers<void>();
  const full = gathering.count + size;
  let timer: NodeJS.Timeout | undefined;
  const rest = (): void => {
    clearTimeout(timer);
    const { leftMs } = gathering;
    if (leftMs <= 0) stop();
    else timer = setTimeout(rest, leftMs);
  };
  const take = (message: ConsumeMessage): void => {
    const delivery = deliveryOf(message, queue);
    taken.push({ message, delivery });
    const first = gathering.count === 0;
    gathering.took(sizeOf(delivery));
    if (gathering.count >= full || gathering.satisfied) stop();
    else if (first) rest();
  };
  const onMessage = (message: ConsumeMessage | null): void => {
    if (message === null) return watch.cancelled();
    if (!isUncounted(message)) return take(message);
    gathering.delayed();
    const swapping = swap(channel, aside, message);
    swaps.push(swapping.then((gone) => (gone ? gathering.delayed() : take(message))));
  };
  try {
    await channel.prefetch(size);
    signal.throwIfAborted();
    const { consumerTag } = await channel.consume(queue, onMessage, consumeOptions(params));
    rest();
    await abortable(Promise.race([enough, watch.lost]), signal);
    await channel.cancel(consumerTag);
    await Promise.all(swaps);
  } finally {
    clearTimeout(timer);
  }
}

/** `from` is the offset in a stream; other queues have none. */
export function consumeOptions({ from }: JSONObject): { arguments?: Record<string, unknown> } {
  if (from === undefined) return {};
  const offset = from === 'earliest' ? 'first' : from === 'latest' ? 'next' : from;
  return { arguments: { 'x-stream-offset': offset } };
}

/** @returns whether a counted copy now stands for the message; if not, the message itself will do */
export async function swap(channel: Channel, aside: Aside, message: ConsumeMessage): Promise<boolean> {
  try {
    await aside.recount(message);
  } catch {
    return false;
  }
  try {
    channel.ack(message);
  } catch {
    // The channel went meanwhile: the message comes again beside its copy, with the same id.
  }
  return true;
}

/** What happens to a channel that holds messages. */
export interface Watch {
  /** Rejects when the channel is lost. */
  readonly lost: Promise<never>;
  readonly isLost: boolean;
  cancelled(): void;
  error(thrown: unknown): StepError;
}

export function watched(channel: Channel, queue: string): Watch {
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

  constructor(channel: Channel, watch: Watch, aside: Aside, taken: readonly Taken[]) {
    this.deliveries = taken.map(({ delivery }) => delivery);
    this.#channel = channel;
    this.#watch = watch;
    this.#aside = aside;
    this.#messages = taken.map(({ message }) => message);
  }

  async ack(): Promise<void> {
    // All up to the last one that was sent, which is not the last one here where a message had to wait for its count.
    let last: ConsumeMessage | undefined;
    for (const one of this.#messages)
      if (one !== undefined && one.fields.deliveryTag > (last?.fields.deliveryTag ?? 0)) last = one;
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

  /** Acknowledgements have no answer, but closing the channel after them has one, unless the connection is lost meanwhile. */
  async #settle(send: () => unknown): Promise<void> {
    try {
      send();
      await Promise.race([this.#channel.close(), this.#watch.lost]);
    } catch (thrown) {
      throw this.#watch.error(thrown);
    }
  }
}
