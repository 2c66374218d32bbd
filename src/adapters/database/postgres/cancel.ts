import { isIP } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import { type Endpoint, GuardedSocket } from '../endpoint.ts';

const cancelCode = 80877102;
const sslRequest = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** Tells the server, on a connection for this alone, to stop what runs on another one. Does not reject. */
export async function cancelRequest(
  { processID, secretKey }: { processID: number; secretKey: number },
  { endpoint, path, tls }: { endpoint: Endpoint; path: string | undefined; tls: ConnectionOptions | undefined },
): Promise<void> {
  const message = Buffer.alloc(16);
  message.writeInt32BE(16, 0);
  message.writeInt32BE(cancelCode, 4);
  message.writeInt32BE(processID, 8);
  message.writeInt32BE(secretKey, 12);
  const socket = new GuardedSocket(endpoint, path);
  socket.setTimeout(5_000, () => socket.destroy());
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve());
    socket.on('error', () => socket.destroy());
    socket.connect(() => {
      if (tls === undefined) socket.end(message);
      else socket.write(sslRequest);
    });
    socket.once('data', (answer) => {
      if (tls === undefined || answer.toString() !== 'S') return void socket.destroy();
      // As pg does: an address is no name to ask for.
      const name = isIP(endpoint.host) === 0 ? { servername: endpoint.host } : {};
      const secure = connectTls({ ...tls, socket, host: endpoint.host, ...name }, () => secure.end(message));
      secure.on('error', () => socket.destroy());
    });
  });
}
