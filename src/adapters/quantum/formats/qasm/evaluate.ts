import { closest } from '../../../../lib/suggest.ts';
import type { Expression } from '../../circuit/circuit.ts';
import { bitsRead } from '../../circuit/wires.ts';
import { callFunction, functionNames } from './functions.ts';
import type { Output } from './output.ts';
import type { Place, Scope, Variable } from './scope.ts';
import type { Source } from './source.ts';
import type { Expr, Type } from './syntax.ts';
import { binary, integer, integerOf, numberOf, real, truthOf, unary, type Value } from './values.ts';

const constants: ReadonlyMap<string, number> = new Map([
  ['pi', Math.PI],
  ['π', Math.PI],
  ['tau', 2 * Math.PI],
  ['τ', 2 * Math.PI],
  ['euler', Math.E],
  ['ℇ', Math.E],
]);
const indicesMax = 65_536;

/** What an expression means: a value that is known now, one that a run knows, or qubits and bits. */
export class Evaluator {
  readonly #source: Source;
  readonly #output: Output;
  readonly #version: 2 | 3;
  readonly #subroutine: (call: Expr & { kind: 'call' }, scope: Scope) => Value | undefined;

  /** @param subroutine runs one, if it is one of the program's, and gives what it returns */
  constructor(
    source: Source,
    output: Output,
    version: 2 | 3,
    subroutine: (call: Expr & { kind: 'call' }, scope: Scope) => Value | undefined,
  ) {
    this.#source = source;
    this.#output = output;
    this.#version = version;
    this.#subroutine = subroutine;
  }

  value(expr: Expr, scope: Scope): Value {
    switch (expr.kind) {
      case 'integer':
        return integer(expr.value);
      case 'real':
        return real(expr.value);
      case 'boolean':
        return { kind: 'boolean', value: expr.value };
      case 'bitstring':
        return { kind: 'bits', value: BigInt(`0b${expr.bits}`), width: expr.bits.length };
      case 'list':
        return { kind: 'list', items: expr.items.map((item) => this.value(item, scope)) };
      case 'name':
        return this.#named(expr, scope);
      case 'index':
        return this.#indexed(expr, scope);
      case 'unary':
        return this.#known(unary(expr.operator, this.value(expr.of, scope)), expr.at);
      case 'binary': {
        const [left, right] = [this.value(expr.left, scope), this.value(expr.right, scope)];
        return this.#known(binary(expr.operator, left, right, this.#version === 2), expr.at);
      }
      case 'call':
        return this.#called(expr, scope);
      case 'cast':
        return this.cast(this.value(expr.of, scope), expr.type, scope, expr.at);
      case 'range':
      case 'measure':
      case 'physical':
        throw this.#source.syntax(expr.at, 'this is no value');
    }
  }

  #known(value: Value | string, at: number): Value {
    if (typeof value === 'string') throw this.#source.syntax(at, value);
    return value;
  }

  #named(expr: Expr & { kind: 'name' }, scope: Scope): Value {
    const found = scope.find(expr.name);
    switch (found?.kind) {
      case 'variable':
        return this.#read(found, expr);
      case 'bits':
        return measuredBits(found);
      case undefined: {
        const constant = constants.get(expr.name);
        if (constant !== undefined) return real(constant);
        const names = [...scope.names('variable'), ...scope.names('bits'), ...constants.keys()];
        throw this.#source.syntax(
          expr.at,
          `there is no ${JSON.stringify(expr.name)} here${didYouMean(expr.name, names)}`,
        );
      }
      default:
        throw this.#source.syntax(expr.at, `${expr.name} is no value`);
    }
  }

  #read(variable: Variable, { name, at }: { name: string; at: number }): Value {
    const { value, flow, since } = variable;
    if (value === undefined) throw this.#source.syntax(at, `${name} has no value yet`);
    if (value.kind !== 'measured') return value;
    for (let inner = this.#output.flow; inner !== flow && inner.parent !== undefined; inner = inner.parent)
      if (inner.isLoop)
        throw this.#source.unsupported(at, `${name} was measured before this loop: use the bits themselves`);
    if (this.#output.isMeasuredSince(bitsRead(value.expression), since))
      throw this.#source.unsupported(at, `${name} holds bits that were measured again since: use it before that`);
    return value;
  }

  #called(expr: Expr & { kind: 'call' }, scope: Scope): Value {
    if (expr.name === 'sizeof' && expr.args[0] !== undefined) {
      const place = this.#placeIfAny(expr.args[0], scope);
      if (place !== undefined) return integer(place.of.length);
    }
    const returned = this.#subroutine(expr, scope);
    if (returned !== undefined) return returned;
    const value = callFunction(
      expr.name,
      expr.args.map((arg) => this.value(arg, scope)),
    );
    if (value !== undefined) return this.#known(value, expr.at);
    const names = [...functionNames, ...scope.names('def')];
    throw this.#source.syntax(
      expr.at,
      `there is no function ${JSON.stringify(expr.name)}${didYouMean(expr.name, names)}`,
    );
  }

  #indexed(expr: Expr & { kind: 'index' }, scope: Scope): Value {
    const place = this.#placeIfAny(expr, scope);
    if (place !== undefined) return measuredBits(place);
    let of = this.value(expr.of, scope);
    for (const by of expr.by) {
      const size = of.kind === 'list' ? of.items.length : of.kind === 'bits' ? of.width : 64;
      const at = this.#within(this.integer(by, scope), size, by.at);
      if (of.kind === 'list') of = of.items[at] as Value;
      else if (of.kind === 'bits' || of.kind === 'integer')
        of = { kind: 'bits', value: (of.value >> BigInt(at)) & 1n, width: 1 };
      else throw this.#source.syntax(by.at, 'this has no parts to index');
    }
    return of;
  }

  number(expr: Expr, scope: Scope): number {
    const value = this.value(expr, scope);
    if (value.kind === 'measured')
      throw this.#source.unsupported(expr.at, 'angles and counts can not follow from measured bits');
    const number = numberOf(value);
    if (number === undefined) throw this.#source.syntax(expr.at, 'expected a number');
    return number;
  }

  integer(expr: Expr, scope: Scope): number {
    const value = this.value(expr, scope);
    if (value.kind === 'measured')
      throw this.#source.unsupported(expr.at, 'an index or count can not follow from measured bits');
    const whole = Number(integerOf(value) ?? Number.NaN);
    if (!Number.isSafeInteger(whole)) throw this.#source.syntax(expr.at, 'expected a whole number');
    return whole;
  }

  truth(expr: Expr, scope: Scope): boolean | Expression {
    const truth = truthOf(this.value(expr, scope));
    if (typeof truth === 'string') throw this.#source.syntax(expr.at, truth);
    return truth;
  }

  /** The integers of `[from:step:to]`, both ends in, or of a set or array. */
  sequence(expr: Expr, scope: Scope): Value[] {
    if (expr.kind === 'range') {
      if (expr.from === undefined || expr.to === undefined)
        throw this.#source.syntax(expr.at, 'the range of a loop has two ends');
      return this.#range(expr, scope, 0).map((at) => integer(at));
    }
    const value = this.value(expr, scope);
    if (value.kind === 'list') return [...value.items];
    if (value.kind !== 'bits')
      throw this.#source.syntax(expr.at, 'a loop goes over a range [0:3], a set {0, 3} or an array');
    return Array.from({ length: value.width }, (_, at) => ({
      kind: 'bits',
      value: (value.value >> BigInt(at)) & 1n,
      width: 1,
    }));
  }

  #range(expr: Expr & { kind: 'range' }, scope: Scope, size: number): number[] {
    const step = expr.step === undefined ? 1 : this.integer(expr.step, scope);
    if (step === 0) throw this.#source.syntax(expr.at, 'the step of a range is not 0');
    const end = (of: Expr | undefined, other: number): number => {
      const at = of === undefined ? other : this.integer(of, scope);
      return at < 0 ? at + size : at;
    };
    const [from, to] = [end(expr.from, step > 0 ? 0 : size - 1), end(expr.to, step > 0 ? size - 1 : 0)];
    const count = Math.max(0, Math.floor((to - from) / step) + 1);
    if (count > indicesMax * 32) throw this.#source.tooLarge(expr.at, `a range has at most ${indicesMax * 32} numbers`);
    this.#output.weigh(expr.at, count);
    return Array.from({ length: count }, (_, at) => from + at * step);
  }

  /** Qubits or bits. */
  place(expr: Expr, scope: Scope, kind: Place['kind']): Place {
    const found = this.#placeIfAny(expr, scope);
    if (found?.kind === kind) return found;
    const what = kind === 'qubits' ? 'a qubit or a register of qubits' : 'a bit or a register of bits';
    const name =
      expr.kind === 'name' ? expr.name : expr.kind === 'index' && expr.of.kind === 'name' ? expr.of.name : undefined;
    if (name !== undefined && scope.find(name) === undefined)
      throw this.#source.syntax(
        expr.at,
        `there is no ${JSON.stringify(name)}, ${what}${didYouMean(name, scope.names(kind))}`,
      );
    throw this.#source.syntax(expr.at, `expected ${what}`);
  }

  #placeIfAny(expr: Expr, scope: Scope): Place | undefined {
    if (expr.kind === 'physical') return { kind: 'qubits', of: [expr.qubit], isSingle: true };
    if (expr.kind === 'name') {
      const found = scope.find(expr.name);
      return found?.kind === 'qubits' || found?.kind === 'bits' ? found : undefined;
    }
    if (expr.kind === 'binary' && expr.operator === '++') {
      const [left, right] = [this.#placeIfAny(expr.left, scope), this.#placeIfAny(expr.right, scope)];
      if (left === undefined || left.kind !== right?.kind)
        throw this.#source.syntax(expr.at, '"++" joins registers of one kind');
      this.#output.weigh(expr.at, left.of.length + right.of.length);
      return { kind: left.kind, of: [...left.of, ...right.of], isSingle: false };
    }
    const of = expr.kind === 'index' ? this.#placeIfAny(expr.of, scope) : undefined;
    if (expr.kind !== 'index' || of === undefined) return undefined;
    const [by, more] = expr.by;
    if (by === undefined || more !== undefined) throw this.#source.syntax(expr.at, 'a register has one index');
    const size = of.of.length;
    const pick = (at: number): number => of.of[this.#within(at, size, by.at)] ?? 0;
    if (by.kind === 'range') return { ...of, of: this.#range(by, scope, size).map(pick), isSingle: false };
    if (by.kind === 'list')
      return { ...of, of: by.items.map((item) => pick(this.integer(item, scope))), isSingle: false };
    return { ...of, of: [pick(this.integer(by, scope))], isSingle: true };
  }

  #within(index: number, size: number, at: number): number {
    const from = index < 0 ? index + size : index;
    if (from < 0 || from >= size)
      throw this.#source.syntax(at, `index ${index} is out of range: it has 0 to ${size - 1}`);
    return from;
  }

  cast(value: Value, type: Type, scope: Scope, at: number): Value {
    const size = type.size === undefined ? undefined : this.integer(type.size, scope);
    if (size !== undefined && !(size > 0 && size <= indicesMax))
      throw this.#source.syntax(at, `${size} is no size of a type`);
    if (value.kind === 'measured') return this.#castMeasured(value, type.name, size, at);
    if (type.name === 'array' || value.kind === 'list') {
      if (type.name === 'array' && value.kind === 'list') return value;
      throw this.#source.syntax(
        at,
        `an array and a ${type.name === 'array' ? 'single value' : type.name} are not the same`,
      );
    }
    const number = numberOf(value) ?? 0;
    switch (type.name) {
      case 'float':
      case 'angle':
        return real(number);
      case 'bool':
        return { kind: 'boolean', value: number !== 0 };
      default: {
        const whole = integerOf(value) ?? BigInt(Math.trunc(number));
        if (type.name === 'bit') return { kind: 'bits', value: BigInt.asUintN(size ?? 1, whole), width: size ?? 1 };
        if (size === undefined) return integer(whole);
        return integer(type.name === 'int' ? BigInt.asIntN(size, whole) : BigInt.asUintN(size, whole));
      }
    }
  }

  #castMeasured(value: Value & { kind: 'measured' }, to: Type['name'], size: number | undefined, at: number): Value {
    const { expression, width } = value;
    if (to === 'bool') {
      const isOne: Expression = {
        kind: 'binary',
        operator: '!=',
        left: expression,
        right: { kind: 'integer', value: 0n },
      };
      return width === 1 ? value : { kind: 'measured', expression: isOne, width: 1 };
    }
    const fits = size === undefined ? to !== 'bit' || width === 1 : to === 'int' ? width < size : width <= size;
    if (fits && (to === 'int' || to === 'uint' || to === 'bit')) return value;
    throw this.#source.unsupported(at, `measured bits do not become ${to}${size === undefined ? '' : `[${size}]`}`);
  }
}

export const didYouMean = (name: string, names: Iterable<string>): string => {
  const meant = closest(name, names);
  return meant === undefined ? '' : `; did you mean ${meant}?`;
};

const measuredBits = ({ of }: Place): Value => ({
  kind: 'measured',
  expression: { kind: 'bits', bits: of },
  width: of.length,
});
