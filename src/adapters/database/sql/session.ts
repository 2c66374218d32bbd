import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { Options, System } from '../driver.ts';
import type { Dialect } from './dialect.ts';
import type { Statement } from './statement.ts';

export interface Field {
  name: string;
  /** As the server calls it. */
  type: string;
}

export interface Outcome {
  rows: JSONObject[];
  fields: Field[];
  /** Rows inserted, updated or deleted. */
  affected: number;
  /** What the server made up for the first row of an insert, where it says so by itself. */
  insertId?: JSONValue;
}

export interface Mode {
  readOnly: boolean;
  isolation?: Options['isolation'] | undefined;
  /** How long the server may take for a statement, or be left alone within the transaction. */
  timeoutMs: number;
}

/** Takes rows in the order of the result; the next come when it resolves. */
export type TakeRows = (rows: JSONObject[]) => Promise<void>;

/** A connection that one operation has to itself. All reject with SqlFailure. */
export interface Session {
  /** Begins a transaction and runs `then` in it; where this rejects, `rollback` follows. */
  begin(mode: Mode, then: readonly Statement[]): Promise<void>;
  run(statement: Statement): Promise<Outcome>;
  /** Runs `first` and commits, in one go where the server can. */
  commit(first: readonly Statement[]): Promise<void>;
  /** Does not reject; a connection that can't roll back is given up. */
  rollback(): Promise<void>;
  /** A whole transaction that reads, `batchRows` at a time, and leaves nothing behind. */
  read(mode: Mode, statement: Statement, batchRows: number, take: TakeRows): Promise<Field[]>;
  /** A statement of the adapter's own that may change the schema, outside of transactions. */
  script(text: string): Promise<void>;
  /** Any number of the author's statements without values. @returns whether the transaction is still the one that was begun */
  migrate(text: string): Promise<boolean>;
}

/** What `use` needs to know of a call. */
export interface Lease {
  signal: AbortSignal;
  acquireMs: number;
}

/** Sessions with one database. */
export interface SqlServer {
  readonly system: System;
  readonly dialect: Dialect;
  /** When the signal aborts, the server is told to stop what runs, and the signal's reason is thrown. */
  use<R>(lease: Lease, body: (session: Session) => Promise<R>): Promise<R>;
  stats(): { size: number; idle: number; waiting: number };
  close(): Promise<void>;
}
