import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Cluster } from './cluster.ts';
import { type ReadRecord, requireTopic } from './fetch.ts';
import { textOf } from './params.ts';
import type { KafkaMessage, Publisher } from './publisher.ts';
import { createTopic } from './topics.ts';

export const deadLetterTopicOf = (params: JSONObject, topic: string): string =>
  textOf(params, 'dead_letter') ?? `${topic}.dead-letter`;

export interface DeadLetter {
  topic: string;
  partition: number;
  record: ReadRecord;
  deliveries: number;
  reason: string;
}

const reasonLengthMax = 1000;

/** Puts a message aside, confirmed. Makes the topic where it is not there: a message must not block its queue for want of one. */
export async function putAside(
  { cluster, publisher }: { cluster: Cluster; publisher: Publisher },
  target: string,
  { topic, partition, record, deliveries, reason }: DeadLetter,
  signal: AbortSignal,
): Promise<void> {
  const found = await requireTopic(cluster, target, signal).catch(async (thrown: unknown) => {
    if (!(thrown instanceof StepError && thrown.code === 'QUEUE_NOT_FOUND')) throw thrown;
    await createTopic(cluster, target, { config: {} }, signal);
    return requireTopic(cluster, target, signal);
  });
  const headers = new Map<Buffer, Buffer>();
  for (const [name, value] of record.headers) headers.set(name ?? Buffer.alloc(0), value ?? Buffer.alloc(0));
  const add = (name: string, value: string) => headers.set(Buffer.from(`x-jsonflow-${name}`), Buffer.from(value));
  add('reason', reason.slice(0, reasonLengthMax));
  add('topic', topic);
  add('partition', String(partition));
  add('offset', String(record.offset));
  add('deliveries', String(deliveries));
  const message: KafkaMessage = {
    topic: target,
    partition: partition % found.leaders.length,
    headers,
    ...(record.value === null ? {} : { value: record.value }),
    ...(record.key === null ? {} : { key: record.key }),
  };
  await publisher.publish(found, [message], { signal, compression: 'none' });
}
