import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { invalidParams } from '../errors.ts';
import type { Dialect } from './dialect.ts';
import { quotedName, quotedTable, tableParts } from './identifier.ts';
import { returningSql } from './insert.ts';
import type { Statement } from './statement.ts';
import { type Convert, unconverted } from './tables.ts';
import { Values, whereSql } from './where.ts';

/** `{ table, set | data | delete: true, where | all: true, returning? }` as SQL. @throws StepError INVALID_PARAMS */
export function updateStatement(params: JSONObject, dialect: Dialect, convert: Convert = unconverted): Statement {
  const { where, all, returning } = params;
  const values = new Values(dialect);
  const table = quotedTable(tableParts(params.table, dialect), dialect);
  const remove = params.delete === true;
  let text = remove ? `DELETE FROM ${table}` : `UPDATE ${table} SET ${setSql(params, values, dialect, convert)}`;
  if ((where === undefined) === (all !== true))
    throw invalidParams('params: give where, or all: true to mean every row');
  if (where !== undefined) text += ` WHERE ${whereSql(where, values, dialect, convert)}`;
  const columns = returningSql(returning, dialect);
  if (columns !== undefined) {
    if (!dialect.returning(remove ? 'delete' : 'update'))
      throw invalidParams(`params.returning: this server has no ${remove ? 'DELETE' : 'UPDATE'} … RETURNING`);
    text += ` RETURNING ${columns}`;
  }
  return { text, values: values.list, reuse: true };
}

function setSql({ set, data }: JSONObject, values: Values, dialect: Dialect, convert: Convert): string {
  const changes: JSONValue | undefined = set ?? data;
  if (!isObject(changes)) throw invalidParams('params.set must be an object, with the new value of each column');
  const all = Object.entries(changes as JSONObject);
  if (all.length === 0) throw invalidParams('params.set names no column');
  return all
    .map(
      ([name, value]) => `${quotedName(name, 'a key of params.set', dialect)} = ${values.bind(convert(name, value))}`,
    )
    .join(', ');
}
