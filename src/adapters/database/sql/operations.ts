import { RowSink, readRows } from '../../../kit/rows.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { Call } from '../driver.ts';
import { invalidParams } from '../errors.ts';
import { tableParts } from './identifier.ts';
import { columnsOf, conflictOf, InsertBuilder, returningSql } from './insert.ts';
import { readStatement, writeStatement } from './raw.ts';
import { selectStatement } from './select.ts';
import type { Outcome, Session, SqlServer, Statement } from './session.ts';
import { updateStatement } from './update.ts';

/** The statement of a `db_query`. @throws StepError INVALID_PARAMS, READ_ONLY */
export function queryStatement(params: JSONObject, { system, dialect }: SqlServer): Statement {
  const statement =
    params.query === undefined ? selectStatement(params, dialect) : readStatement(params, system, dialect);
  return params.explain === true ? { ...statement, text: dialect.explain(statement.text), reuse: false } : statement;
}

/** `db_query` within a transaction. */
export async function queryWithin(
  session: Session,
  params: JSONObject,
  call: Call,
  server: SqlServer,
): Promise<JSONObject> {
  const { rows, fields } = await session.run(queryStatement(params, server));
  const sink = new RowSink(call.context, call.options.max_rows);
  await sink.add(rows);
  return queryOutput(params, (await sink.end()) as unknown as JSONObject, fields);
}

export function queryOutput(params: JSONObject, rows: JSONObject, fields: Outcome['fields']): JSONObject {
  if (params.explain === true && Array.isArray(rows.rows)) return { plan: planOf(rows.rows as JSONObject[]) };
  return { ...rows, fields: fields.map(({ name, type }) => ({ name, type })) };
}

/** A plan comes as JSON in one cell, or as rows. */
function planOf(rows: JSONObject[]): JSONValue {
  const [first] = rows;
  const cells = Object.values(first ?? {});
  if (rows.length !== 1 || cells.length !== 1) return rows;
  const [cell = null] = cells;
  return typeof cell === 'string' ? (JSON.parse(cell) as JSONValue) : cell;
}

/** `db_update` within a transaction. */
export async function updateWithin(
  session: Session,
  params: JSONObject,
  call: Call,
  server: SqlServer,
): Promise<JSONObject> {
  const statement =
    params.query === undefined
      ? updateStatement(params, server.dialect)
      : writeStatement(params, server.system, server.dialect);
  const { rows, fields, affected } = await session.run(statement);
  const counts = {
    updated: affected,
    affected_rows: affected,
    ...(params.delete === true ? { deleted: affected } : {}),
  };
  if (fields.length === 0) return counts;
  const sink = new RowSink(call.context, call.options.max_rows);
  await sink.add(rows);
  return { ...counts, ...((await sink.end()) as unknown as JSONObject) };
}

/** `db_insert` within a transaction. */
export async function insertWithin(
  session: Session,
  params: JSONObject,
  call: Call,
  server: SqlServer,
): Promise<JSONObject> {
  const insert = new Insert(session, params, call, server);
  for await (const rows of readRows(params.data, 'params.data', call.context)) await insert.add(rows);
  return insert.end();
}

/** One insert, batch by batch: while the server works on one, the next is put together. */
class Insert {
  readonly #session: Session;
  readonly #params: JSONObject;
  readonly #call: Call;
  readonly #server: SqlServer;
  readonly #sink: RowSink;
  readonly #table: string[];
  #builder: InsertBuilder | undefined;
  #key: string | undefined;
  #ids: JSONValue[] | undefined = [];
  #returned = false;
  #inserted = 0;
  #running: Promise<void> | undefined;

  constructor(session: Session, params: JSONObject, call: Call, server: SqlServer) {
    this.#session = session;
    this.#params = params;
    this.#call = call;
    this.#server = server;
    this.#sink = new RowSink(call.context, call.options.max_rows);
    this.#table = tableParts(params.table, server.dialect);
    if (params.on_conflict !== undefined) conflictOf(params.on_conflict, server.dialect);
  }

  async add(rows: readonly JSONObject[]): Promise<void> {
    const { options, signal } = this.#call;
    const { dialect } = this.#server;
    this.#builder ??= await this.#begin();
    for (let from = 0; from < rows.length; ) {
      signal.throwIfAborted();
      let batch = rows.slice(from, from + options.batch_size);
      if (!dialect.defaultInValues) batch = alike(batch);
      const { columns, same } = columnsOf(batch, dialect);
      const rowsMax = columns.length === 0 ? dialect.defaultRowsMax : this.#builder.rowsMax(columns.length);
      if (batch.length > rowsMax) batch = batch.slice(0, rowsMax);
      const statement = this.#builder.statement(
        batch,
        columns,
        same,
        batch.length === options.batch_size || batch.length === 1,
      );
      await this.#running;
      this.#running = this.#run(statement, batch);
      // It is awaited before the next one, or at the end.
      this.#running.catch(() => undefined);
      from += batch.length;
    }
  }

  async end(): Promise<JSONObject> {
    await this.#running;
    const output: JSONObject = { inserted: this.#inserted, affected_rows: this.#inserted };
    if (this.#ids !== undefined && this.#ids.length > 0) {
      if (this.#ids.length === 1) output.inserted_id = this.#ids[0] ?? null;
      output.inserted_ids = this.#ids;
    }
    return this.#returned ? { ...output, ...((await this.#sink.end()) as unknown as JSONObject) } : output;
  }

  async #begin(): Promise<InsertBuilder> {
    const { dialect } = this.#server;
    const { on_conflict, returning } = this.#params;
    let columns = returningSql(returning, dialect);
    if (columns !== undefined && !dialect.returning('insert'))
      throw invalidParams('params.returning: this server has no INSERT … RETURNING');
    this.#returned = columns !== undefined;
    this.#key = await this.#primaryKey();
    if (columns === undefined && this.#key !== undefined && dialect.returning('insert'))
      columns = dialect.quote(this.#key);
    return new InsertBuilder({ table: this.#table, conflict: on_conflict, returning: columns, dialect });
  }

  /** The column whose values `inserted_ids` lists: a primary key of one column. */
  async #primaryKey(): Promise<string | undefined> {
    const { rows } = await this.#session.run(this.#server.dialect.primaryKey(this.#table));
    const name = rows.length === 1 ? rows[0]?.name : undefined;
    return typeof name === 'string' ? name : undefined;
  }

  async #run(statement: Statement, batch: readonly JSONObject[]): Promise<void> {
    const outcome = await this.#session.run(statement);
    this.#call.reached?.('batch');
    this.#inserted += this.#countOf(outcome, batch);
    this.#takeIds(outcome, batch);
    if (this.#returned) await this.#sink.add(outcome.rows);
  }

  /** MySQL counts an updated row twice and an unchanged one not at all. */
  #countOf({ affected }: Outcome, batch: readonly JSONObject[]): number {
    const { on_conflict } = this.#params;
    if (this.#server.dialect.upsert !== 'on duplicate key' || on_conflict === undefined) return affected;
    return conflictOf(on_conflict, this.#server.dialect).action === 'update' ? batch.length : affected;
  }

  #takeIds({ rows, insertId }: Outcome, batch: readonly JSONObject[]): void {
    const key = this.#key;
    if (this.#ids === undefined) return;
    const ids = key === undefined ? undefined : this.#idsOf(key, rows, insertId, batch);
    if (ids === undefined || this.#ids.length + ids.length > this.#call.options.max_rows) this.#ids = undefined;
    else this.#ids.push(...ids);
  }

  #idsOf(
    key: string,
    rows: readonly JSONObject[],
    insertId: JSONValue | undefined,
    batch: readonly JSONObject[],
  ): JSONValue[] | undefined {
    if (rows.length > 0)
      return rows.every((row) => Object.hasOwn(row, key)) ? rows.map((row) => row[key] ?? null) : undefined;
    if (this.#server.dialect.returning('insert')) return [];
    // Without RETURNING: what the data themselves say, or the first of consecutive numbers.
    if (this.#params.on_conflict !== undefined) return undefined;
    const given = batch.filter((row) => row[key] !== undefined && row[key] !== null);
    if (given.length === batch.length) return batch.map((row) => row[key] ?? null);
    if (given.length > 0 || typeof insertId !== 'number' || (batch.length > 1 && !this.#server.dialect.consecutiveIds))
      return undefined;
    return batch.map((_, index) => insertId + index);
  }
}

/** The rows at the beginning that have the same keys. */
function alike(rows: readonly JSONObject[]): JSONObject[] {
  const keys = Object.keys(rows[0] ?? {});
  const end = rows.findIndex(
    (row) => Object.keys(row).length !== keys.length || !keys.every((key) => Object.hasOwn(row, key)),
  );
  return rows.slice(0, end === -1 ? rows.length : end);
}
