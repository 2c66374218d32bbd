import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type Socket } from 'node:net';
import type { buildConnector } from 'undici';
import { StepError } from '../../../lib/errors.ts';
import { hostOf } from '../../../lib/net.ts';
import type { Egress } from '../../../ports/egress.ts';
import { networkError } from './errors.ts';
import { connectTimeoutMs, type Lane, tlsOptions } from './lane.ts';
import { portOf, shownOrigin } from './url.ts';

/**
 * Connects through a proxy, by CONNECT. A proxy that gets a name resolves it itself, to whatever it likes: so the name is resolved and
 * judged here, and the proxy gets the address. The proxy itself must be allowed, too.
 */
export function tunnelConnector(
  build: typeof buildConnector,
  egress: Egress,
  { tls, http2 }: Lane,
  proxy: URL,
): buildConnector.connector {
  const secure = build({ ...tlsOptions(tls), allowH2: http2, timeout: connectTimeoutMs });
  return (options, callback) => {
    const scheme = options.protocol.slice(0, -1);
    const port = Number(options.port) || (scheme === 'https' ? 443 : 80);
    openTunnel(egress, proxy, { scheme, host: options.hostname, port })
      .then((socket) => {
        if (scheme === 'https') secure({ ...options, httpSocket: socket }, callback);
        else callback(null, socket);
      })
      .catch((thrown: Error) => callback(thrown, null));
  };
}

async function openTunnel(
  egress: Egress,
  proxy: URL,
  target: { scheme: string; host: string; port: number },
): Promise<Socket> {
  const [address] = await egress.addresses(target, 'public');
  if (address === undefined) throw new StepError('EGRESS_DENIED', `${target.host} has no allowed address`);
  const scheme = proxy.protocol.slice(0, -1);
  const at = { scheme, host: hostOf(proxy), port: portOf(proxy) };
  await egress.addresses(at, 'public');
  const authority = `${address.family === 6 ? `[${address.address}]` : address.address}:${target.port}`;
  const request = (scheme === 'https' ? httpsRequest : httpRequest)({
    method: 'CONNECT',
    host: at.host,
    port: at.port,
    path: authority,
    headers: { host: authority, ...credentialsOf(proxy) },
    lookup: egress.lookup(at, 'public'),
    agent: false,
    signal: AbortSignal.timeout(connectTimeoutMs),
    ...(scheme === 'https' ? { minVersion: 'TLSv1.2', ...(isIP(at.host) === 0 ? { servername: at.host } : {}) } : {}),
  });
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const refused = (status: number | undefined): StepError =>
    new StepError('CONNECTION_FAILED', `the proxy ${shownOrigin(proxy)} refused the connection with status ${status}`, {
      retryable: status !== undefined && status >= 500,
    });
  request.on('connect', ({ statusCode }, socket, head) => {
    if (statusCode !== 200) {
      socket.destroy();
      return reject(refused(statusCode));
    }
    if (head.length > 0) socket.unshift(head);
    resolve(socket as Socket);
  });
  request.on('response', (response) => {
    response.destroy();
    reject(refused(response.statusCode));
  });
  request.on('error', (thrown) => reject(networkError(asConnectError(thrown), `the proxy ${shownOrigin(proxy)}`)));
  request.end();
  return promise;
}

/** A time-out here is one of the connection. */
const asConnectError = (thrown: Error): Error =>
  thrown.name === 'TimeoutError' || thrown.name === 'AbortError'
    ? Object.assign(new Error('the proxy does not answer'), { code: 'ETIMEDOUT' })
    : thrown;

function credentialsOf({ username, password }: URL): { 'proxy-authorization'?: string } {
  if (username === '') return {};
  const plain = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(plain).toString('base64')}` };
}
