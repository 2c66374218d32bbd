import type { JSONValue } from '../../../lib/json.ts';

const iso = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d(?::\d\d)?)(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?$/;

export const isIsoTime = (value: JSONValue): boolean =>
  typeof value === 'string' && value.length <= 40 && iso.test(value);

/** ISO 8601 as DATETIME and TIMESTAMP take it: in UTC, which is the session's zone, without its letters. */
export function toMysqlTime(value: JSONValue): JSONValue {
  const match = typeof value === 'string' ? iso.exec(value) : null;
  if (match === null) return value;
  const [, date = '', time = '', fraction = '', zone = ''] = match;
  const micros = fraction.slice(0, 7);
  if (zone === '' || zone === 'Z') return `${date} ${time}${micros}`;
  const shifted = new Date(`${date}T${time}${zone}`);
  // What is no time is the server's to refuse; JavaScript takes 30 February for 2 March.
  if (Number.isNaN(shifted.getTime()) || !isDay(date)) return value;
  return `${shifted.toISOString().slice(0, 19).replace('T', ' ')}${micros}`;
}

function isDay(date: string): boolean {
  const day = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date);
}
