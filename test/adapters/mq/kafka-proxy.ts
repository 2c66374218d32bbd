import { connect, createServer, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Certificate } from '../../support/certificates.ts';

export interface KafkaProxy {
  /** Breaks all connections, and takes no more. */
  lose(): void;
  close(): Promise<void>;
}

/** A second loopback address. */
export const elsewhere = '127.0.0.2';

/**
 * Clients learn the brokers' addresses from the brokers, so this has the port that Kafka advertises, on another loopback address. With a
 * certificate it speaks TLS.
 */
export async function kafkaProxy(url: URL, certificate?: Certificate): Promise<KafkaProxy> {
  const port = Number(url.port);
  const sockets = new Set<Socket>();
  const pass = (near: Socket) => {
    const far = connect(port, url.hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  };
  const server = certificate === undefined ? createServer(pass) : createTlsServer(certificate, pass);
  server.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => server.listen(port, elsewhere, resolve));
  return {
    lose() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
