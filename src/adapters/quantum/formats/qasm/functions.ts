import { integer, integerOf, numberOf, real, type Value } from './values.ts';

type Numbers = (...args: readonly number[]) => number;

const ofReals: ReadonlyMap<string, { readonly args: number; readonly of: Numbers }> = new Map(
  Object.entries({
    sin: Math.sin,
    cos: Math.cos,
    tan: Math.tan,
    exp: Math.exp,
    ln: Math.log,
    log: Math.log,
    sqrt: Math.sqrt,
    asin: Math.asin,
    acos: Math.acos,
    atan: Math.atan,
    arcsin: Math.asin,
    arccos: Math.acos,
    arctan: Math.atan,
  } satisfies Record<string, (x: number) => number>).map(([name, of]) => [name, { args: 1, of: of as Numbers }]),
);

const others: ReadonlyMap<
  string,
  { readonly args: number; readonly of: (args: readonly Value[]) => Value | undefined }
> = new Map([
  ['abs', { args: 1, of: ([x]) => mapped(x, (n) => (n < 0n ? -n : n), Math.abs) }],
  ['ceiling', { args: 1, of: ([x]) => rounded(x, Math.ceil) }],
  ['floor', { args: 1, of: ([x]) => rounded(x, Math.floor) }],
  ['mod', { args: 2, of: ([a, b]) => modulus(a, b) }],
  ['pow', { args: 2, of: ([a, b]) => power(a, b) }],
  ['popcount', { args: 1, of: ([x]) => (x?.kind === 'bits' ? integer(ones(x.value)) : undefined) }],
  ['rotl', { args: 2, of: ([x, by]) => rotated(x, by, 1n) }],
  ['rotr', { args: 2, of: ([x, by]) => rotated(x, by, -1n) }],
  ['sizeof', { args: 1, of: ([x]) => sizeOf(x) }],
]);

export const functionNames: readonly string[] = [...ofReals.keys(), ...others.keys()];

/** A function of OpenQASM that is known before the circuit runs. @returns undefined where there is none of that name, a reason where it has no value */
export function callFunction(name: string, args: readonly Value[]): Value | string | undefined {
  const known = ofReals.get(name) ?? others.get(name);
  if (known === undefined) return undefined;
  if (args.length !== known.args)
    return `${name} takes ${known.args} value${known.args === 1 ? '' : 's'}, not ${args.length}`;
  if (args.some(({ kind }) => kind === 'measured')) return `${name} of measured bits is not supported`;
  const other = others.get(name);
  if (other !== undefined) return other.of(args) ?? `${name} does not take such values`;
  const numbers = args.map(numberOf);
  const value = numbers.includes(undefined) ? Number.NaN : ofReals.get(name)?.of(...(numbers as number[]));
  return value !== undefined && Number.isFinite(value)
    ? real(value)
    : `${name}(${numbers.join(', ')}) is no finite number`;
}

function mapped(
  x: Value | undefined,
  whole: (n: bigint) => bigint,
  fraction: (n: number) => number,
): Value | undefined {
  if (x?.kind === 'integer') return integer(whole(x.value));
  const number = x === undefined ? undefined : numberOf(x);
  return number === undefined ? undefined : real(fraction(number));
}

const rounded = (x: Value | undefined, how: (n: number) => number): Value | undefined =>
  mapped(
    mapped(x, (n) => n, how),
    (n) => n,
    how,
  );

function modulus(a: Value | undefined, b: Value | undefined): Value | undefined {
  const [left, right] = [a && numberOf(a), b && numberOf(b)];
  if (left === undefined || right === undefined || right === 0) return undefined;
  if (a?.kind === 'real' || b?.kind === 'real') return real(left % right);
  return integer((integerOf(a as Value) ?? 0n) % (integerOf(b as Value) ?? 1n));
}

function power(a: Value | undefined, b: Value | undefined): Value | undefined {
  const value =
    (a && numberOf(a) !== undefined ? (numberOf(a) as number) : Number.NaN) ** ((b && numberOf(b)) ?? Number.NaN);
  if (!Number.isFinite(value)) return undefined;
  const isWhole = a?.kind === 'integer' && b?.kind === 'integer' && Number.isSafeInteger(value);
  return isWhole ? integer(value) : real(value);
}

const ones = (value: bigint): number => value.toString(2).replaceAll('0', '').length;

function rotated(x: Value | undefined, by: Value | undefined, sign: bigint): Value | undefined {
  const places = by && integerOf(by);
  if (x?.kind !== 'bits' || places === undefined) return undefined;
  const width = BigInt(x.width);
  const left = (((sign * places) % width) + width) % width;
  return { ...x, value: BigInt.asUintN(x.width, (x.value << left) | (x.value >> (width - left))) };
}

function sizeOf(x: Value | undefined): Value | undefined {
  if (x?.kind === 'list') return integer(x.items.length);
  return x?.kind === 'bits' ? integer(x.width) : undefined;
}
