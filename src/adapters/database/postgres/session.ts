import type { JSONObject } from '../../../lib/json.ts';
import { SqlFailure } from '../errors.ts';
import type { Field, Mode, Outcome, Session, Statement, TakeRows } from '../sql/session.ts';
import type { PgConnection, Run } from './connection.ts';

type Text = Pick<Statement, 'text' | 'reuse' | 'values'>;

const limitsText =
  "SELECT set_config('statement_timeout', $1, true), set_config('idle_in_transaction_session_timeout', $1, true)";

/** The server's end of a session: begins with its limits in the same exchange, and commits with what goes before in another. */
export class PgSession implements Session {
  readonly #connection: PgConnection;
  readonly #signal: AbortSignal;

  constructor(connection: PgConnection, signal: AbortSignal) {
    this.#connection = connection;
    this.#signal = signal;
  }

  async begin(mode: Mode, then: readonly Statement[]): Promise<void> {
    await this.#runAll([...beginning(mode), ...then]);
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
    const prefix = beginning(mode);
    // A serializable transaction is certain of what it read only once it has committed.
    const end = mode.isolation === 'serializable' ? 'COMMIT' : 'ROLLBACK';
    const prepared = await this.#connection.prepare([...prefix, { text: end, reuse: true }, statement]);
    const main = prepared.at(-1);
    const last = prepared.at(-2);
    if (main === undefined || last === undefined) throw new Error('nothing was prepared');
    const values = await this.#connection.bind(main, statement.values);
    this.#signal.throwIfAborted();
    const before = prefix.map(
      (one, index): Run => ({ prepared: prepared[index] ?? main, values: one.values as string[] }),
    );
    try {
      await this.#connection.read(
        before,
        { prepared: main, values },
        [{ prepared: last, values: [] }],
        batchRows,
        (rows: JSONObject[]) => {
          this.#signal.throwIfAborted();
          return take(rows);
        },
      );
    } catch (thrown) {
      await this.rollback();
      throw thrown;
    }
    return this.#connection.fieldsOf(main);
  }

  async script(text: string): Promise<boolean> {
    this.#signal.throwIfAborted();
    await this.#connection.script(text);
    return this.#connection.inTransaction;
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

/** Both are kept prepared: there are few modes, and the limits are bound. */
function beginning({ readOnly, isolation, timeoutMs }: Mode): Text[] {
  const level = isolation === undefined ? '' : ` ISOLATION LEVEL ${isolation.toUpperCase()}`;
  const begin = `BEGIN${level} ${readOnly ? 'READ ONLY' : 'READ WRITE'}`;
  const limit = String(Math.min(timeoutMs, 2_147_483_647));
  return [
    { text: begin, values: [], reuse: true },
    { text: limitsText, values: [limit], reuse: true },
  ];
}

/** The count at the end of `INSERT 0 3`, `UPDATE 2`, `SELECT 5`; statements that change nothing have none. */
function affectedOf(tag: string): number {
  const match = /^(?:INSERT \d+|UPDATE|DELETE|MERGE) (\d+)$/.exec(tag);
  return match === null ? 0 : Number(match[1]);
}
