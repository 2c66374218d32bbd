import { isSoundNumber } from './canonical.ts';
import { JSONFlowError } from './errors.ts';
import { type JSONValue, setOwn } from './json.ts';
import type { SizeBudget } from './size-budget.ts';

const DEPTH_MAX = 64;

/**
 * A fresh JSON value out of whatever code outside of ours returned. As `JSON.stringify`, it drops properties that are
 * `undefined` and takes `toJSON` (dates) into account; unlike it, it refuses what would silently become something else.
 *
 * @param budget for the copy: what the value shares with itself is written out each time, so that a small value can be a huge one
 * @returns null for undefined
 * @throws JSONFlowError INVALID_OUTPUT that names the path: functions, symbols, bigints, numbers that are not finite or are integers
 *   beyond 2^53, binary data, maps, sets, holes in arrays, more than 64 levels (cycles too);
 *   LIMIT_EXCEEDED where the budget does not suffice
 */
export function toJSONValue(value: unknown, budget: SizeBudget): JSONValue {
  return value === undefined ? null : convert(value, budget, []);
}

function convert(value: unknown, budget: SizeBudget, path: (string | number)[]): JSONValue {
  budget.spendValue(value);
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value;
    case 'number':
      return convertNumber(value, path);
    case 'object':
      break;
    default:
      return refuse(`a ${typeof value}`, path);
  }
  if (value === null) return null;
  if (path.length >= DEPTH_MAX) return refuse(`more than ${DEPTH_MAX} levels`, path.slice(0, 4));
  if (Array.isArray(value)) {
    const copy: JSONValue[] = [];
    for (let index = 0; index < value.length; index++) {
      path.push(index);
      copy.push(convert(value[index], budget, path));
      path.pop();
    }
    return copy;
  }
  return convertObject(value, budget, path);
}

function convertNumber(value: number, path: (string | number)[]): number {
  if (!Number.isFinite(value)) return refuse(`the number ${value}`, path);
  // Beyond 10^21 it is written with an exponent, and nobody takes it for an exact one.
  if (!isSoundNumber(value)) return refuse('an integer beyond 2^53', path);
  return value;
}

function convertObject(value: object, budget: SizeBudget, path: (string | number)[]): JSONValue {
  if ('toJSON' in value && typeof value.toJSON === 'function' && !ArrayBuffer.isView(value)) {
    const replaced: unknown = value.toJSON();
    return typeof replaced === 'object' && replaced !== null
      ? refuse('an object with its own toJSON', path)
      : convert(replaced, budget, path);
  }
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return refuse('binary data', path);
  if (value instanceof Map || value instanceof Set) return refuse('a Map or Set', path);
  if (value instanceof Promise) return refuse('a promise', path);
  const copy: { [key: string]: JSONValue } = {};
  for (const key of Object.keys(value)) {
    const inner = (value as Record<string, unknown>)[key];
    if (inner === undefined) continue;
    budget.spendKey(key);
    path.push(key);
    setOwn(copy, key, convert(inner, budget, path));
    path.pop();
  }
  return copy;
}

function refuse(what: string, path: readonly (string | number)[]): never {
  const where = path.map((key) => (typeof key === 'number' ? `[${key}]` : `.${key}`)).join('');
  throw new JSONFlowError('INVALID_OUTPUT', `the output holds ${what} at output${where}, which is not JSON`, {
    hint: 'Return strings, finite numbers, booleans, null, arrays and plain objects; encode everything else as text.',
  });
}
