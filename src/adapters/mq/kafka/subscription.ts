import { StepError } from '../../../lib/errors.ts';
import type { Incoming, Subscription } from '../broker.ts';
import { pauseMs } from '../waiting.ts';
import { type Dependencies, deliveryOfTaken, reject } from './batch.ts';
import { kafkaError } from './errors.ts';
import { sizeOfRecord } from './fetch.ts';
import type { GroupConsumer, Taken } from './group-consumer.ts';

interface SubscriptionOptions extends Dependencies {
  consumer: GroupConsumer;
  topic: string;
  prefetch: number;
  /** Of messages that are unsettled. */
  bytesMax: number;
  onMessage(incoming: Incoming): void;
  signal: AbortSignal;
}

const pollMs = 1000;

/** Hands messages out as long as fewer than `prefetch`, and fewer bytes than allowed, are unsettled. */
export function subscribe(options: SubscriptionOptions): Subscription {
  const { consumer, prefetch, bytesMax, signal } = options;
  const stop = new AbortController();
  const held = new Set<Taken>();
  let heldBytes = 0;
  let roomMade: () => void = () => undefined;
  const release = (taken: Taken) => {
    if (!held.delete(taken)) throw new StepError('CONSUME_FAILED', 'this message is settled already');
    heldBytes -= sizeOfRecord(taken.record);
    roomMade();
  };
  const onAbort = () => {
    stop.abort(new StepError('STEP_CANCELLED', 'the subscription is closing'));
    roomMade();
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });

  const run = async () => {
    while (!stop.signal.aborted) {
      if (held.size >= prefetch || heldBytes >= bytesMax) {
        await new Promise<void>((resolve) => {
          roomMade = resolve;
        });
        continue;
      }
      const room = { max: prefetch - held.size, bytesMax: bytesMax - heldBytes, waitMs: pollMs, eager: true };
      for (const taken of await consumer.take({ ...room, signal: stop.signal })) {
        held.add(taken);
        heldBytes += sizeOfRecord(taken.record);
        options.onMessage(incomingOf(taken, options, release));
      }
    }
  };
  const ended = run()
    .catch((thrown: unknown) => {
      if (!stop.signal.aborted) throw kafkaError(thrown, 'CONSUME_FAILED', `consuming ${options.topic}`);
    })
    .finally(async () => {
      signal.removeEventListener('abort', onAbort);
      // What is being settled at this moment still may be.
      await pauseMs(0);
      await consumer.giveBack([...held]);
      await consumer.close();
    });
  ended.catch(() => undefined);
  return {
    ended,
    async close() {
      onAbort();
      await ended.catch(() => undefined);
    },
  };
}

function incomingOf(
  taken: Taken,
  { consumer, topic, setAside }: SubscriptionOptions,
  release: (taken: Taken) => void,
): Incoming {
  return {
    delivery: deliveryOfTaken(topic, taken),
    async ack() {
      try {
        await consumer.settle([taken]);
      } finally {
        release(taken);
      }
    },
    async retryLater(delayMs) {
      await consumer.giveBack([taken], delayMs);
      release(taken);
    },
    async reject(reason) {
      await reject(taken, { consumer, topic, reason, setAside });
      release(taken);
    },
  };
}
