import { StepError } from '../../../lib/errors.ts';
import type { Batch, Delivery } from '../broker.ts';
import type { Cluster } from './cluster.ts';
import { putAside } from './dead-letters.ts';
import { deliveryOf } from './delivery.ts';
import { kafkaError } from './errors.ts';
import { type GroupConsumer, limit, type Taken } from './group-consumer.ts';
import type { Publisher } from './publisher.ts';
import type { Replayed } from './replay.ts';

export interface Dependencies {
  setAside: { cluster: Cluster; publisher: Publisher; target: string; timeoutMs: number };
}

interface GroupBatchOptions extends Dependencies {
  consumer: GroupConsumer;
  taken: Taken[];
  topic: string;
  /** Called when all is settled. */
  leave(): void;
}

export const deliveryOfTaken = (topic: string, { window, incarnation, record, deliveriesBefore }: Taken): Delivery =>
  deliveryOf({ topic, incarnation, partition: window.partition }, record, deliveriesBefore);

export function groupBatch({ consumer, taken, topic, leave, setAside }: GroupBatchOptions): Batch {
  const open = new Map(taken.entries());
  const one = (index: number): Taken => {
    const found = open.get(index);
    if (found === undefined)
      throw new StepError('CONSUME_FAILED', `message ${index} of the batch is settled already, or was never in it`);
    return found;
  };
  const settled = () => {
    if (open.size === 0) leave();
  };
  const all = (): Taken[] => {
    const rest = [...open.values()];
    open.clear();
    return rest;
  };
  return {
    deliveries: taken.map((each) => deliveryOfTaken(topic, each)),
    async ack() {
      const rest = all();
      try {
        if (rest.length > 0) await consumer.settle(rest);
      } finally {
        leave();
      }
    },
    async release() {
      const rest = all();
      try {
        await consumer.giveBack(rest);
      } finally {
        leave();
      }
    },
    async reject(index, reason) {
      await reject(one(index), { consumer, topic, reason, setAside });
      open.delete(index);
      settled();
    },
    async retryLater(index, delayMs) {
      await consumer.giveBack([one(index)], delayMs);
      open.delete(index);
      settled();
    },
  };
}

interface Rejection extends Dependencies {
  consumer: GroupConsumer;
  topic: string;
  reason: string;
}

/** Put aside first, then settled: between the two a crash leaves it in both places, never in none. */
export async function reject(taken: Taken, { consumer, topic, reason, setAside }: Rejection): Promise<void> {
  const { cluster, publisher, target, timeoutMs } = setAside;
  const { window, record, deliveriesBefore } = taken;
  const time = limit(timeoutMs, `putting a message of ${topic} aside`);
  try {
    const letter = { topic, partition: window.partition, record, deliveries: deliveriesBefore + 1, reason };
    await putAside({ cluster, publisher }, target, letter, time.signal);
  } catch (thrown) {
    throw kafkaError(thrown, 'PUBLISH_FAILED', `putting a message aside in ${target}`);
  } finally {
    time.done();
  }
  await consumer.settle([taken]);
}

/** What was read without a group: there is nothing to settle. */
export function replayBatch(topic: string, replayed: readonly Replayed[]): Batch {
  const unsupported = async () => {
    throw new StepError(
      'UNSUPPORTED',
      'a replay leaves the topic as it is: its messages can be neither rejected nor retried',
    );
  };
  return {
    deliveries: replayed.map(({ partition, incarnation, record }) =>
      deliveryOf({ topic, incarnation, partition }, record, 0),
    ),
    ack: async () => undefined,
    release: async () => undefined,
    reject: unsupported,
    retryLater: unsupported,
  };
}
