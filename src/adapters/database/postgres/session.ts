import type { JSONObject } from '../../../lib/json.ts';
import { SqlFailure } from '../errors.ts';
import type { Field, Mode, Outcome, Session, TakeRows } from '../sql/session.ts';
import type { Statement } from '../sql/statement.ts';
import type { PgConnection, Run } from './connection.ts';
import type { Prepared } from './exchange.ts';

type Text = Pick<Statement, 'text' | 'reuse' | 'values'>;

const limitSecondsMax = 2 ** 20;
/** A query that could change what later ones of the session do is undone with its transaction. */
const lasting = /set_config/i;

/** A session in which whatever is not begun to write only reads (`settings` of postgres.ts). */
export class PgSession implements Session {
  readonly #connection: PgConnection;
  readonly #signal: AbortSignal;

  constructor(connection: PgConnection, signal: AbortSignal) {
    this.#connection = connection;
    this.#signal = signal;
  }

  async begin(mode: Mode, then: readonly Statement[]): Promise<void> {
    await this.#limit(mode);
    await this.#runAll([beginning(mode), ...then]);
  }

  async run(statement: Statement): Promise<Outcome> {
    this.#signal.throwIfAborted();
    const [prepared] = await this.#connection.prepare([statement]);
    if (prepared === undefined) throw new Error('nothing was prepared');
    const values = await this.#connection.bind(prepared, statement.values);
    this.#signal.throwIfAborted();
    const [result] = await this.#connection.run([{ prepared, values }]);
    return {
      rows: result?.rows ?? [],
      fields: this.#connection.fieldsOf(prepared),
      affected: affectedOf(result?.tag ?? ''),
    };
  }

  async commit(first: readonly Statement[]): Promise<void> {
    this.#signal.throwIfAborted();
    const runs = await this.#runs([...first, { text: 'COMMIT', values: [], reuse: true }]);
    this.#signal.throwIfAborted();
    try {
      const results = await this.#connection.run(runs);
      // A transaction that has failed answers COMMIT so.
      if (results.at(-1)?.tag === 'COMMIT') return;
    } catch (thrown) {
      if (!(thrown instanceof SqlFailure) || !thrown.broken) throw thrown;
      const { code, message, retryable, state } = thrown;
      throw new SqlFailure(code, message, { retryable, state, effect: 'unknown', broken: true, cause: thrown });
    }
    throw new SqlFailure('QUERY_FAILED', 'the transaction had failed already, so the server rolled it back');
  }

  async rollback(): Promise<void> {
    try {
      await this.#connection.script('ROLLBACK');
    } catch {
      this.#connection.destroy();
    }
  }

  async read(mode: Mode, statement: Statement, batchRows: number, take: TakeRows): Promise<Field[]> {
    this.#signal.throwIfAborted();
    await this.#limit(mode);
    const alone = mode.isolation === undefined && !lasting.test(statement.text);
    // A serializable transaction is certain of what it read only once it has committed.
    const end = { text: mode.isolation === 'serializable' ? 'COMMIT' : 'ROLLBACK', values: [], reuse: true };
    const around = alone ? [] : [beginning(mode), end];
    const [main, first, last] = await this.#connection.prepare([statement, ...around]);
    if (main === undefined) throw new Error('nothing was prepared');
    const values = await this.#connection.bind(main, statement.values);
    this.#signal.throwIfAborted();
    const of = (prepared: Prepared | undefined): Run[] => (prepared === undefined ? [] : [{ prepared, values: [] }]);
    try {
      await this.#connection.read(of(first), { prepared: main, values }, of(last), batchRows, (rows: JSONObject[]) => {
        this.#signal.throwIfAborted();
        return take(rows);
      });
    } catch (thrown) {
      await this.rollback();
      throw thrown;
    }
    return this.#connection.fieldsOf(main);
  }

  async script(text: string): Promise<boolean> {
    this.#signal.throwIfAborted();
    if (this.#connection.inTransaction) {
      await this.#connection.script(text);
      return this.#connection.inTransaction;
    }
    await this.#connection.script('SET default_transaction_read_only = off');
    try {
      await this.#connection.script(text);
    } finally {
      await this.#connection.script('SET default_transaction_read_only = on').catch(() => this.#connection.destroy());
    }
    return false;
  }

  /** The server's own limits, for when this node is gone; the adapter is more exact. They are set only where they change. */
  async #limit({ timeoutMs }: Mode): Promise<void> {
    this.#signal.throwIfAborted();
    const seconds = Math.min(2 ** Math.ceil(Math.log2(Math.max(1, timeoutMs / 1_000))), limitSecondsMax);
    if (seconds === this.#connection.limitSeconds) return;
    await this.#connection.script(
      `SET statement_timeout = '${seconds}s'; SET idle_in_transaction_session_timeout = '${seconds}s'`,
    );
    this.#connection.limitSeconds = seconds;
  }

  async #runAll(statements: readonly Text[]): Promise<void> {
    this.#signal.throwIfAborted();
    await this.#connection.run(await this.#runs(statements));
  }

  async #runs(statements: readonly Text[]): Promise<Run[]> {
    const prepared = await this.#connection.prepare(statements);
    const runs: Run[] = [];
    for (const [index, one] of prepared.entries())
      runs.push({ prepared: one, values: await this.#connection.bind(one, statements[index]?.values ?? []) });
    return runs;
  }
}

const beginning = ({ readOnly, isolation }: Mode): Text => ({
  text: `BEGIN${isolation === undefined ? '' : ` ISOLATION LEVEL ${isolation.toUpperCase()}`} READ ${readOnly ? 'ONLY' : 'WRITE'}`,
  values: [],
  reuse: true,
});

/** The count at the end of `INSERT 0 3`, `UPDATE 2`, `SELECT 5`; statements that change nothing have none. */
function affectedOf(tag: string): number {
  const match = /^(?:INSERT \d+|UPDATE|DELETE|MERGE) (\d+)$/.exec(tag);
  return match === null ? 0 : Number(match[1]);
}
