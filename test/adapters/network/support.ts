import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { SecureContextOptions, TlsOptions } from 'node:tls';
import { createHttpClient } from '../../../src/adapters/network/http/client.ts';
import type { PoolLimits } from '../../../src/adapters/network/http/pool.ts';
import { SchemaCache } from '../../../src/adapters/network/request/json-schema.ts';
import { networkRequest } from '../../../src/adapters/network/request/request.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import { isStoredData } from '../../../src/kit/rows.ts';
import { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
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

/** `network_request` over a client of its own; it may reach loopback where nothing else is said. */
export function client(egress = loopback(), limits: PoolLimits = {}) {
  const http = createHttpClient({ egress, ...limits });
  const schemas = new SchemaCache();
  return {
    http,
    request: (params: JSONObject, context = stepContext()): Promise<JSONObject> =>
      networkRequest(params, context, { http, schemas }),
    [Symbol.asyncDispose]: () => http.close(),
  };
}

/** Checks that a step failed in the given way, and returns its message. */
export async function failsWith(code: string, step: Promise<unknown>, retryable?: boolean): Promise<string> {
  try {
    await step;
  } catch (thrown) {
    assert.ok(thrown instanceof StepError, String(thrown));
    assert.equal(thrown.code, code, thrown.message);
    if (retryable !== undefined) assert.equal(thrown.retryable, retryable, thrown.message);
    return thrown.message;
  }
  assert.fail(`it should have failed with ${code}`);
}

/** What a step has stored, put together again. */
export async function storedBytes(value: JSONValue | undefined, { blobs }: AdapterContext): Promise<Buffer> {
  assert.ok(isStoredData(value), 'it is stored');
  const pieces: Uint8Array[] = [];
  for (const { digest, bytes } of value.chunks) {
    const piece = await blobs.get(digest);
    assert.equal(piece.length, bytes);
    pieces.push(piece);
  }
  const whole = Buffer.concat(pieces);
  assert.equal(whole.length, value.bytes);
  return whole;
}
