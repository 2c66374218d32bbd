import type { Connection, ConnectionOptions } from 'mysql2';
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
import { ConnectionPool } from '../pool.ts';
import type { Lease, Session, SqlServer } from '../sql/session.ts';
import { createSqlDriver } from '../sql/sql-driver.ts';
import { MysqlConnection, type SessionSetup } from './connection.ts';
import { type MysqlFacts, mysqlDialect, quote } from './dialect.ts';
import { mysqlFailure } from './failure.ts';
import { MysqlSession } from './session.ts';

/** Times are in UTC, what does not fit is an error, and a statement on its own only reads. */
const values =
  "SET SESSION time_zone = '+00:00', sql_mode = CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), 'STRICT_TRANS_TABLES')";
const settings = `${values}; SET SESSION TRANSACTION READ ONLY`;
const aboutServer = 'SELECT VERSION() AS version, @@auto_increment_increment AS step, @@max_allowed_packet AS packet';

/** Of MariaDB; the server tells its own. */
const packetBytesDefault = 16 * 1024 * 1024;

interface Plan {
  endpoint: Endpoint;
  path: string | undefined;
  options: ConnectionOptions;
  setup: SessionSetup;
}

/** MySQL and MariaDB through `mysql2`: `mysql://user:password@host:port/database?sslmode=…&socket=…`. */
export async function openMysql(target: Target): Promise<Driver> {
  const { createConnection } = (await import('mysql2')).default;
  const plan = planOf(target);
  await checkEndpoint(plan.endpoint, plan.path);
  const facts: MysqlFacts = { mariadb: false, step: 1, packetBytes: packetBytesDefault };
  const pool = new ConnectionPool<MysqlConnection>(
    {
      open: (signal) => connect(createConnection, plan, facts, signal),
      check: (connection) => connection.script('SELECT 1'),
      end: (connection) => connection.end(),
      destroy: (connection) => connection.destroy(),
      usable: (connection) => connection.usable,
    },
    { sizeMax: target.options.pool_size, name: shownUrl(target.url) },
  );
  const server: SqlServer = {
    system: 'mysql',
    dialect: mysqlDialect(facts),
    use: <R>({ signal, acquireMs }: Lease, body: (session: Session) => Promise<R>): Promise<R> =>
      pool.use(signal, acquireMs, (connection) =>
        cancellable(connection, signal, () => body(new MysqlSession(connection, facts, signal))),
      ),
    stats: () => pool.stats(),
    close: () => pool.close(),
  };
  return createSqlDriver(server, target);
}

function planOf(target: Target): Plan {
  const { url } = target;
  knownParameters(url, [...tlsParams, 'socket', 'socketPath'], 'params.connection');
  const endpoint = endpointOf(target, 'mysql', 3306);
  const path = url.searchParams.get('socket') ?? url.searchParams.get('socketPath') ?? undefined;
  const { user, password, database } = credentialsOf(url);
  const tls = path === undefined ? tlsOptions(target) : undefined;
  const use = database === '' ? '' : `; USE ${quote(database)}`;
  return {
    endpoint,
    path,
    setup: { restoring: `SET NAMES utf8mb4${use}`, settings },
    options: {
      host: endpoint.host,
      port: endpoint.port,
      user: user || 'root',
      password,
      database,
      // mysql2 looks at the host's name only where it is told to.
      ...(tls === undefined
        ? {}
        : { ssl: { ...(tls as object), verifyIdentity: tls.checkServerIdentity === undefined } }),
      stream: () => new GuardedSocket(endpoint, path).connect(),
      connectTimeout: 0,
      charset: 'utf8mb4',
      // Counts of rows are those that changed, and the server may not ask for files of this machine.
      // Of migrations; what a workflow says is prepared, and so one statement alone.
      multipleStatements: true,
      flags: ['-FOUND_ROWS', '-LOCAL_FILES'],
      supportBigNumbers: true,
      dateStrings: true,
      jsonStrings: true,
      maxPreparedStatements: 100,
    },
  };
}

type Create = (options: ConnectionOptions) => Connection;

async function connect(create: Create, plan: Plan, facts: MysqlFacts, signal: AbortSignal): Promise<MysqlConnection> {
  await checkEndpoint(plan.endpoint, plan.path);
  signal.throwIfAborted();
  const raw = create(plan.options);
  const connection = new MysqlConnection(raw, (threadId) => kill(create, plan, threadId), plan.setup);
  const stop = (): void => connection.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await connection.connected();
    await connection.script(plan.setup.settings);
    const { rows } = await connection.run({ text: aboutServer, values: [], reuse: false });
    facts.mariadb = String(rows[0]?.version).includes('MariaDB');
    facts.step = Number(rows[0]?.step);
    facts.packetBytes = Number(rows[0]?.packet);
    return connection;
  } catch (thrown) {
    connection.destroy();
    signal.throwIfAborted();
    throw atEndpoint(mysqlFailure(thrown), plan.endpoint, plan.path);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/** Ends the statement, not the connection: that the adapter ends itself. */
async function kill(create: Create, plan: Plan, threadId: number): Promise<void> {
  try {
    await checkEndpoint(plan.endpoint, plan.path);
    const raw = create({ ...plan.options, connectTimeout: 5_000 });
    const killer = new MysqlConnection(raw, async () => undefined, plan.setup);
    try {
      await killer.connected();
      await killer.script(`KILL QUERY ${Number(threadId)}`);
    } finally {
      killer.destroy();
    }
  } catch {
    // The statement may have ended, or the server be gone; its own limit ends it else.
  }
}
