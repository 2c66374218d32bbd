import { JSONFlowError } from './errors.ts';
import { sha256 } from './hash.ts';
import { isObject } from './json.ts';

/** Nesting of JSON that is accepted; `protocol/limits.ts` states the same number for messages. */
export const canonicalDepthMax = 64;

/** Integers from here on print with an exponent (ECMA-262 Number::toString), so every parser reads them as floating point. */
const EXPONENT_FROM = 1e21;

const INSERTION_SORT_MAX = 32;

/** Thrown by the fast passes alone; `explain` then finds out what is wrong and where. */
const refused = Symbol('not I-JSON');
/** Thrown by `arrange` where no plain object can hold the keys in canonical order. */
const unorderable = Symbol('integer-like keys');

/**
 * The canonical form of JSON data: RFC 8785, behind a strict I-JSON gate (RFC 7493). Equal data give equal text.
 *
 * @throws JSONFlowError NOT_I_JSON, naming the JSON path: non-finite numbers, integers beyond ±(2^53 − 1) that would print without
 *   an exponent, lone surrogates, undefined, functions, symbols, bigints, sparse arrays, objects that are not plain, cycles, and
 *   nesting deeper than 64; LIMIT_EXCEEDED where the text would be longer than a string can be
 */
export function canonicalize(value: unknown): string {
  try {
    const text = serialize(value);
    // JSON.stringify escapes lone surrogates and nothing else this way, apart from a backslash that the data hold themselves.
    if (text.includes('\\ud') && explain(value, '$', []) !== undefined) throw refused;
    return text;
  } catch (thrown) {
    if (thrown === refused) throw explain(value, '$', []) ?? notIJSON('$', 'a value that changes while it is read');
    if (thrown instanceof RangeError)
      throw new JSONFlowError('LIMIT_EXCEEDED', 'the value is too large to be written as one JSON text', {
        hint: 'Split the value, or pass it as a blob.',
      });
    throw thrown;
  }
}

/** SHA-256 of the canonical form, as 64 lower-case hexadecimal digits. @throws as `canonicalize` */
export const digestOf = (value: unknown): string => sha256(canonicalize(value));

/** Whether a number survives every JSON parser: finite, and exact where it looks like an integer. */
export const isSoundNumber = (value: number): boolean =>
  Number.isSafeInteger(value) ||
  (Number.isFinite(value) && (!Number.isInteger(value) || Math.abs(value) >= EXPONENT_FROM));

// The hottest function of the product: one pass checks the data and puts keys in order, then the native JSON.stringify writes. Its
// strings and numbers (-0 as 0 included) are those of RFC 8785 §3.2.2. No pass keeps paths: a failure is explained afterwards.
function serialize(value: unknown): string {
  try {
    return JSON.stringify(arrange(value, 0));
  } catch (thrown) {
    if (thrown === unorderable) return write(value, 0);
    throw thrown;
  }
}

/** The same data with the keys of every object in canonical order; what is in order already is not copied. */
function arrange(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      if (!isSoundNumber(value)) throw refused;
      return value;
    case 'object':
      if (value === null) return null;
      if (depth === canonicalDepthMax) throw refused;
      return Array.isArray(value) ? arrangeArray(value, depth + 1) : arrangeObject(value, depth + 1);
    default:
      throw refused;
  }
}

function arrangeArray(array: readonly unknown[], depth: number): readonly unknown[] {
  let copy: unknown[] | undefined;
  for (let i = 0; i < array.length; i++) {
    // A hole reads as undefined, which is refused.
    const item = array[i];
    const arranged = arrange(item, depth);
    if (copy !== undefined) copy.push(arranged);
    else if (arranged !== item) {
      copy = array.slice(0, i);
      copy.push(arranged);
    }
  }
  return copy ?? array;
}

function arrangeObject(object: object, depth: number): object {
  if (!isPlain(object)) throw refused;
  const source = object as Record<string, unknown>;
  const keys = Object.keys(object);
  let copy = sortKeys(keys) ? undefined : emptyCopy(keys);
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    const member = source[key];
    const arranged = arrange(member, depth);
    if (copy !== undefined) copy[key] = arranged;
    else if (arranged !== member) {
      copy = emptyCopy(keys);
      for (let j = 0; j < i; j++) copy[keys[j] as string] = source[keys[j] as string];
      copy[key] = arranged;
    }
  }
  return copy ?? object;
}

/** An object keeps integer-like keys before all others and treats `__proto__` as its prototype: such keys are written by `write`. */
function emptyCopy(keys: readonly string[]): Record<string, unknown> {
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    const first = key.charCodeAt(0);
    if ((first >= 48 && first <= 57) || key === '__proto__') throw unorderable;
  }
  return {};
}

/** For data that `arrange` cannot copy: the same text, put together by hand. */
function write(value: unknown, depth: number): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(arrange(value, depth));
  if (depth === canonicalDepthMax) throw refused;
  if (Array.isArray(value)) {
    let text = '';
    for (let i = 0; i < value.length; i++) text += `${i === 0 ? '' : ','}${write(value[i], depth + 1)}`;
    return `[${text}]`;
  }
  if (!isPlain(value)) throw refused;
  const keys = Object.keys(value);
  sortKeys(keys);
  let text = '';
  for (const key of keys)
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${write((value as Record<string, unknown>)[key], depth + 1)}`;
  return `{${text}}`;
}

function isPlain(object: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(object);
  return prototype === Object.prototype || prototype === null;
}

/** Sorts by UTF-16 code units (RFC 8785 §3.2.3), which is how JavaScript compares strings. Returns whether the keys were sorted before. */
function sortKeys(keys: string[]): boolean {
  for (let i = 1; i < keys.length; i++) {
    if ((keys[i - 1] as string) <= (keys[i] as string)) continue;
    if (keys.length > INSERTION_SORT_MAX) keys.sort();
    else insertionSort(keys, i);
    return false;
  }
  return true;
}

/** Quicker than the general sort for a few keys. The first `from` keys are in order. */
function insertionSort(keys: string[], from: number): void {
  for (let i = from; i < keys.length; i++) {
    const key = keys[i] as string;
    let j = i - 1;
    while (j >= 0 && (keys[j] as string) > key) {
      keys[j + 1] = keys[j] as string;
      j--;
    }
    keys[j + 1] = key;
  }
}

/** The first problem in the order of the canonical form; undefined where there is none. */
function explain(value: unknown, path: string, ancestors: readonly object[]): JSONFlowError | undefined {
  if (typeof value === 'string')
    return value.isWellFormed() ? undefined : notIJSON(path, 'a string with a lone surrogate');
  if (typeof value === 'number') return isSoundNumber(value) ? undefined : notIJSON(path, numberProblem(value));
  if (typeof value === 'boolean' || value === null) return undefined;
  if (typeof value !== 'object')
    return notIJSON(path, typeof value === 'undefined' ? 'undefined' : `a ${typeof value}`);
  if (ancestors.includes(value)) return notIJSON(path, 'a cycle: the value contains itself');
  if (ancestors.length === canonicalDepthMax) return notIJSON(path, `nested deeper than ${canonicalDepthMax}`);
  const within = [...ancestors, value];
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      if (!(i in value)) return notIJSON(`${path}[${i}]`, 'a hole in a sparse array');
      const problem = explain(value[i], `${path}[${i}]`, within);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }
  if (!isObject(value) || !isPlain(value)) return notIJSON(path, `an object of class ${className(value)}`);
  for (const key of Object.keys(value).sort()) {
    const at = memberPath(path, key);
    const problem = key.isWellFormed() ? explain(value[key], at, within) : notIJSON(at, 'a key with a lone surrogate');
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Appends a key to a JSON path such as `$.steps[0]`. */
const memberPath = (path: string, key: string): string =>
  /^[A-Za-z_][A-Za-z0-9_]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;

const numberProblem = (value: number): string =>
  Number.isFinite(value) ? `the integer ${value}, beyond ±(2^53 − 1)` : `the number ${value}`;

const className = (value: object): string => {
  const { name } = (value.constructor ?? {}) as { name?: unknown };
  return typeof name === 'string' && name !== '' ? name : 'unknown';
};

function notIJSON(path: string, what: string): JSONFlowError {
  return new JSONFlowError('NOT_I_JSON', `${path} is ${what}, which JSON cannot carry exactly`, {
    hint: 'Use plain objects, dense arrays, strings, booleans, null and finite numbers; write large integers as strings.',
    details: { path },
  });
}
