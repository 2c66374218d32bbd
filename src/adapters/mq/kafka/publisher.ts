import type { MessageToProduce, ProduceResult, Producer } from '@platformatic/kafka';
import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import type { BrokerTarget, OutgoingMessage } from '../broker.ts';
import type { Cluster, Topic } from './cluster.ts';
import { type Connection, Connections } from './connections.ts';
import { brokerErrors, kafkaError } from './errors.ts';
import type { KafkaTarget } from './url.ts';

export type KafkaMessage = MessageToProduce<Buffer, Buffer, Buffer, Buffer>;
export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd';

/** Offsets that a publish got in one partition. */
export interface Written {
  first: number;
  count: number;
}

export interface PublishOptions {
  signal: AbortSignal;
  compression: Compression;
  /** Called for each message once Kafka has it. */
  onConfirmed?(message: KafkaMessage): void;
}

/** Bytes of messages in one request to a partition: below what brokers take by default (1 MiB), headers and all. */
const chunkBytes = 512 * 1024;
const producersMax = 4;
const requestTimeoutMs = 30_000;

/**
 * Idempotent producers, a few, each for one publish at a time: within its session a repetition of the client's own is dropped by the
 * broker, and nothing overtakes. A producer that has failed is not used again.
 */
export class Publisher {
  readonly #cluster: Cluster;
  readonly #target: KafkaTarget;
  readonly #egress: BrokerTarget;
  readonly #idle: GuardedProducer[] = [];
  readonly #waiting: (() => void)[] = [];
  #count = 0;

  constructor(cluster: Cluster, target: KafkaTarget, egress: BrokerTarget) {
    this.#cluster = cluster;
    this.#target = target;
    this.#egress = egress;
  }

  /** @throws StepError */
  async publish(
    topic: Topic,
    messages: readonly KafkaMessage[],
    { signal, compression, onConfirmed = () => undefined }: PublishOptions,
  ): Promise<Map<number, Written>> {
    const producer = await this.#take(signal);
    const written = new Map<number, Written>();
    try {
      for (const chunk of chunksOf(messages)) {
        signal.throwIfAborted();
        await send(producer, chunk, { signal, compression, onConfirmed, written });
      }
    } catch (thrown) {
      this.#count -= 1;
      this.#waiting.shift()?.();
      void producer.dispose();
      signal.throwIfAborted();
      throw kafkaError(thrown, 'PUBLISH_FAILED', `publishing to ${topic.name}`);
    }
    this.#idle.push(producer);
    this.#waiting.shift()?.();
    return written;
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#idle.splice(0).map((one) => one.dispose()));
  }

  async #take(signal: AbortSignal): Promise<GuardedProducer> {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle !== undefined) return idle;
      if (this.#count < producersMax) {
        this.#count += 1;
        return guardedProducer(this.#cluster, this.#target, this.#egress);
      }
      await abortable(new Promise<void>((resolve) => void this.#waiting.push(resolve)), signal).catch(
        (thrown: unknown) => {
          // Whoever was to be woken by this turn is woken in its place.
          this.#waiting.shift()?.();
          throw thrown;
        },
      );
    }
  }
}

interface GuardedProducer extends Producer<Buffer, Buffer, Buffer, Buffer> {
  dispose(): Promise<void>;
}

function guardedProducer(cluster: Cluster, target: KafkaTarget, egress: BrokerTarget): GuardedProducer {
  const { kafka } = cluster;
  // Of one request at a time, as the order of an idempotent producer demands.
  const connections = new Connections(kafka, target, egress, { requestTimeoutMs, inflightMax: 1 });
  class Guarded extends kafka.Producer<Buffer, Buffer, Buffer, Buffer> implements GuardedProducer {
    override [kafka.kGetConnection](broker: { host: string; port: number } | undefined, done: Done): void {
      if (broker === undefined)
        return done(new kafka.NetworkError('The broker is not known.', { hasStaleMetadata: true }));
      connections.get(broker).then(
        (connection) => done(null, connection),
        (thrown: Error) => done(wrapped(thrown)),
      );
    }

    override [kafka.kGetBootstrapConnection](done: Done): void {
      const known = [...(this.currentMetadata?.brokers.values() ?? [])];
      connections.first([...target.servers, ...known]).then(
        (connection) => done(null, connection),
        (thrown: Error) => done(wrapped(thrown)),
      );
    }

    async dispose(): Promise<void> {
      await connections.close();
      await this.close(true).catch(() => undefined);
    }
  }
  /** The client asks its own errors whether to try again, and would ask a stranger's in vain. */
  const wrapped = (thrown: Error): Error =>
    thrown instanceof StepError
      ? new kafka.NetworkError(thrown.message, { canRetry: thrown.retryable, cause: thrown })
      : thrown;
  return new Guarded({
    clientId: 'jsonflow',
    bootstrapBrokers: ['unused:1'],
    idempotent: true,
    retries: 4,
    retryDelay: 200,
    timeout: 20_000,
    metadataMaxAge: 10_000,
    autocreateTopics: false,
  });
}

type Done = (error: Error | null, connection?: Connection) => void;

interface Sending extends Required<PublishOptions> {
  written: Map<number, Written>;
}

async function send(producer: GuardedProducer, chunk: KafkaMessage[], sending: Sending): Promise<void> {
  const { signal, compression, onConfirmed, written } = sending;
  let result: ProduceResult;
  try {
    result = await abortable(producer.send({ messages: chunk, compression }), signal);
  } catch (thrown) {
    if (chunk.length === 1 || !brokerErrors(thrown).has('MESSAGE_TOO_LARGE')) throw thrown;
    // The topic takes less at once than brokers do by default. Nothing of a refused batch is written.
    const middle = Math.ceil(chunk.length / 2);
    await send(producer, chunk.slice(0, middle), sending);
    return send(producer, chunk.slice(middle), sending);
  }
  for (const message of chunk) onConfirmed(message);
  const counts = new Map<number, number>();
  for (const { partition = 0 } of chunk) counts.set(partition, (counts.get(partition) ?? 0) + 1);
  for (const { partition, offset } of result.offsets ?? []) {
    const count = counts.get(partition) ?? 0;
    const before = written.get(partition);
    if (before === undefined) written.set(partition, { first: Number(offset), count });
    else before.count += count;
  }
}

/** So that no partition gets more in one request than brokers take. */
function* chunksOf(messages: readonly KafkaMessage[]): Generator<KafkaMessage[]> {
  let chunk: KafkaMessage[] = [];
  const sizes = new Map<number, number>();
  for (const message of messages) {
    const { partition = 0 } = message;
    const size = sizeOf(message);
    const before = sizes.get(partition) ?? 0;
    if (before > 0 && before + size > chunkBytes) {
      yield chunk;
      chunk = [];
      sizes.clear();
      sizes.set(partition, size);
    } else sizes.set(partition, before + size);
    chunk.push(message);
  }
  if (chunk.length > 0) yield chunk;
}

function sizeOf({ key, value, headers }: KafkaMessage): number {
  let size = 64 + (key?.length ?? 0) + (value?.length ?? 0);
  if (headers instanceof Map) for (const [name, text] of headers) size += name.length + text.length + 4;
  return size;
}

const messageIdHeader = Buffer.from('message-id');
const contentTypeHeader = Buffer.from('content-type');

const json = Buffer.from('application/json');
const contentTypeOf = (text: string): Buffer => (text === 'application/json' ? json : Buffer.from(text));

/** @param partition that the step wants */
export function toKafka(
  kafka: Cluster['kafka'],
  topic: Topic,
  message: OutgoingMessage,
  partition: number | undefined,
): KafkaMessage {
  const headers = new Map<Buffer, Buffer>();
  headers.set(messageIdHeader, Buffer.from(message.id));
  headers.set(contentTypeHeader, contentTypeOf(message.contentType));
  for (const name of Object.keys(message.headers))
    headers.set(Buffer.from(name), Buffer.from(message.headers[name] ?? ''));
  const key = message.key === undefined ? undefined : Buffer.from(message.key);
  return {
    topic: topic.name,
    partition:
      partition ?? (key === undefined ? hashOf(message.id) : kafka.murmur2(key) & 0x7fffffff) % topic.leaders.length,
    value: Buffer.from(message.body.buffer, message.body.byteOffset, message.body.byteLength),
    headers,
    ...(key === undefined ? {} : { key }),
  };
}

/**
 * Of a message id, where there is no key: a repetition is to meet its original. FNV-1a; the client's murmur2, which keys need, takes as long
 * as all the rest of a message.
 */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}
