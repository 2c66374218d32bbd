import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { invalidParams } from '../errors.ts';

/** `{ "$bytes": "base64" }` or `{ "$json": value }`: values whose kind JSON alone does not tell. */
export function isTagged(value: JSONValue): value is JSONObject {
  if (!isObject(value) || !('$bytes' in value || '$json' in value)) return false;
  return Object.keys(value).length === 1;
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/;

/** @throws StepError INVALID_PARAMS */
export function bytesOf(tagged: JSONObject): Buffer {
  const { $bytes } = tagged;
  if (typeof $bytes !== 'string' || !base64.test($bytes)) throw invalidParams('a "$bytes" value must be base64');
  return Buffer.from($bytes, 'base64');
}

export const bytesValue = (bytes: Uint8Array): JSONObject => ({
  $bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64'),
});

/** A value as the text, number or bytes that a driver binds; lists and objects as JSON text. */
export function plainValue(value: JSONValue): string | number | boolean | null | Buffer {
  if (typeof value !== 'object' || value === null) return value;
  if (!isTagged(value)) return JSON.stringify(value);
  return '$bytes' in value ? bytesOf(value) : JSON.stringify(value.$json);
}

const longNumber = /\d{16}|[eE]\+?\d{3}/;

/** JSON text of a column. Numbers that JavaScript can't hold exactly become texts, as in columns of numbers. */
export function parseJson(text: string): JSONValue {
  if (!longNumber.test(text)) return JSON.parse(text) as JSONValue;
  return JSON.parse(text, exactNumber as (key: string, value: unknown) => unknown) as JSONValue;
}

function exactNumber(_key: string, value: unknown, { source }: { source?: string }): unknown {
  if (typeof value !== 'number' || source === undefined) return value;
  const sound = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value));
  return sound ? value : source;
}

/** A whole number in decimal digits: a number where that is exact. */
export function wholeNumber(text: string): number | string {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : text;
}

/** JSON has no such numbers. */
export const realNumber = (value: number): number | string => {
  if (!Number.isFinite(value)) return String(value);
  return Number.isInteger(value) && !Number.isSafeInteger(value) ? value.toString() : value;
};

/** Names for the keys of a row: a second column of the same name becomes `name_2`. */
export function rowKeys(names: readonly string[]): string[] {
  const taken = new Set<string>(names);
  const seen = new Set<string>();
  return names.map((name) => {
    let key = name;
    for (let number = 2; seen.has(key); number += 1) {
      const next = `${name}_${number}`;
      if (!taken.has(next)) key = next;
    }
    seen.add(key);
    return key;
  });
}
