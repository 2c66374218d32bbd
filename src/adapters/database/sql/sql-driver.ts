import { retrying } from '../../../kit/retry.ts';
import { RowSink } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { Call, Driver } from '../driver.ts';
import { SqlFailure } from '../errors.ts';
import { Digest, Effects } from './effects.ts';
import { InsertTexts } from './insert.ts';
import { migrate } from './migrate.ts';
import type { FileAccess } from './migrations.ts';
import { insertWithin, queryOutput, queryStatement, type Scope, updateWithin } from './operations.ts';
import { withOrderHint } from './select.ts';
import type { Mode, Session, SqlServer } from './session.ts';
import { Tables } from './tables.ts';
import { operationsOf, runOperations } from './transaction.ts';

/** What the server does not answer in time is stopped by the adapter; this is for a node that is gone. */
const serverGraceMs = 500;

type Body = (session: Session) => Promise<JSONObject>;

/** The operations of an SQL database, the same for each server. */
export function createSqlDriver(server: SqlServer, access: FileAccess): Driver {
  const effects = new Effects(server);
  const scope: Scope = { server, tables: new Tables(server.dialect), texts: new InsertTexts() };

  const modeOf = ({ options, timeoutMs }: Call, readOnly: boolean): Mode => ({
    readOnly,
    isolation: options.isolation,
    timeoutMs: Math.max(1, Math.ceil(timeoutMs)) + serverGraceMs,
  });
  const within = <R>({ signal, options }: Call, body: (session: Session) => Promise<R>): Promise<R> =>
    server.use({ signal, acquireMs: options.acquire_timeout }, body);

  /** A transaction that has its effect once for the call's key, and again and again until it is certain. */
  function write(type: string, params: JSONObject, call: Call, body: Body): Promise<JSONObject> {
    if (call.options.read_only === true)
      return Promise.reject(new SqlFailure('READ_ONLY', `${type} changes data, but options.read_only is true`));
    const digest = new Digest(type, params);
    return again(call, call.effectKey !== undefined, () =>
      within(call, async (session) => {
        call.reached?.('start');
        const known = await effects.begin(session, call, modeOf(call, false), digest);
        if (known !== undefined) return known;
        const output = await finish(session, call, digest, body);
        if (call.effectKey !== undefined) await effects.prune(session);
        return output;
      }),
    );
  }

  async function finish(session: Session, call: Call, digest: Digest, body: Body): Promise<JSONObject> {
    try {
      call.reached?.('key');
      if (call.effectKey !== undefined) digest.prepare();
      const output = await body(session);
      call.signal.throwIfAborted();
      call.reached?.('before commit');
      await effects.commit(session, call, output, digest);
      call.reached?.('after commit');
      return output;
    } catch (thrown) {
      await session.rollback();
      if (call.effectKey === undefined && thrown instanceof SqlFailure && thrown.effect === 'unknown')
        throw new SqlFailure(
          'OUTCOME_UNKNOWN',
          'the connection was lost while the server was committing, and without a key (idempotency: "off") nothing tells whether it did',
          { effect: 'unknown', cause: thrown },
        );
      throw thrown;
    }
  }

  async function query(params: JSONObject, call: Call): Promise<JSONObject> {
    return again(call, true, () =>
      within(call, async (session) => {
        const statement = await queryStatement(session, params, scope);
        const sink = new RowSink(call.context, call.options.max_rows);
        const fields = await session.read(modeOf(call, true), statement, call.options.batch_size, (rows) =>
          sink.add(rows),
        );
        return queryOutput(params, (await sink.end()) as unknown as JSONObject, fields);
      }),
    ).catch((thrown: unknown) => {
      throw withOrderHint(thrown, params);
    });
  }

  function transaction(params: JSONObject, call: Call): Promise<JSONObject> {
    operationsOf(params);
    if (call.options.read_only !== true)
      return write('db_transaction', params, call, (session) => runOperations(session, params, call, scope));
    return again(call, true, () =>
      within(call, async (session) => {
        try {
          await session.begin(modeOf(call, true), []);
          const output = await runOperations(session, params, call, scope);
          await session.commit([]);
          return output;
        } catch (thrown) {
          await session.rollback();
          throw thrown;
        }
      }),
    );
  }

  return {
    system: server.system,
    query,
    insert: (params, call) => write('db_insert', params, call, (session) => insertWithin(session, params, call, scope)),
    update: (params, call) => write('db_update', params, call, (session) => updateWithin(session, params, call, scope)),
    transaction,
    migrate: (params, call) =>
      again(call, true, () =>
        within(call, (session) => migrate(session, params, call, modeOf(call, false), server, access)),
      ),
    ping: async () => {
      const signal = AbortSignal.timeout(5_000);
      const statement = { text: 'SELECT 1', values: [], reuse: true };
      await server.use({ signal, acquireMs: 5_000 }, async (session) => {
        await session.read({ readOnly: true, timeoutMs: 5_000 }, statement, 1, async () => undefined);
      });
    },
    stats: () => server.stats(),
    close: () => server.close(),
  };
}

/** What another try can't help with, though the step may be tried again later. */
const notHere = new Set(['POOL_EXHAUSTED', 'QUERY_TIMEOUT']);

/** @param safe whether what may have happened already does no harm: it only reads, or its key tells */
async function again<R extends JSONObject>(
  { options, signal }: Call,
  safe: boolean,
  body: () => Promise<R>,
): Promise<R> {
  const result = await retrying<R | SqlFailure>(
    {
      attempts: options.retry_attempts + 1,
      baseMs: 50,
      maxMs: 5_000,
      signal,
      again: (thrown) =>
        thrown instanceof StepError &&
        thrown.retryable &&
        !notHere.has(thrown.code) &&
        (safe || !(thrown instanceof SqlFailure) || thrown.effect === 'no'),
    },
    // This comes before the reason why the step ended: whoever tries again must know.
    () =>
      body().catch((thrown: unknown) => {
        if (thrown instanceof SqlFailure && thrown.code === 'OUTCOME_UNKNOWN') return thrown;
        throw thrown;
      }),
  );
  if (result instanceof SqlFailure) throw result;
  return result;
}
