// How the tests reach the brokers that run on this machine.
import type { Broker, OpenBroker } from '../../../src/adapters/mq/broker.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import { tcpProxy } from '../../support/tcp-proxy.ts';

export const egress = createEgress();

export const openAt = (open: OpenBroker, url: string): Promise<Broker> =>
  open({ url: new URL(url), reach: 'operator', egress }, new AbortController().signal);

/** A broker behind a proxy, whose connection `lose` breaks. */
export async function openFragile(open: OpenBroker, text: string): Promise<{ broker: Broker; lose(): void }> {
  const url = new URL(text);
  const proxy = await tcpProxy({ host: url.hostname, port: Number(url.port) });
  url.host = `127.0.0.1:${proxy.port}`;
  const broker = await openAt(open, url.href);
  return {
    broker: {
      ...broker,
      async close() {
        await broker.close();
        await proxy.close();
      },
    },
    lose() {
      // As if the node were gone: one that is back may still have what it held.
      proxy.refuse = true;
      proxy.cut();
    },
  };
}
