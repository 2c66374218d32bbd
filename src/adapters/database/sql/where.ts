import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { closest } from '../../../lib/suggest.ts';
import { invalidParams } from '../errors.ts';
import type { Dialect } from './dialect.ts';
import { quotedName } from './identifier.ts';
import { type Convert, unconverted } from './tables.ts';
import { isTagged } from './values.ts';

const depthMax = 16;
const conditionsMax = 1_000;

const comparisons: Readonly<Record<string, string>> = {
  eq: '=',
  ne: '<>',
  gt: '>',
  gte: '>=',
  lt: '<',
  lte: '<=',
  like: 'LIKE',
};
const operators = [...Object.keys(comparisons), 'ilike', 'in', 'nin', 'between', 'is_null'];

/** The values of a statement that is being put together. */
export class Values {
  readonly #dialect: Dialect;
  readonly list: JSONValue[] = [];

  constructor(dialect: Dialect) {
    this.#dialect = dialect;
  }

  /** Binds a value. @returns its placeholder */
  bind(value: JSONValue): string {
    this.list.push(value);
    return this.#dialect.placeholder(this.list.length);
  }
}

/**
 * A `where` object as SQL. All values are bound, all names quoted.
 * @throws StepError INVALID_PARAMS that names the place
 */
export function whereSql(where: JSONValue, values: Values, dialect: Dialect, convert: Convert = unconverted): string {
  let left = conditionsMax;

  function group(value: JSONValue | undefined, at: string, depth: number): string {
    if (!isObject(value)) throw invalidParams(`${at} must be an object of conditions`);
    if (depth > depthMax) throw invalidParams(`${at} is nested deeper than ${depthMax} levels`);
    const conditions = Object.entries(value as JSONObject).map(([key, given]) =>
      member(key, given, `${at}.${key}`, depth),
    );
    if (conditions.length === 0) throw invalidParams(`${at} has no condition`);
    return conditions.length === 1 ? String(conditions[0]) : `(${conditions.join(' AND ')})`;
  }

  function member(key: string, given: JSONValue, at: string, depth: number): string {
    left -= 1;
    if (left < 0) throw invalidParams(`params.where has more than ${conditionsMax} conditions`);
    if (key === 'not') return `NOT (${group(given, at, depth + 1)})`;
    if (key !== 'and' && key !== 'or') return condition({ name: key, sql: quotedName(key, at, dialect) }, given, at);
    if (!Array.isArray(given) || given.length === 0) throw invalidParams(`${at} must be a list of conditions`);
    const all = given.map((one, index) => group(one, `${at}[${index}]`, depth + 1));
    return `(${all.join(key === 'and' ? ' AND ' : ' OR ')})`;
  }

  function condition(column: Column, given: JSONValue, at: string): string {
    if (given === null) return `${column.sql} IS NULL`;
    if (Array.isArray(given)) return listed(column, given, at, false);
    if (!isObject(given) || isTagged(given)) return `${column.sql} = ${bind(column, given, at)}`;
    const all = Object.entries(given as JSONObject).map(([operator, value]) =>
      compared(column, operator, value, `${at}.${operator}`),
    );
    if (all.length === 0) throw invalidParams(`${at} has no operator`);
    return all.length === 1 ? String(all[0]) : `(${all.join(' AND ')})`;
  }

  function compared(column: Column, operator: string, value: JSONValue, at: string): string {
    switch (operator) {
      case 'in':
      case 'nin':
        if (!Array.isArray(value)) throw invalidParams(`${at} must be a list`);
        return listed(column, value, at, operator === 'nin');
      case 'is_null':
        if (typeof value !== 'boolean') throw invalidParams(`${at} must be true or false`);
        return `${column.sql} IS ${value ? '' : 'NOT '}NULL`;
      case 'between': {
        if (!Array.isArray(value) || value.length !== 2) throw invalidParams(`${at} must be a list of two values`);
        const [low, high] = value.map((bound) => bind(column, bound, at));
        return `${column.sql} BETWEEN ${low} AND ${high}`;
      }
      case 'ilike':
        return dialect.ilike(column.sql, bind(column, value, at));
      default:
        return simple(column, operator, value, at);
    }
  }

  function simple(column: Column, operator: string, value: JSONValue, at: string): string {
    const sql = Object.hasOwn(comparisons, operator) ? comparisons[operator] : undefined;
    if (sql === undefined) {
      const meant = closest(operator, operators);
      throw invalidParams(
        `${at}: there is no such operator${meant === undefined ? '' : `; did you mean ${meant}?`} Operators: ${operators.join(', ')}`,
      );
    }
    if (value === null && operator === 'eq') return `${column.sql} IS NULL`;
    if (value === null && operator === 'ne') return `${column.sql} IS NOT NULL`;
    return `${column.sql} ${sql} ${bind(column, value, at)}`;
  }

  function listed(column: Column, list: JSONValue[], at: string, not: boolean): string {
    const all = list.map((value) => convert(column.name, scalar(value, at)));
    if (all.length === 0) return not ? '1 = 1' : '1 = 0';
    if (dialect.listValues) return `${column.sql} ${not ? '<> ALL' : '= ANY'}(${values.bind(all)})`;
    return `${column.sql} ${not ? 'NOT ' : ''}IN (${all.map((value) => values.bind(value)).join(', ')})`;
  }

  const bind = (column: Column, value: JSONValue, at: string): string =>
    values.bind(convert(column.name, scalar(value, at)));

  return group(where, 'params.where', 0);
}

interface Column {
  name: string;
  sql: string;
}

/** A comparison with null is never true, and so never what was meant. */
function scalar(value: JSONValue, at: string): JSONValue {
  if (value === null) throw invalidParams(`${at}: null is compared with is_null, or by { "column": null }`);
  if (Array.isArray(value) || (isObject(value) && !isTagged(value)))
    throw invalidParams(`${at} must be a text, a number, true or false, { "$bytes": … } or { "$json": … }`);
  return value;
}
