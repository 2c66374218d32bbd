import { connect, createServer, type Socket } from 'node:net';
import type { Broker } from '../../../src/adapters/mq/broker.ts';
import { openKafka } from '../../../src/adapters/mq/kafka/kafka.ts';
import type { Egress } from '../../../src/ports/egress.ts';
import { brokerCompliance } from '../../compliance/broker.ts';
import { describeWith } from '../../support/services.ts';
import { egress, openAt } from './brokers.ts';

/** What keeps the tests short: the least that brokers allow by default. */
const sessionMs = 6000;

/**
 * A broker behind a proxy. Clients learn the brokers' addresses from the brokers, so the proxy has the advertised port on another loopback
 * address, where the egress policy leads to.
 */
async function openFragile(text: string): Promise<{ broker: Broker; lose(): void }> {
  const url = new URL(text);
  const port = Number(url.port);
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(port, url.hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
      one.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.2', resolve));
  const detour: Egress = { ...egress, addresses: async () => [{ address: '127.0.0.2', family: 4 }] };
  const broker = await openKafka({ url, reach: 'operator', egress: detour });
  const close = broker.close.bind(broker);
  broker.close = async () => {
    await close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    broker,
    lose() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

describeWith('kafka', 'Kafka', (url) => {
  brokerCompliance('Kafka', {
    open: () => openAt(openKafka, url),
    openFragile: () => openFragile(url),
    extra: { create: { partitions: 1 }, consume: { session_timeout_ms: sessionMs } },
    redeliveryMs: 15_000,
    dropsRepetitions: false,
    countsDeliveries: true,
    countsPurged: true,
  });
});
