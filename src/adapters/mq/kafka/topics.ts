import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject } from '../../../lib/json.ts';
import { integerOf, paramOf } from '../params.ts';
import { pauseMs } from '../waiting.ts';
import { type Cluster, notFound, type Topic } from './cluster.ts';
import { brokerErrors, kafkaError } from './errors.ts';
import type { DeleteRecordsResponse, DescribeConfigsResponse, ListOffsetsResponse } from './wire.ts';

const requestMs = 20_000;
const topicResource = 2;
const earliest = -2n;
const latest = -1n;

export interface TopicWish {
  partitions?: number;
  replicas?: number;
  config: Record<string, string>;
}

/** @throws StepError INVALID_PARAMS */
export function topicWish(params: JSONObject): TopicWish {
  const partitions = integerOf(params, 'partitions', [1, 100_000]);
  const replicas = integerOf(params, 'replicas', [1, 100]);
  const given = paramOf(params, 'config') ?? {};
  if (!isObject(given)) throw new StepError('INVALID_PARAMS', 'config must be an object of topic settings');
  const config: Record<string, string> = {};
  for (const name of Object.keys(given)) {
    const value = given[name];
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
      throw new StepError('INVALID_PARAMS', `config[${JSON.stringify(name)}] must be a text, a number or a boolean`);
    config[name] = String(value);
  }
  return {
    ...(partitions === undefined ? {} : { partitions }),
    ...(replicas === undefined ? {} : { replicas }),
    config,
  };
}

/** @returns whether it was made now, and how it is @throws StepError QUEUE_MISMATCH */
export async function createTopic(
  cluster: Cluster,
  name: string,
  wish: TopicWish,
  signal: AbortSignal,
): Promise<JSONObject> {
  const request = {
    name,
    numPartitions: wish.partitions ?? -1,
    replicationFactor: wish.replicas ?? -1,
    assignments: [],
    configs: Object.entries(wish.config).map(([key, value]) => ({ name: key, value })),
  };
  let created = true;
  try {
    await cluster.call('controller', 'CreateTopics', [[request], requestMs, false], signal);
  } catch (thrown) {
    signal.throwIfAborted();
    const ids = brokerErrors(thrown);
    if (!ids.has('TOPIC_ALREADY_EXISTS')) throw refused(thrown, ids, name);
    created = false;
  }
  const topic = await settled(cluster, name, signal);
  if (!created) await compare(cluster, topic, wish, signal);
  return { created, topic: name, partitions: topic.leaders.length, replicas: topic.replicas };
}

function refused(thrown: unknown, ids: Set<string>, name: string): StepError {
  const why = [
    'INVALID_REPLICATION_FACTOR',
    'INVALID_PARTITIONS',
    'INVALID_CONFIG',
    'POLICY_VIOLATION',
    'INVALID_TOPIC_EXCEPTION',
  ].find((id) => ids.has(id));
  if (why === undefined) return kafkaError(thrown, 'QUEUE_MISMATCH', `creating the topic ${name}`);
  const hint = why === 'INVALID_REPLICATION_FACTOR' ? '; are there so many brokers?' : '';
  return new StepError('INVALID_PARAMS', `Kafka refuses to create the topic ${name} like that: ${why}${hint}`, {
    cause: thrown,
  });
}

/** Brokers learn of a new topic a moment after the controller. */
async function settled(cluster: Cluster, name: string, signal: AbortSignal): Promise<Topic> {
  for (let tries = 0; ; tries += 1) {
    try {
      const topic = await cluster.topic(name, signal, true);
      if (topic.leaders.length > 0 && !topic.leaders.includes(-1)) return topic;
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof StepError && thrown.code === 'QUEUE_NOT_FOUND') || tries >= 50)
        throw kafkaError(thrown, 'QUEUE_NOT_FOUND', `creating the topic ${name}`);
    }
    if (tries >= 50)
      throw new StepError('MQ_TIMEOUT', `the topic ${name} was created, but has no leader yet`, { retryable: true });
    await pauseMs(50, signal);
    signal.throwIfAborted();
  }
}

async function compare(
  cluster: Cluster,
  topic: Topic,
  { partitions, replicas, config }: TopicWish,
  signal: AbortSignal,
): Promise<void> {
  const differ = (what: string, is: unknown, wanted: unknown) =>
    new StepError(
      'QUEUE_MISMATCH',
      `the topic ${topic.name} exists with ${what} ${String(is)} instead of ${String(wanted)}; use another name, or change it with Kafka's own tools`,
    );
  if (partitions !== undefined && partitions !== topic.leaders.length)
    throw differ('partitions', topic.leaders.length, partitions);
  if (replicas !== undefined && replicas !== topic.replicas) throw differ('replicas', topic.replicas, replicas);
  const names = Object.keys(config);
  if (names.length === 0) return;
  const resource = { resourceType: topicResource, resourceName: topic.name, configurationKeys: names };
  const described = await cluster.call<DescribeConfigsResponse>(
    'any',
    'DescribeConfigs',
    [[resource], false, false],
    signal,
  );
  const present = new Map(described.results[0]?.configs.map((one) => [one.name, one.value]));
  for (const name of names)
    if (present.get(name) !== config[name]) throw differ(name, present.get(name) ?? 'unset', config[name]);
}

/** First and next offset of each partition, or the first at or after a time. */
export async function offsetsOf(
  cluster: Cluster,
  topic: Topic,
  at: bigint,
  signal: AbortSignal,
): Promise<Map<number, number>> {
  const offsets = new Map<number, number>();
  await Promise.all(
    leadersOf(topic).map(async ([node, partitions]) => {
      const wanted = partitions.map((partitionIndex) => ({ partitionIndex, currentLeaderEpoch: -1, timestamp: at }));
      const response = await cluster.call<ListOffsetsResponse>(
        { node },
        'ListOffsets',
        [-1, 1, [{ name: topic.name, partitions: wanted }]],
        signal,
      );
      for (const one of response.topics)
        for (const { partitionIndex, offset } of one.partitions) offsets.set(partitionIndex, Number(offset));
    }),
  );
  return offsets;
}

export const earliestOffsets = (cluster: Cluster, topic: Topic, signal: AbortSignal) =>
  offsetsOf(cluster, topic, earliest, signal);
export const latestOffsets = (cluster: Cluster, topic: Topic, signal: AbortSignal) =>
  offsetsOf(cluster, topic, latest, signal);

/** Partitions by the broker that leads them. */
export function leadersOf(
  { leaders }: Topic,
  partitions: Iterable<number> = leaders.keys(),
): [node: number, partitions: number[]][] {
  const byNode = new Map<number, number[]>();
  for (const partition of partitions) {
    const node = leaders[partition];
    if (node === undefined) continue;
    const list = byNode.get(node);
    if (list === undefined) byNode.set(node, [partition]);
    else list.push(partition);
  }
  return [...byNode];
}

/** Deletes all that is in the topic now. @returns how many offsets that were, transaction markers included */
export async function purgeTopic(cluster: Cluster, name: string, signal: AbortSignal): Promise<number> {
  try {
    const topic = await cluster.topic(name, signal, true);
    const before = await earliestOffsets(cluster, topic, signal);
    let deleted = 0;
    for (const [node, partitions] of leadersOf(topic)) {
      const wanted = partitions.map((partitionIndex) => ({ partitionIndex, offset: -1n }));
      const response = await cluster.call<DeleteRecordsResponse>(
        { node },
        'DeleteRecords',
        [[{ name, partitions: wanted }], requestMs],
        signal,
      );
      for (const one of response.topics)
        for (const { partitionIndex, lowWatermark } of one.partitions)
          deleted += Number(lowWatermark) - (before.get(partitionIndex) ?? 0);
    }
    return deleted;
  } catch (thrown) {
    signal.throwIfAborted();
    const ids = brokerErrors(thrown);
    if (ids.has('UNKNOWN_TOPIC_OR_PARTITION')) throw notFound(name, thrown);
    if (ids.has('POLICY_VIOLATION'))
      throw new StepError(
        'UNSUPPORTED',
        `Kafka deletes no records of the topic ${name}: its cleanup.policy is compact`,
        { cause: thrown },
      );
    throw kafkaError(thrown, 'PURGE_FAILED', `purging the topic ${name}`);
  }
}
