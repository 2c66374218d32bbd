import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { Statement } from './statement.ts';

/** What differs in the SQL of the servers. */
export interface Dialect {
  /** Of one name, which has been checked. */
  quote(name: string): string;
  /** Bytes of UTF-8 that the server takes for a name; it would cut longer ones off, to another name. */
  nameBytesMax: number;
  /** @param index from 1 */
  placeholder(index: number): string;
  /** Values of one statement. */
  valuesMax: number;
  /** Bytes of the values of one statement. */
  bytesMax: number;
  /** Whether DEFAULT may stand for a value. */
  defaultInValues: boolean;
  /** Rows that one statement can make out of defaults alone. */
  defaultRowsMax: number;
  /** Whether the generated ids of one statement follow each other, so that the first tells all. */
  consecutiveIds: boolean;
  /** What follows INSERT INTO t for rows of defaults alone. */
  insertDefaults(rows: number): string;
  /** Whether a list can be one value, as in `= ANY($1)`. */
  listValues: boolean;
  /** What follows LIMIT where there is none. */
  unlimited: string;
  /** A LIKE that takes no account of case; undefined where LIKE itself does not. */
  ilike(column: string, value: string): string;
  upsert: 'on conflict' | 'on duplicate key';
  /** Whether `RETURNING` may follow. The server's version decides, so it is known once connected. */
  returning(verb: 'insert' | 'update' | 'delete'): boolean;
  /** A text of the workflow's author with its values. @throws StepError INVALID_PARAMS */
  bind(text: string, values: readonly JSONValue[] | JSONObject): Statement;
  /** The statement that gives the plan of another one. */
  explain(text: string): string;
  /** A table's columns: `name`, `type`, and `is_key` for those of the primary key. */
  describe(table: readonly string[]): Statement;
  /** How values get into a column of this type, where the server does not take them as they are. */
  convert?(type: string): ((value: JSONValue) => JSONValue) | undefined;
  /** Which values some column may need converted. */
  convertible?(value: JSONValue): boolean;
  /** Whether changes of the schema roll back. */
  transactionalDdl: boolean;
  /** `create` is one statement each. */
  effects: { create: readonly string[]; insert: string; select: string; update: string; prune: string };
  migrations: { create: string; now: string };
  /** Keeps other migrators out, of this session's schema or database; undefined where only a transaction can. */
  lock?: { lock: Statement; unlock: Statement };
  /** Whether a statement ends the transaction that it is in, by its first word. */
  commitsImplicitly(firstWord: string): boolean;
}
