// A network that stops: connections stay open, and nothing comes through any more.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

export interface Frozen {
  readonly port: number;
  /** From now on nothing passes, in no direction. */
  freeze(): void;
  /** Resolves when a client has connected. */
  readonly connected: Promise<void>;
  /** Resolves when every client has let go of its connections. */
  left(): Promise<void>;
  close(): Promise<void>;
}

/** @param to what to pass connections on to until `freeze`; else nothing is ever answered but `greeting` */
export async function frozenServer(to?: { host: string; port: number }, greeting = ''): Promise<Frozen> {
  const near = new Set<Socket>();
  const far = new Set<Socket>();
  let frozen = to === undefined;
  const first = Promise.withResolvers<void>();
  const server = createServer((client) => {
    first.resolve();
    near.add(client);
    client.on('error', () => undefined);
    client.on('close', () => near.delete(client));
    client.on('data', () => undefined);
    client.write(greeting);
    if (to === undefined) return;
    const upstream = connect(to.port, to.host);
    far.add(upstream);
    upstream.on('error', () => undefined);
    client.on('data', (chunk) => void (frozen || upstream.write(chunk)));
    upstream.on('data', (chunk) => void (frozen || client.write(chunk)));
    client.on('close', () => upstream.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    connected: first.promise,
    freeze: () => {
      frozen = true;
    },
    async left() {
      await Promise.all([...near].map((socket) => new Promise((resolve) => socket.once('close', resolve))));
    },
    async close() {
      for (const socket of [...near, ...far]) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
