import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import { SqlFailure } from '../errors.ts';
import type { Field, Mode, Outcome, Session, TakeRows } from '../sql/session.ts';
import type { Statement } from '../sql/statement.ts';
import { parseJson, rowKeys } from '../sql/values.ts';
import type { SqliteConnection } from './connection.ts';
import type { Cell, ChildColumn } from './messages.ts';

/** Tables of the connection alone, which would hide others. */
const temporary = /\btemp(?:orary)?\b/i;

export class SqliteSession implements Session {
  readonly #connection: SqliteConnection;
  readonly #signal: AbortSignal;

  constructor(connection: SqliteConnection, signal: AbortSignal) {
    this.#connection = connection;
    this.#signal = signal;
  }

  async begin({ readOnly, timeoutMs }: Mode, then: readonly Statement[]): Promise<void> {
    this.#signal.throwIfAborted();
    await this.#connection.ask({ op: 'begin', readOnly, busyMs: timeoutMs, then });
  }

  async run(statement: Statement): Promise<Outcome> {
    this.#signal.throwIfAborted();
    if (statement.raw === true && temporary.test(statement.text)) this.#connection.touched = true;
    const { columns = [], rows = [], affected = 0, insertId } = await this.#connection.ask({ op: 'run', statement });
    return {
      rows: rows.map(rowMaker(columns)),
      fields: columns.map(fieldOf),
      affected,
      ...(insertId === undefined ? {} : { insertId }),
    };
  }

  async commit(first: readonly Statement[]): Promise<void> {
    this.#signal.throwIfAborted();
    try {
      await this.#connection.ask({ op: 'commit', first });
    } catch (thrown) {
      if (!(thrown instanceof SqlFailure) || !thrown.broken) throw thrown;
      const { code, message, retryable, state } = thrown;
      throw new SqlFailure(code, message, { retryable, state, effect: 'unknown', broken: true, cause: thrown });
    }
  }

  async rollback(): Promise<void> {
    try {
      await this.#connection.ask({ op: 'rollback' });
    } catch {
      this.#connection.destroy();
    }
  }

  async read({ timeoutMs }: Mode, statement: Statement, batchRows: number, take: TakeRows): Promise<Field[]> {
    this.#signal.throwIfAborted();
    try {
      let answer = await this.#connection.ask({ op: 'read', statement, batchRows, busyMs: timeoutMs });
      const columns = answer.columns ?? [];
      const make = rowMaker(columns);
      for (;;) {
        const { rows = [], more } = answer;
        this.#signal.throwIfAborted();
        // The next ones are on their way meanwhile.
        const next = more === true ? this.#connection.ask({ op: 'next', stop: false }) : undefined;
        next?.catch(() => undefined);
        if (rows.length > 0) await take(rows.map(make));
        if (next === undefined) break;
        answer = await next;
      }
      return columns.map(fieldOf);
    } catch (thrown) {
      await this.rollback();
      throw thrown;
    }
  }

  async script(text: string): Promise<void> {
    this.#signal.throwIfAborted();
    await this.#connection.ask({ op: 'script', text });
  }

  async migrate(text: string): Promise<boolean> {
    this.#connection.touched = true;
    await this.script(text);
    return this.#connection.inTransaction;
  }
}

const fieldOf = ({ name, type }: ChildColumn): Field => ({ name, type: (type ?? 'any').toLowerCase() });

/** SQLite has no such types; a column's declaration says what its values mean. */
function decoderOf(type: string | null): ((cell: Cell) => JSONValue) | undefined {
  switch (type?.toUpperCase()) {
    case 'BOOLEAN':
    case 'BOOL':
      return (cell) => (cell === 1 ? true : cell === 0 ? false : cell);
    case 'JSON':
      return (cell) => (typeof cell === 'string' ? json(cell) : cell);
    default:
      return undefined;
  }
}

function json(text: string): JSONValue {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

function rowMaker(columns: readonly ChildColumn[]): (cells: readonly Cell[]) => JSONObject {
  const keys = rowKeys(columns.map(({ name }) => name));
  const decoders = columns.map(({ type }) => decoderOf(type));
  return (cells) => {
    const row: JSONObject = {};
    for (let index = 0; index < keys.length; index += 1) {
      const key = keys[index] ?? '';
      const cell = cells[index] ?? null;
      const decode = decoders[index];
      const value = decode === undefined ? cell : decode(cell);
      if (key === '__proto__')
        Object.defineProperty(row, key, { value, enumerable: true, writable: true, configurable: true });
      else row[key] = value;
    }
    return row;
  };
}
