import type { Broker, BrokerTarget, OpenBroker } from '../broker.ts';
import { consume } from './consume.ts';
import { Link, onChannel } from './link.ts';
import { publish } from './publish.ts';
import { createQueue, purge } from './queues.ts';
import { subscribe } from './subscribe.ts';

const pingTimeoutMs = 5_000;

/**
 * RabbitMQ 3.10 or newer, by AMQP 0-9-1. Two connections: a broker in distress stops those that publish, and acknowledgements must
 * not stop with them.
 */
export const openRabbit: OpenBroker = async (target: BrokerTarget): Promise<Broker> => {
  const publishing = new Link(target, 'publisher');
  const consuming = new Link(target, 'consumer');
  return {
    system: 'rabbitmq',
    publish: (request) => publish(publishing, request),
    consume: (request) => consume(consuming, publishing, request),
    subscribe: (request) => subscribe(consuming, publishing, request),
    createQueue: (params, signal) => createQueue(publishing, params, signal),
    purge: (params, signal) => purge(publishing, params, signal),
    async ping() {
      await onChannel(publishing, AbortSignal.timeout(pingTimeoutMs), 'asking the broker', async () => undefined);
    },
    async close() {
      await Promise.all([publishing.close(), consuming.close()]);
    },
  };
};
