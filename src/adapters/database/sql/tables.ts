import { isObject, type JSONValue } from '../../../lib/json.ts';
import type { Dialect } from './dialect.ts';
import type { Session } from './session.ts';

const tablesMax = 1_000;
/** A table may be changed at any time, by anybody. */
const freshMs = 10_000;

/** What the adapter knows of a table. */
export interface Table {
  parts: readonly string[];
  /** The primary key, where it is one column. */
  key: string | undefined;
  /** Brings a value into the form that the column takes. */
  convert: Convert;
}

export type Convert = (column: string, value: JSONValue) => JSONValue;

export const unconverted: Convert = (_column, value) => value;

/** Descriptions of tables, asked for when first needed. */
export class Tables {
  readonly #dialect: Dialect;
  readonly #known = new Map<string, { table: Table; sinceMs: number }>();

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  async get(session: Session, parts: readonly string[]): Promise<Table> {
    const name = parts.join('\0');
    const known = this.#known.get(name);
    if (known !== undefined && performance.now() - known.sinceMs < freshMs) return known.table;
    const { rows } = await session.run(this.#dialect.describe(parts));
    const keys = rows.filter(({ is_key }) => is_key === true || Number(is_key) > 0);
    const converts = new Map<string, (value: JSONValue) => JSONValue>();
    for (const { name: column, type } of rows) {
      const convert = this.#dialect.convert?.(String(type));
      if (convert !== undefined) converts.set(String(column), convert);
    }
    const table: Table = {
      parts,
      key: keys.length === 1 ? String(keys[0]?.name) : undefined,
      convert: converts.size === 0 ? unconverted : (column, value) => converts.get(column)?.(value) ?? value,
    };
    if (this.#known.size >= tablesMax) this.#known.clear();
    this.#known.set(name, { table, sinceMs: performance.now() });
    return table;
  }

  /** What conversions a statement with these values needs: none, where none of them is of a form that any column converts. */
  async converting(session: Session, parts: readonly string[], values: JSONValue | undefined): Promise<Convert> {
    const { convertible } = this.#dialect;
    if (convertible === undefined || values === undefined || !holds(values, convertible)) return unconverted;
    return (await this.get(session, parts)).convert;
  }

  forget(parts: readonly string[]): void {
    this.#known.delete(parts.join('\0'));
  }
}

function holds(value: JSONValue, wanted: (value: JSONValue) => boolean): boolean {
  if (wanted(value)) return true;
  if (Array.isArray(value)) return value.some((inner) => holds(inner, wanted));
  return isObject(value) && Object.values(value).some((inner) => holds(inner as JSONValue, wanted));
}
