import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { deadLetterHeaders, deadLetterQueue } from '../headers.ts';
import type { Cluster } from './cluster.ts';
import { type ReadRecord, requireTopic } from './fetch.ts';
import type { KafkaMessage, Publisher } from './publisher.ts';
import { createTopic } from './topics.ts';

export const deadLetterTopicOf = (params: JSONObject, topic: string): string =>
  deadLetterQueue(topic, params.dead_letter);

export interface DeadLetter {
  topic: string;
  partition: number;
  record: ReadRecord;
  deliveries: number;
  reason: string;
}

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
  const about = {
    ...deadLetterHeaders({}, { reason, queue: topic, deliveries }),
    'x-jsonflow-offset': `${partition}/${record.offset}`,
  };
  for (const [name, value] of record.headers) {
    const key = name ?? Buffer.alloc(0);
    if (!Object.hasOwn(about, key.toString())) headers.set(key, value ?? Buffer.alloc(0));
  }
  for (const [name, value] of Object.entries(about)) headers.set(Buffer.from(name), Buffer.from(value));
  const message: KafkaMessage = {
    topic: target,
    partition: partition % found.leaders.length,
    headers,
    ...(record.value === null ? {} : { value: record.value }),
    ...(record.key === null ? {} : { key: record.key }),
  };
  await publisher.publish(found, [message], { signal, compression: 'none' });
}
