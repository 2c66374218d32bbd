import { isObject, type JSONObject, type JSONValue, setOwn } from '../../../lib/json.ts';

/** Making a list or a key of a map takes about as long, and as much memory, as looking at so many elements. */
const CONTAINER_UNITS = 4;

/** A value inside an expression. There is one type of number, that of JSON: an IEEE 754 double. */
export type Value = JSONValue | Timestamp | Duration | Value[] | { [key: string]: Value };

/** An instant, in ms since 1970-01-01 UTC. */
export class Timestamp {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}

export class Duration {
  readonly ms: number;
  constructor(ms: number) {
    this.ms = ms;
  }
}

/** Why an evaluation failed, and where. Not an Error: `||` and `&&` discard it, and a stack trace would cost more than the rest. */
export class Failure {
  /** Made when it is asked for: most failures are discarded, and making the text may take longer than the evaluation. */
  readonly #message: string | (() => string);
  /** Offset in the source of the expression. */
  readonly at: number;
  /** Whether something was looked up that isn't there: then `has` is false. */
  readonly missing: boolean;
  constructor(message: string | (() => string), at: number, missing = false) {
    this.#message = message;
    this.at = at;
    this.missing = missing;
  }

  get message(): string {
    return typeof this.#message === 'string' ? this.#message : this.#message();
  }
}

/** The evaluation does more work than allowed. Nothing inside an expression discards it. */
export class OutOfBudget {}

/** The variables of one evaluation, and how much work it may still do. */
export class Frame {
  readonly slots: Value[];
  left: number;

  constructor(slots: number, budget: number) {
    this.slots = new Array<Value>(slots).fill(null);
    this.left = budget;
  }

  /** Accounts for work: about one unit for each element that is looked at. */
  spend(units: number): void {
    this.left -= units;
    if (this.left < 0) throw new OutOfBudget();
  }

  /** Accounts for a pass over so many characters. */
  spendText(characters: number): void {
    this.spend(characters >> 4);
  }
}

export type TypeName = 'null' | 'boolean' | 'number' | 'string' | 'list' | 'map' | 'timestamp' | 'duration';

/** The type by its name in expressions. */
export function typeOf(value: Value): TypeName {
  if (value === null) return 'null';
  if (typeof value !== 'object') return typeof value as 'boolean' | 'number' | 'string';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Timestamp) return 'timestamp';
  if (value instanceof Duration) return 'duration';
  return 'map';
}

export const isMap = (value: Value): value is { [key: string]: Value } =>
  isObject(value) && !(value instanceof Timestamp) && !(value instanceof Duration);

/** Deep equality; values of different types are different. */
export function equal(left: Value, right: Value, frame: Frame): boolean {
  if (typeof left === 'string') {
    if (typeof right !== 'string' || left.length !== right.length) return false;
    frame.spendText(left.length);
    return left === right;
  }
  if (left === right) return true;
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (left instanceof Timestamp) return right instanceof Timestamp && left.ms === right.ms;
  if (left instanceof Duration) return right instanceof Duration && left.ms === right.ms;
  if (Array.isArray(left)) {
    if (!Array.isArray(right) || left.length !== right.length) return false;
    frame.spend(left.length);
    return left.every((value, index) => equal(value, right[index] ?? null, frame));
  }
  if (!isMap(left) || !isMap(right)) return false;
  const keys = Object.keys(left);
  const { length } = Object.keys(right);
  frame.spend(keys.length + length);
  if (keys.length !== length) return false;
  return keys.every((key) => Object.hasOwn(right, key) && equal(left[key] ?? null, right[key] ?? null, frame));
}

/** Less than 0, 0, or more; undefined where the two have no order. Strings in the order of their UTF-16 code units, as in RFC 8785. */
export function compare(left: Value, right: Value, frame: Frame): number | undefined {
  if (typeof left === 'number' && typeof right === 'number') return left - right;
  if (typeof left === 'string' && typeof right === 'string') {
    frame.spendText(Math.min(left.length, right.length));
    return left < right ? -1 : left > right ? 1 : 0;
  }
  if (typeof left === 'boolean' && typeof right === 'boolean') return Number(left) - Number(right);
  if (left instanceof Timestamp && right instanceof Timestamp) return left.ms - right.ms;
  if (left instanceof Duration && right instanceof Duration) return left.ms - right.ms;
  return undefined;
}

/** A JSON object has texts as keys, so a number or a boolean stands for its text. */
export const keyOf = (value: Value): string | undefined =>
  typeof value === 'string'
    ? value
    : typeof value === 'number' || typeof value === 'boolean'
      ? String(value)
      : undefined;

/** Times become texts: RFC 3339 in UTC, and seconds with a trailing `s`. What the value shares is written out each time. */
export function toJSON(value: Value, frame: Frame): JSONValue {
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Timestamp) return new Date(value.ms).toISOString();
  if (value instanceof Duration) return `${value.ms / 1000}s`;
  if (Array.isArray(value)) {
    frame.spend(CONTAINER_UNITS + value.length);
    return value.map((element: Value) => toJSON(element, frame));
  }
  const keys = Object.keys(value);
  frame.spend(CONTAINER_UNITS * (1 + keys.length));
  const copy: JSONObject = {};
  for (const key of keys) setOwn(copy, key, toJSON((value as { [key: string]: Value })[key] ?? null, frame));
  return copy;
}
