import { EvidenceError } from '../../lib/errors.ts';
import { isObject } from '../../lib/json.ts';
import { limits } from '../../protocol/limits.ts';
import { namePattern, stepIdPattern } from '../../protocol/workflow.ts';

/** Says what a value should have been, or undefined where it is right. */
export type Check = (value: unknown) => string | undefined;

/** One check per field of `T`: a field that is added to the type fails to compile until it is checked. */
export type Fields<T> = { readonly [Key in keyof Required<T>]: Check };

const when =
  (holds: (value: unknown) => boolean, expected: string): Check =>
  (value) =>
    holds(value) ? undefined : expected;

const matching = (pattern: RegExp, expected: string): Check =>
  when((value) => typeof value === 'string' && pattern.test(value), expected);

const hex64 = /^[0-9a-f]{64}$/;
// Not a full calendar: months have up to 31 days, minutes may have a 60th second.
const utcTime = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)\.\d{3}Z$/;

export const digest: Check = matching(hex64, '64 lower-case hexadecimal digits');
export const time: Check = matching(utcTime, 'a UTC time with milliseconds, such as 2026-01-31T12:00:00.000Z');
export const name: Check = matching(new RegExp(namePattern), 'a name');
export const stepId: Check = matching(new RegExp(stepIdPattern), 'a step id');
export const text: Check = when((value) => typeof value === 'string', 'a string');
export const shortText: Check = when(
  (value) => typeof value === 'string' && value.length > 0 && value.length <= limits.idLengthMax,
  `a string of 1 to ${limits.idLengthMax} characters`,
);
export const flag: Check = when((value) => typeof value === 'boolean', 'true or false');
export const count: Check = when((value) => Number.isSafeInteger(value) && (value as number) >= 0, 'a whole number');
export const positive: Check = when(
  (value) => Number.isSafeInteger(value) && (value as number) > 0,
  'a whole number above 0',
);
export const literal = (...allowed: readonly unknown[]): Check =>
  when((value) => allowed.includes(value), allowed.map((one) => JSON.stringify(one)).join(' or '));
export const orNull =
  (check: Check): Check =>
  (value) =>
    value === null ? undefined : check(value);

/** Amounts by name. */
export const amounts: Check = (value) => {
  if (!isObject(value)) return 'an object of numbers';
  for (const key of Object.keys(value)) {
    const amount = value[key];
    if (typeof amount !== 'number' || !(amount >= 0)) return `an object of numbers from 0 on (${key} is not)`;
  }
  return undefined;
};

/** Digests by name. */
export const digests: Check = (value) => {
  if (!isObject(value)) return 'an object of digests';
  const names = Object.keys(value);
  if (names.length > limits.assetsPerStepMax) return `an object of at most ${limits.assetsPerStepMax} digests`;
  for (const key of names) {
    if (key.length > limits.idLengthMax) return 'an object with shorter names';
    if (digest(value[key]) !== undefined) return 'an object of digests (64 lower-case hexadecimal digits)';
  }
  return undefined;
};

export const list =
  (check: Check, countMax: number = limits.stepsMax): Check =>
  (value) => {
    if (!Array.isArray(value)) return 'a list';
    if (value.length > countMax) return `a list of at most ${countMax}`;
    for (let i = 0; i < value.length; i++) {
      const problem = check(value[i]);
      if (problem !== undefined) return `a list whose entry ${i} is ${problem}`;
    }
    return undefined;
  };

/** A closed object: all fields but the optional ones, and no others. */
export function object<T>(fields: Fields<T>, optional: readonly (keyof T & string)[] = []): Check {
  const checks = fields as Readonly<Record<string, Check>>;
  const required = Object.keys(checks).filter((key) => !(optional as readonly string[]).includes(key));
  return (value) => {
    if (!isObject(value)) return 'an object';
    for (const key of required) if (!Object.hasOwn(value, key)) return `an object with the field "${key}"`;
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(checks, key)) return `an object without the unknown field ${JSON.stringify(key.slice(0, 64))}`;
      const problem = checks[key]?.(value[key]);
      if (problem !== undefined) return `an object whose "${key}" is ${problem}`;
    }
    return undefined;
  };
}

/** @throws EvidenceError, saying what the value should have been */
export function expectShape(value: unknown, check: Check, what: string): void {
  const expected = check(value);
  if (expected !== undefined) throw new EvidenceError(`${what} must be ${expected}`);
}
