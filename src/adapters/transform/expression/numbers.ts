import { Duration, Failure, type Frame, Timestamp, typeOf, type Value } from './value.ts';

/** Longest string and list that an expression may build. */
export const LENGTH_MAX = 16 * 1024 * 1024;
/** Timestamps stay within what RFC 3339 can write: the years 0001 to 9999. */
const TIMESTAMP_MS_MIN = -62_135_596_800_000;
const TIMESTAMP_MS_MAX = 253_402_300_799_999;

/**
 * A number that JSON can carry. Whole numbers are exact up to 2^53; an operation on whole numbers that leaves that range fails
 * instead of becoming inexact.
 */
function checked(result: number, left: number, right: number, at: number): number {
  if (!Number.isFinite(result)) throw new Failure('the result is not a finite number', at);
  if (Number.isInteger(result) && !Number.isSafeInteger(result)) {
    const what = Number.isSafeInteger(left) && Number.isSafeInteger(right) ? 'integer overflow: ' : '';
    throw new Failure(`${what}the result is a whole number beyond 2^53`, at);
  }
  return result;
}

export const timestampAt = (ms: number, at: number): Timestamp => {
  if (!(ms >= TIMESTAMP_MS_MIN && ms <= TIMESTAMP_MS_MAX)) throw new Failure('the timestamp is out of range', at);
  return new Timestamp(ms);
};

export const durationOf = (ms: number, at: number): Duration => {
  if (!(Math.abs(ms) <= TIMESTAMP_MS_MAX - TIMESTAMP_MS_MIN)) throw new Failure('the duration is out of range', at);
  return new Duration(ms);
};

const noOperator = (symbol: string, left: Value, right: Value, at: number): Failure =>
  new Failure(`"${symbol}" does not work on ${typeOf(left)} and ${typeOf(right)}`, at);

type Operator = (left: Value, right: Value, frame: Frame, at: number) => Value;

function add(left: Value, right: Value, frame: Frame, at: number): Value {
  if (typeof left === 'number' && typeof right === 'number') return checked(left + right, left, right, at);
  if (typeof left === 'string' && typeof right === 'string') {
    if (left.length + right.length > LENGTH_MAX) throw new Failure('the text is too long', at);
    frame.spend((left.length + right.length) >> 6);
    return left + right;
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    frame.spend(left.length + right.length);
    return [...left, ...right];
  }
  if (left instanceof Timestamp && right instanceof Duration) return timestampAt(left.ms + right.ms, at);
  if (left instanceof Duration && right instanceof Timestamp) return timestampAt(left.ms + right.ms, at);
  if (left instanceof Duration && right instanceof Duration) return durationOf(left.ms + right.ms, at);
  throw noOperator('+', left, right, at);
}

function subtract(left: Value, right: Value, _frame: Frame, at: number): Value {
  if (typeof left === 'number' && typeof right === 'number') return checked(left - right, left, right, at);
  if (left instanceof Timestamp && right instanceof Timestamp) return durationOf(left.ms - right.ms, at);
  if (left instanceof Timestamp && right instanceof Duration) return timestampAt(left.ms - right.ms, at);
  if (left instanceof Duration && right instanceof Duration) return durationOf(left.ms - right.ms, at);
  throw noOperator('-', left, right, at);
}

function multiply(left: Value, right: Value, _frame: Frame, at: number): Value {
  if (typeof left === 'number' && typeof right === 'number') return checked(left * right, left, right, at);
  throw noOperator('*', left, right, at);
}

function divide(left: Value, right: Value, _frame: Frame, at: number): Value {
  if (typeof left !== 'number' || typeof right !== 'number') throw noOperator('/', left, right, at);
  if (right === 0) throw new Failure('division by zero', at);
  return checked(left / right, left, right, at);
}

function remainder(left: Value, right: Value, _frame: Frame, at: number): Value {
  if (typeof left !== 'number' || typeof right !== 'number') throw noOperator('%', left, right, at);
  if (right === 0) throw new Failure('division by zero', at);
  return left % right;
}

/** Arithmetic by CEL's name of the operator. */
export const arithmetic: Readonly<Record<string, Operator>> = {
  '_+_': add,
  '_-_': subtract,
  '_*_': multiply,
  '_/_': divide,
  '_%_': remainder,
};

export function negate(value: Value, at: number): Value {
  if (typeof value === 'number') return -value;
  if (value instanceof Duration) return new Duration(-value.ms);
  throw new Failure(`"-" does not work on ${typeOf(value)}`, at);
}

/** Half away from zero, as CEL's `math.round`. */
export const round = (value: number): number => Math.sign(value) * Math.round(Math.abs(value));

const numberPattern = /^-?(?:\d{1,400}(?:\.\d{1,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,4})?$/;

export function parseNumber(text: string, at: number): number {
  const value = numberPattern.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(value)) throw new Failure('the text is not a number', at);
  return checked(value, 0, 0, at);
}
