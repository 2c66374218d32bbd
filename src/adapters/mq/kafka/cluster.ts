import type { API } from '@platformatic/kafka';
import { abortable } from '../../../kit/abortable.ts';
import { retrying } from '../../../kit/retry.ts';
import { StepError } from '../../../lib/errors.ts';
import type { BrokerTarget } from '../broker.ts';
import type { Server } from '../hosts.ts';
import { type Connection, Connections, type ConnectionsOptions, type KafkaModule } from './connections.ts';
import { brokerErrors, isTransient } from './errors.ts';
import type { KafkaTarget } from './url.ts';
import type { MetadataResponse } from './wire.ts';

export interface Topic {
  name: string;
  id: string;
  /** Another one if the topic is deleted and made again: its id as Kafka's tools show it, before Kafka 2.8 that of the cluster. */
  incarnation: string;
  /** By partition: number of the broker that leads it. */
  leaders: number[];
  replicas: number;
}

const topicAgeMaxMs = 10_000;
const topicsMax = 1000;
const triesMax = 5;

type Where = 'any' | 'controller' | { node: number } | { group: string };

/** Requests of the Kafka protocol to whichever broker is to answer them. Asks again, with fresh metadata, where leaders have moved. */
export class Cluster {
  readonly kafka: KafkaModule;
  readonly #target: KafkaTarget;
  readonly #connections: Connections;
  readonly #apis: ApiFinder;
  readonly #topics = new Map<string, { topic: Topic; until: number }>();
  readonly #coordinators = new Map<string, number>();
  #brokers = new Map<number, Server>();
  #controller = -1;

  constructor(kafka: KafkaModule, target: KafkaTarget, egress: BrokerTarget, options: ConnectionsOptions) {
    this.kafka = kafka;
    this.#target = target;
    this.#connections = new Connections(kafka, target, egress, options);
    this.#apis = apiFinder(kafka, () => this.any());
  }

  /** A connection to any broker. */
  any(): Promise<Connection> {
    return this.#connections.first([...this.#target.servers, ...this.#brokers.values()]);
  }

  /**
   * @param args of the request's newest version that both sides know
   * @throws what the client throws: `kafkaError` makes a step's error of it; the signal's reason
   */
  call<Response>(where: Where, api: string, args: unknown[], signal: AbortSignal): Promise<Response> {
    const options = {
      attempts: triesMax,
      baseMs: 100,
      maxMs: 2000,
      signal,
      again: (thrown: unknown) => this.#mayHelp(thrown),
    };
    return retrying(options, () => abortable(this.once<Response>(where, api, args), signal));
  }

  /** The same, without asking again. */
  async once<Response>(where: Where, api: string, args: unknown[]): Promise<Response> {
    const found = await this.#apis.find<Response>(api);
    const connection = await this.#connectionOf(where);
    try {
      return await found.async(connection, ...args);
    } catch (thrown) {
      const ids = brokerErrors(thrown);
      if (
        typeof where === 'object' &&
        'group' in where &&
        (ids.has('NOT_COORDINATOR') || ids.has('COORDINATOR_NOT_AVAILABLE'))
      )
        this.#coordinators.delete(where.group);
      throw thrown;
    }
  }

  async version(api: string): Promise<number> {
    return (await this.#apis.find(api)).version;
  }

  /** @throws StepError QUEUE_NOT_FOUND; what the client throws */
  async topic(name: string, signal: AbortSignal, fresh = false): Promise<Topic> {
    const known = this.#topics.get(name);
    if (known !== undefined && !fresh && known.until > Date.now()) return known.topic;
    const response = await this.#metadata(name, signal);
    const found = response.topics.find((one) => one.name === name);
    if (found === undefined || found.errorCode !== 0) throw notFound(name);
    const leaders: number[] = [];
    for (const { partitionIndex, leaderId } of found.partitions) leaders[partitionIndex] = leaderId;
    const topic = {
      name,
      id: found.topicId,
      incarnation: incarnationOf(found.topicId, response.clusterId),
      leaders,
      replicas: found.partitions[0]?.replicaNodes.length ?? 0,
    };
    if (this.#topics.size >= topicsMax) this.#topics.clear();
    this.#topics.set(name, { topic, until: Date.now() + topicAgeMaxMs });
    return topic;
  }

  forgetTopics(): void {
    this.#topics.clear();
  }

  close(): Promise<void> {
    return Promise.all([this.#connections.close(), this.#apis.close()]).then(() => undefined);
  }

  async #metadata(name: string, signal: AbortSignal): Promise<MetadataResponse> {
    try {
      const response = await this.call<MetadataResponse>('any', 'Metadata', [[name], false, false], signal);
      this.#learn(response);
      return response;
    } catch (thrown) {
      const ids = brokerErrors(thrown);
      if (ids.has('UNKNOWN_TOPIC_OR_PARTITION')) throw notFound(name, thrown);
      if (ids.has('INVALID_TOPIC_EXCEPTION'))
        throw new StepError('INVALID_PARAMS', `${JSON.stringify(name)} is no name of a Kafka topic`, { cause: thrown });
      throw thrown;
    }
  }

  #learn({ brokers, controllerId }: MetadataResponse): void {
    this.#brokers = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    this.#controller = controllerId;
  }

  async #connectionOf(where: Where): Promise<Connection> {
    if (where === 'any') return this.any();
    if (where === 'controller') {
      if (!this.#brokers.has(this.#controller)) await this.#refresh();
      return this.#node(this.#controller);
    }
    if ('node' in where) return this.#node(where.node);
    return this.#node(await this.#coordinatorOf(where.group));
  }

  async #node(id: number): Promise<Connection> {
    if (!this.#brokers.has(id)) await this.#refresh();
    const server = this.#brokers.get(id);
    if (server === undefined)
      throw new StepError('CONNECTION_FAILED', 'the broker that is asked for is not there at the moment', {
        retryable: true,
      });
    return this.#connections.get(server);
  }

  async #refresh(): Promise<void> {
    const metadata = await this.#apis.find<MetadataResponse>('Metadata');
    this.#learn(await metadata.async(await this.any(), [], false, false));
  }

  async #coordinatorOf(group: string): Promise<number> {
    const known = this.#coordinators.get(group);
    if (known !== undefined) return known;
    const finder = await this.#apis.find<{ coordinators: { nodeId: number; host: string; port: number }[] }>(
      'FindCoordinator',
    );
    const { coordinators } = await finder.async(await this.any(), 0, [group]);
    const [found] = coordinators;
    if (found === undefined)
      throw new StepError('CONNECTION_FAILED', 'the consumer group has no coordinator', { retryable: true });
    this.#brokers.set(found.nodeId, { host: found.host, port: found.port });
    if (this.#coordinators.size >= topicsMax) this.#coordinators.clear();
    this.#coordinators.set(group, found.nodeId);
    return found.nodeId;
  }

  #mayHelp(thrown: unknown): boolean {
    // A topic that has just been made may be unknown to some broker for a moment; the caller knows better whether to wait.
    if (brokerErrors(thrown).has('UNKNOWN_TOPIC_OR_PARTITION')) return false;
    if (!isTransient(thrown)) return false;
    this.#topics.clear();
    this.#brokers.clear();
    this.#coordinators.clear();
    return true;
  }
}

interface ApiFinder {
  find<Response>(name: string): Promise<API<unknown[], Response>>;
  close(): Promise<void>;
}

/** The client knows how to choose a version of each request; it does so on the connections that it is given. */
function apiFinder(kafka: KafkaModule, any: () => Promise<Connection>): ApiFinder {
  class Finder extends kafka.Base {
    override [kafka.kGetBootstrapConnection](done: (error: Error | null, connection?: Connection) => void): void {
      any().then((connection) => done(null, connection), done);
    }
  }
  const finder = new Finder({ clientId: 'jsonflow', bootstrapBrokers: ['unused:1'], retries: 0 });
  const found = new Map<string, Promise<API<unknown[], unknown>>>();
  const ask = (name: string) =>
    new Promise<API<unknown[], unknown>>((resolve, reject) => {
      finder[kafka.kGetApi]<unknown[], unknown>(name, (error, api) => {
        if (error !== null || api === undefined) reject(error ?? new Error('no API'));
        else resolve(api);
      });
    });
  return {
    find<Response>(name: string) {
      const known = found.get(name) ?? ask(name);
      found.set(name, known);
      known.catch(() => found.delete(name));
      return known as Promise<API<unknown[], Response>>;
    },
    close: () => finder.close(),
  };
}

function incarnationOf(topicId: string, clusterId: string | null): string {
  const bytes = Buffer.from(topicId.replaceAll('-', ''), 'hex');
  return bytes.some((one) => one !== 0) ? bytes.toString('base64url') : (clusterId ?? '');
}

export const notFound = (name: string, cause?: unknown): StepError =>
  new StepError('QUEUE_NOT_FOUND', `Kafka has no topic ${JSON.stringify(name)}; create it with mq_create_queue`, {
    cause,
  });
