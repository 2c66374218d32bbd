import { retrying } from '../../../kit/retry.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { hostOf, shownServer } from '../../../lib/net.ts';
import type { Call, Driver, OpenDriver } from '../driver.ts';
import { ConnectionPool } from '../pool.ts';
import { cutAtSignal, type Link, linkKind } from './link.ts';
import { query } from './reads.ts';
import { insert, transaction, update } from './writes.ts';

type Operation = (params: JSONObject, call: Call, link: Link) => Promise<JSONObject>;

const pingTimeoutMs = 5_000;

/** Redis 6.2 or newer, one server. Params, outputs and codes: docs/adapters/database-redis.md. */
export const openRedis: OpenDriver = async (target): Promise<Driver> => {
  const kind = await linkKind(target);
  const { url, egress, reach } = target;
  const server = { host: hostOf(url), port: url.port === '' ? 6379 : Number(url.port) };
  const name = `Redis at ${shownServer(server)}`;
  const pool = new ConnectionPool(kind, { sizeMax: target.options.pool_size, name });
  await egress.addresses({ scheme: url.protocol.slice(0, -1), ...server }, reach);

  const run = (params: JSONObject, call: Call, repeatable: boolean, operation: Operation): Promise<JSONObject> => {
    const { signal, options } = call;
    return retrying(
      {
        attempts: repeatable ? 1 + options.retry_attempts : 1,
        signal,
        again: (thrown) => thrown instanceof StepError && thrown.retryable && thrown.code !== 'POOL_EXHAUSTED',
      },
      () =>
        pool.use(signal, options.acquire_timeout, (link) =>
          cutAtSignal(link, signal, () => operation(params, call, link)),
        ),
    );
  };
  /** Without a key nobody can tell whether a lost answer was a success. */
  const write = (params: JSONObject, call: Call, operation: Operation): Promise<JSONObject> => {
    if (call.options.read_only === true)
      throw new StepError('READ_ONLY', 'options.read_only is set, and this step type writes');
    return run(params, call, call.effectKey !== undefined, operation);
  };
  return {
    system: 'redis',
    query: (params, call) => run(params, call, true, query),
    insert: async (params, call) => write(params, call, insert),
    update: async (params, call) => write(params, call, update),
    transaction: async (params, call) => write(params, call, transaction),
    migrate: async () => {
      throw new StepError('UNSUPPORTED', 'Redis has no schema: db_migrate is for SQL databases and MongoDB');
    },
    async ping() {
      const signal = AbortSignal.timeout(pingTimeoutMs);
      await pool.use(signal, pingTimeoutMs, (link) => cutAtSignal(link, signal, () => link.send(['PING'])));
    },
    stats: () => pool.stats(),
    close: () => pool.close(),
  };
};
