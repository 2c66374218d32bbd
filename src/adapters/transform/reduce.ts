import { StepError } from '../../lib/errors.ts';
import { type JSONObject, type JSONValue, setOwn } from '../../lib/json.ts';
import { compilePath, type Path } from './path.ts';

export type Aggregation = 'sum' | 'count' | 'avg' | 'min' | 'max';

/** One aggregate: what to compute, of the value at which path. */
export interface Aggregate {
  operation: Aggregation;
  key?: string;
}

/** Takes values one by one; `null` and missing values don't count, as in SQL. */
interface Accumulator {
  add(value: JSONValue | undefined, index: number): void;
  result(): JSONValue;
}

const wrong = (index: number, what: string): StepError => new StepError('INVALID_INPUT', `input[${index}]: ${what}`);

const kindOf = (value: JSONValue): string =>
  value === null
    ? 'null'
    : Array.isArray(value)
      ? 'a list'
      : typeof value === 'object'
        ? 'an object'
        : `a ${typeof value}`;

/** Neumaier's sum (1974): the rounding errors are added up apart, so that 0.1 ten times is 1. */
class Sum implements Accumulator {
  #sum = 0;
  #compensation = 0;
  count = 0;

  add(value: JSONValue | undefined, index: number): void {
    if (value === undefined || value === null) return;
    if (typeof value !== 'number') throw wrong(index, `the value to add up is ${kindOf(value)}, not a number`);
    const sum = this.#sum + value;
    this.#compensation += Math.abs(this.#sum) >= Math.abs(value) ? this.#sum - sum + value : value - sum + this.#sum;
    this.#sum = sum;
    this.count += 1;
  }

  result(): number {
    const total = this.#sum + this.#compensation;
    if (!Number.isFinite(total) || (Number.isInteger(total) && !Number.isSafeInteger(total)))
      throw new StepError('LIMIT_EXCEEDED', 'the sum is a number beyond 2^53, which JSON can not carry exactly');
    return total;
  }
}

class Average implements Accumulator {
  readonly #sum = new Sum();
  add(value: JSONValue | undefined, index: number): void {
    this.#sum.add(value, index);
  }
  result(): number | null {
    return this.#sum.count === 0 ? null : this.#sum.result() / this.#sum.count;
  }
}

class Count implements Accumulator {
  #count = 0;
  add(value: JSONValue | undefined): void {
    if (value !== undefined && value !== null) this.#count += 1;
  }
  result(): number {
    return this.#count;
  }
}

/** Least or greatest of numbers, or of texts in the order of their UTF-16 code units. */
class Extreme implements Accumulator {
  readonly #sign: 1 | -1;
  #best: number | string | null = null;

  constructor(sign: 1 | -1) {
    this.#sign = sign;
  }

  add(value: JSONValue | undefined, index: number): void {
    if (value === undefined || value === null) return;
    if (typeof value !== 'number' && typeof value !== 'string')
      throw wrong(index, `the value to compare is ${kindOf(value)}, not a number or a text`);
    if (this.#best !== null && typeof this.#best !== typeof value)
      throw wrong(index, 'numbers and texts can not be compared with each other');
    if (this.#best === null || (this.#sign > 0 ? value > this.#best : value < this.#best)) this.#best = value;
  }

  result(): JSONValue {
    return this.#best;
  }
}

const accumulators: Readonly<Record<Aggregation, () => Accumulator>> = {
  sum: () => new Sum(),
  count: () => new Count(),
  avg: () => new Average(),
  min: () => new Extreme(-1),
  max: () => new Extreme(1),
};

/** Several aggregates over the same items. */
class Aggregates {
  readonly #parts: { name: string; path: Path; accumulator: Accumulator }[];
  count = 0;

  constructor(aggregates: Readonly<Record<string, Aggregate>>) {
    this.#parts = Object.entries(aggregates).map(([name, { operation, key = '' }]) => ({
      name,
      // Without a key all items count, null among them.
      path: operation === 'count' && key === '' ? () => true : compilePath(key),
      accumulator: accumulators[operation](),
    }));
  }

  add(item: JSONValue, index: number): void {
    this.count += 1;
    for (const { path, accumulator } of this.#parts) accumulator.add(path(item), index);
  }

  result(): JSONObject {
    const result: JSONObject = {};
    for (const { name, accumulator } of this.#parts) setOwn(result, name, accumulator.result());
    return result;
  }
}

/** All items in one pass. */
export function aggregate(items: readonly JSONValue[], aggregates: Readonly<Record<string, Aggregate>>): JSONObject {
  const all = new Aggregates(aggregates);
  for (const [index, item] of items.entries()) all.add(item, index);
  return all.result();
}

type GroupKey = string | number | boolean | null;

const ranks: Readonly<Record<string, number>> = { object: 0, boolean: 1, number: 2, string: 3 };

/** null, false, true, numbers, texts by UTF-16 code units. */
function compareKeys(left: GroupKey, right: GroupKey): number {
  const rank = (ranks[typeof left] ?? 0) - (ranks[typeof right] ?? 0);
  if (rank !== 0 || left === null || right === null) return rank;
  return left < right ? -1 : left > right ? 1 : 0;
}

function groupKey(item: JSONValue, path: Path, index: number): GroupKey {
  const key = path(item) ?? null;
  if (typeof key === 'object' && key !== null)
    throw wrong(index, `the key to group by is ${kindOf(key)}, not a text, number, boolean or null`);
  return key;
}

/**
 * Aggregates for each value of `by`, in one pass: rows `{ key, count, …aggregates }`, sorted by key. As a `map` the rows stand
 * under the text of their key, so that 1 and "1" are one group.
 */
export function aggregateBy(
  items: readonly JSONValue[],
  by: string,
  aggregates: Readonly<Record<string, Aggregate>>,
  form: 'list' | 'map',
): JSONValue {
  const path = compilePath(by);
  const groups = new Map<GroupKey, Aggregates>();
  for (const [index, item] of items.entries()) {
    const found = groupKey(item, path, index);
    const key = form === 'map' ? String(found) : found;
    let group = groups.get(key);
    if (group === undefined) {
      group = new Aggregates(aggregates);
      groups.set(key, group);
    }
    group.add(item, index);
  }
  const rows = [...groups]
    .sort(([left], [right]) => compareKeys(left, right))
    .map(([key, group]) => ({ key, count: group.count, ...group.result() }));
  if (form === 'list') return rows;
  const map: JSONObject = {};
  for (const row of rows) setOwn(map, String(row.key), row);
  return map;
}

/** The items themselves under the text of their key, keys in order of appearance. */
export function group(items: readonly JSONValue[], key: string): JSONObject {
  const path = compilePath(key);
  const groups = new Map<string, JSONValue[]>();
  for (const [index, item] of items.entries()) {
    const name = String(groupKey(item, path, index));
    const found = groups.get(name);
    if (found === undefined) groups.set(name, [item]);
    else found.push(item);
  }
  const result: JSONObject = {};
  for (const [name, found] of groups) setOwn(result, name, found);
  return result;
}
