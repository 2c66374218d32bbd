import { SqlFailure } from '../errors.ts';
import { limitSeconds } from '../sql/limit.ts';
import type { Field, Mode, Outcome, Session, TakeRows } from '../sql/session.ts';
import type { Statement } from '../sql/statement.ts';
import type { MysqlConnection } from './connection.ts';
import type { MysqlFacts } from './dialect.ts';

const changes = /^\s*(?:INSERT|REPLACE|DELETE)\b/i;
/** What may leave something in the session: variables, locks, and what a procedure does. */
const leaving = /@|\bGET_LOCK\b|\bCALL\b/i;

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
    this.#touch(statement);
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
      const large = first.filter(isLarge);
      for (const statement of large) await this.#connection.run(statement);
      // The first that fails is the last that runs.
      await this.#connection.script([...first.filter((one) => !large.includes(one)).map(inText), 'COMMIT'].join('; '));
      this.#connection.transaction = false;
    } catch (thrown) {
      // A COMMIT that was interrupted may have been too far for that.
      const interrupted = first.length === 0 && thrown instanceof SqlFailure && thrown.code === 'QUERY_TIMEOUT';
      if (!(thrown instanceof SqlFailure) || !(thrown.broken || interrupted)) throw thrown;
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
    this.#touch(statement);
    return this.#connection.read(statement, batchRows, (rows) => {
      this.#signal.throwIfAborted();
      return take(rows);
    });
  }

  async migrate(text: string): Promise<boolean> {
    this.#connection.touched = true;
    await this.script(text);
    // Dumps choose a character set, and perhaps a database.
    await this.#connection.script(this.#connection.restoring);
    return false;
  }

  async script(text: string): Promise<void> {
    this.#signal.throwIfAborted();
    await this.#connection.script('SET SESSION TRANSACTION READ WRITE');
    try {
      await this.#connection.script(text);
    } finally {
      await this.#connection.script('SET SESSION TRANSACTION READ ONLY').catch(() => this.#connection.destroy());
    }
  }

  #touch({ raw, text }: Statement): void {
    if (raw === true && leaving.test(text)) this.#connection.touched = true;
  }

  /** Limits hold for the session; isolation for the next transaction alone. */
  async #prepare({ timeoutMs, isolation }: Mode): Promise<void> {
    this.#signal.throwIfAborted();
    const seconds = limitSeconds(timeoutMs);
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

/** As hexadecimal digits it would be twice as large, and the server takes only so much at a time. */
const isLarge = ({ values }: Statement): boolean =>
  values.some((value) => typeof value === 'string' && value.length > largeLength);
const largeLength = 256 * 1024;

/** A statement of the adapter's own, to be sent with others; its values as hexadecimal digits, which need no escaping. */
function inText({ text, values }: Statement): string {
  let index = 0;
  return text.replace(/\?/g, () => {
    const value = values[index];
    index += 1;
    return `CONVERT(X'${Buffer.from(String(value)).toString('hex')}' USING utf8mb4)`;
  });
}
