import { readFileSync } from 'node:fs';
import { Socket, type SocketConnectOpts } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { hostOf, shownServer } from '../../lib/net.ts';
import type { Egress, Reach } from '../../ports/egress.ts';
import type { Target } from './driver.ts';
import { invalidParams, type SqlFailure } from './errors.ts';

/** Where a server is, and how to get there. */
export interface Endpoint {
  scheme: string;
  host: string;
  port: number;
  reach: Reach;
  egress: Egress;
}

/** Where a connection goes: the host and port of its URL, or the usual ones. */
export function endpointOf({ url, reach, egress }: Target, scheme: string, defaultPort: number): Endpoint {
  const host = hostOf(url) || 'localhost';
  return { scheme, host, port: url.port === '' ? defaultPort : Number(url.port), reach, egress };
}

/** A socket that goes to addresses that the node's rules allow, whatever a driver tells it. @param path of a Unix socket instead */
export class GuardedSocket extends Socket {
  readonly #endpoint: Endpoint;
  readonly #path: string | undefined;

  /** What Node compares a certificate with where a driver names no server, as mysql2 does for addresses: else it would be `localhost`. */
  readonly _host: string;

  constructor(endpoint: Endpoint, path?: string) {
    super();
    this._host = endpoint.host;
    this.#endpoint = endpoint;
    this.#path = path;
  }

  override connect(...given: unknown[]): this {
    const done = given.find((one): one is () => void => typeof one === 'function');
    const { scheme, host, port, reach, egress } = this.#endpoint;
    const options: SocketConnectOpts =
      this.#path === undefined ? { host, port, lookup: egress.lookup({ scheme, port }, reach) } : { path: this.#path };
    this.setNoDelay(true);
    this.setKeepAlive(true, 30_000);
    return super.connect(options, done);
  }
}

/** Rejects where the rules forbid it. Literal addresses never reach a lookup, so this comes before each connection. */
export async function checkEndpoint({ scheme, host, port, reach, egress }: Endpoint, path?: string): Promise<void> {
  if (path === undefined) await egress.addresses({ scheme, host, port }, reach);
  else egress.checkPath(scheme, path, reach);
}

const modes: Readonly<Record<string, 'off' | 'verify-ca' | 'verify-full'>> = {
  disable: 'off',
  false: 'off',
  '0': 'off',
  // Encryption to whoever answers keeps nobody out: where TLS is asked for, the certificate counts.
  require: 'verify-full',
  required: 'verify-full',
  true: 'verify-full',
  '1': 'verify-full',
  'verify-ca': 'verify-ca',
  verify_ca: 'verify-ca',
  'verify-full': 'verify-full',
  verify_identity: 'verify-full',
};

/**
 * TLS as the connection string asks for it: `sslmode`, `ssl-mode` or `ssl`; `sslrootcert`, `sslcert` and `sslkey` name files.
 * @returns undefined without TLS
 * @throws StepError INVALID_PARAMS, EGRESS_DENIED
 */
export function tlsOptions({ url, egress, reach }: Target): ConnectionOptions | undefined {
  const query = url.searchParams;
  const text = query.get('sslmode') ?? query.get('ssl-mode') ?? query.get('ssl') ?? query.get('tls');
  if (text === null) return undefined;
  const mode = modes[text.toLowerCase()];
  if (mode === undefined)
    throw invalidParams('params.connection: sslmode must be disable, require, verify-ca or verify-full');
  if (mode === 'off') return undefined;
  const file = (name: string): Buffer | undefined => {
    const path = query.get(name);
    if (path === null) return undefined;
    egress.checkPath('file', path, reach);
    try {
      return readFileSync(path);
    } catch {
      throw invalidParams(`params.connection: the file that ${name} names can't be read`);
    }
  };
  const [ca, cert, key] = [file('sslrootcert'), file('sslcert'), file('sslkey')];
  return {
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(mode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  };
}

/** Those of TLS, of any server. */
export const tlsParams = ['sslmode', 'ssl-mode', 'ssl', 'tls', 'sslrootcert', 'sslcert', 'sslkey'];

/** A failure to connect, with where to. */
export function atEndpoint(failure: SqlFailure, endpoint: Endpoint, path: string | undefined): SqlFailure {
  if (failure.code !== 'CONNECTION_FAILED' && failure.code !== 'TLS_FAILED') return failure;
  return failure.saying(`${failure.message}: ${path ?? shownServer(endpoint)}`);
}

/** User, password and database of a URL, decoded. @throws StepError INVALID_PARAMS */
export function credentialsOf(url: URL): { user: string; password: string; database: string } {
  try {
    return {
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      database: decodeURIComponent(url.pathname.replace(/^\//, '')),
    };
  } catch {
    throw invalidParams('params.connection: a percent sign of a name or password must be written %25');
  }
}
