import { userInfo } from 'node:os';
import type { ConnectionOptions } from 'node:tls';
import type { Client, ClientConfig } from 'pg';
import { knownParameters, shownUrl } from '../../../kit/url.ts';
import { cancellable } from '../cancellable.ts';
import type { Driver, Target } from '../driver.ts';
import {
  atEndpoint,
  checkEndpoint,
  credentialsOf,
  type Endpoint,
  endpointOf,
  GuardedSocket,
  tlsOptions,
  tlsParams,
} from '../endpoint.ts';
import { invalidParams } from '../errors.ts';
import { ConnectionPool } from '../pool.ts';
import type { Lease, Session, SqlServer } from '../sql/session.ts';
import { createSqlDriver } from '../sql/sql-driver.ts';
import { PgConnection } from './connection.ts';
import { postgresDialect } from './dialect.ts';
import { pgFailure } from './failure.ts';
import { PgSession } from './session.ts';
import { TypeCatalogue } from './types.ts';

/** Whatever the server's defaults are: values have one text form, times do not depend on anybody's zone, and only what is begun to write writes. */
const settings =
  "SET client_encoding = 'UTF8'; SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'UTC'; " +
  "SET bytea_output = 'hex'; SET extra_float_digits = 1; SET standard_conforming_strings = on; SET default_transaction_read_only = on";
/** DISCARD ALL, without prepared statements, which are the adapter's own. */
const cleaning =
  'SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DISCARD TEMP; SELECT pg_advisory_unlock_all(); UNLISTEN *; CLOSE ALL';

interface Plan {
  endpoint: Endpoint;
  /** Of the folder of a Unix socket. */
  path: string | undefined;
  tls: ConnectionOptions | undefined;
  config: ClientConfig;
}

/** PostgreSQL through `pg`: `postgres://user:password@host:port/database?sslmode=…&host=/socket/folder`. */
export async function openPostgres(target: Target): Promise<Driver> {
  const { default: pg } = await import('pg');
  const plan = planOf(target);
  await checkEndpoint(plan.endpoint, plan.path);
  const types = new TypeCatalogue();
  const pool = new ConnectionPool<PgConnection>(
    {
      open: (signal) => connect(pg.Client, plan, types, signal),
      check: (connection) => connection.script('SELECT 1'),
      end: (connection) => connection.end(),
      destroy: (connection) => connection.destroy(),
      usable: (connection) => connection.usable,
    },
    { sizeMax: target.options.pool_size, name: shownUrl(target.url) },
  );
  const server: SqlServer = {
    system: 'postgres',
    dialect: postgresDialect,
    use: <R>({ signal, acquireMs }: Lease, body: (session: Session) => Promise<R>): Promise<R> =>
      pool.use(signal, acquireMs, (connection) =>
        cancellable(connection, signal, () => body(new PgSession(connection, signal))),
      ),
    stats: () => pool.stats(),
    close: () => pool.close(),
  };
  return createSqlDriver(server, target);
}

function planOf(target: Target): Plan {
  const { url, reach } = target;
  knownParameters(url, [...tlsParams, 'host', 'application_name', 'options'], 'params.connection');
  const endpoint = endpointOf(target, 'postgres', 5432);
  const folder = url.searchParams.get('host');
  if (folder !== null && !folder.startsWith('/'))
    throw invalidParams(
      'params.connection: its parameter host names the folder of a Unix socket; a server stands before the path',
    );
  const path = folder !== null ? `${folder}/.s.PGSQL.${endpoint.port}` : undefined;
  const { user, password, database } = credentialsOf(url);
  const tls = path === undefined ? tlsOptions(target) : undefined;
  // As psql does; but whom this node runs as is not told to a stranger's server.
  const name = user || (reach === 'operator' ? userInfo().username : 'postgres');
  return {
    endpoint,
    path,
    tls,
    config: {
      user: name,
      database: database || name,
      host: endpoint.host,
      port: endpoint.port,
      // A function, so that neither the environment nor a file of this node's user gives a password away.
      password: () => password,
      ssl: tls ?? false,
      sslnegotiation: 'postgres',
      application_name: url.searchParams.get('application_name') ?? 'jsonflow',
      ...(url.searchParams.has('options') ? { options: url.searchParams.get('options') ?? '' } : {}),
      stream: () => new GuardedSocket(endpoint, path),
    },
  };
}

async function connect(
  Client: new (config: ClientConfig) => Client,
  plan: Plan,
  types: TypeCatalogue,
  signal: AbortSignal,
): Promise<PgConnection> {
  await checkEndpoint(plan.endpoint, plan.path);
  signal.throwIfAborted();
  const client = new Client(plan.config);
  const { endpoint, path, tls } = plan;
  const connection = new PgConnection({ client, types, endpoint, path, tls, cleaning: `${cleaning}; ${settings}` });
  const stop = (): void => connection.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    await connection.script(settings);
    return connection;
  } catch (thrown) {
    connection.destroy();
    signal.throwIfAborted();
    throw atEndpoint(pgFailure(thrown), endpoint, path);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
