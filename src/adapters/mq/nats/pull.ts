import type { Msg, Subscription as NatsSubscription } from '@nats-io/transport-node';
import { StepError } from '../../../lib/errors.ts';
import type { Durable } from './consumers.ts';
import { natsError } from './errors.ts';
import type { Session } from './link.ts';
import { nanosOf } from './names.ts';

interface PullOptions {
  onMessage(message: Msg): void;
  /** The consumer can be pulled from no more. */
  onFailure(thrown: StepError): void;
  /** So many that were asked for will not come by this request. @param isTooLarge whether the next one is larger than the bytes that were asked for */
  onShort(count: number, isTooLarge: boolean): void;
}

/** What a request that ends has left of its count and its bytes. */
const restHeaders = { messages: 'Nats-Pending-Messages', bytes: 'Nats-Pending-Bytes' };

/**
 * Asks a consumer for messages: a request names a count and a time, and is answered by messages and by a status where it ends before its
 * count. The client's own `fetch` takes no time below a second and can't be cancelled.
 */
export class Puller {
  readonly #session: Session;
  readonly #durable: Durable;
  readonly #subscription: NatsSubscription;
  readonly #inbox: string;
  readonly #onClosed: () => void;
  #stopped = false;

  constructor(session: Session, durable: Durable, options: PullOptions) {
    const { nats, connection } = session;
    this.#session = session;
    this.#durable = durable;
    this.#inbox = nats.createInbox();
    const fail = (thrown: unknown) => {
      if (!this.#stopped)
        options.onFailure(natsError(thrown, 'CONSUME_FAILED', `consuming the stream ${durable.stream}`));
    };
    this.#onClosed = () =>
      fail(new StepError('CONNECTION_FAILED', 'the connection to NATS was lost', { retryable: true }));
    this.#subscription = connection.subscribe(this.#inbox, {
      callback: (error, message) => {
        if (this.#stopped) return;
        if (error !== null) return fail(error);
        const status = message.subject === this.#inbox ? (message.headers?.code ?? 0) : 0;
        if (status === 0) options.onMessage(message);
        else this.#onStatus(status, message, options, fail);
      },
    });
    session.onClosed.add(this.#onClosed);
    if (connection.isClosed()) queueMicrotask(this.#onClosed);
  }

  /**
   * @param bytes of messages that may come, headers and subjects included; undefined where the size does not matter
   * @param waitMs how long the server waits for the count to be reached; 0: it gives what is there
   */
  ask(count: number, bytes: number | undefined, waitMs: number): void {
    const { stream, consumer } = this.#durable;
    const request = {
      batch: count,
      ...(waitMs > 0 ? { expires: nanosOf(Math.max(1, Math.ceil(waitMs))) } : { no_wait: true }),
      ...(bytes === undefined ? {} : { max_bytes: bytes }),
    };
    const { connection, client } = this.#session;
    try {
      connection.publish(`${client.apiPrefix}.CONSUMER.MSG.NEXT.${stream}.${consumer}`, JSON.stringify(request), {
        reply: this.#inbox,
      });
    } catch {
      // Closed: whoever listens is told.
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#session.onClosed.delete(this.#onClosed);
    if (!this.#session.connection.isClosed()) this.#subscription.unsubscribe();
  }

  #onStatus(status: number, message: Msg, options: PullOptions, fail: (thrown: unknown) => void): void {
    const description = message.headers?.description ?? '';
    const isTooLarge = status === 409 && /message size exceeds/i.test(description);
    if (status === 404 || status === 408 || isTooLarge || (status === 409 && /batch completed/i.test(description)))
      return options.onShort(restOf(message), isTooLarge);
    if (status === 100) return;
    const { stream, consumer } = this.#durable;
    if (status === 503)
      return fail(
        new StepError('CONSUME_FAILED', `the consumer ${consumer} of the stream ${stream} does not answer`, {
          retryable: true,
        }),
      );
    fail(
      new StepError(
        'CONSUME_FAILED',
        `NATS ended reading from the consumer ${consumer} of the stream ${stream}: ${description}`,
        { retryable: true },
      ),
    );
  }
}

/** Messages that will not come by a request that ended. Infinite where the server doesn't say: then none that were asked for are counted on. */
function restOf({ headers }: Msg): number {
  const messages = Number(headers?.get(restHeaders.messages) || Number.NaN);
  const bytes = Number(headers?.get(restHeaders.bytes) || Number.NaN);
  // All that it asked for has come. Ended by its bytes, it says 0 as well, whatever its count was.
  if (messages === 0 && bytes > 0) return 0;
  return messages > 0 ? messages : Number.POSITIVE_INFINITY;
}
