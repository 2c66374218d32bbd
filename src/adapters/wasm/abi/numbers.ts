import { isSoundNumber } from '../../../lib/canonical.ts';
import type { JSONValue } from '../../../lib/json.ts';
import type { ValueType } from '../types.ts';
import { mismatch } from './mismatch.ts';
import type { NumberType } from './signature.ts';

export type WasmNumber = number | bigint;
/** A value of a call: JSON that may hold bytes. */
export type Value = JSONValue | Uint8Array | Value[] | { [key: string]: Value };

const ranges: Readonly<Record<Exclude<NumberType, 'f32' | 'f64' | 'bool'>, readonly [bigint, bigint]>> = {
  i8: [-128n, 255n],
  u8: [0n, 255n],
  i16: [-32_768n, 65_535n],
  u16: [0n, 65_535n],
  // Both readings of the 32 bits: a module's type can't say which one it means.
  i32: [-(2n ** 31n), 2n ** 32n - 1n],
  u32: [0n, 2n ** 32n - 1n],
  i64: [-(2n ** 63n), 2n ** 64n - 1n],
  u64: [0n, 2n ** 64n - 1n],
};
const nonFinite: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

/** The type of a module's own that carries it. */
export function coreType(type: NumberType): ValueType {
  if (type === 'i64' || type === 'u64') return 'i64';
  return type === 'f32' || type === 'f64' ? type : 'i32';
}

/** The number type that a param or result of a module has where no signature says more; undefined for vectors and references. */
export const numberTypeOf = (type: ValueType): NumberType | undefined =>
  type === 'i32' || type === 'i64' || type === 'f32' || type === 'f64' ? type : undefined;

/**
 * A JSON value as a number of a module: whole numbers also as decimal texts, the floats that JSON lacks as "NaN", "Infinity",
 * "-Infinity", booleans as 1 and 0.
 *
 * @param where the argument, for the message
 * @throws StepError ABI_MISMATCH
 */
export function toWasm(value: Value, type: NumberType, where: string): WasmNumber {
  if (typeof value === 'boolean') return type === 'i64' || type === 'u64' ? BigInt(value) : Number(value);
  if (type === 'f32' || type === 'f64') return toFloat(value, where, type);
  const whole = wholeOf(value);
  if (type === 'bool' && (whole === 0n || whole === 1n)) return Number(whole);
  if (whole === undefined || type === 'bool') throw mismatch(`${where} must be ${wanted(type)}, not ${told(value)}`);
  const [least, most] = ranges[type];
  if (whole < least || whole > most)
    throw mismatch(`${where} is ${told(value)}, which does not fit into ${type} (${least} to ${most})`);
  return type === 'i64' || type === 'u64' ? BigInt.asIntN(64, whole) : Number(whole) | 0;
}

function wholeOf(value: Value): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}

function toFloat(value: Value, where: string, type: 'f32' | 'f64'): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'string') {
    if (Object.hasOwn(nonFinite, value)) return nonFinite[value] as number;
    // As results beyond 2^53 come out.
    if (/^-?\d{1,22}$/.test(value)) return Number(value);
  }
  throw mismatch(`${where} must be ${wanted(type)}, not ${told(value)}`);
}

function wanted(type: NumberType): string {
  if (type === 'bool') return 'true or false';
  if (type === 'f32' || type === 'f64') return `a number, "NaN", "Infinity" or "-Infinity" (${type})`;
  return `a whole number, or one as a decimal text (${type})`;
}

/** What a value is, without its content where that may be long or a secret. */
export function told(value: Value | undefined): string {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value);
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') return 'a text';
  if (value instanceof Uint8Array) return 'bytes';
  return Array.isArray(value) ? 'a list' : 'an object';
}

/** A module's number as JSON: whole numbers beyond 2^53 and non-finite floats as texts; −0 is 0. */
export function fromWasm(value: WasmNumber, type: NumberType): JSONValue {
  if (typeof value === 'bigint') {
    const whole = type === 'u64' ? BigInt.asUintN(64, value) : BigInt.asIntN(64, value);
    return Number.isSafeInteger(Number(whole)) ? Number(whole) : whole.toString();
  }
  if (type === 'f32' || type === 'f64') {
    if (value === 0) return 0;
    // NaN, the infinities, and whole numbers that not every parser would read exactly.
    return isSoundNumber(value) ? value : String(value);
  }
  return narrowed(value, type);
}

function narrowed(value: number, type: NumberType): JSONValue {
  switch (type) {
    case 'bool':
      return value !== 0;
    case 'i8':
      return (value << 24) >> 24;
    case 'u8':
      return value & 0xff;
    case 'i16':
      return (value << 16) >> 16;
    case 'u16':
      return value & 0xffff;
    case 'u32':
      return value >>> 0;
    default:
      return value | 0;
  }
}
