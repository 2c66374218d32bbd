import type { Socket } from 'node:net';
import type { Connection } from 'mysql2';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import { SqlFailure, wrongCount } from '../errors.ts';
import type { Field, TakeRows } from '../sql/session.ts';
import type { Statement } from '../sql/statement.ts';
import { plainValue } from '../sql/values.ts';
import { mysqlFailure } from './failure.ts';
import { type Packet, rowReader } from './rows.ts';
import { type Column, fieldOf } from './types.ts';

/** SERVER_STATUS_IN_TRANS */
const inTransaction = 1;

/** What the server says about a statement that gives no rows. */
interface Header {
  affectedRows: number;
  insertId: number;
  info: string;
  serverStatus: number;
}

export interface Executed {
  rows: JSONObject[];
  fields: Field[];
  affected: number;
  insertId: number;
  /** Undefined where the answer does not say. */
  inTransaction: boolean | undefined;
}

/** SQL that makes a session what the adapter expects. */
export interface SessionSetup {
  /** Character set and database. */
  restoring: string;
  /** All the rest. */
  settings: string;
}

/** What mysql2's types leave out. */
interface Resettable {
  reset(done: (error: Error | null | undefined) => void): void;
}

/** A row among the results that mysql2 tells of. */
class Row {
  readonly row: JSONObject;
  constructor(row: JSONObject) {
    this.row = row;
  }
}

/** mysql2 asks for a class that reads rows; its own would make objects whose values have other forms. */
function rowsOf(columns: readonly Column[]): new () => { next(packet: Packet): Row } {
  const read = rowReader(columns);
  return class {
    next(packet: Packet): Row {
      return new Row(read(packet));
    }
  };
}

/** mysql2's events for what it does not type. */
interface Command {
  buildParserFromFields: (columns: readonly Column[]) => new () => { next(packet: Packet): Row };
  on(event: 'fields', listener: (columns: Column[] | undefined) => void): void;
  on(event: 'result', listener: (row: unknown) => void): void;
  on(event: 'error', listener: (thrown: unknown) => void): void;
  on(event: 'end', listener: () => void): void;
}

/** What mysql2 knows of a statement, and does not type: what the server said of each of its placeholders. */
interface PreparedStatement {
  parameters: readonly unknown[];
  execute(values: readonly unknown[]): Command;
}

/** One connection. All methods reject with SqlFailure. */
export class MysqlConnection {
  readonly #connection: Connection;
  readonly #kill: (threadId: number) => Promise<void>;
  readonly #setup: SessionSetup;
  /** The last limits that were set, so that they are set only where they change. */
  limits = '';
  /** Whether the author's SQL may have changed the session. */
  touched = false;
  readonly #lost = Promise.withResolvers<never>();
  #broken = false;
  #running = 0;
  #open = false;

  /** @param kill stops what runs on the thread, from another connection; does not reject */
  constructor(connection: Connection, kill: (threadId: number) => Promise<void>, setup: SessionSetup) {
    this.#connection = connection;
    this.#kill = kill;
    this.#setup = setup;
    this.#lost.promise.catch(() => undefined);
    connection.on('error', (thrown) => this.#lose(thrown));
    this.#stream.once('close', () => this.#lose(new Error('the connection was closed')));
  }

  get usable(): boolean {
    return !this.#broken && this.#running === 0 && !this.#open;
  }

  /** Whether a transaction was begun and not ended. */
  set transaction(open: boolean) {
    this.#open = open;
  }

  /** What a text needs of the session that another one may have changed. */
  get restoring(): string {
    return this.#setup.restoring;
  }

  async tidy(): Promise<void> {
    if (!this.touched || !this.usable) return;
    try {
      await this.#guarded(
        () =>
          new Promise<void>((resolve, reject) => {
            (this.#connection as unknown as Resettable).reset((error) =>
              error === null || error === undefined ? resolve() : reject(error),
            );
          }),
      );
      await this.script(`${this.#setup.restoring}; ${this.#setup.settings}`);
      this.touched = false;
      this.limits = '';
    } catch {
      this.destroy();
    }
  }

  destroy(): void {
    this.#broken = true;
    this.#connection.destroy();
    this.#stream.destroy();
  }

  async end(): Promise<void> {
    this.#broken = true;
    await new Promise<void>((resolve) => {
      this.#stream.once('close', () => resolve());
      if (this.#stream.destroyed) resolve();
      this.#connection.end();
    });
  }

  async cancel(): Promise<void> {
    await this.#kill(this.#connection.threadId);
  }

  /** Resolves when the server has let it in. */
  async connected(): Promise<void> {
    await this.#guarded(
      () =>
        new Promise<void>((resolve, reject) => {
          this.#connection.connect((error) => (error === null ? resolve() : reject(error)));
        }),
    );
  }

  /** Statements of the adapter itself, or of a migration: in the text protocol. */
  async script(text: string): Promise<void> {
    let done = 0;
    try {
      await this.#guarded(
        () =>
          new Promise<void>((resolve, reject) => {
            const command = this.#connection.query(text) as unknown as Command;
            command.on('result', () => {
              done += 1;
            });
            command.on('error', reject);
            command.on('end', resolve);
          }),
      );
    } catch (thrown) {
      throw done === 0 && !this.#broken && thrown instanceof SqlFailure ? untouched(thrown) : thrown;
    }
  }

  async run({ text, values, reuse }: Statement): Promise<Executed> {
    const executed: Executed = { rows: [], fields: [], affected: 0, insertId: 0, inTransaction: undefined };
    await this.#execute(text, values, executed, (row) => {
      executed.rows.push(row);
    });
    if (!reuse) this.#connection.unprepare(text);
    return executed;
  }

  /** Rows as they come; the socket is not read while `take` has not taken the last ones. */
  async read({ text, values, reuse }: Statement, batchRows: number, take: TakeRows): Promise<Field[]> {
    const executed: Executed = { rows: [], fields: [], affected: 0, insertId: 0, inTransaction: undefined };
    let rows: JSONObject[] = [];
    let taking: Promise<void> = Promise.resolve();
    let failed: { thrown: unknown } | undefined;
    const flush = (): void => {
      const full = rows;
      rows = [];
      this.#connection.pause();
      taking = taking
        .then(() => (failed === undefined ? take(full) : undefined))
        .catch((thrown) => {
          // There is no other way to tell the server that no more rows are wanted.
          failed ??= { thrown };
          this.destroy();
        })
        .finally(() => this.#connection.resume());
    };
    try {
      await this.#execute(text, values, executed, (row) => {
        rows.push(row);
        if (rows.length >= batchRows) flush();
      });
      await taking;
    } catch (thrown) {
      throw failed === undefined ? thrown : failed.thrown;
    }
    if (failed !== undefined) throw failed.thrown;
    if (rows.length > 0) await take(rows);
    if (!reuse) this.#connection.unprepare(text);
    return executed.fields;
  }

  async #execute(
    text: string,
    values: readonly JSONValue[],
    executed: Executed,
    onRow: (row: JSONObject) => void,
  ): Promise<void> {
    let sets = 0;
    await this.#guarded(
      () =>
        new Promise<void>((resolve, reject) => {
          const bound = values.map(boundValue);
          // Out of the connection's cache, where it is there.
          this.#connection.prepare(text, (error, prepared) => {
            if (error !== null) return reject(error);
            const { parameters, execute } = prepared as unknown as PreparedStatement;
            if (parameters.length !== bound.length) return reject(wrongCount(parameters.length, bound.length, '?'));
            const command = execute.call(prepared, bound);
            command.buildParserFromFields = rowsOf;
            command.on('fields', (columns) => {
              sets += 1;
              if (columns !== undefined && sets === 1) executed.fields = columns.map(fieldOf);
            });
            command.on('result', (result) => {
              // A procedure may give several results: the first stands for all.
              if (result instanceof Row) {
                if (sets === 1) onRow(result.row);
              } else takeHeader(result as Header, executed);
            });
            command.on('error', reject);
            command.on('end', resolve);
          });
        }),
    );
  }

  /** What mysql2 does not tell commands without callbacks: that the connection is lost. */
  #lose(thrown: unknown): void {
    this.#broken = true;
    this.#lost.reject(thrown);
  }

  get #stream(): Socket {
    return (this.#connection as unknown as { stream: Socket }).stream;
  }

  async #guarded<R>(body: () => Promise<R>): Promise<R> {
    this.#running += 1;
    try {
      return await Promise.race([body(), this.#lost.promise]);
    } catch (thrown) {
      const failure = mysqlFailure(thrown);
      if (failure.broken) this.#broken = true;
      throw failure;
    } finally {
      this.#running -= 1;
    }
  }
}

/** As a DOUBLE, a large whole number would become `9.007199254740991e15` in a column of texts. */
function boundValue(value: JSONValue): string | number | bigint | boolean | null | Buffer {
  const plain = plainValue(value);
  return typeof plain === 'number' && Math.abs(plain) >= exponentFrom && Number.isSafeInteger(plain)
    ? BigInt(plain)
    : plain;
}
const exponentFrom = 1e15;

function takeHeader(header: Header | null, executed: Executed): void {
  if (header === null) return;
  // `affectedRows` leaves out rows that were found but had the new values already.
  const matched = /Rows matched: (\d+)/.exec(header.info ?? '');
  executed.affected = matched === null ? header.affectedRows : Number(matched[1]);
  executed.insertId = header.insertId;
  executed.inTransaction = (header.serverStatus & inTransaction) !== 0;
}

const untouched = (failure: SqlFailure): SqlFailure => {
  const { code, message, kind, retryable, effect, state, broken } = failure;
  return new SqlFailure(code, message, {
    kind,
    retryable,
    effect,
    state,
    broken,
    untouched: true,
    cause: failure.cause,
  });
};
