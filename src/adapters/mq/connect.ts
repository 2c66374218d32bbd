import { PoolCache } from '../../kit/pools.ts';
import { parseUrl } from '../../kit/url.ts';
import { StepError } from '../../lib/errors.ts';
import type { Egress, Reach } from '../../ports/egress.ts';
import type { Broker, OpenBroker } from './broker.ts';
import { singleHostUrl } from './hosts.ts';

/** Drivers by scheme. Each is loaded when a step first needs it. */
const drivers: Record<string, () => Promise<OpenBroker>> = {
  amqp: async () => (await import('./rabbitmq/rabbitmq.ts')).openRabbit,
  kafka: async () => (await import('./kafka/kafka.ts')).openKafka,
  nats: async () => (await import('./nats/nats.ts')).openNats,
  redis: async () => (await import('./redis/redis.ts')).openRedisStreams,
};

const driverOfScheme: Record<string, string> = {
  amqp: 'amqp',
  amqps: 'amqp',
  rabbitmq: 'amqp',
  rabbitmqs: 'amqp',
  kafka: 'kafka',
  kafkas: 'kafka',
  nats: 'nats',
  tls: 'nats',
  redis: 'redis',
  rediss: 'redis',
};

/** Which broker a step means, and for whom. */
export interface BrokerName {
  /** `params.broker`. */
  text: string;
  reach: Reach;
  tenantId: string | null;
}

/** @throws StepError INVALID_PARAMS, without the URL: it may hold a password */
function driverOf(url: URL): () => Promise<OpenBroker> {
  const scheme = url.protocol.slice(0, -1);
  const driver = Object.hasOwn(driverOfScheme, scheme) ? drivers[driverOfScheme[scheme] ?? ''] : undefined;
  if (driver !== undefined) return driver;
  throw new StepError(
    'INVALID_PARAMS',
    `params.broker: no broker speaks ${scheme}://; give one of ${Object.keys(driverOfScheme).join(', ')}`,
  );
}

export function checkedBroker(text: string): URL {
  const url = parseUrl(singleHostUrl(text), 'params.broker');
  driverOf(url);
  return url;
}

/** @param closing ends the opening @throws StepError INVALID_PARAMS, and what opening throws */
export async function openBroker({ text, reach }: BrokerName, egress: Egress, closing: AbortSignal): Promise<Broker> {
  const url = checkedBroker(text);
  const open = await driverOf(url)();
  return open({ url, reach, egress }, closing);
}

/** The brokers that steps are connected to: one set of connections for each, and never a tenant on the operator's. */
export class Brokers {
  readonly #egress: Egress;
  readonly #pools = new PoolCache<Broker>();

  constructor(egress: Egress) {
    this.#egress = egress;
  }

  /** @param signal ends the wait for a broker that is being connected to */
  use<R>(name: BrokerName, body: (broker: Broker) => Promise<R>, signal: AbortSignal): Promise<R> {
    const key = JSON.stringify([name.text, name.reach, name.tenantId]);
    return this.#pools.use(key, (closing) => openBroker(name, this.#egress, closing), body, signal);
  }

  opened(): Promise<Broker[]> {
    return this.#pools.opened();
  }

  close(): Promise<void> {
    return this.#pools.close();
  }
}
