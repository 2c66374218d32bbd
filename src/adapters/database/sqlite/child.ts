// The process of one SQLite connection: SQLite can't be interrupted from JavaScript, but a process can be killed.
import { constants, DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { Worker } from 'node:worker_threads';
import { isObject, type JSONValue } from '../../../lib/json.ts';
import { bytesValue, plainValue, realNumber, wholeNumber } from '../sql/values.ts';
import type { Cell, ChildAnswer, ChildColumn, ChildRequest, ChildStatement } from './messages.ts';

const statementsMax = 100;

let database: DatabaseSync | undefined;
let pending: Reader | undefined;
/** Rows that were read ahead while the last ones were under way. */
let ahead: Cell[][] | undefined;
/** Of rows that were read ahead: told with the next answer. */
let failed: unknown;
const statements = new Map<string, StatementSync>();

function open(path: string, journal: string, busyMs: number): void {
  database = new DatabaseSync(path, { timeout: busyMs });
  database.exec(`PRAGMA journal_mode = ${journal}`);
  database.exec('PRAGMA synchronous = FULL');
  // Other files of the machine are not what the connection string names.
  if (typeof database.setAuthorizer !== 'function')
    throw new Error('this Node.js can not keep SQL away from other files; SQLite needs 24.10 or newer');
  // VACUUM attaches one without a name.
  database.setAuthorizer((action, file) =>
    action === constants.SQLITE_ATTACH && file !== '' ? constants.SQLITE_DENY : constants.SQLITE_OK,
  );
}

function db(): DatabaseSync {
  if (database === undefined) throw new Error('the database is not open');
  return database;
}

function prepare({ text, reuse }: ChildStatement): StatementSync {
  const known = statements.get(text);
  if (known !== undefined) {
    statements.delete(text);
    statements.set(text, known);
    return known;
  }
  const statement = db().prepare(text);
  // SQLite would leave out what follows the first statement.
  const rest = text.slice(text.indexOf(statement.sourceSQL) + statement.sourceSQL.length);
  if (rest.replace(/--[^\n]*|\/\*.*?\*\/|[\s;]/gs, '') !== '')
    throw Object.assign(new Error('cannot run more than one statement'), { errcode: 1 });
  statement.setReturnArrays(true);
  if (!reuse) return statement;
  statements.set(text, statement);
  if (statements.size > statementsMax) {
    const [oldest] = statements.keys();
    if (oldest !== undefined) statements.delete(oldest);
  }
  return statement;
}

/** Whole numbers are bound as such: as REAL they would become `5.0` in a column of texts. */
function bound(value: JSONValue): SQLInputValue {
  const plain = plainValue(value);
  if (typeof plain === 'boolean') return plain ? 1n : 0n;
  return Number.isSafeInteger(plain) ? BigInt(plain as number) : plain;
}

function argumentsOf({ values, named }: ChildStatement): SQLInputValue[] {
  if (named === undefined) return values.map(bound);
  const object = Object.fromEntries(Object.entries(named).map(([name, value]) => [name, bound(value)]));
  return [object as unknown as SQLInputValue];
}

function cellOf(value: unknown): Cell {
  if (typeof value === 'bigint') return wholeNumber(value.toString());
  if (typeof value === 'number') return realNumber(value);
  return value instanceof Uint8Array ? bytesValue(value) : (value as Cell);
}

/** In place: most cells are as JSON has them. */
function cellsOf(row: unknown): Cell[] {
  const cells = row as unknown[];
  for (let index = 0; index < cells.length; index += 1) {
    const cell = cells[index];
    if (typeof cell !== 'string' && cell !== null) cells[index] = cellOf(cell);
  }
  return cells as Cell[];
}

const columnsOf = (statement: StatementSync): ChildColumn[] =>
  statement.columns().map(({ name, type }) => ({ name, type }));

const isTooLarge = (thrown: unknown): boolean => isObject(thrown) && thrown.code === 'ERR_OUT_OF_RANGE';

/** Rows in batches: at first without BigInt, which is quicker; where a number needs it, once more from the same row. The snapshot is the same. */
class Reader {
  readonly #statement: StatementSync;
  readonly #values: SQLInputValue[];
  readonly #batchRows: number;
  #rows: Iterator<unknown>;
  #seen = 0;
  #exact = false;

  constructor(statement: StatementSync, values: SQLInputValue[], batchRows: number) {
    this.#statement = statement;
    this.#values = values;
    this.#batchRows = batchRows;
    statement.setReadBigInts(false);
    this.#rows = statement.iterate(...values);
  }

  /** Fewer than asked for: these were the last. */
  next(): Cell[][] {
    const batch: Cell[][] = [];
    try {
      this.#fill(batch);
    } catch (thrown) {
      if (this.#exact || !isTooLarge(thrown)) throw thrown;
      this.#exact = true;
      this.#statement.setReadBigInts(true);
      this.#rows = this.#statement.iterate(...this.#values);
      for (let skipped = 0; skipped < this.#seen; skipped += 1) this.#rows.next();
      this.#fill(batch);
    }
    return batch;
  }

  #fill(batch: Cell[][]): void {
    while (batch.length < this.#batchRows) {
      const { done, value } = this.#rows.next();
      if (done === true) return;
      batch.push(cellsOf(value));
      this.#seen += 1;
    }
  }

  close(): void {
    this.#rows.return?.();
  }
}

const answer = (more: Partial<ChildAnswer & { ok: true }> = {}): ChildAnswer => ({
  ...more,
  ok: true,
  inTransaction: db().isTransaction,
});

function run(statement: ChildStatement): ChildAnswer {
  const prepared = prepare(statement);
  const values = argumentsOf(statement);
  const columns = columnsOf(prepared);
  if (columns.length === 0) {
    prepared.setReadBigInts(true);
    const { changes, lastInsertRowid } = prepared.run(...values);
    return answer({ affected: Number(changes), insertId: wholeNumber(lastInsertRowid.toString()) });
  }
  // What writes can't be run a second time.
  prepared.setReadBigInts(true);
  const rows = prepared.all(...values).map(cellsOf);
  const written = /^\s*(?:INSERT|REPLACE|UPDATE|DELETE|WITH)\b/i.test(statement.text);
  return answer({ columns, rows, affected: written ? changes() : 0 });
}

function changes(): number {
  const counting = prepare({ text: 'SELECT changes()', values: [], reuse: true });
  return Number((counting.get() as unknown as number[])[0]);
}

function limits(readOnly: boolean, busyMs: number): void {
  db().exec(`PRAGMA busy_timeout = ${Math.trunc(busyMs)}; PRAGMA query_only = ${readOnly ? 1 : 0}`);
}

function begin({ readOnly, busyMs, then }: ChildRequest & { op: 'begin' }): ChildAnswer {
  limits(readOnly, busyMs);
  db().exec(readOnly ? 'BEGIN' : 'BEGIN IMMEDIATE');
  for (const statement of then) run(statement);
  return answer();
}

function read({ statement, batchRows, busyMs }: ChildRequest & { op: 'read' }): ChildAnswer {
  limits(true, busyMs);
  db().exec('BEGIN');
  const prepared = prepare(statement);
  pending = new Reader(prepared, argumentsOf(statement), batchRows);
  const rows = pending.next();
  const columns = columnsOf(prepared);
  if (rows.length === batchRows) return answer({ columns, rows, more: true });
  next(true);
  return answer({ columns, rows, more: false });
}

function next(stop: boolean): ChildAnswer {
  if (failed !== undefined) {
    const thrown = failed;
    failed = undefined;
    pending = undefined;
    throw thrown;
  }
  const rows = stop ? undefined : ahead;
  if (rows === undefined) {
    pending?.close();
    pending = undefined;
    ahead = undefined;
    rollback();
    return answer({ rows: [], more: false });
  }
  return answer({ rows, more: true });
}

function rollback(): void {
  if (db().isTransaction) db().exec('ROLLBACK');
  limits(false, 5_000);
}

function perform(request: ChildRequest): ChildAnswer {
  switch (request.op) {
    case 'open':
      open(request.path, request.journal, request.busyMs);
      return answer();
    case 'begin':
      return begin(request);
    case 'run':
      return run(request.statement);
    case 'read':
      return read(request);
    case 'next':
      return next(request.stop);
    case 'commit':
      for (const statement of request.first) run(statement);
      db().exec('COMMIT');
      limits(false, 5_000);
      return answer();
    case 'rollback':
      failed = undefined;
      return next(true);
    case 'script':
      db().exec(request.text);
      return answer();
  }
}

function failureOf(thrown: unknown): ChildAnswer {
  const code = isObject(thrown) && typeof thrown.errcode === 'number' ? thrown.errcode : null;
  return { ok: false, code, message: thrown instanceof Error ? thrown.message : String(thrown) };
}

process.on('message', (request: ChildRequest) => {
  let result: ChildAnswer;
  try {
    result = perform(request);
  } catch (thrown) {
    result = failureOf(thrown);
  }
  process.send?.(result);
  if (!result.ok || pending === undefined || result.more !== true) return;
  try {
    const rows = pending.next();
    ahead = rows.length === 0 ? undefined : rows;
  } catch (thrown) {
    failed = thrown;
  }
});

// The adapter's process has ended.
process.on('disconnect', () => process.exit(0));

/** While SQLite is at work this thread hears of nothing: another one looks whether the adapter's process is still there. */
const watch = `
  const { workerData } = require('node:worker_threads');
  setInterval(() => process.ppid === workerData || process.kill(process.pid, 'SIGKILL'), 500);
`;
const watcher = { eval: true, workerData: process.ppid, resourceLimits: { maxOldGenerationSizeMb: 16 } };
process.once('message', () => new Worker(watch, watcher).unref());
