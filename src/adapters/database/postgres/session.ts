import { assert } from '../../../lib/assert.ts';
import { SqlFailure } from '../errors.ts';
import { limitSeconds } from '../sql/limit.ts';
import type { Field, Mode, Outcome, Session, TakeRows } from '../sql/session.ts';
import type { Statement } from '../sql/statement.ts';
import type { PgConnection } from './connection.ts';
import type { Prepared, Run } from './exchange.ts';

type Text = Pick<Statement, 'text' | 'reuse' | 'values'>;

/** What changes rows and calls no function leaves nothing behind in the session. */
const plain = /^\s*(?:INSERT|UPDATE|DELETE|MERGE)\b[^(]*$/i;
/** Locks of the session, which outlast a transaction that is rolled back. */
const locking = /advisory/i;

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
    if (statement.raw === true && !plain.test(statement.text)) this.#connection.touched = true;
    const [prepared] = await this.#connection.prepare([statement]);
    assert(prepared !== undefined, 'each statement is prepared');
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
    // A serializable transaction is certain of what it read only once it has committed; else what a function sets is undone.
    const keeps = mode.isolation === 'serializable';
    if (statement.raw === true && (keeps || locking.test(statement.text))) this.#connection.touched = true;
    const end = { text: keeps ? 'COMMIT' : 'ROLLBACK', values: [], reuse: true };
    const [main, first, last] = await this.#connection.prepare([statement, beginning(mode), end]);
    assert(main !== undefined && first !== undefined && last !== undefined, 'each statement is prepared');
    const values = await this.#connection.bind(main, statement.values);
    this.#signal.throwIfAborted();
    try {
      const reading = { before: alone(first), main: { prepared: main, values }, after: alone(last), batch: batchRows };
      await this.#connection.read(reading, (rows) => {
        this.#signal.throwIfAborted();
        return take(rows);
      });
    } catch (thrown) {
      await this.rollback();
      throw thrown;
    }
    return this.#connection.fieldsOf(main);
  }

  async migrate(text: string): Promise<boolean> {
    this.#connection.touched = true;
    const { inTransaction } = this.#connection;
    const [before] = (await this.run({ text: "SELECT current_setting('search_path')", values: [], reuse: false })).rows;
    if (inTransaction) await this.#connection.script(text);
    else await this.script(text);
    if (inTransaction && !this.#connection.inTransaction) return false;
    // Dumps take the path away, and the adapter's own tables are found by it.
    const path = before?.current_setting ?? '';
    await this.run({ text: "SELECT set_config('search_path', $1, false)", values: [path], reuse: false });
    return inTransaction;
  }

  async script(text: string): Promise<void> {
    this.#signal.throwIfAborted();
    await this.#connection.script('SET default_transaction_read_only = off');
    try {
      await this.#connection.script(text);
    } finally {
      await this.#connection.script('SET default_transaction_read_only = on').catch(() => this.#connection.destroy());
    }
  }

  /** The server's own limits, for when this node is gone; the adapter is more exact. They are set only where they change. */
  async #limit({ timeoutMs }: Mode): Promise<void> {
    this.#signal.throwIfAborted();
    const seconds = limitSeconds(timeoutMs);
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

const alone = (prepared: Prepared): Run[] => [{ prepared, values: [] }];

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
