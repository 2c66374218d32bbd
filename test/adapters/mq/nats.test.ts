import { openNats } from '../../../src/adapters/mq/nats/nats.ts';
import { brokerCompliance } from '../../compliance/broker.ts';
import { describeWith } from '../../support/services.ts';
import { tcpProxy } from '../../support/tcp-proxy.ts';
import { openAt } from './brokers.ts';

describeWith('nats', 'NATS', (url) => {
  brokerCompliance('NATS', {
    open: () => openAt(openNats, url),
    async openFragile() {
      const { hostname, port } = new URL(url);
      const proxy = await tcpProxy({ host: hostname, port: Number(port) });
      const broker = await openAt(openNats, url.replace(`${hostname}:${port}`, `127.0.0.1:${proxy.port}`));
      const close = broker.close.bind(broker);
      broker.close = async () => {
        await close();
        await proxy.close();
      };
      return { broker, lose: () => proxy.cut() };
    },
    extra: { consume: { ack_wait_ms: 1000 } },
    dropsRepetitions: true,
    countsDeliveries: true,
    countsPurged: true,
  });
});
