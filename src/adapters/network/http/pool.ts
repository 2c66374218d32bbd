import { isIP } from 'node:net';
import type { Agent, buildConnector } from 'undici';
import { PoolCache } from '../../../kit/pools.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { Egress } from '../../../ports/egress.ts';
import { checkTls, connectTimeoutMs, type Lane, tlsOptions } from './lane.ts';
import { tunnelConnector } from './tunnel.ts';

export interface PoolLimits {
  /** Connections to one origin at once, for each tenant and TLS identity; further requests wait. Default 64. */
  connectionsPerOriginMax?: number;
}

const originsMax = 1000;

/** Pools of HTTP connections, by tenant, TLS identity and proxy. */
export class HttpPools {
  readonly #egress: Egress;
  readonly #connections: number;
  readonly #pools = new PoolCache<{ agent: Agent; close(): Promise<void> }>();

  constructor(egress: Egress, { connectionsPerOriginMax = 64 }: PoolLimits = {}) {
    this.#egress = egress;
    this.#connections = connectionsPerOriginMax;
  }

  /** @throws StepError POOLS_EXHAUSTED; what `body` throws */
  use<T>(
    lane: Lane,
    { tenant_id, signal }: Pick<AdapterContext, 'tenant_id' | 'signal'>,
    body: (agent: Agent) => Promise<T>,
  ): Promise<T> {
    const { cert = '', key = '', ca = '', serverName = '' } = lane.tls;
    const name = JSON.stringify([tenant_id, lane.http2, cert, key, ca, serverName, lane.proxy?.href ?? '']);
    return this.#pools.use(
      name,
      () => this.#open(lane),
      ({ agent }) => body(agent),
      signal,
    );
  }

  close(): Promise<void> {
    return this.#pools.close();
  }

  async #open(lane: Lane): Promise<{ agent: Agent; close(): Promise<void> }> {
    checkTls(lane.tls);
    const undici = await import('undici');
    const agent = new undici.Agent({
      connect:
        lane.proxy === undefined
          ? directConnector(undici.buildConnector, this.#egress, lane)
          : tunnelConnector(undici.buildConnector, this.#egress, lane, lane.proxy),
      allowH2: lane.http2,
      connections: this.#connections,
      maxOrigins: originsMax,
      // The step's deadline covers all of it, exactly.
      headersTimeout: 0,
      bodyTimeout: 0,
      // Sooner than servers commonly close what is idle.
      keepAliveTimeout: 4000,
      keepAliveMaxTimeout: 60_000,
    });
    // Nobody waits any more when a pool is closed: what is idle there may go at once.
    return { agent, close: () => agent.destroy() };
  }
}

type BuildConnector = typeof buildConnector;

const connectorsMax = 100;

/** Connects to what the policy allows, which is asked at each connection: by `lookup` for names, before for addresses. */
function directConnector(build: BuildConnector, egress: Egress, { tls, http2 }: Lane): buildConnector.connector {
  // One for each scheme and port, so that TLS sessions are used again.
  const connectors = new Map<string, buildConnector.connector>();
  const connectorFor = (scheme: string, port: number): buildConnector.connector => {
    const name = `${scheme}:${port}`;
    const known = connectors.get(name);
    if (known !== undefined) return known;
    if (connectors.size >= connectorsMax) connectors.clear();
    const made = build({
      ...tlsOptions(tls),
      allowH2: http2,
      timeout: connectTimeoutMs,
      lookup: egress.lookup({ scheme, port }, 'public'),
    });
    connectors.set(name, made);
    return made;
  };
  return (options, callback) => {
    const scheme = options.protocol.slice(0, -1);
    const port = Number(options.port) || (scheme === 'https' ? 443 : 80);
    const connect = () => {
      try {
        connectorFor(scheme, port)(options, callback);
      } catch (thrown) {
        callback(thrown as Error, null);
      }
    };
    if (isIP(options.hostname) === 0) return connect();
    egress
      .addresses({ scheme, host: options.hostname, port }, 'public')
      .then(connect, (thrown) => callback(thrown, null));
  };
}
