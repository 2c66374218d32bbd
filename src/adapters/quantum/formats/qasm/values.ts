import type { Expression, Operator } from '../../circuit/circuit.ts';

/** What an expression comes to. */
export type Value =
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'real'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'bits'; readonly value: bigint; readonly width: number }
  | { readonly kind: 'list'; readonly items: readonly Value[] }
  /** Follows from measured bits, known only when the circuit runs. */
  | { readonly kind: 'measured'; readonly expression: Expression; readonly width: number };

export const integer = (value: bigint | number): Value => ({ kind: 'integer', value: BigInt(value) });
export const real = (value: number): Value => ({ kind: 'real', value });
const boolean = (value: boolean): Value => ({ kind: 'boolean', value });

/** More bits than this are no number that a program needs. */
const bitsMax = 4096n;

/** @returns undefined for values that are no numbers */
export function numberOf(value: Value): number | undefined {
  switch (value.kind) {
    case 'integer':
    case 'bits':
      return Number(value.value);
    case 'real':
      return value.value;
    case 'boolean':
      return value.value ? 1 : 0;
    case 'list':
    case 'measured':
      return undefined;
  }
}

export function integerOf(value: Value): bigint | undefined {
  if (value.kind === 'real' && Number.isInteger(value.value)) return BigInt(value.value);
  if (value.kind === 'integer' || value.kind === 'bits') return value.value;
  return value.kind === 'boolean' ? BigInt(value.value) : undefined;
}

/** @returns a reason where there is no value */
export function unary(operator: string, of: Value): Value | string {
  if (of.kind === 'measured') {
    if (operator === '!') return measured({ kind: 'not', of: of.expression }, 1);
    if (operator !== '~') return `"${operator}" of measured bits is not supported`;
    const ones: Expression = { kind: 'integer', value: (1n << BigInt(of.width)) - 1n };
    return measured({ kind: 'binary', operator: '^', left: of.expression, right: ones }, of.width);
  }
  const number = numberOf(of);
  if (number === undefined) return `"${operator}" needs a number`;
  if (operator === '!') return boolean(number === 0);
  if (operator === '~') {
    if (of.kind === 'bits') return { ...of, value: BigInt.asUintN(of.width, ~of.value) };
    return of.kind === 'integer' ? integer(~of.value) : '"~" needs bits or an integer';
  }
  return of.kind === 'real' ? real(-number) : integer(-(integerOf(of) ?? 0n));
}

const measured = (expression: Expression, width: number): Value => ({ kind: 'measured', expression, width });

/** @param isReal whether the quotient of integers is a fraction, as in version 2 */
export function binary(operator: string, left: Value, right: Value, isReal: boolean): Value | string {
  if (left.kind === 'measured' || right.kind === 'measured') return whenRun(operator, left, right);
  const [a, b] = [numberOf(left), numberOf(right)];
  if (a === undefined || b === undefined) return `"${operator}" needs numbers`;
  if (operator in comparisons) return compare(operator, left, right);
  if (operator === '&&') return boolean(a !== 0 && b !== 0);
  if (operator === '||') return boolean(a !== 0 || b !== 0);
  const isWhole = left.kind !== 'real' && right.kind !== 'real';
  const isFraction = (operator === '/' && isReal) || (operator === '**' && b < 0);
  if (!isWhole || isFraction) return ofReals(operator, a, b);
  const value = ofIntegers(operator, integerOf(left) ?? 0n, integerOf(right) ?? 0n);
  if (typeof value === 'string') return value;
  const isBits = left.kind === 'bits' && ['&', '|', '^', '<<', '>>'].includes(operator);
  return isBits ? { ...left, value: BigInt.asUintN(left.width, value) } : integer(value);
}

const comparisons: Readonly<Record<string, (order: number) => boolean>> = {
  '==': (order) => order === 0,
  '!=': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

function compare(operator: string, left: Value, right: Value): Value {
  const [a, b] = [integerOf(left) ?? numberOf(left) ?? 0, integerOf(right) ?? numberOf(right) ?? 0];
  return boolean(comparisons[operator]?.(a < b ? -1 : a > b ? 1 : 0) ?? false);
}

function ofReals(operator: string, a: number, b: number): Value | string {
  const value = realOperations[operator]?.(a, b);
  if (value === undefined) return `"${operator}" needs integers`;
  return Number.isFinite(value) ? real(value) : `${a} ${operator} ${b} is no finite number`;
}

const realOperations: Readonly<Record<string, ((a: number, b: number) => number) | undefined>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '**': (a, b) => a ** b,
};

function ofIntegers(operator: string, a: bigint, b: bigint): bigint | string {
  const isDivided = operator === '/' || operator === '%';
  if (isDivided && b === 0n) return 'division by zero';
  const length = BigInt(a.toString(16).length) * 4n;
  const isLong = (operator === '**' && length * b > 2n * bitsMax) || (operator === '<<' && length + b > 2n * bitsMax);
  if (isLong || length > bitsMax) return `integers have at most ${bitsMax} bits`;
  if ((operator === '<<' || operator === '>>') && b < 0n) return 'a shift by a negative number';
  return integerOperations[operator]?.(a, b) ?? `"${operator}" has no meaning for integers`;
}

const integerOperations: Readonly<Record<string, ((a: bigint, b: bigint) => bigint) | undefined>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  '%': (a, b) => a % b,
  '**': (a, b) => a ** b,
  '&': (a, b) => a & b,
  '|': (a, b) => a | b,
  '^': (a, b) => a ^ b,
  '<<': (a, b) => a << b,
  '>>': (a, b) => a >> b,
};

const runOperators: readonly Operator[] = ['==', '!=', '<', '<=', '>', '>=', '&&', '||', '&', '|', '^'];

function whenRun(operator: string, left: Value, right: Value): Value | string {
  const known = runOperators.find((one) => one === operator);
  if (known === undefined)
    return `"${operator}" with measured bits is not supported; there are ${runOperators.join(' ')} !  ~`;
  const [a, b] = [expressionOf(left), expressionOf(right)];
  if (a === undefined || b === undefined) return 'measured bits can be compared with integers and bits only';
  const isBitwise = ['&', '|', '^'].includes(operator);
  return measured(
    { kind: 'binary', operator: known, left: a, right: b },
    isBitwise ? Math.max(widthOf(left), widthOf(right)) : 1,
  );
}

function expressionOf(value: Value): Expression | undefined {
  if (value.kind === 'measured') return value.expression;
  const known = value.kind === 'real' ? undefined : integerOf(value);
  return known === undefined ? undefined : { kind: 'integer', value: known };
}

function widthOf(value: Value): number {
  if (value.kind === 'measured' || value.kind === 'bits') return value.width;
  return (integerOf(value) ?? 0n).toString(2).length;
}

/** Whether a condition holds. @returns an expression where only a run tells, a reason where it is no condition */
export function truthOf(value: Value): boolean | Expression | string {
  if (value.kind === 'measured') return value.expression;
  const number = numberOf(value);
  return number === undefined ? 'a condition is a bit, a boolean or a comparison' : number !== 0;
}
