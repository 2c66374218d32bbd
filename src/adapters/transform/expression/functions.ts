import { setOwn } from '../../../lib/json.ts';
import type { Matchers } from './matchers.ts';
import { LENGTH_MAX, parseNumber, round } from './numbers.ts';
import { parseDuration, parseTimestamp, timePart, timeParts } from './time.ts';
import { compare, Duration, Failure, type Frame, isMap, Timestamp, toJSON, typeOf, type Value } from './value.ts';

/** What a call gets besides its arguments. */
interface CallSite {
  /** Offset in the source. */
  at: number;
  name: string;
  frame: Frame;
  matchers: Matchers;
}

export interface CelFunction {
  /** Number of arguments, the target of a method included. */
  arity: readonly [least: number, most: number];
  call(args: readonly Value[], site: CallSite): Value;
}

const TEXTS_MAX = 1_000_000;
/** Comparisons of a search that count for one unit of work: they are quick, and only the worst case needs all of them. */
const SEARCHED_PER_UNIT = 256;

function misuse(args: readonly Value[], { name, at }: CallSite): Failure {
  return new Failure(`${name} does not work on (${args.map(typeOf).join(', ')})`, at);
}

function text(args: readonly Value[], index: number, site: CallSite): string {
  const value = args[index];
  if (typeof value !== 'string') throw misuse(args, site);
  // Reading a text costs by its length.
  site.frame.spendText(value.length);
  return value;
}

function number(args: readonly Value[], index: number, site: CallSite): number {
  const value = args[index];
  if (typeof value !== 'number') throw misuse(args, site);
  return value;
}

function list(args: readonly Value[], index: number, site: CallSite): Value[] {
  const value = args[index];
  if (!Array.isArray(value)) throw misuse(args, site);
  site.frame.spend(value.length);
  return value as Value[];
}

function codePoints(value: string): number {
  let count = 0;
  for (const _ of value) count += 1;
  return count;
}

function toInteger(value: number, at: number): number {
  const whole = Math.trunc(value);
  if (!Number.isSafeInteger(whole)) throw new Failure('the number has no exact whole part', at);
  return whole;
}

function convertToNumber(args: readonly Value[], site: CallSite): number {
  const [value] = args;
  if (typeof value === 'number') return value;
  if (typeof value === 'string') return parseNumber(value, site.at);
  if (value instanceof Timestamp || value instanceof Duration) return value.ms / 1000;
  throw misuse(args, site);
}

function convertToText(args: readonly Value[], site: CallSite): string {
  const value = args[0] ?? null;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (value instanceof Timestamp || value instanceof Duration) return String(toJSON(value, site.frame));
  throw misuse(args, site);
}

function extreme(values: readonly Value[], sign: 1 | -1, site: CallSite): Value {
  const [first, ...rest] = values;
  if (first === undefined) throw new Failure(`${site.name} of an empty list`, site.at);
  return rest.reduce((best, value) => {
    const order = compare(value, best, site.frame);
    if (order === undefined)
      throw new Failure(`${site.name} can't order ${typeOf(value)} and ${typeOf(best)}`, site.at);
    return order * sign > 0 ? value : best;
  }, first);
}

function sum(args: readonly Value[], site: CallSite): number {
  let total = 0;
  for (const value of list(args, 0, site)) total += typeof value === 'number' ? value : number([value], 0, site);
  if (!Number.isFinite(total) || (Number.isInteger(total) && !Number.isSafeInteger(total)))
    throw new Failure('the sum is a number beyond 2^53', site.at);
  return total;
}

function merge(args: readonly Value[], site: CallSite): Value {
  const merged: { [key: string]: Value } = {};
  for (const value of args) {
    if (!isMap(value)) throw misuse(args, site);
    for (const key of Object.keys(value)) setOwn(merged, key, value[key]);
  }
  site.frame.spend(Object.keys(merged).length);
  return merged;
}

/** The text and what is looked for in it. At worst each character of one meets each of the other. */
function searched(args: readonly Value[], site: CallSite): [source: string, sought: string] {
  const [source, sought] = [text(args, 0, site), text(args, 1, site)];
  if (sought.length <= source.length) site.frame.spend(Math.ceil((source.length * sought.length) / SEARCHED_PER_UNIT));
  return [source, sought];
}

function found(args: readonly Value[], site: CallSite): number {
  const [source, sought] = searched(args, site);
  return source.indexOf(sought);
}

function split(args: readonly Value[], site: CallSite): Value {
  const [source, separator] = searched(args, site);
  const pieces = source.split(separator, args.length > 2 ? number(args, 2, site) : TEXTS_MAX);
  site.frame.spend(pieces.length);
  return pieces;
}

function join(args: readonly Value[], site: CallSite): Value {
  const pieces = list(args, 0, site).map((_, index, all) => text(all, index, site));
  const separator = args.length > 1 ? text(args, 1, site) : '';
  const length = pieces.reduce((sum, piece) => sum + piece.length + separator.length, 0);
  if (length > LENGTH_MAX) throw new Failure('the text is too long', site.at);
  site.frame.spendText(length);
  return pieces.join(separator);
}

function replace(args: readonly Value[], site: CallSite): Value {
  const [source, from] = searched(args, site);
  const to = text(args, 2, site);
  if (source.length * (to.length + 1) > TEXTS_MAX * 16) throw new Failure('the text is too long', site.at);
  site.frame.spend((source.length * (to.length + 1)) >> 4);
  return source.replaceAll(from, () => to);
}

function size(args: readonly Value[], site: CallSite): Value {
  const value = args[0] ?? null;
  if (typeof value === 'string') return codePoints(text(args, 0, site));
  if (Array.isArray(value)) return value.length;
  if (!isMap(value)) throw misuse(args, site);
  const { length } = Object.keys(value);
  site.frame.spend(length);
  return length;
}

const unary = (operation: (value: number) => number): CelFunction => ({
  arity: [1, 1],
  call: (args, site) => operation(number(args, 0, site)),
});

/** Functions that are called as `f(x)`. */
export const functions: ReadonlyMap<string, CelFunction> = new Map<string, CelFunction>([
  ['size', { arity: [1, 1], call: size }],
  ['int', { arity: [1, 1], call: (args, site) => toInteger(convertToNumber(args, site), site.at) }],
  ['double', { arity: [1, 1], call: convertToNumber }],
  ['string', { arity: [1, 1], call: convertToText }],
  [
    'bool',
    {
      arity: [1, 1],
      call: (args, site) => {
        if (args[0] === true || args[0] === 'true') return true;
        if (args[0] === false || args[0] === 'false') return false;
        throw misuse(args, site);
      },
    },
  ],
  ['type', { arity: [1, 1], call: ([value = null]) => typeOf(value) }],
  ['dyn', { arity: [1, 1], call: ([value = null]) => value }],
  [
    'timestamp',
    {
      arity: [1, 1],
      call: (args, site) => (args[0] instanceof Timestamp ? args[0] : parseTimestamp(text(args, 0, site), site.at)),
    },
  ],
  [
    'duration',
    {
      arity: [1, 1],
      call: (args, site) => (args[0] instanceof Duration ? args[0] : parseDuration(text(args, 0, site), site.at)),
    },
  ],
  ['matches', { arity: [2, 2], call: (args, site) => matches(args, site) }],
]);

function matches(args: readonly Value[], site: CallSite): Value {
  const [subject, pattern] = [text(args, 0, site), text(args, 1, site)];
  return site.matchers.test(pattern, subject, site.frame, site.at);
}

/** Functions of the name space `math`, called as `math.f(x)`. */
export const mathFunctions: ReadonlyMap<string, CelFunction> = new Map<string, CelFunction>([
  ['abs', unary(Math.abs)],
  ['ceil', unary(Math.ceil)],
  ['floor', unary(Math.floor)],
  ['trunc', unary(Math.trunc)],
  ['round', unary(round)],
  ['sign', unary(Math.sign)],
  ['greatest', { arity: [1, 32], call: (args, site) => extreme(args, 1, site) }],
  ['least', { arity: [1, 32], call: (args, site) => extreme(args, -1, site) }],
]);

/** Functions that are called as `x.f(y)`; `x` is the first argument. */
export const methods: ReadonlyMap<string, CelFunction> = new Map<string, CelFunction>([
  ['size', { arity: [1, 1], call: size }],
  ['contains', { arity: [2, 2], call: (args, site) => found(args, site) >= 0 }],
  ['startsWith', { arity: [2, 2], call: (args, site) => text(args, 0, site).startsWith(text(args, 1, site)) }],
  ['endsWith', { arity: [2, 2], call: (args, site) => text(args, 0, site).endsWith(text(args, 1, site)) }],
  ['matches', { arity: [2, 2], call: matches }],
  ['indexOf', { arity: [2, 2], call: found }],
  [
    'substring',
    {
      arity: [2, 3],
      call: (args, site) =>
        text(args, 0, site).slice(number(args, 1, site), args.length > 2 ? number(args, 2, site) : undefined),
    },
  ],
  [
    'lowerAscii',
    { arity: [1, 1], call: (args, site) => text(args, 0, site).replace(/[A-Z]+/g, (run) => run.toLowerCase()) },
  ],
  [
    'upperAscii',
    { arity: [1, 1], call: (args, site) => text(args, 0, site).replace(/[a-z]+/g, (run) => run.toUpperCase()) },
  ],
  ['trim', { arity: [1, 1], call: (args, site) => text(args, 0, site).trim() }],
  ['replace', { arity: [3, 3], call: replace }],
  ['split', { arity: [2, 3], call: split }],
  ['join', { arity: [1, 2], call: join }],
  ['sum', { arity: [1, 1], call: sum }],
  ['min', { arity: [1, 1], call: (args, site) => extreme(list(args, 0, site), -1, site) }],
  ['max', { arity: [1, 1], call: (args, site) => extreme(list(args, 0, site), 1, site) }],
  ['merge', { arity: [2, 2], call: merge }],
  ...timeParts.map((name): [string, CelFunction] => [
    name,
    { arity: [1, 2], call: ([value = null, zone], { at }) => timePart(name, value, zone, at) },
  ]),
]);
