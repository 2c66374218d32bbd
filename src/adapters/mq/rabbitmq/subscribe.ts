import type { Channel, ConsumeMessage } from 'amqplib';
import { abortable } from '../../../kit/abortable.ts';
import type { Incoming, SubscribeRequest, Subscription } from '../broker.ts';
import { heldBytesOf, Portions, sizeOf } from '../gathering.ts';
import { deadLetterQueue } from '../headers.ts';
import { queueOf, refuseParams } from '../params.ts';
import { within } from '../waiting.ts';
import { Aside } from './aside.ts';
import { consumeOptions, swap, type Watch, watched } from './consume.ts';
import { deliveryOf, isUncounted } from './delivery.ts';
import type { Link } from './link.ts';

const closeMs = 1_000;

/** Delivers until it is closed. */
export async function subscribe(link: Link, publishing: Link, request: SubscribeRequest): Promise<Subscription> {
  const { params, signal } = request;
  const queue = queueOf(params);
  refuseParams(params, ['group'], 'RabbitMQ');
  const aside = new Aside(publishing, queue, deadLetterQueue(queue, params.dead_letter));
  const channel = await link.channel(signal);
  const watch = watched(channel, queue);
  const intake = new Intake({ channel, watch, aside, request, queue });
  try {
    await abortable(intake.adjust(), signal);
  } catch (thrown) {
    channel.close().catch(() => undefined);
    signal.throwIfAborted();
    throw watch.error(thrown);
  }
  const close = async (): Promise<void> => {
    intake.closed = true;
    await within(
      closeMs,
      intake.leave().then(() => channel.close()),
    );
    watch.cancelled();
  };
  const onAbort = (): void => void close();
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  const ended = watch.lost.catch((thrown) => {
    signal.removeEventListener('abort', onAbort);
    if (intake.closed) return;
    intake.closed = true;
    channel.close().catch(() => undefined);
    throw thrown;
  });
  ended.catch(() => undefined);
  return { ended, close };
}

interface IntakeOptions {
  channel: Channel;
  watch: Watch;
  aside: Aside;
  request: SubscribeRequest;
  queue: string;
}

/**
 * What a subscription is sent, and holds until it is settled. RabbitMQ knows no bound for bytes, and sends all that a consumer's prefetch
 * allows at once. So the first consumer is a small one, others come beside it as long as what is held is small, and when it becomes too
 * much, all are cancelled until half of it is settled.
 */
class Intake {
  readonly #options: IntakeOptions;
  readonly #bytesMax: number;
  readonly #portions = new Portions();
  #consumers: string[] = [];
  /** Sum of the prefetches. */
  #granted = 0;
  /** Messages that count against these, and all that are held. */
  #counted = 0;
  #held = 0;
  #bytes = 0;
  /** Counts the times that all consumers were cancelled: messages of earlier ones count against no prefetch. */
  #era = 0;
  #adjusting = false;
  /** A second consumer of a stream would get everything again. */
  #isStream = false;
  closed = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#bytesMax = heldBytesOf(options.request.params);
  }

  /** Takes more or less, as what is held demands. */
  async adjust(): Promise<void> {
    if (this.#adjusting) return;
    this.#adjusting = true;
    try {
      while (!this.closed && this.#isTooMuch) await this.#pause();
      while (!this.closed && this.#mayGrow) await this.#grow();
    } finally {
      this.#adjusting = false;
    }
  }

  /**
   * Ends the consumers. A quorum queue takes acknowledgements by and by, and a channel that closes forgets those that it has not passed on
   * yet; the end of a consumer has an answer, which comes after them.
   */
  async leave(): Promise<void> {
    const consumers = this.#consumers;
    this.#consumers = [];
    await Promise.allSettled(consumers.map(async (one) => this.#options.channel.cancel(one)));
  }

  get #isTooMuch(): boolean {
    return this.#bytes >= this.#bytesMax && this.#consumers.length > 0 && !this.#isStream;
  }

  get #mayGrow(): boolean {
    if (this.#isStream && this.#consumers.length > 0) return false;
    return this.#counted >= this.#granted && this.#room > 0 && (this.#held === 0 || this.#bytes < this.#bytesMax / 2);
  }

  /** Messages that may come beyond what is there and what may come already. */
  get #room(): number {
    return this.#options.request.prefetch - this.#granted - (this.#held - this.#counted);
  }

  async #pause(): Promise<void> {
    const consumers = this.#consumers;
    this.#consumers = [];
    for (const consumer of consumers) await this.#options.channel.cancel(consumer);
    this.#era += 1;
    this.#granted = 0;
    this.#counted = 0;
  }

  async #grow(): Promise<void> {
    const { channel, queue, request } = this.#options;
    this.#portions.came(this.#held, this.#bytes);
    const count = this.#portions.next(this.#room, this.#bytesMax - this.#bytes);
    this.#granted += count;
    await channel.prefetch(count);
    const { consumerTag } = await channel.consume(
      queue,
      (message) => this.#take(message),
      consumeOptions(request.params),
    );
    this.#consumers.push(consumerTag);
  }

  #take(message: ConsumeMessage | null): void {
    const { channel, watch, aside } = this.#options;
    if (message === null) return watch.cancelled();
    if (this.closed) return;
    if (!isUncounted(message)) return this.#deliver(message);
    void swap(channel, aside, message).then((gone) => void (gone || this.closed || this.#deliver(message)));
  }

  #deliver(message: ConsumeMessage): void {
    const { queue, request } = this.#options;
    const delivery = deliveryOf(message, queue);
    const size = sizeOf(delivery);
    const era = this.#era;
    this.#isStream ||= delivery.properties.offset !== undefined;
    this.#held += 1;
    this.#counted += 1;
    this.#bytes += size;
    request.onMessage({ delivery, ...this.#settling(message, () => this.#settled(size, era)) });
    this.#soon();
  }

  #settled(size: number, era: number): void {
    this.#held -= 1;
    if (era === this.#era) this.#counted -= 1;
    this.#bytes -= size;
    this.#soon();
  }

  #soon(): void {
    if (this.#adjusting || this.closed || !(this.#isTooMuch || this.#mayGrow)) return;
    // What fails here is the channel, and whoever waits for its end is told.
    this.adjust().catch(() => undefined);
  }

  #settling(message: ConsumeMessage, settled: () => void): Omit<Incoming, 'delivery'> {
    const { channel, watch, aside } = this.#options;
    const ack = (): void => {
      try {
        channel.ack(message);
      } catch (thrown) {
        throw watch.error(thrown);
      }
      settled();
    };
    return {
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
}
