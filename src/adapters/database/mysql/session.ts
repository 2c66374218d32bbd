import { SqlFailure } from '../errors.ts';
import type { Field, Mode, Outcome, Session, TakeRows } from '../sql/session.ts';
import type { Statement } from '../sql/statement.ts';
import type { MysqlConnection } from './connection.ts';
import type { MysqlFacts } from './dialect.ts';

const changes = /^\s*(?:INSERT|REPLACE|DELETE)\b/i;

/** A session whose transactions read unless they are begun to write (`readOnlyByDefault` is set where it is opened). */
export class MysqlSession implements Session {
  readonly #connection: MysqlConnection;
  readonly #facts: MysqlFacts;
  readonly #signal: AbortSignal;

  constructor(connection: MysqlConnection, facts: MysqlFacts, signal: AbortSignal) {
    this.#connection = connection;
    this.#facts = facts;
    this.#signal = signal;
  }

  async begin(mode: Mode, then: readonly Statement[]): Promise<void> {
    await this.#prepare(mode);
    this.#connection.transaction = true;
    await this.#connection.script(
      [`START TRANSACTION READ ${mode.readOnly ? 'ONLY' : 'WRITE'}`, ...then.map(inText)].join('; '),
    );
  }

  async run(statement: Statement): Promise<Outcome> {
    this.#signal.throwIfAborted();
    const { rows, fields, affected, insertId, inTransaction } = await this.#connection.run(statement);
    if (inTransaction === false && !this.#connection.usable)
      throw new SqlFailure('TRANSACTION_ENDED', 'the statement committed the transaction that it was part of');
    // With RETURNING the rows themselves tell how many there were.
    const counted = inTransaction === undefined && changes.test(statement.text) ? rows.length : affected;
    return { rows, fields, affected: counted, insertId };
  }

  async commit(first: readonly Statement[]): Promise<void> {
    this.#signal.throwIfAborted();
    try {
      // The first that fails is the last that runs.
      await this.#connection.script([...first.map(inText), 'COMMIT'].join('; '));
      this.#connection.transaction = false;
    } catch (thrown) {
      if (!(thrown instanceof SqlFailure) || !thrown.broken) throw thrown;
      const { code, message, retryable, state } = thrown;
      throw new SqlFailure(code, message, { retryable, state, effect: 'unknown', broken: true, cause: thrown });
    }
  }

  async rollback(): Promise<void> {
    try {
      await this.#connection.script('ROLLBACK');
      this.#connection.transaction = false;
    } catch {
      this.#connection.destroy();
    }
  }

  async read(mode: Mode, statement: Statement, batchRows: number, take: TakeRows): Promise<Field[]> {
    await this.#prepare(mode);
    return this.#connection.read(statement, batchRows, (rows) => {
      this.#signal.throwIfAborted();
      return take(rows);
    });
  }

  async script(text: string): Promise<boolean> {
    this.#signal.throwIfAborted();
    await this.#connection.script('SET SESSION TRANSACTION READ WRITE');
    try {
      await this.#connection.script(text);
    } finally {
      await this.#connection.script('SET SESSION TRANSACTION READ ONLY').catch(() => this.#connection.destroy());
    }
    return false;
  }

  /** Limits hold for the session; isolation for the next transaction alone. */
  async #prepare({ timeoutMs, isolation }: Mode): Promise<void> {
    this.#signal.throwIfAborted();
    const seconds = Math.min(Math.ceil(timeoutMs / 1_000), 31_536_000);
    const limits = this.#facts.mariadb
      ? `SET SESSION max_statement_time = ${seconds}, innodb_lock_wait_timeout = ${seconds}`
      : `SET SESSION max_execution_time = ${seconds * 1_000}, innodb_lock_wait_timeout = ${seconds}`;
    if (limits !== this.#connection.limits) {
      await this.#connection.script(limits);
      this.#connection.limits = limits;
    }
    if (isolation !== undefined)
      await this.#connection.script(`SET TRANSACTION ISOLATION LEVEL ${isolation.toUpperCase()}`);
    this.#signal.throwIfAborted();
  }
}

/** A statement of the adapter's own, to be sent with others; its values as hexadecimal digits, which need no escaping. */
function inText({ text, values }: Statement): string {
  let index = 0;
  return text.replace(/\?/g, () => {
    const value = values[index];
    index += 1;
    return `CONVERT(X'${Buffer.from(String(value)).toString('hex')}' USING utf8mb4)`;
  });
}
