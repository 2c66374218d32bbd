import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { isAbsolute } from 'node:path';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import type { Authenticator, ConnectionOptions, NatsConnection } from '@nats-io/transport-node';
import { abortable } from '../../../kit/abortable.ts';
import { knownParameters } from '../../../kit/url.ts';
import { StepError } from '../../../lib/errors.ts';
import { shownServer } from '../../../lib/net.ts';
import type { Address } from '../../../ports/egress.ts';
import type { BrokerTarget } from '../broker.ts';
import { credentialsOf, type Server, serversOf } from '../hosts.ts';
import { tlsOptions } from '../tls.ts';
import { within } from '../waiting.ts';
import { connectError } from './errors.ts';
import { awaitGreeting } from './greeting.ts';

export type NatsModule = typeof import('@nats-io/transport-node');

type JetStreamManager = import('@nats-io/jetstream').JetStreamManager;
type JetStreamClient = import('@nats-io/jetstream').JetStreamClient;

/** A connection and its JetStream. */
export interface Session {
  nats: NatsModule;
  connection: NatsConnection;
  client: JetStreamClient;
  manager: JetStreamManager;
  /** Called when the connection is lost or closed. */
  onClosed: Set<() => void>;
}

const connectTimeoutMs = 10_000;
const requestTimeoutMs = 10_000;
const closeMs = 1_000;
/** A server that answers none of two pings counts as gone: half-open connections say nothing themselves. */
const pingIntervalMs = 15_000;
const defaultPort = 4222;
const parameters = ['servers', 'creds', 'jwt', 'nkey', 'cacert', 'cert', 'key', 'servername', 'tls_first'];

/**
 * One connection to a server, opened when first needed and again after it was lost. The client does not reconnect by itself, and
 * takes no servers that the cluster tells of: each connection goes through the node's egress rules.
 */
export class Link {
  readonly #target: BrokerTarget;
  readonly #servers: Server[];
  #session: Promise<Session> | undefined;
  readonly #closing = new AbortController();

  /** @throws StepError INVALID_PARAMS */
  constructor(target: BrokerTarget) {
    knownParameters(target.url, parameters, 'params.broker');
    this.#target = target;
    this.#servers = serversOf(target.url, defaultPort);
  }

  /** @throws StepError CONNECTION_FAILED, AUTHENTICATION_FAILED, EGRESS_DENIED; the signal's reason */
  async session(signal: AbortSignal): Promise<Session> {
    signal.throwIfAborted();
    this.#closing.signal.throwIfAborted();
    this.#session ??= this.#open();
    return abortable(this.#session, signal);
  }

  async close(): Promise<void> {
    this.#closing.abort(new StepError('CONNECTION_FAILED', 'the connection to NATS is closed', { retryable: true }));
    const session = await this.#session?.catch(() => undefined);
    if (session !== undefined) await within(closeMs, session.connection.close());
  }

  #open(): Promise<Session> {
    const opening = this.#connect();
    const forget = () => {
      if (this.#session === opening) this.#session = undefined;
    };
    opening.then(({ connection }) => connection.closed().then(forget, forget), forget);
    return opening;
  }

  async #connect(): Promise<Session> {
    const [nats, jetstream] = await Promise.all([import('@nats-io/transport-node'), import('@nats-io/jetstream')]);
    const authenticator = await authenticatorOf(nats, this.#target);
    let thrown: unknown;
    for (const server of this.#servers) {
      try {
        const connecting = nats.connect(await this.#optionsFor(server, authenticator));
        const connection = await abortable(connecting, this.#closing.signal, (late) => void late.close());
        const client = jetstream.jetstream(connection, { timeout: requestTimeoutMs });
        const manager = await jetstream.jetstreamManager(connection, { timeout: requestTimeoutMs, checkAPI: false });
        const onClosed = new Set<() => void>();
        const tell = () => {
          for (const listener of onClosed) listener();
        };
        connection.closed().then(tell, tell);
        return { nats, connection, client, manager, onClosed };
      } catch (failure) {
        this.#closing.signal.throwIfAborted();
        const secure = this.#target.url.protocol === 'tls:';
        thrown = connectError(failure, `connecting to NATS at ${shownServer(server)}`, secure);
      }
    }
    throw thrown;
  }

  async #optionsFor({ host, port }: Server, authenticator: Authenticator | undefined): Promise<ConnectionOptions> {
    const { url, egress, reach } = this.#target;
    const scheme = url.protocol.slice(0, -1);
    const addresses = await abortable(egress.addresses({ scheme, host, port }, reach), this.#closing.signal);
    const { address, family } =
      url.searchParams.get('tls_first') === 'true'
        ? first(addresses)
        : await greeting(addresses, port, this.#closing.signal);
    return {
      servers: [family === 6 ? `[${address}]:${port}` : `${address}:${port}`],
      resolve: false,
      noRandomize: true,
      ignoreClusterUpdates: true,
      reconnect: false,
      timeout: connectTimeoutMs,
      pingInterval: pingIntervalMs,
      maxPingOut: 2,
      noAsyncTraces: true,
      name: 'jsonflow',
      tls: scheme === 'tls' ? await this.#tlsFor(host) : null,
      ...(authenticator === undefined ? {} : { authenticator }),
    };
  }

  /** Connected to by address; the certificate must be that of the name. */
  async #tlsFor(host: string): Promise<NonNullable<ConnectionOptions['tls']>> {
    const { url } = this.#target;
    const { ca, cert, key, servername, minVersion } = await tlsOptions(this.#target);
    const name = url.searchParams.has('servername') ? (servername ?? host) : host;
    const options = {
      minVersion,
      // An address is no name that TLS may send, but the certificate must be that of it.
      servername: isIP(name) === 0 ? name : '',
      checkServerIdentity: (_: string, certificate: PeerCertificate) => checkServerIdentity(name, certificate),
      ...(url.searchParams.get('tls_first') === 'true' ? { handshakeFirst: true } : {}),
    };
    return {
      ...options,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
    };
  }
}

function first(addresses: readonly Address[]): Address {
  const [address] = addresses;
  if (address === undefined)
    throw new StepError('HOST_NOT_FOUND', 'the NATS server has no address', { retryable: true });
  return address;
}

/** The first of the addresses at which a server answers. @throws StepError CONNECTION_FAILED of the last one */
async function greeting(addresses: readonly Address[], port: number, signal: AbortSignal): Promise<Address> {
  let thrown: unknown;
  for (const address of addresses) {
    try {
      await awaitGreeting(address, port, connectTimeoutMs, signal);
      return address;
    } catch (failure) {
      thrown = failure;
    }
  }
  throw thrown;
}

/** User and password, a token (a user alone), an nkey's seed, a JWT with it, or a file of both. */
async function authenticatorOf(
  nats: NatsModule,
  { url, reach, egress }: BrokerTarget,
): Promise<Authenticator | undefined> {
  const creds = url.searchParams.get('creds');
  const seed = url.searchParams.get('nkey');
  const jwt = url.searchParams.get('jwt');
  if (creds !== null) {
    if (reach !== 'operator')
      throw new StepError('EGRESS_DENIED', "params.broker: ?creds reads a file of the node, which is its operator's");
    if (!isAbsolute(creds)) throw new StepError('INVALID_PARAMS', 'params.broker: ?creds must be an absolute path');
    egress.checkPath('file', creds, reach);
    const text = await readFile(creds).catch(() => {
      throw new StepError('INVALID_PARAMS', "params.broker: the file of ?creds can't be read");
    });
    return nats.credsAuthenticator(text);
  }
  const bytes = seed === null ? undefined : new TextEncoder().encode(seed);
  if (jwt !== null) return nats.jwtAuthenticator(jwt, bytes);
  if (bytes !== undefined) return nats.nkeyAuthenticator(bytes);
  const credentials = credentialsOf(url);
  if (credentials === undefined) return undefined;
  const { username, password } = credentials;
  return url.password === ''
    ? nats.tokenAuthenticator(username)
    : nats.usernamePasswordAuthenticator(username, password);
}
