import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { invalidParams, SqlFailure } from '../errors.ts';
import type { Dialect } from './dialect.ts';
import { quotedName, quotedTable, tableParts } from './identifier.ts';
import type { Statement } from './statement.ts';
import type { Convert } from './tables.ts';
import { Values, whereSql } from './where.ts';

/** `{ table, columns?, where?, order_by?, limit?, offset? }` as SQL. @throws StepError INVALID_PARAMS */
export function selectStatement(params: JSONObject, dialect: Dialect, convert?: Convert): Statement {
  const { columns, where, order_by } = params;
  const values = new Values(dialect);
  let text = `SELECT ${columnsSql(columns, 'params.columns', dialect)} FROM ${quotedTable(tableParts(params.table, dialect), dialect)}`;
  if (where !== undefined && !isEmpty(where)) text += ` WHERE ${whereSql(where, values, dialect, convert)}`;
  if (order_by !== undefined) text += ` ORDER BY ${orderSql(order_by, dialect)}`;
  text += pageSql(params, dialect);
  return { text, values: values.list, reuse: true };
}

const isEmpty = (where: JSONValue): boolean => isObject(where) && Object.keys(where).length === 0;

/** @param columns absent, `*` or true: all of them */
export function columnsSql(columns: JSONValue | undefined, at: string, dialect: Dialect): string {
  if (columns === undefined || columns === '*' || columns === true) return '*';
  const list = Array.isArray(columns) ? columns : [columns];
  if (list.length === 0) throw invalidParams(`${at} names no column`);
  return list.map((name, index) => quotedName(name, `${at}[${index}]`, dialect)).join(', ');
}

function orderSql(order: JSONValue, dialect: Dialect): string {
  const list = Array.isArray(order) ? order : [order];
  if (list.length === 0) throw invalidParams('params.order_by names no column');
  return list
    .map((one, index) => {
      const at = `params.order_by[${index}]`;
      if (typeof one !== 'object' || one === null) return quotedName(one, at, dialect);
      const { column, direction = 'asc' } = one as JSONObject;
      if (direction !== 'asc' && direction !== 'desc') throw invalidParams(`${at}.direction must be "asc" or "desc"`);
      return `${quotedName(column, `${at}.column`, dialect)} ${direction.toUpperCase()}`;
    })
    .join(', ');
}

/** What a query threw, with a hint where a column that is not there was to be sorted by and ends like SQL. One may be called so: the server knows. */
export function withOrderHint(thrown: unknown, { order_by = [] }: JSONObject): unknown {
  if (!(thrown instanceof SqlFailure) || thrown.code !== 'QUERY_FAILED') return thrown;
  for (const name of Array.isArray(order_by) ? order_by : [order_by]) {
    if (typeof name !== 'string' || !thrown.message.includes(name)) continue;
    const [, column, direction = ''] = /^(.*\S)\s+(asc|desc)$/is.exec(name) ?? [];
    if (column === undefined) continue;
    const form = JSON.stringify({ column, direction: direction.toLowerCase() });
    return thrown.saying(`${thrown.message}; params.order_by takes names: did you mean ${form}?`);
  }
  return thrown;
}

/** Whole numbers stand in the text itself: not every server takes them as bound values. */
function pageSql({ limit, offset }: JSONObject, { unlimited }: Dialect): string {
  const count = (value: JSONValue, name: string): string => {
    if (!Number.isSafeInteger(value) || Number(value) < 0)
      throw invalidParams(`params.${name} must be a whole number, 0 or more`);
    return String(value);
  };
  if (limit === undefined && offset === undefined) return '';
  const text = ` LIMIT ${limit === undefined ? unlimited : count(limit, 'limit')}`;
  return offset === undefined ? text : `${text} OFFSET ${count(offset, 'offset')}`;
}
