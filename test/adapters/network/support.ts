import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { createEgress } from '../../../src/egress/egress.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import type { AdapterContext } from '../../../src/ports/adapter.ts';
import { contextFor } from '../../compliance/adapter.ts';

/** A node whose operator lets steps reach loopback. */
export const loopback = () => createEgress({ allow: ['127.0.0.0/8', '[::1]'] });

export interface TestServer extends AsyncDisposable {
  /** `http://127.0.0.1:port`, or https. */
  url: string;
  port: number;
  /** Requests that came, oldest first. */
  requests: { method: string; url: string; headers: IncomingMessage['headers']; body: Buffer }[];
  sockets: Set<Socket>;
}

type Answer = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

/** A real HTTP/1.1 server on loopback, which records what it gets; with TLS where a certificate is given. */
export async function serve(answer: Answer, tls?: SecureContextOptions & TlsOptions): Promise<TestServer> {
  const requests: TestServer['requests'] = [];
  const listener: RequestListener = async (request, response) => {
    const pieces: Buffer[] = [];
    try {
      for await (const piece of request) pieces.push(piece as Buffer);
    } catch {
      return;
    }
    const body = Buffer.concat(pieces);
    requests.push({ method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
    answer(request, response, body);
  };
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  return { ...(await listening(server, tls === undefined ? 'http' : 'https')), requests };
}

export async function listening(
  server: Pick<Server, 'listen' | 'on' | 'once' | 'address' | 'close'>,
  scheme: string,
): Promise<Omit<TestServer, 'requests'>> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => undefined);
  });
  server.listen(0, '127.0.0.1');
  await once(server as Server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `${scheme}://127.0.0.1:${port}`,
    port,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

export function json(
  response: ServerResponse,
  value: unknown,
  status = 200,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

/** A context of the compliance suite with changes. */
export function stepContext(changes: Partial<AdapterContext> = {}, signal?: AbortSignal): AdapterContext {
  const step = { id: 'step', type: 'network_request', params: {} as JSONObject };
  return { ...(signal === undefined ? contextFor(step) : contextFor(step, signal)), ...changes };
}
