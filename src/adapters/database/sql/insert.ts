import { assert } from '../../../lib/assert.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { invalidParams } from '../errors.ts';
import type { Dialect } from './dialect.ts';
import { checkedName, quotedTable } from './identifier.ts';
import { columnsSql } from './select.ts';
import type { Statement } from './statement.ts';
import type { Convert } from './tables.ts';

/** Texts of statements by their shape: a text of 1,000 rows takes longer to write than to look up. */
export class InsertTexts {
  readonly #texts = new Map<string, string>();
  #length = 0;

  get(shape: string, make: () => string): string {
    const known = this.#texts.get(shape);
    if (known !== undefined) return known;
    const text = make();
    if (this.#length + text.length > textsLengthMax) {
      this.#texts.clear();
      this.#length = 0;
    }
    this.#length += text.length;
    this.#texts.set(shape, text);
    return text;
  }
}

const textsLengthMax = 4_000_000;

export interface InsertPlan {
  table: readonly string[];
  conflict: JSONValue | undefined;
  /** `RETURNING` list as SQL, or undefined. */
  returning: string | undefined;
  dialect: Dialect;
  convert: Convert;
  texts: InsertTexts;
}

/** Makes the statements of one insert, batch by batch. */
export class InsertBuilder {
  readonly #plan: InsertPlan;
  /** What shapes the texts of this insert besides their rows and columns. */
  readonly #shape: string;

  constructor(plan: InsertPlan) {
    this.#plan = plan;
    this.#shape = JSON.stringify([plan.table, plan.conflict ?? null, plan.returning ?? null]);
  }

  /** Rows of one statement at most, with so many values to bind. */
  rowsMax(columnCount: number): number {
    return Math.max(1, Math.floor(this.#plan.dialect.valuesMax / Math.max(1, columnCount)));
  }

  /**
   * One statement for rows with any keys: a column that only some of them have takes its default in the others.
   * @param same whether each row has all columns
   * @param full whether more statements of this shape are to be expected
   */
  statement(rows: readonly JSONObject[], columns: readonly string[], same: boolean, full: boolean): Statement {
    const { convert, dialect } = this.#plan;
    const values: JSONValue[] = [];
    if (same) {
      for (const row of rows) for (const column of columns) values.push(convert(column, row[column] ?? null));
      return { text: this.#text(columns, rows.length), values, reuse: full };
    }
    assert(dialect.defaultInValues, 'rows of one statement have the same keys');
    const holes = new Set<number>();
    let cell = 0;
    for (const row of rows)
      for (const column of columns) {
        const value = Object.hasOwn(row, column) ? row[column] : undefined;
        if (value === undefined) holes.add(cell);
        else values.push(convert(column, value));
        cell += 1;
      }
    return { text: insertText(this.#plan, columns, rows.length, holes), values, reuse: false };
  }

  #text(columns: readonly string[], rows: number): string {
    const shape = `${rows}\0${columns.join('\0')}\0${this.#shape}`;
    return this.#plan.texts.get(shape, () => insertText(this.#plan, columns, rows, new Set()));
  }
}

function insertText(plan: InsertPlan, columns: readonly string[], rows: number, holes: ReadonlySet<number>): string {
  const { dialect, table, returning } = plan;
  const names = columns.map((name) => dialect.quote(name));
  let text = `INSERT INTO ${quotedTable(table, dialect)} `;
  if (columns.length === 0) text += dialect.insertDefaults(rows);
  else {
    let bound = 0;
    const lists: string[] = [];
    for (let row = 0; row < rows; row += 1) {
      const cells = columns.map((_, column) => {
        if (holes.has(row * columns.length + column)) return 'DEFAULT';
        bound += 1;
        return dialect.placeholder(bound);
      });
      lists.push(`(${cells.join(',')})`);
    }
    text += `(${names.join(', ')}) VALUES ${lists.join(',')}`;
  }
  text += conflictSql(plan.conflict, columns, dialect);
  return returning === undefined ? text : `${text} RETURNING ${returning}`;
}

/** `on_conflict` as SQL. @throws StepError INVALID_PARAMS */
function conflictSql(conflict: JSONValue | undefined, columns: readonly string[], dialect: Dialect): string {
  if (conflict === undefined) return '';
  const { target, action, update } = conflictOf(conflict, dialect);
  const set = (update ?? columns.filter((name) => !target.includes(name))).map((name) => dialect.quote(name));
  if (dialect.upsert === 'on duplicate key') {
    // Setting a column to itself changes nothing, and hides no other failure as INSERT IGNORE would.
    const keep = dialect.quote(target[0] ?? '');
    if (action === 'ignore' || set.length === 0) return ` ON DUPLICATE KEY UPDATE ${keep} = ${keep}`;
    return ` ON DUPLICATE KEY UPDATE ${set.map((name) => `${name} = VALUES(${name})`).join(', ')}`;
  }
  const on = ` ON CONFLICT (${target.map((name) => dialect.quote(name)).join(', ')})`;
  if (action === 'ignore' || set.length === 0) return `${on} DO NOTHING`;
  return `${on} DO UPDATE SET ${set.map((name) => `${name} = EXCLUDED.${name}`).join(', ')}`;
}

export interface Conflict {
  target: string[];
  action: 'update' | 'ignore';
  update: string[] | undefined;
}

/** @throws StepError INVALID_PARAMS */
export function conflictOf(conflict: JSONValue, dialect: Dialect): Conflict {
  if (!isObject(conflict)) throw invalidParams('params.on_conflict must be an object');
  const { columns, action, update } = conflict as JSONObject;
  const names = (list: JSONValue | undefined, at: string): string[] => {
    if (!Array.isArray(list) || list.length === 0) throw invalidParams(`${at} must be a list of columns`);
    return list.map((name, index) => checkedName(name, `${at}[${index}]`, dialect));
  };
  if (action !== 'update' && action !== 'ignore')
    throw invalidParams('params.on_conflict.action must be "update" or "ignore"');
  return {
    target: names(columns, 'params.on_conflict.columns'),
    action,
    update: update === undefined ? undefined : names(update, 'params.on_conflict.update'),
  };
}

/** The keys of all rows, in the order of their first appearance, and whether each row has all of them. @throws StepError INVALID_PARAMS */
export function columnsOf(rows: readonly JSONObject[], dialect: Dialect): { columns: string[]; same: boolean } {
  const [first = {}] = rows;
  const columns = Object.keys(first);
  const known = new Set(columns);
  let same = true;
  for (const row of rows) {
    const keys = Object.keys(row);
    let missing = keys.length;
    for (const key of keys) {
      if (known.has(key)) continue;
      known.add(key);
      columns.push(key);
      missing = -1;
    }
    if (missing !== columns.length) same = false;
  }
  for (const key of columns) checkedName(key, 'a key of params.data', dialect);
  return { columns, same };
}

/** What follows RETURNING, if anything. @throws StepError INVALID_PARAMS */
export function returningSql(returning: JSONValue | undefined, dialect: Dialect): string | undefined {
  return returning === undefined || returning === false
    ? undefined
    : columnsSql(returning, 'params.returning', dialect);
}

/** The rows at the beginning that one statement can take, and one in any case. */
export function fitting(rows: JSONObject[], bytesMax: number): JSONObject[] {
  let bytes = 0;
  for (const [index, row] of rows.entries()) {
    bytes += bytesOfValue(row);
    if (bytes > bytesMax && index > 0) return rows.slice(0, index);
  }
  return rows;
}

/** Bytes that a value takes at most, roughly. */
function bytesOfValue(value: JSONValue): number {
  if (typeof value === 'string') return 3 * value.length + 4;
  if (typeof value !== 'object' || value === null) return 12;
  let bytes = 2;
  for (const key in value) bytes += bytesOfValue((value as JSONObject)[key] ?? null);
  return Array.isArray(value) ? bytes : bytes + 4;
}
