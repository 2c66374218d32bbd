import { createServer, type Server as HttpServer, type IncomingMessage } from 'node:http';
import { createServer as createSecureServer, type Server as HttpsServer } from 'node:https';
import { isIPv6, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket, Server as TlsServer } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { JSONFlowError } from '../../lib/errors.ts';
import type { Connection, Listener } from '../../ports/transport.ts';
import { failures } from '../failures.ts';
import { keepAliveMs, type Settings, socketOptions, tlsServerOptions } from './options.ts';
import { probation } from './probation.ts';
import { WsConnection } from './ws-connection.ts';

type Accept = (connection: Connection) => void;

/** @throws JSONFlowError INVALID_CONFIG where the certificate or the address cannot be used */
export async function listenWs(settings: Settings, accept: Accept): Promise<Listener> {
  if (settings.server !== undefined) return new WsListener(settings.server, settings, accept, async () => {});
  const { server, close } = ownServer(settings);
  const listener = new WsListener(server, settings, accept, close);
  await listening(server, settings);
  return listener;
}

class WsListener implements Listener {
  readonly #server: HttpServer | HttpsServer;
  readonly #settings: Settings;
  readonly #accept: Accept;
  readonly #release: () => Promise<void>;
  readonly #upgrader: WebSocketServer;
  readonly #connections = new Set<WsConnection>();
  #pending = 0;
  #closed: Promise<void> | undefined;

  constructor(server: HttpServer | HttpsServer, settings: Settings, accept: Accept, release: () => Promise<void>) {
    this.#server = server;
    this.#settings = settings;
    this.#accept = accept;
    this.#release = release;
    this.#upgrader = new WebSocketServer({ ...socketOptions(settings), noServer: true, clientTracking: false });
    server.on('upgrade', this.#onUpgrade);
  }

  get url(): string {
    const scheme = this.#server instanceof TlsServer ? 'wss' : 'ws';
    const address = this.#server.address();
    const bound = typeof address === 'object' && address !== null ? address : undefined;
    const host = bound?.address ?? this.#settings.host;
    const reachable = host === '0.0.0.0' || host === '::' ? 'localhost' : host;
    const named = isIPv6(reachable) ? `[${reachable}]` : reachable;
    return `${scheme}://${named}:${bound?.port ?? this.#settings.port}${this.#settings.path}`;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#server.off('upgrade', this.#onUpgrade);
    await Promise.all(
      [...this.#connections].map((connection) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        connection.onClose(() => resolve());
        connection.close();
        return promise;
      }),
    );
    await this.#release();
  }

  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const refusal = this.#refusal(request, socket);
    if (refusal === 'not ours') return;
    // The socket is ours from here on; without a listener an error of it would end the process.
    socket.on('error', () => {});
    if (refusal !== undefined) answer(socket, refusal);
    else if (isDiagnostic(request)) answer(socket, diagnosis);
    else this.#upgrader.handleUpgrade(request, socket, head, (ws) => this.#open(ws, request, socket));
  };

  #open(ws: WebSocket, request: IncomingMessage, socket: Duplex): void {
    if (socket instanceof Socket) socket.setNoDelay(true).setKeepAlive(true, keepAliveMs);
    let join = (): void => {};
    const connection = new WsConnection(ws, socket, peerOf(request), () => join());
    join = this.#probe(connection, socket);
    this.#connections.add(connection);
    connection.onClose(() => this.#connections.delete(connection));
    try {
      this.#accept(connection);
    } catch (thrown) {
      connection.destroy(failures.receiver(thrown));
    }
  }

  /** The answer to a request that must not become a connection. */
  #refusal(request: IncomingMessage, socket: Duplex): string | undefined {
    const path = request.url?.split('?', 1)[0];
    if (path !== this.#settings.path)
      return this.#server.listenerCount('upgrade') > 1 ? 'not ours' : status(404, 'Not Found');
    // Nodes send no Origin, browsers always do: no web page may speak to a node in its visitor's name.
    if (request.headers.origin !== undefined) return status(403, 'Forbidden');
    if (socket instanceof TLSSocket && socket.getProtocol() !== 'TLSv1.3') return status(426, 'Upgrade Required');
    if (this.#pending >= this.#settings.pendingMax) return status(503, 'Service Unavailable');
    return undefined;
  }

  /** Counts the connection as pending until the returned function is called or it ends. */
  #probe(connection: WsConnection, socket: Duplex): () => void {
    const end = probation(socket, this.#settings.handshakeTimeoutMs, (error) => connection.destroy(error));
    let pending = true;
    this.#pending += 1;
    const join = (): void => {
      if (!pending) return;
      pending = false;
      this.#pending -= 1;
      end();
    };
    connection.onClose(join);
    return join;
  }
}

const status = (code: number, reason: string): string =>
  `HTTP/1.1 ${code} ${reason}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`;

/**
 * What `curl -i -N -H "Connection: Upgrade" -H "Upgrade: websocket" http://localhost:8080/ws` is told: such a request, without key
 * and version, can't become a WebSocket (RFC 6455 §4.2.1), but it shows whether the way to the node lets upgrades through.
 */
const diagnosis = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n';
const isDiagnostic = ({ method, headers }: IncomingMessage): boolean =>
  method === 'GET' &&
  headers.upgrade?.toLowerCase() === 'websocket' &&
  headers['sec-websocket-key'] === undefined &&
  headers['sec-websocket-version'] === undefined;

function answer(socket: Duplex, response: string): void {
  socket.once('finish', () => socket.destroy());
  socket.end(response);
}

function peerOf({ socket }: IncomingMessage): string {
  const host = socket.remoteAddress ?? 'unknown';
  const named = isIPv6(host) ? `[${host}]` : host;
  return `${socket instanceof TLSSocket ? 'wss' : 'ws'}://${named}:${socket.remotePort ?? 0}`;
}

function ownServer(settings: Settings): { server: HttpServer | HttpsServer; close(): Promise<void> } {
  const server = createOwnServer(settings);
  server.headersTimeout = settings.handshakeTimeoutMs;
  server.on('request', (_request, response) => response.writeHead(426, { Upgrade: 'websocket' }).end());
  // A socket that has not got as far as a request is known to nobody else.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      for (const socket of sockets) socket.destroy();
    });
  return { server, close };
}

function createOwnServer({ tls }: Settings): HttpServer | HttpsServer {
  if (tls === undefined) return createServer();
  if (tls.cert === undefined || tls.key === undefined)
    throw new JSONFlowError('INVALID_CONFIG', 'listening with TLS needs a certificate and its key', {
      hint: 'Give both, as PEM files.',
    });
  try {
    return createSecureServer(tlsServerOptions(tls));
  } catch (cause) {
    throw new JSONFlowError('INVALID_CONFIG', 'the certificate, its key or the CA cannot be used', {
      hint: 'Check that the files are PEM and that the key belongs to the certificate.',
      cause,
    });
  }
}

function listening(server: HttpServer | HttpsServer, { host, port }: Settings): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.on('error', (cause: NodeJS.ErrnoException) =>
    reject(
      new JSONFlowError('INVALID_CONFIG', `cannot listen on ${host} port ${port}: ${cause.code ?? cause.message}`, {
        hint: 'Choose another port, or end the program that uses this one.',
        cause,
      }),
    ),
  );
  server.listen(port, host, () => resolve());
  return promise;
}
