import { deadlineOf } from '../../kit/deadline.ts';
import { PoolCache } from '../../kit/pools.ts';
import { reachOf } from '../../kit/reach.ts';
import { parseUrl } from '../../kit/url.ts';
import { verdictOf } from '../../kit/verdict.ts';
import { messageOf, StepError } from '../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../lib/json.ts';
import type { Adapter, AdapterContext, AdapterHealth, AdapterStep } from '../../ports/adapter.ts';
import type { Egress } from '../../ports/egress.ts';
import { conflictOf } from './conflict.ts';
import type { Call, Driver, OpenDriver, WritePoint } from './driver.ts';
import { lint } from './lint.ts';
import { optionsOf } from './options.ts';
import { resultOf } from './result.ts';
import { stepTypes } from './schemas.ts';

const VERSION = '1.0.0';

export interface DatabaseAdapterOptions {
  /** Whom steps may connect to. */
  egress: Egress;
  /** Pools that may be open at once. Default 100. */
  poolsMax?: number;
  /** A pool that nobody has used for so long is closed. Ms; default 60,000. */
  idleMs?: number;
  /** For tests that kill the process: called at each point of a write. */
  reached?: (point: WritePoint) => void;
}

/** Drivers by the scheme of the connection string; each is loaded when a step first needs it. */
const drivers: Readonly<Record<string, () => Promise<OpenDriver>>> = {
  'postgres:': async () => (await import('./postgres/postgres.ts')).openPostgres,
  'postgresql:': async () => (await import('./postgres/postgres.ts')).openPostgres,
  'mysql:': async () => (await import('./mysql/mysql.ts')).openMysql,
  'mariadb:': async () => (await import('./mysql/mysql.ts')).openMysql,
  'sqlite:': async () => (await import('./sqlite/sqlite.ts')).openSqlite,
  'mongodb:': async () => (await import('./mongodb/mongodb.ts')).openMongo,
  'mongodb+srv:': async () => (await import('./mongodb/mongodb.ts')).openMongo,
  'redis:': async () => (await import('./redis/redis.ts')).openRedis,
  'rediss:': async () => (await import('./redis/redis.ts')).openRedis,
};

/** The adapter `database`: `db_query`, `db_insert`, `db_update`, `db_transaction`, `db_migrate`. Params: docs/adapters/database.md. */
export function createDatabaseAdapter({ egress, poolsMax, idleMs, reached }: DatabaseAdapterOptions): Adapter {
  const pools = new PoolCache<Driver>({
    ...(poolsMax === undefined ? {} : { poolsMax }),
    ...(idleMs === undefined ? {} : { idleMs }),
  });

  async function execute(step: AdapterStep, context: AdapterContext): Promise<JSONValue> {
    const { params } = step;
    context.signal.throwIfAborted();
    const options = optionsOf(params);
    const reach = reachOf(context);
    const { url, open } = connectionOf(params);
    const deadline = deadlineOf(context, options.timeout, 'QUERY_TIMEOUT', step.type);
    try {
      const key = JSON.stringify([url.href, options.pool_size, context.tenant_id, reach]);
      return await pools.use(
        key,
        async () => (await open())({ url, reach, egress, options }),
        async (driver) => {
          const call: Call = {
            context,
            signal: deadline.signal,
            timeoutMs: deadline.ms,
            options,
            effectKey: params.idempotency === 'off' ? undefined : context.idempotency_key,
            reached,
          };
          const output = await run(driver, step, call);
          return { ...output, result: resultOf(step.type, output) };
        },
        deadline.signal,
      );
    } finally {
      deadline.done();
    }
  }

  return {
    getManifest: () => ({ adapter_id: 'database', version: VERSION, step_types: stepTypes }),
    validate: (step) => verdictOf(() => conflictOf(step, connectionOf(step.params).url.protocol)),
    lint,
    execute,
    healthCheck: () => healthOf(pools),
    close: () => pools.close(),
  };
}

function connectionOf({ connection }: JSONObject): { url: URL; open: () => Promise<OpenDriver> } {
  const url = parseUrl(String(connection), 'params.connection');
  const open = Object.hasOwn(drivers, url.protocol) ? drivers[url.protocol] : undefined;
  if (open !== undefined) return { url, open };
  const schemes = Object.keys(drivers).join(' ');
  throw new StepError('INVALID_PARAMS', `params.connection: there is no driver for its scheme; there are ${schemes}`);
}

function run(driver: Driver, { type, params }: AdapterStep, call: Call): Promise<JSONObject> {
  switch (type) {
    case 'db_query':
      return driver.query(params, call);
    case 'db_insert':
      return driver.insert(params, call);
    case 'db_update':
      return driver.update(params, call);
    case 'db_transaction':
      return driver.transaction(params, call);
    case 'db_migrate':
      return driver.migrate(params, call);
    default:
      throw new StepError('INVALID_PARAMS', `the adapter database has no step type "${type}"`);
  }
}

const pingMs = 2_000;

/** The state of each open pool; nothing tells which server it is of, as that may be somebody's secret. */
async function healthOf(pools: PoolCache<Driver>): Promise<AdapterHealth> {
  const opened = await pools.opened();
  const states = await Promise.all(
    opened.map(async (driver) => ({ system: driver.system, ...driver.stats(), ...(await pinged(driver)) })),
  );
  const failing = states.filter(({ ok }) => !ok).length;
  return {
    status: failing === 0 ? 'ok' : 'degraded',
    timestamp: new Date().toISOString(),
    pools: states,
    ...(failing === 0 ? {} : { message: `${failing} of ${states.length} open pools get no answer from their server` }),
  };
}

async function pinged(driver: Driver): Promise<{ ok: boolean; ping_ms?: number; error?: string }> {
  const startMs = performance.now();
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new StepError('QUERY_TIMEOUT', `no answer in ${pingMs} ms`)), pingMs);
  try {
    await Promise.race([driver.ping(), late]);
    return { ok: true, ping_ms: Math.round((performance.now() - startMs) * 10) / 10 };
  } catch (thrown) {
    return { ok: false, error: thrown instanceof StepError ? thrown.code : messageOf(thrown).slice(0, 100) };
  } finally {
    clearTimeout(timer);
  }
}
