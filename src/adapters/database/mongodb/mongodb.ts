import type { MongoClient } from 'mongodb';
import { retrying } from '../../../kit/retry.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Call, Driver, OpenDriver } from '../driver.ts';
import { Permits } from '../permits.ts';
import { openClient } from './client.ts';
import { mongoError } from './errors.ts';
import { insert } from './insert.ts';
import { migrate } from './migrate.ts';
import { query } from './query.ts';
import { type Session, sessionOf } from './session.ts';
import { update } from './update.ts';

/** Ms that a client may take to say goodbye. */
const goodbyeMs = 1_000;

/** The driver would wait for a server that is gone, to end its sessions there. */
async function closeSoon(client: MongoClient): Promise<void> {
  const timer = setTimeout(() => (client as { topology?: { close?(): void } }).topology?.close?.(), goodbyeMs);
  try {
    await client.close(true);
  } finally {
    clearTimeout(timer);
  }
}

type Operation = (params: JSONObject, session: Session) => Promise<JSONObject>;

/** MongoDB and servers that speak its protocol. Params, outputs and codes: docs/adapters/database-mongodb.md. */
export const openMongo: OpenDriver = async (target): Promise<Driver> => {
  const { client, database, codec, announced, server } = await openClient(target);
  const db = client.db(database);
  const size = target.options.pool_size;
  const permits = new Permits(size);
  let busy = 0;

  const exhausted = (ms: number): StepError =>
    new StepError(
      'POOL_EXHAUSTED',
      `all ${size} connections (options.pool_size) to MongoDB at ${server} are in use, and none became free in ${ms} ms; raise options.pool_size or options.acquire_timeout`,
      { retryable: true },
    );
  /** An operation uses one connection at a time: a permit each bounds the wait, whatever the pool was opened with. */
  async function permitted(params: JSONObject, call: Call, operation: Operation): Promise<JSONObject> {
    const { acquire_timeout } = call.options;
    await permits.take(call.signal, acquire_timeout, () => exhausted(acquire_timeout));
    busy += 1;
    try {
      return await operation(params, sessionOf(db, codec, call));
    } catch (thrown) {
      call.signal.throwIfAborted();
      const failure = mongoError(thrown, server, client.options.tls);
      throw failure.code === 'CONNECTION_FAILED' ? (announced.denial ?? failure) : failure;
    } finally {
      busy -= 1;
      permits.give();
    }
  }
  const run = (params: JSONObject, call: Call, repeatable: boolean, operation: Operation): Promise<JSONObject> =>
    retrying(
      {
        attempts: repeatable ? 1 + call.options.retry_attempts : 1,
        signal: call.signal,
        again: (thrown) => thrown instanceof StepError && thrown.retryable && thrown.code !== 'POOL_EXHAUSTED',
      },
      () => permitted(params, call, operation),
    );
  /** Without a key nobody can tell whether a lost answer was a success. */
  const write = (params: JSONObject, call: Call, repeatable: boolean, operation: Operation): Promise<JSONObject> => {
    if (call.options.read_only === true)
      throw new StepError('READ_ONLY', 'options.read_only is set, and this step type writes');
    return run(params, call, repeatable, operation);
  };
  return {
    system: 'mongodb',
    query: (params, call) => run(params, call, true, query),
    insert: async (params, call) => write(params, call, call.effectKey !== undefined, insert),
    update: async (params, call) => write(params, call, call.effectKey !== undefined, update),
    async transaction() {
      throw new StepError(
        'TRANSACTIONS_UNSUPPORTED',
        'transactions over several documents are not available for MongoDB: put what belongs together into one document, or use steps that each happen once',
      );
    },
    migrate: async (params, call) =>
      params.status === true || params.dry_run === true
        ? run(params, call, true, migrate)
        : write(params, call, true, migrate),
    async ping() {
      await db.command({ ping: 1 });
    },
    stats: () => ({ size: busy, idle: 0, waiting: permits.waiting }),
    async close() {
      permits.fail(new StepError('STEP_CANCELLED', 'the node is closing'));
      await closeSoon(client);
    },
  };
};
