import { isIP } from 'node:net';
import { type ConnectionOptions, checkServerIdentity } from 'node:tls';
import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import type { BrokerTarget } from '../broker.ts';
import type { Server } from '../hosts.ts';
import { type TlsOptions, tlsOptions } from '../tls.ts';
import { within } from '../waiting.ts';
import { connectError } from './errors.ts';
import type { KafkaTarget } from './url.ts';

export type KafkaModule = typeof import('@platformatic/kafka');
export type Connection = import('@platformatic/kafka').Connection;

export const loadKafka = (): Promise<KafkaModule> => import('@platformatic/kafka');

export interface ConnectionsOptions {
  /** Ms that a request may take before its connection is given up. */
  requestTimeoutMs: number;
  /** Requests under way on one connection. */
  inflightMax?: number;
}

const connectTimeoutMs = 10_000;
const closeMs = 1_000;

/** Connections to the brokers of one cluster, one each. Whatever address a broker advertises, it passes the node's egress rules first. */
export class Connections {
  readonly #kafka: KafkaModule;
  readonly #target: KafkaTarget;
  readonly #egress: BrokerTarget;
  readonly #options: ConnectionsOptions;
  readonly #open = new Map<string, Promise<Connection>>();
  #tls: Promise<TlsOptions> | undefined;
  /** Ends connecting. */
  readonly #closing = new AbortController();

  constructor(kafka: KafkaModule, target: KafkaTarget, egress: BrokerTarget, options: ConnectionsOptions) {
    this.#kafka = kafka;
    this.#target = target;
    this.#egress = egress;
    this.#options = options;
  }

  async get(server: Server): Promise<Connection> {
    this.#closing.signal.throwIfAborted();
    const key = `${server.host}:${server.port}`;
    const known = this.#open.get(key);
    if (known !== undefined) {
      const connection = await known;
      if (connection.isConnected()) return connection;
      if (this.#open.get(key) === known) this.#open.delete(key);
      return this.get(server);
    }
    const opening = this.#connect(server);
    this.#open.set(key, opening);
    const forget = () => {
      if (this.#open.get(key) === opening) this.#open.delete(key);
    };
    opening.then((connection) => connection.once('close', forget), forget);
    return opening;
  }

  /** The first that answers. */
  async first(servers: readonly Server[]): Promise<Connection> {
    let thrown: unknown = new StepError('CONNECTION_FAILED', 'Kafka has no broker', { retryable: true });
    for (const server of servers) {
      try {
        return await this.get(server);
      } catch (failure) {
        this.#closing.signal.throwIfAborted();
        thrown = failure;
      }
    }
    throw thrown;
  }

  async close(): Promise<void> {
    this.#closing.abort(new StepError('CONNECTION_FAILED', 'the connections to Kafka are closed', { retryable: true }));
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(
      all.map(async (opening) => {
        const connection = await opening;
        await within(closeMs, Promise.resolve(connection.close()));
        connection.socket?.destroy();
      }),
    );
  }

  async #connect(server: Server): Promise<Connection> {
    const { egress, reach } = this.#egress;
    const { signal } = this.#closing;
    const scheme = this.#target.tls ? 'kafkas' : 'kafka';
    const addresses = await abortable(egress.addresses({ scheme, ...server }, reach), signal);
    let thrown: unknown;
    for (const { address } of addresses) {
      const connection = await this.#create(server.host);
      try {
        signal.throwIfAborted();
        await abortable(Promise.resolve(connection.connect(address, server.port)), signal);
        return connection;
      } catch (failure) {
        thrown = connectError(failure, server);
        connection.socket?.destroy();
        signal.throwIfAborted();
      }
    }
    throw thrown;
  }

  async #create(host: string): Promise<Connection> {
    const { tls, sasl } = this.#target;
    const connection = new this.#kafka.Connection('jsonflow', {
      connectTimeout: connectTimeoutMs,
      requestTimeout: this.#options.requestTimeoutMs,
      maxInflights: this.#options.inflightMax ?? 5,
      handleBackPressure: true,
      ...(tls ? { tls: await this.#tlsOf(host) } : {}),
      ...(sasl === undefined ? {} : { sasl }),
    });
    // An emitter without a listener would end the process; requests under way are rejected anyway.
    connection.on('error', () => undefined);
    return connection;
  }

  /** Connected to by address; the certificate must be that of the name that this broker advertises. */
  async #tlsOf(host: string): Promise<ConnectionOptions> {
    this.#tls ??= tlsOptions(this.#egress);
    const { servername, ...options } = await this.#tls;
    if (this.#egress.url.searchParams.has('servername') && servername !== undefined) return { ...options, servername };
    if (isIP(host) === 0) return { ...options, servername: host };
    return { ...options, checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate) };
  }
}
