import type { JSONValue } from '../../../lib/json.ts';
import { invalidParams } from '../errors.ts';
import type { Dialect } from './dialect.ts';

const partsMax = 3;

/** @param where for the error, such as `params.columns[0]` @throws StepError INVALID_PARAMS */
export function checkedName(name: unknown, where: string, dialect: Dialect): string {
  if (typeof name !== 'string' || name === '') throw invalidParams(`${where} must be a name`);
  if (name.includes('\0')) throw invalidParams(`${where} holds a NUL character`);
  if (!name.isWellFormed()) throw invalidParams(`${where} is not well-formed Unicode`);
  if (Buffer.byteLength(name) > dialect.nameBytesMax)
    throw invalidParams(`${where} is longer than the ${dialect.nameBytesMax} bytes that the server takes for a name`);
  return name;
}

export const quotedName = (name: unknown, where: string, dialect: Dialect): string =>
  dialect.quote(checkedName(name, where, dialect));

/** The parts of `table` or `schema.table`. @throws StepError INVALID_PARAMS */
export function tableParts(table: JSONValue | undefined, dialect: Dialect): string[] {
  if (typeof table !== 'string') throw invalidParams('params.table must be the name of a table');
  const parts = table.split('.');
  if (parts.length > partsMax) throw invalidParams('params.table has too many dots: write table or schema.table');
  return parts.map((part) => checkedName(part, 'params.table', dialect));
}

export const quotedTable = (parts: readonly string[], dialect: Dialect): string =>
  parts.map((part) => dialect.quote(part)).join('.');
