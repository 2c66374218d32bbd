import { durationOf, timestampAt } from './numbers.ts';
import { Duration, Failure, Timestamp, typeOf, type Value } from './value.ts';

const timestampPattern = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d))?$/;
const durationPattern = /^([+-]?)((?:\d{1,12}(?:\.\d{1,9})?(?:h|ms|m|s))+)$/;
const unitMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 };
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** RFC 3339, to the millisecond; a date alone is its midnight in UTC. */
export function parseTimestamp(text: string, at: number): Timestamp {
  const [, year, month, day, hour = '0', minute = '0', second = '0', fraction = '', zone = 'Z'] =
    timestampPattern.exec(text) ?? [];
  if (year === undefined) throw new Failure('the text is not a timestamp as in RFC 3339', at);
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  const real = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  if (!real || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59)
    throw new Failure('there is no such date or time', at);
  const ms = Number(fraction.slice(0, 3).padEnd(3, '0'));
  const time = ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1000 + ms;
  return timestampAt(date.getTime() + time - offsetMs(zone, at), at);
}

/** A sequence of numbers with the units h, m, s, ms: `1h30m`, `-1.5s`. */
export function parseDuration(text: string, at: number): Duration {
  const [, sign, parts] = durationPattern.exec(text) ?? [];
  if (parts === undefined) throw new Failure('the text is not a duration such as 1h30m or 1.5s', at);
  let ms = 0;
  for (const [, amount, unit] of parts.matchAll(/([\d.]+)(h|ms|m|s)/g))
    ms += Number(amount) * (unitMs[unit ?? ''] ?? 0);
  return durationOf(sign === '-' ? -ms : ms, at);
}

/**
 * Zones with a name are not supported: their rules come with the machine, and two nodes could disagree on the result.
 */
function offsetMs(zone: string, at: number): number {
  if (zone === 'Z' || zone === 'z' || zone === 'UTC') return 0;
  const [, sign, hours, minutes] = /^([+-]?)(\d\d):(\d\d)$/.exec(zone) ?? [];
  if (hours === undefined || Number(hours) > 23 || Number(minutes) > 59)
    throw new Failure('the time zone must be "UTC" or an offset such as "+02:00"', at);
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * MINUTE_MS;
}

const startOfYear = (date: Date): number => new Date(0).setUTCFullYear(date.getUTCFullYear(), 0, 1);

const parts: Readonly<Record<string, (date: Date) => number>> = {
  getFullYear: (date) => date.getUTCFullYear(),
  getMonth: (date) => date.getUTCMonth(),
  getDate: (date) => date.getUTCDate(),
  getDayOfMonth: (date) => date.getUTCDate() - 1,
  getDayOfWeek: (date) => date.getUTCDay(),
  getDayOfYear: (date) => Math.floor((date.getTime() - startOfYear(date)) / DAY_MS),
  getHours: (date) => date.getUTCHours(),
  getMinutes: (date) => date.getUTCMinutes(),
  getSeconds: (date) => date.getUTCSeconds(),
  getMilliseconds: (date) => date.getUTCMilliseconds(),
};

/** Of a duration these are totals, the last one excepted, as CEL has it. */
const totals: Readonly<Record<string, (ms: number) => number>> = {
  getHours: (ms) => Math.trunc(ms / 3_600_000),
  getMinutes: (ms) => Math.trunc(ms / MINUTE_MS),
  getSeconds: (ms) => Math.trunc(ms / 1000),
  getMilliseconds: (ms) => ms % 1000,
};

export const timeParts: readonly string[] = Object.keys(parts);

/** A part of a timestamp (in UTC, or in the zone given as an offset) or of a duration. */
export function timePart(name: string, value: Value, zone: Value | undefined, at: number): number {
  if (value instanceof Duration && zone === undefined) {
    const total = totals[name];
    if (total !== undefined) return total(value.ms);
  }
  const part = parts[name];
  if (part === undefined || !(value instanceof Timestamp))
    throw new Failure(`${name} does not work on ${typeOf(value)}`, at);
  if (zone === undefined) return part(new Date(value.ms));
  if (typeof zone !== 'string') throw new Failure('the time zone must be a text', at);
  return part(new Date(value.ms + offsetMs(zone, at)));
}
