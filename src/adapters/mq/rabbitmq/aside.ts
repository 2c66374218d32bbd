import type { Channel, ConsumeMessage } from 'amqplib';
import { retrying } from '../../../kit/retry.ts';
import { StepError } from '../../../lib/errors.ts';
import { deadLetterHeaders, headerNames } from '../headers.ts';
import { copyOptions, deliveriesBefore } from './delivery.ts';
import { type Link, onChannel } from './link.ts';
import { publishCopy } from './publish.ts';

const settleTimeoutMs = 30_000;
const attempts = 8;
/** Declaring a retry queue again puts its own end off, so that it never goes with messages in it. */
const redeclareMs = 60_000;
const declaredMax = 10_000;
/** How long a retry queue that nobody needs any more stays, beyond its delay. */
const retryQueueIdleMs = 600_000;
const delayMsMax = 7 * 24 * 3_600_000;

/**
 * Copies of messages in other queues: dead letters, and what is to come again later. A copy is confirmed before the original is
 * acknowledged: a crash in between leaves both, with the same message id, and never none.
 */
export class Aside {
  readonly #link: Link;
  readonly #queue: string;
  readonly #deadQueue: string;

  constructor(link: Link, queue: string, deadQueue: string) {
    this.#link = link;
    this.#queue = queue;
    this.#deadQueue = deadQueue;
  }

  async deadLetter(message: ConsumeMessage, reason: string): Promise<void> {
    const deliveries = deliveriesBefore(message) + 1;
    const about = deadLetterHeaders({}, { reason, queue: this.#queue, deliveries });
    await this.#copy(this.#deadQueue, message, about, (channel) =>
      channel.assertQueue(this.#deadQueue, { durable: true, arguments: { 'x-queue-type': 'quorum' } }),
    );
  }

  async delay(message: ConsumeMessage, delayMs: number): Promise<void> {
    const ttl = roundedUp(Math.min(Math.max(delayMs, 1), delayMsMax));
    const queue = `${this.#queue}.retry.${ttl}`;
    const about = { [headerNames.deliveredBefore]: deliveriesBefore(message) + 1 };
    await this.#copy(queue, message, about, (channel) =>
      channel.assertQueue(queue, {
        durable: true,
        arguments: {
          'x-queue-type': 'quorum',
          'x-message-ttl': ttl,
          'x-expires': ttl + retryQueueIdleMs,
          'x-dead-letter-exchange': '',
          'x-dead-letter-routing-key': this.#queue,
          'x-dead-letter-strategy': 'at-least-once',
          'x-overflow': 'reject-publish',
        },
      }),
    );
  }

  /** Puts a copy that says how often the message was delivered into the same queue: classic queues don't count. */
  async recount(message: ConsumeMessage): Promise<void> {
    const about = { [headerNames.deliveredBefore]: deliveriesBefore(message) };
    const options = copyOptions(message, about, { keepExpiration: true });
    await publishCopy(this.#link, this.#queue, message.content, options, AbortSignal.timeout(settleTimeoutMs));
  }

  async #copy(
    queue: string,
    message: ConsumeMessage,
    headers: Record<string, unknown>,
    declare: (channel: Channel) => Promise<unknown>,
  ): Promise<void> {
    const signal = AbortSignal.timeout(settleTimeoutMs);
    const options = copyOptions(message, headers, { keepExpiration: false });
    // While somebody else declares the same quorum queue, RabbitMQ refuses messages to it.
    await retrying({ attempts, baseMs: 50, signal, again: mayHelp }, async () => {
      await this.#ensure(queue, declare, signal);
      try {
        await publishCopy(this.#link, queue, message.content, options, signal);
      } catch (thrown) {
        this.#link.declared.delete(queue);
        throw thrown;
      }
    });
  }

  /** Declares a queue, though not often, and not twice at once. One of that name that somebody made another way will do. */
  async #ensure(queue: string, declare: (channel: Channel) => Promise<unknown>, signal: AbortSignal): Promise<void> {
    const { declared } = this.#link;
    const known = declared.get(queue);
    if (known !== undefined && performance.now() - known.at < redeclareMs) return known.done;
    if (declared.size >= declaredMax) declared.clear();
    const declaring = onChannel(this.#link, signal, `declaring the queue ${queue}`, declare, 'CONSUME_FAILED');
    const done = declaring.then(
      () => undefined,
      (thrown) => {
        if (thrown instanceof StepError && thrown.code === 'QUEUE_MISMATCH') return;
        declared.delete(queue);
        throw thrown;
      },
    );
    declared.set(queue, { at: performance.now(), done });
    return done;
  }
}

const mayHelp = (thrown: unknown): boolean =>
  thrown instanceof StepError && (thrown.retryable || thrown.code === 'QUEUE_NOT_FOUND');

/** Two significant digits: each delay is a queue of its own, and there must not be thousands. */
function roundedUp(ms: number): number {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(ms)) - 1);
  return Math.ceil(ms / unit) * unit;
}
