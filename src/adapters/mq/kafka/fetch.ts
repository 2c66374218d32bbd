import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import { pauseMs } from '../waiting.ts';
import type { Cluster, Topic } from './cluster.ts';
import { brokerErrors, isTransient, kafkaError } from './errors.ts';
import { leadersOf } from './topics.ts';
import type { FetchedPartition, FetchResponse, RecordsBatch } from './wire.ts';

export interface ReadRecord {
  offset: number;
  timestampMs: number;
  key: Buffer | null;
  value: Buffer | null;
  headers: [Buffer | null, Buffer | null][];
}

/** As `sizeOf` of a delivery. */
export function sizeOfRecord({ key, value, headers }: Pick<ReadRecord, 'key' | 'value' | 'headers'>): number {
  let size = (key?.length ?? 0) + (value?.length ?? 0);
  for (const [name, text] of headers) size += (name?.length ?? 0) + (text?.length ?? 0);
  return size;
}

export interface Fetched {
  partition: number;
  /** Of the topic that was read. */
  incarnation: string;
  /** Where reading began, and where the next one is to begin. */
  from: number;
  to: number;
  records: ReadRecord[];
  /** The partition has nothing at `from`: it begins later, or ended before. */
  outOfRange: boolean;
}

interface FetchOptions {
  /** How long brokers wait for something to come. Ms. */
  waitMs: number;
  partitionBytesMax: number;
  signal: AbortSignal;
}

const totalBytesMax = 16 * 1024 * 1024;
const readCommitted = 1;
const topicIdsSince = 13;

/** One read from each partition's position. Empty where there is nothing, and where leaders are moving. @throws StepError */
export async function fetchFrom(
  cluster: Cluster,
  topic: Topic,
  positions: ReadonlyMap<number, number>,
  options: FetchOptions,
): Promise<Fetched[]> {
  const nodes = leadersOf(topic, positions.keys());
  const byName = (await cluster.version('Fetch')) < topicIdsSince;
  const read = nodes.map(([node, partitions]) =>
    fetchFromNode(cluster, topic, { node, partitions, byName }, positions, options),
  );
  return (await Promise.all(read)).flat();
}

async function fetchFromNode(
  cluster: Cluster,
  topic: Topic,
  { node, partitions, byName }: { node: number; partitions: number[]; byName: boolean },
  positions: ReadonlyMap<number, number>,
  { waitMs, partitionBytesMax, signal }: FetchOptions,
): Promise<Fetched[]> {
  const wanted = partitions.map((partition) => ({
    partition,
    currentLeaderEpoch: -1,
    fetchOffset: BigInt(positions.get(partition) ?? 0),
    lastFetchedEpoch: -1,
    partitionMaxBytes: partitionBytesMax,
  }));
  const topics = [{ topicId: byName ? topic.name : topic.id, partitions: wanted }];
  let response: FetchResponse;
  try {
    const args = [Math.ceil(waitMs), 1, totalBytesMax, readCommitted, 0, -1, topics, [], ''];
    response = await abortable(cluster.once<FetchResponse>({ node }, 'Fetch', args), signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const ids = brokerErrors(thrown);
    if (ids.has('UNKNOWN_TOPIC_OR_PARTITION') || ids.has('UNKNOWN_TOPIC_ID'))
      await cluster.topic(topic.name, signal, true);
    else if (!ids.has('OFFSET_OUT_OF_RANGE') && !isTransient(thrown))
      throw kafkaError(thrown, 'CONSUME_FAILED', `reading ${topic.name}`);
    const partly = (thrown as { response?: FetchResponse }).response;
    if (partly === undefined || !Array.isArray(partly.responses)) {
      if (ids.size === 0) throw kafkaError(thrown, 'CONSUME_FAILED', `reading ${topic.name}`);
      cluster.forgetTopics();
      await pauseMs(50, signal);
      return [];
    }
    if (!ids.has('OFFSET_OUT_OF_RANGE')) {
      cluster.forgetTopics();
      await pauseMs(50, signal);
    }
    response = partly;
  }
  return response.responses.flatMap((one) =>
    one.partitions.flatMap((partition) => readPartition(topic, partition, positions)),
  );
}

const offsetOutOfRange = 1;

function readPartition(
  { incarnation }: Topic,
  fetched: FetchedPartition,
  positions: ReadonlyMap<number, number>,
): Fetched[] {
  const partition = fetched.partitionIndex;
  const from = positions.get(partition);
  if (from === undefined) return [];
  if (fetched.errorCode === offsetOutOfRange)
    return [{ partition, incarnation, from, to: from, records: [], outOfRange: true }];
  if (fetched.errorCode !== 0) return [];
  const records: ReadRecord[] = [];
  const aborted = abortedOf(fetched);
  let to = from;
  for (const batch of fetched.records ?? []) {
    const first = Number(batch.firstOffset);
    to = Math.max(to, first + batch.lastOffsetDelta + 1);
    if (aborted.covers(batch)) continue;
    for (const { offsetDelta, timestampDelta, key, value, headers } of batch.records) {
      const offset = first + offsetDelta;
      if (offset < from) continue;
      records.push({ offset, timestampMs: Number(batch.firstTimestamp + timestampDelta), key, value, headers });
    }
  }
  return [{ partition, incarnation, from, to, records, outOfRange: false }];
}

const transactionalBit = 0b01_0000;
const controlBit = 0b10_0000;

/** Which batches belong to transactions that were aborted, or hold markers of transactions instead of messages. */
function abortedOf({ abortedTransactions }: FetchedPartition): { covers(batch: RecordsBatch): boolean } {
  const waiting = [...(abortedTransactions ?? [])].sort((one, other) => Number(one.firstOffset - other.firstOffset));
  const open = new Set<bigint>();
  return {
    covers(batch) {
      const last = batch.firstOffset + BigInt(batch.lastOffsetDelta);
      for (let next = waiting[0]; next !== undefined && next.firstOffset <= last; next = waiting[0]) {
        open.add(next.producerId);
        waiting.shift();
      }
      if ((batch.attributes & controlBit) !== 0) {
        // A marker ends the producer's transaction; its key is a version and a kind, 0 for an abort.
        open.delete(batch.producerId);
        return true;
      }
      return (batch.attributes & transactionalBit) !== 0 && open.has(batch.producerId);
    },
  };
}

/** Fails where the topic is not there. */
export const requireTopic = async (cluster: Cluster, name: string, signal: AbortSignal): Promise<Topic> => {
  try {
    return await cluster.topic(name, signal);
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown instanceof StepError
      ? thrown
      : kafkaError(thrown, 'CONNECTION_FAILED', `looking up the topic ${name}`);
  }
};
