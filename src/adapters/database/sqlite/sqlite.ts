import { existsSync, realpathSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { knownParameters } from '../../../kit/url.ts';
import { cancellable } from '../cancellable.ts';
import type { Driver, Target } from '../driver.ts';
import { invalidParams, SqlFailure } from '../errors.ts';
import { ConnectionPool } from '../pool.ts';
import { migrateNothing, onlyLooks } from '../sql/migrate.ts';
import type { Lease, Session, SqlServer } from '../sql/session.ts';
import { createSqlDriver } from '../sql/sql-driver.ts';
import { SqliteConnection } from './connection.ts';
import { sqliteDialect } from './dialect.ts';
import { SqliteSession } from './session.ts';

/** Each connection is a process of some 50 MB, and only one can write. */
const processesMax = 4;
const journals = new Set(['wal', 'delete', 'truncate', 'persist']);
const busyMs = 5_000;

/** SQLite through `node:sqlite`: `sqlite:/path/to/file.db`, `sqlite:file.db` from the node's working directory; `?journal_mode=delete`. */
export async function openSqlite(target: Target): Promise<Driver> {
  const path = pathOf(target);
  knownParameters(target.url, ['journal_mode'], 'params.connection');
  const journal = target.url.searchParams.get('journal_mode')?.toLowerCase() ?? 'wal';
  if (!journals.has(journal))
    throw invalidParams(`params.connection: journal_mode must be one of ${[...journals].join(', ')}`);
  checkPath(target, path);
  const pool = new ConnectionPool<SqliteConnection>(
    {
      open: (signal) => connect(target, path, journal, signal),
      check: async (connection) => {
        await connection.ask({ op: 'rollback' });
      },
      end: (connection) => connection.end(),
      destroy: (connection) => connection.destroy(),
      usable: (connection) => connection.usable,
    },
    { sizeMax: Math.min(target.options.pool_size, processesMax), name: 'the SQLite database' },
  );
  const server: SqlServer = {
    system: 'sqlite',
    dialect: sqliteDialect,
    use: <R>({ signal, acquireMs }: Lease, body: (session: Session) => Promise<R>): Promise<R> =>
      pool.use(signal, acquireMs, (connection) =>
        cancellable(connection, signal, () => body(new SqliteSession(connection, signal))),
      ),
    stats: () => pool.stats(),
    close: () => pool.close(),
  };
  const driver = createSqlDriver(server, target);
  // SQLite would make the file, and then find no table in it.
  const found = (): void => {
    if (!existsSync(path))
      throw new SqlFailure('CONNECTION_FAILED', `there is no SQLite database ${path}; a write or a migration makes it`);
  };
  return {
    ...driver,
    async query(params, call) {
      found();
      return driver.query(params, call);
    },
    async transaction(params, call) {
      if (call.options.read_only === true) found();
      return driver.transaction(params, call);
    },
    migrate: (params, call) =>
      onlyLooks(params) && !existsSync(path) ? migrateNothing(params, target) : driver.migrate(params, call),
    async ping() {
      found();
      return driver.ping();
    },
  };
}

function pathOf({ url }: Target): string {
  const form = 'write sqlite:/path/to/file.db, or sqlite:file.db';
  if (url.host !== '') throw invalidParams(`params.connection: after sqlite:// comes a third slash; ${form}`);
  let path: string;
  try {
    path = decodeURIComponent(url.pathname);
  } catch {
    throw invalidParams('params.connection: a percent sign of the path must be written %25');
  }
  if (path === '' || path.includes('\0')) throw invalidParams(`params.connection names no file; ${form}`);
  if (path === ':memory:')
    throw invalidParams(`params.connection: a database in memory would be gone with its connection; ${form}`);
  return resolve(path);
}

/** The path as it is written, and where links lead. */
function checkPath({ egress, reach }: Target, path: string): void {
  egress.checkPath('sqlite', path, reach);
  const real = realPath(path);
  if (real !== path) egress.checkPath('sqlite', real, reach);
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // The file will be made.
  }
  try {
    return join(realpathSync(dirname(path)), basename(path));
  } catch {
    throw new SqlFailure('CONNECTION_FAILED', 'the folder of the SQLite database does not exist');
  }
}

async function connect(target: Target, path: string, journal: string, signal: AbortSignal): Promise<SqliteConnection> {
  checkPath(target, path);
  signal.throwIfAborted();
  const connection = new SqliteConnection();
  const stop = (): void => connection.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await connection.ask({ op: 'open', path, journal, busyMs });
    return connection;
  } catch (thrown) {
    connection.destroy();
    signal.throwIfAborted();
    throw thrown;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
