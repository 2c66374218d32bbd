import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { shownServer } from '../../../lib/net.ts';
import type {
  Batch,
  Broker,
  BrokerTarget,
  ConsumeRequest,
  OpenBroker,
  PublishRequest,
  SubscribeRequest,
  Subscription,
} from '../broker.ts';
import { batchBytesOf, heldBytesOf } from '../gathering.ts';
import { integerOf, paramOf } from '../params.ts';
import { type Dependencies, groupBatch, replayBatch } from './batch.ts';
import { Cluster } from './cluster.ts';
import { type KafkaModule, loadKafka } from './connections.ts';
import { deadLetterTopicOf } from './dead-letters.ts';
import { kafkaError } from './errors.ts';
import { requireTopic } from './fetch.ts';
import { GroupConsumer, limit } from './group-consumer.ts';
import { textOf, topicOf } from './params.ts';
import { type Compression, type KafkaMessage, Publisher, toKafka } from './publisher.ts';
import { replay } from './replay.ts';
import { startOf } from './start.ts';
import { subscribe } from './subscription.ts';
import { createTopic, purgeTopic, topicWish } from './topics.ts';
import { type KafkaTarget, kafkaTarget } from './url.ts';

/** Kafka 2.4 or later. `kafka://[user:password@]host[:port][,host…][?sasl=scram-sha-256]`, `kafkas://` over TLS. */
export const openKafka: OpenBroker = async (target, closing) => {
  const parsed = kafkaTarget(target.url);
  const broker = new KafkaBroker(await loadKafka(), parsed, target);
  try {
    await abortable(broker.ping(), closing);
    return broker;
  } catch (thrown) {
    await broker.close();
    throw thrown;
  }
};

const pingMs = 15_000;
const setAsideMs = 30_000;
const consumersMax = 64;
/** A member that nobody uses leaves its group after so long: it would keep its partitions from members elsewhere. */
const consumerIdleMs = 1000;
const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

interface WarmConsumer {
  consumer: GroupConsumer;
  reap: NodeJS.Timeout | undefined;
}

class KafkaBroker implements Broker {
  readonly system = 'kafka';
  readonly #kafka: KafkaModule;
  readonly #parsed: KafkaTarget;
  readonly #target: BrokerTarget;
  readonly #cluster: Cluster;
  readonly #publisher: Publisher;
  readonly #warm = new Map<string, WarmConsumer>();
  readonly #subscriptions = new Set<Subscription>();
  #closed = false;

  constructor(kafka: KafkaModule, parsed: KafkaTarget, target: BrokerTarget) {
    this.#kafka = kafka;
    this.#parsed = parsed;
    this.#target = target;
    this.#cluster = this.#newCluster(30_000);
    this.#publisher = new Publisher(this.#cluster, parsed, target);
  }

  async publish({ params, messages, onConfirmed, signal, timeoutMs }: PublishRequest): Promise<JSONObject> {
    const name = topicOf(params);
    const compression = compressionOf(params);
    const partition = integerOf(params, 'partition', [0, 100_000]);
    const time = withTimeout(signal, timeoutMs, `publishing to ${name}`);
    try {
      const topic = await requireTopic(this.#cluster, name, time.signal);
      if (partition !== undefined && partition >= topic.leaders.length)
        throw new StepError(
          'INVALID_PARAMS',
          `the topic ${name} has ${topic.leaders.length} partitions: there is no partition ${partition}`,
        );
      const originals = new Map(messages.map((one) => [toKafka(this.#kafka, topic, one, partition), one]));
      const confirm = (message: KafkaMessage) => {
        const original = originals.get(message);
        if (original !== undefined) onConfirmed?.(original);
      };
      const options = { signal: time.signal, compression, onConfirmed: confirm };
      const written = await this.#publisher.publish(topic, [...originals.keys()], options);
      const offsets: JSONObject = {};
      for (const [number, { first, count }] of [...written].sort(([one], [other]) => one - other))
        offsets[String(number)] = { first, count };
      return { topic: name, offsets };
    } finally {
      time.done();
    }
  }

  async consume({ params, max, waitMs, signal }: ConsumeRequest): Promise<Batch> {
    const name = topicOf(params);
    const bytesMax = batchBytesOf(params);
    const start = startOf(params);
    const topic = await requireTopic(this.#cluster, name, signal);
    if (paramOf(params, 'replay') === true) {
      const partition = integerOf(params, 'partition', [0, 100_000]);
      const cluster = this.#newCluster(60_000);
      try {
        return replayBatch(
          name,
          await replay(cluster, topic, {
            start,
            max,
            bytesMax,
            signal,
            ...(partition === undefined ? {} : { partition }),
          }),
        );
      } finally {
        await cluster.close();
      }
    }
    const { key, warm } = this.#consumerOf(params, name);
    const { consumer } = warm;
    consumer.start = start;
    this.#use(warm);
    const leave = once(() => this.#leave(key, warm));
    try {
      const taken = await consumer.take({ max, bytesMax, waitMs, signal });
      if (taken.length === 0) leave();
      return groupBatch({ consumer, taken, topic: name, leave, ...this.#putAside(params, name) });
    } catch (thrown) {
      leave();
      signal.throwIfAborted();
      throw kafkaError(thrown, 'CONSUME_FAILED', `consuming ${name}`);
    }
  }

  async subscribe({ params, prefetch, onMessage, signal }: SubscribeRequest): Promise<Subscription> {
    const name = topicOf(params);
    await requireTopic(this.#cluster, name, signal);
    const consumer = this.#newConsumer(params, name);
    const subscription = subscribe({
      consumer,
      topic: name,
      prefetch,
      bytesMax: heldBytesOf(params),
      onMessage,
      signal,
      ...this.#putAside(params, name),
    });
    this.#subscriptions.add(subscription);
    const forget = () => void this.#subscriptions.delete(subscription);
    subscription.ended.then(forget, forget);
    return subscription;
  }

  async createQueue(params: JSONObject, signal: AbortSignal): Promise<JSONObject> {
    const name = topicOf(params);
    const wish = topicWish(params);
    try {
      return await createTopic(this.#cluster, name, wish, signal);
    } catch (thrown) {
      signal.throwIfAborted();
      throw kafkaError(thrown, 'CONNECTION_FAILED', `creating the topic ${name}`);
    }
  }

  purge(params: JSONObject, signal: AbortSignal): Promise<number> {
    return purgeTopic(this.#cluster, topicOf(params), signal);
  }

  async ping(): Promise<void> {
    const doing = `connecting to Kafka at ${this.#parsed.servers.slice(0, 3).map(shownServer).join(', ')}`;
    const { signal, done } = limit(pingMs, doing);
    try {
      await abortable(this.#cluster.once('any', 'Metadata', [[], false, false]), signal);
    } catch (thrown) {
      throw kafkaError(thrown, 'CONNECTION_FAILED', doing);
    } finally {
      done();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    const warm = [...this.#warm.values()];
    this.#warm.clear();
    for (const { reap } of warm) clearTimeout(reap);
    await Promise.allSettled([
      ...[...this.#subscriptions].map((one) => one.close()),
      ...warm.map(({ consumer }) => consumer.close()),
    ]);
    await this.#publisher.close();
    await this.#cluster.close();
  }

  #newCluster(requestTimeoutMs: number): Cluster {
    return new Cluster(this.#kafka, this.#parsed, this.#target, { requestTimeoutMs });
  }

  #putAside(params: JSONObject, topic: string): Dependencies {
    return {
      setAside: {
        cluster: this.#cluster,
        publisher: this.#publisher,
        target: deadLetterTopicOf(params, topic),
        timeoutMs: setAsideMs,
      },
    };
  }

  #newConsumer(params: JSONObject, topic: string): GroupConsumer {
    if (this.#closed)
      throw new StepError('CONNECTION_FAILED', 'the connections to Kafka are closed', { retryable: true });
    return new GroupConsumer({
      topic,
      group: groupOf(params, topic),
      start: startOf(params),
      sessionMs: integerOf(params, 'session_timeout_ms', [1000, 300_000]) ?? 15_000,
      control: this.#newCluster(60_000),
      data: this.#newCluster(30_000),
    });
  }

  #consumerOf(params: JSONObject, topic: string): { key: string; warm: WarmConsumer } {
    const key = JSON.stringify([
      topic,
      groupOf(params, topic),
      integerOf(params, 'session_timeout_ms', [1000, 300_000]) ?? 0,
    ]);
    const known = this.#warm.get(key);
    if (known !== undefined) return { key, warm: known };
    if (this.#warm.size >= consumersMax)
      throw new StepError(
        'LIMIT_EXCEEDED',
        `this node is in ${consumersMax} consumer groups of this Kafka already; use fewer at once`,
        { retryable: true },
      );
    const warm: WarmConsumer = { consumer: this.#newConsumer(params, topic), reap: undefined };
    this.#warm.set(key, warm);
    return { key, warm };
  }

  #use(warm: WarmConsumer): void {
    clearTimeout(warm.reap);
    warm.consumer.users += 1;
  }

  #leave(key: string, warm: WarmConsumer): void {
    warm.consumer.users -= 1;
    if (warm.consumer.users > 0 || this.#closed) return;
    warm.reap = setTimeout(() => {
      if (this.#warm.get(key) === warm) this.#warm.delete(key);
      void warm.consumer.close().catch(() => undefined);
    }, consumerIdleMs);
    warm.reap.unref();
  }
}

/** By default one for each topic: whoever joins or leaves a group holds up all members of it, whatever they read. */
function groupOf(params: JSONObject, topic: string): string {
  return textOf(params, 'group') ?? `jsonflow.${topic}`;
}

function compressionOf(params: JSONObject): Compression {
  const name = textOf(params, 'compression') ?? 'none';
  if (compressions.includes(name)) return name as Compression;
  throw new StepError('INVALID_PARAMS', `compression must be one of ${compressions.join(', ')}`);
}

function once(body: () => void): () => void {
  let called = false;
  return () => {
    if (called) return;
    called = true;
    body();
  };
}

/** The sooner of the signal and a time. */
function withTimeout(signal: AbortSignal, ms: number, doing: string): { signal: AbortSignal; done: () => void } {
  const time = limit(ms, doing);
  const both = AbortSignal.any([signal, time.signal]);
  return { signal: both, done: time.done };
}
