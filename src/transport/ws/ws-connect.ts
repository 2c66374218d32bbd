import { isIP, connect as netConnect, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { WebSocket } from 'ws';
import { JSONFlowError } from '../../lib/errors.ts';
import { isLoopback } from '../../lib/net.ts';
import type { Connection } from '../../ports/transport.ts';
import { type Address, parseAddress } from './address.ts';
import { explainFailure, explainStatus } from './explain.ts';
import { keepAliveMs, type Settings, socketOptions } from './options.ts';
import { WsConnection } from './ws-connection.ts';

/** @throws JSONFlowError NODE_UNREACHABLE or INVALID_CONFIG, or the signal's reason */
export async function connectWs(text: string, settings: Settings, signal?: AbortSignal): Promise<Connection> {
  signal?.throwIfAborted();
  const address = parseAddress(text, settings);
  const { promise, resolve, reject } = Promise.withResolvers<Connection>();
  let secured = false;
  const socket = openSocket(address, settings, () => {
    secured = true;
  });
  const ws = new WebSocket(address.url, {
    ...socketOptions(settings),
    ...(needsMask(address) ? {} : { generateMask: (mask: Buffer) => mask.fill(0) }),
    createConnection: () => socket,
  });

  const onAbort = (): void => reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  const timer = setTimeout(
    () =>
      reject(
        new JSONFlowError('NODE_UNREACHABLE', `${address.url} did not answer within ${settings.connectTimeoutMs} ms`, {
          hint: 'Check address, port and firewall.',
          retriable: true,
        }),
      ),
    settings.connectTimeoutMs,
  );
  ws.on('open', () => resolve(new WsConnection(ws, socket, address.url)));
  ws.on('error', (error) => {
    explainFailure(error, address, settings, secured).then(reject, reject);
  });
  ws.on('unexpected-response', (_request, response) => reject(explainStatus(response.statusCode ?? 0, address)));

  try {
    return await promise;
  } catch (thrown) {
    ws.removeAllListeners('error').on('error', () => {});
    ws.terminate();
    socket.destroy();
    throw thrown;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Masks keep a client from putting chosen bytes on a wire where a proxy could take them for a request (RFC 6455 §10.3). Inside TLS
 * and on this machine no proxy reads them, and a mask of zeros saves more than half of the work on large frames.
 */
const needsMask = ({ secure, host }: Address): boolean => !secure && !isLoopback(host);

function openSocket({ host, port, secure }: Address, { tls }: Settings, secured: () => void): Socket {
  const common = { host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs };
  if (!secure) return netConnect(common);
  // A server name is a DNS name, never an address (RFC 6066 §3).
  const servername = isIP(host) === 0 ? host : '';
  try {
    return tlsConnect({ ...common, ...tls, servername, minVersion: 'TLSv1.3' }, secured);
  } catch (cause) {
    throw new JSONFlowError('INVALID_CONFIG', 'the certificate, its key or the CA cannot be used', {
      hint: 'Check that the files are PEM and that the key belongs to the certificate.',
      cause,
    });
  }
}
