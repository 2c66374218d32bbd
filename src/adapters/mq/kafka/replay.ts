import { StepError } from '../../../lib/errors.ts';
import type { Cluster, Topic } from './cluster.ts';
import { kafkaError } from './errors.ts';
import { fetchFrom, type ReadRecord, sizeOfRecord } from './fetch.ts';
import { type Start, startOffsets } from './start.ts';
import { latestOffsets } from './topics.ts';

export interface Replayed {
  partition: number;
  incarnation: string;
  record: ReadRecord;
}

interface ReplayOptions {
  start: Start;
  /** Read this one alone. */
  partition?: number;
  max: number;
  bytesMax: number;
  signal: AbortSignal;
}

const partitionBytesMax = 1024 * 1024;

/** Reads what is in a topic now, from some place on, for no group. @throws StepError */
export async function replay(
  cluster: Cluster,
  topic: Topic,
  { start, partition, max, bytesMax, signal }: ReplayOptions,
): Promise<Replayed[]> {
  if (partition !== undefined && partition >= topic.leaders.length)
    throw new StepError(
      'INVALID_PARAMS',
      `the topic ${topic.name} has ${topic.leaders.length} partitions: there is no partition ${partition}`,
    );
  try {
    const ends = await latestOffsets(cluster, topic, signal);
    const positions = await startOffsets(cluster, topic, start, signal);
    const found: Replayed[] = [];
    let bytes = 0;
    for (;;) {
      for (const [number, position] of positions)
        if (position >= (ends.get(number) ?? 0) || (partition !== undefined && number !== partition))
          positions.delete(number);
      if (positions.size === 0) return found;
      for (const one of await fetchFrom(cluster, topic, positions, { waitMs: 100, partitionBytesMax, signal })) {
        if (one.outOfRange)
          throw new StepError(
            'INVALID_PARAMS',
            `from: partition ${one.partition} of ${topic.name} has nothing at offset ${one.from}`,
          );
        for (const record of one.records) {
          if (record.offset >= (ends.get(one.partition) ?? 0)) break;
          found.push({ partition: one.partition, incarnation: one.incarnation, record });
          bytes += sizeOfRecord(record);
          if (found.length >= max || bytes >= bytesMax) return found;
        }
        positions.set(one.partition, one.to);
      }
    }
  } catch (thrown) {
    signal.throwIfAborted();
    throw kafkaError(thrown, 'CONSUME_FAILED', `reading ${topic.name}`);
  }
}
