import { RowSink, readRows } from '../../../kit/rows.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { Call } from '../driver.ts';
import { invalidParams } from '../errors.ts';
import type { Dialect } from './dialect.ts';
import { tableParts } from './identifier.ts';
import { columnsOf, conflictOf, fitting, InsertBuilder, type InsertTexts, returningSql } from './insert.ts';
import { readStatement, writeStatement } from './raw.ts';
import { selectStatement, withOrderHint } from './select.ts';
import type { Outcome, Session, SqlServer } from './session.ts';
import type { Statement } from './statement.ts';
import type { Convert, Tables } from './tables.ts';
import { updateStatement } from './update.ts';

/** What operations need besides the session. */
export interface Scope {
  server: SqlServer;
  tables: Tables;
  texts: InsertTexts;
}

/** The statement of a `db_query`. @throws StepError INVALID_PARAMS, READ_ONLY */
export async function queryStatement(
  session: Session,
  params: JSONObject,
  { server, tables }: Scope,
): Promise<Statement> {
  const { system, dialect } = server;
  const statement =
    params.query === undefined
      ? selectStatement(params, dialect, await convertOf(session, params, params.where, tables, dialect))
      : readStatement(params, system, dialect);
  return params.explain === true ? { ...statement, text: dialect.explain(statement.text), reuse: false } : statement;
}

const convertOf = (
  session: Session,
  params: JSONObject,
  values: JSONValue | undefined,
  tables: Tables,
  dialect: Dialect,
): Promise<Convert> => tables.converting(session, tableParts(params.table, dialect), values);

/** `db_query` within a transaction. */
export async function queryWithin(session: Session, params: JSONObject, call: Call, scope: Scope): Promise<JSONObject> {
  const { rows, fields } = await session.run(await queryStatement(session, params, scope)).catch((thrown: unknown) => {
    throw withOrderHint(thrown, params);
  });
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
  { server, tables }: Scope,
): Promise<JSONObject> {
  const { dialect } = server;
  const statement =
    params.query === undefined
      ? updateStatement(
          params,
          dialect,
          await convertOf(session, params, [params.set ?? params.data ?? null, params.where ?? null], tables, dialect),
        )
      : writeStatement(params, server.system, dialect);
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
  scope: Scope,
): Promise<JSONObject> {
  const insert = new Insert(session, params, call, scope);
  for await (const rows of readRows(params.data, 'params.data', call.context)) await insert.add(rows);
  return insert.end();
}

/** One insert, batch by batch: while the server works on one, the next is put together. */
class Insert {
  readonly #session: Session;
  readonly #params: JSONObject;
  readonly #call: Call;
  readonly #server: SqlServer;
  readonly #tables: Tables;
  readonly #texts: InsertTexts;
  readonly #sink: RowSink;
  readonly #parts: string[];
  #builder: InsertBuilder | undefined;
  #key: string | undefined;
  #ids: JSONValue[] | undefined = [];
  #returned = false;
  #inserted = 0;
  #running: Promise<void> | undefined;

  constructor(session: Session, params: JSONObject, call: Call, { server, tables, texts }: Scope) {
    this.#session = session;
    this.#params = params;
    this.#call = call;
    this.#server = server;
    this.#tables = tables;
    this.#texts = texts;
    this.#sink = new RowSink(call.context, call.options.max_rows);
    this.#parts = tableParts(params.table, server.dialect);
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
      batch = fitting(batch, dialect.bytesMax);
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
    if (columns !== undefined && on_conflict !== undefined && dialect.upsert === 'on duplicate key')
      throw invalidParams(
        'params.returning: on this server it would also name the rows that on_conflict left as they are',
      );
    this.#returned = columns !== undefined;
    const { key, convert } = await this.#tables.get(this.#session, this.#parts);
    this.#key = key;
    if (columns === undefined && this.#key !== undefined && this.#returnsKey) columns = dialect.quote(this.#key);
    return new InsertBuilder({
      table: this.#parts,
      conflict: on_conflict,
      returning: columns,
      dialect,
      convert,
      texts: this.#texts,
    });
  }

  async #run(statement: Statement, batch: readonly JSONObject[]): Promise<void> {
    const outcome = await this.#session.run(statement).catch((thrown: unknown) => {
      // What is known of the table may be out of date.
      this.#tables.forget(this.#parts);
      throw thrown;
    });
    this.#call.reached?.('batch');
    this.#inserted += this.#countOf(outcome, batch);
    this.#takeIds(outcome, batch);
    if (this.#returned) await this.#sink.add(outcome.rows);
  }

  /** MariaDB returns rows that it ignored, too. */
  get #returnsKey(): boolean {
    const { returning, upsert } = this.#server.dialect;
    return returning('insert') && (upsert === 'on conflict' || this.#params.on_conflict === undefined);
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
    if (this.#returnsKey) return [];
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
