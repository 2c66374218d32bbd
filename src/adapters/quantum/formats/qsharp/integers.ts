import { StepError } from '../../../../lib/errors.ts';
import type { Decision, Decisions } from './decisions.ts';

/** A number that follows from measured bits: each value that it may have, and when it has it. */
export type Whole = ReadonlyMap<bigint, Decision>;

const valuesMax = 4096;
/** Two numbers at once. */
const pairsMax = 65_536;

const operations: Readonly<Record<string, ((a: bigint, b: bigint) => bigint) | undefined>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << (b & 63n),
  ashr: (a, b) => a >> (b & 63n),
  lshr: (a, b) => BigInt.asUintN(64, a) >> (b & 63n),
  sdiv: (a, b) => (b === 0n ? 0n : a / b),
  srem: (a, b) => (b === 0n ? 0n : a % b),
};

const comparisons: Readonly<Record<string, ((a: bigint, b: bigint) => boolean) | undefined>> = {
  eq: (a, b) => a === b,
  ne: (a, b) => a !== b,
  slt: (a, b) => a < b,
  sle: (a, b) => a <= b,
  sgt: (a, b) => a > b,
  sge: (a, b) => a >= b,
};

export interface Integers {
  constant(value: bigint): Whole;
  /** 1 where it holds, else 0. */
  fromDecision(of: Decision): Whole;
  isOdd(of: Whole): Decision;
  choose(when: Decision, one: Whole, zero: Whole): Whole;
  /** @returns undefined where there is no such operation */
  compute(how: string, a: Whole, b: Whole): Whole | undefined;
  compare(how: string, a: Whole, b: Whole): Decision | undefined;
}

/** Arithmetic of 64 bits, as LLVM has it. */
export function integers(decisions: Decisions): Integers {
  const refuse = (): StepError =>
    new StepError('CIRCUIT_TOO_LARGE', `Q#: a number that follows from measurements has more than ${valuesMax} values`);
  const sum = (entries: Iterable<readonly [bigint, Decision]>): Whole => {
    const values = new Map<bigint, Decision>();
    for (const [value, when] of entries) {
      if (when === false) continue;
      const wrapped = BigInt.asIntN(64, value);
      values.set(wrapped, decisions.or(values.get(wrapped) ?? false, when));
      if (values.size > valuesMax) throw refuse();
    }
    return values;
  };
  const pairs = <T>(a: Whole, b: Whole, of: (x: bigint, y: bigint) => T): (readonly [T, Decision])[] => {
    if (a.size * b.size > pairsMax) throw refuse();
    return [...a].flatMap(([x, whenX]) => [...b].map(([y, whenY]) => [of(x, y), decisions.and(whenX, whenY)] as const));
  };
  return {
    constant: (value) => new Map([[BigInt.asIntN(64, value), true]]),
    fromDecision: (of) =>
      sum([
        [1n, of],
        [0n, decisions.not(of)],
      ]),
    isOdd: (of) =>
      [...of].reduce<Decision>((any, [value, when]) => ((value & 1n) === 1n ? decisions.or(any, when) : any), false),
    choose: (when, one, zero) => {
      const other = decisions.not(when);
      return sum([
        ...[...one].map(([value, own]) => [value, decisions.and(when, own)] as const),
        ...[...zero].map(([value, own]) => [value, decisions.and(other, own)] as const),
      ]);
    },
    compute: (how, a, b) => {
      const operation = operations[how];
      return operation && sum(pairs(a, b, operation));
    },
    compare: (how, a, b) => {
      const comparison = comparisons[how];
      return (
        comparison &&
        pairs(a, b, comparison).reduce<Decision>((any, [holds, when]) => (holds ? decisions.or(any, when) : any), false)
      );
    },
  };
}
