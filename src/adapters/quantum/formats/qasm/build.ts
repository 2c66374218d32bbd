import { StepError } from '../../../../lib/errors.ts';
import type { Circuit, Expression } from '../../circuit/circuit.ts';
import { GateCalls } from './calls.ts';
import { didYouMean, Evaluator } from './evaluate.ts';
import { broadcast, Output } from './output.ts';
import { type ExpressionParser, nestingMax } from './parse-expression.ts';
import { type Binding, constant, type Place, Scope, type Variable } from './scope.ts';
import type { Source } from './source.ts';
import type { Call, Case, Declaration, Expr, Statement, Subroutine, Type } from './syntax.ts';
import { binary, integer, real, type Value } from './values.ts';

/** How a statement ends: with the next, or not. */
type Ending =
  | { readonly kind: 'next' | 'break' | 'continue' | 'end' }
  | { readonly kind: 'return'; readonly value: Value | undefined };
const next: Ending = { kind: 'next' };

type StatementOf<Kind extends Statement['kind']> = Statement & { readonly kind: Kind };

/**
 * Runs a program as far as it can be run before the qubits are measured. What depends on measured bits becomes a branch or a loop of the
 * circuit; all else is unrolled.
 */
export class Builder {
  readonly #source: Source;
  readonly #parameters: Readonly<Record<string, number>>;
  readonly #output: Output;
  readonly #evaluator: Evaluator;
  readonly #gates: GateCalls;
  readonly #globals = new Scope();
  /** The bits of a declaration within a body, which are the same each time it runs. */
  readonly #localBits = new Map<Declaration, readonly number[]>();
  readonly #inputs = new Set<string>();
  #usesPhysical = false;
  #depth = 0;
  #isOver = false;

  constructor({ source, version }: ExpressionParser, parameters: Readonly<Record<string, number>>) {
    this.#source = source;
    this.#parameters = parameters;
    this.#output = new Output(source);
    this.#evaluator = new Evaluator(source, this.#output, version, (call, scope) => this.#returned(call, scope));
    this.#gates = new GateCalls(source, this.#output, this.#evaluator, version, this.#globals);
  }

  /** A statement of the program, the one after the last. */
  add(statement: Statement): void {
    if (this.#isOver) return;
    const ending = this.#run(statement, this.#globals);
    if (ending.kind === 'break' || ending.kind === 'continue')
      throw this.#source.syntax(statement.at, `${ending.kind} stands outside of a loop`);
    if (ending.kind === 'return') throw this.#source.syntax(statement.at, 'return stands outside of a subroutine');
    this.#isOver = ending.kind === 'end';
  }

  circuit(): Circuit {
    for (const name of Object.keys(this.#parameters))
      if (!this.#inputs.has(name))
        throw new StepError(
          'INVALID_PARAMS',
          `parameters.${name} is no input of the program${didYouMean(name, this.#inputs)}`,
        );
    const circuit = this.#output.circuit();
    if (circuit.qubits === 0) throw this.#source.syntax(0, 'the program declares no qubits, such as qubit[2] q;');
    return circuit;
  }

  #run(statement: Statement, scope: Scope): Ending {
    this.#output.step(statement.at);
    switch (statement.kind) {
      case 'include':
        this.#include(statement);
        return next;
      case 'qubits':
        this.#declareQubits(statement, scope);
        return next;
      case 'declare':
        this.#declare(statement, scope);
        return next;
      case 'alias':
        this.#bind(scope, statement, this.#alias(statement.of, scope));
        return next;
      case 'gate':
        this.#atTop(statement, scope);
        this.#bind(scope, statement, this.#gates.define(statement, scope));
        return next;
      case 'def':
        this.#atTop(statement, scope);
        this.#bind(scope, statement, { kind: 'def', definition: statement });
        return next;
      case 'call':
        this.#call(statement, scope);
        return next;
      case 'measure':
        this.#measure(statement.of, statement.into, scope, statement.at);
        return next;
      case 'assign':
        this.#assign(statement, scope);
        return next;
      case 'reset':
        for (const qubit of this.#qubits(statement.of, scope).of)
          this.#output.put({ kind: 'reset', qubit }, statement.at);
        return next;
      case 'barrier':
        this.#barrier(statement, scope);
        return next;
      case 'if':
        return this.#if(statement, scope);
      case 'while':
        return this.#while(statement, scope);
      case 'for':
        return this.#for(statement, scope);
      case 'switch':
        return this.#switch(statement, scope);
      case 'block':
        return this.#block(statement.body, scope);
      case 'return':
        return { kind: 'return', value: statement.value && this.#evaluator.value(statement.value, scope) };
      case 'jump':
        return { kind: statement.to };
      case 'nothing':
        return next;
    }
  }

  #block(body: readonly Statement[], scope: Scope): Ending {
    return this.#all(body, new Scope(scope));
  }

  #all(body: readonly Statement[], scope: Scope): Ending {
    for (const statement of body) {
      const ending = this.#run(statement, scope);
      if (ending.kind !== 'next') return ending;
    }
    return next;
  }

  #include({ file, at }: StatementOf<'include'>): void {
    if (file !== 'qelib1.inc' && file !== 'stdgates.inc')
      throw this.#source.unsupported(
        at,
        `only "qelib1.inc" and "stdgates.inc" can be included, not ${JSON.stringify(file.slice(0, 80))}: put what is needed into the program`,
      );
    this.#gates.hasStandard = true;
  }

  #atTop({ at, kind }: Statement, scope: Scope): void {
    if (scope !== this.#globals) throw this.#source.syntax(at, `a ${kind} is defined outside of all blocks`);
  }

  #bind(scope: Scope, { name, at }: { name: string; at: number }, binding: Binding): void {
    if (!scope.declare(name, binding)) throw this.#source.syntax(at, `${name} is declared already`);
  }

  #size(size: Expr | undefined, scope: Scope): number {
    const count = size === undefined ? 1 : this.#evaluator.integer(size, scope);
    if (count < 1 && size !== undefined) throw this.#source.syntax(size.at, `a register has 1 or more, not ${count}`);
    return count;
  }

  #declareQubits(statement: StatementOf<'qubits'>, scope: Scope): void {
    const { size, at } = statement;
    this.#atTop(statement, scope);
    if (this.#usesPhysical)
      throw this.#source.syntax(at, 'a program has either physical qubits, such as $0, or declares its qubits');
    const of = this.#output.addQubits(this.#size(size, scope), at);
    this.#bind(scope, statement, { kind: 'qubits', of, isSingle: size === undefined });
  }

  #declare(statement: Declaration, scope: Scope): void {
    const { role, type, name, value, at } = statement;
    if (role === 'input') return this.#bind(scope, statement, constant(type, this.#input(statement, scope)));
    if (type.name === 'bit' && role === 'variable') return this.#declareBits(statement, scope);
    const given = value && this.#initial(value, scope, name);
    if (role === 'const' && given?.kind === 'measured')
      throw this.#source.syntax(at, `${name} is no constant: it follows from measured bits`);
    const { flow, clock } = this.#output;
    const cast = given && this.#evaluator.cast(given, type, scope, value?.at ?? at);
    const variable: Variable = {
      kind: 'variable',
      type,
      isConstant: role === 'const',
      value: cast,
      flow,
      since: clock,
    };
    this.#bind(scope, statement, variable);
  }

  #initial(value: Expr, scope: Scope, name: string): Value {
    if (value.kind === 'measure') throw this.#source.syntax(value.at, `${name} is no bit, which a measurement gives`);
    return this.#evaluator.value(value, scope);
  }

  #input({ name, type, at }: Declaration, scope: Scope): Value {
    this.#inputs.add(name);
    const given = Object.hasOwn(this.#parameters, name) ? this.#parameters[name] : undefined;
    if (given === undefined)
      throw new StepError(
        'INVALID_PARAMS',
        `OpenQASM ${this.#source.place(at)}: the program has the input ${name}, which needs a value: parameters.${name}`,
      );
    if (!Number.isFinite(given)) throw new StepError('INVALID_PARAMS', `parameters.${name} is no finite number`);
    const isWhole = ['int', 'uint', 'bit'].includes(type.name);
    if (isWhole && !Number.isSafeInteger(given))
      throw new StepError('INVALID_PARAMS', `parameters.${name} must be a whole number`);
    return this.#evaluator.cast(isWhole ? integer(given) : real(given), type, scope, at);
  }

  #declareBits(statement: Declaration, scope: Scope): void {
    const { type, name, value, at } = statement;
    const of = this.#localBits.get(statement) ?? this.#output.addRegister(name, this.#size(type.size, scope), at);
    if (scope !== this.#globals) this.#localBits.set(statement, of);
    const place: Place = { kind: 'bits', of, isSingle: type.size === undefined };
    this.#bind(scope, statement, place);
    if (value !== undefined) this.#setBits(place, value, scope, at);
  }

  /** Bits get values from measurements; that they are 0 before needs no doing. */
  #setBits(place: Place, value: Expr, scope: Scope, at: number): void {
    if (value.kind === 'measure') return this.#measureInto(this.#qubits(value.of, scope), place, at);
    const given = value.kind === 'call' ? this.#subroutine(value, scope, place) : undefined;
    if (given === 'measured') return;
    const cast = this.#evaluator.cast(given ?? this.#evaluator.value(value, scope), { name: 'int' }, scope, at);
    const isZero = cast.kind === 'integer' && cast.value === 0n;
    if (!isZero || this.#output.flow.parent !== undefined || this.#output.isMeasuredSince(place.of, 0))
      throw this.#source.unsupported(
        at,
        'bits get their values from measurements; to set them otherwise is not supported',
      );
  }

  #alias(of: Expr, scope: Scope): Binding {
    const isBits = of.kind !== 'physical' && this.#isBits(of, scope);
    return this.#evaluator.place(of, scope, isBits ? 'bits' : 'qubits');
  }

  #isBits(of: Expr, scope: Scope): boolean {
    if (of.kind === 'binary') return this.#isBits(of.left, scope);
    if (of.kind === 'index') return this.#isBits(of.of, scope);
    return of.kind === 'name' && scope.find(of.name)?.kind === 'bits';
  }

  #qubits(expr: Expr, scope: Scope): Place {
    if (expr.kind === 'physical') this.#physical(expr.qubit, expr.at);
    return this.#evaluator.place(expr, scope, 'qubits');
  }

  /** As many qubits as the highest number needs. */
  #physical(qubit: number, at: number): void {
    if (!this.#usesPhysical && this.#output.qubits > 0)
      throw this.#source.syntax(at, 'a program has either physical qubits, such as $0, or declares its qubits');
    this.#usesPhysical = true;
    if (qubit >= this.#output.qubits) this.#output.addQubits(qubit + 1 - this.#output.qubits, at);
  }

  #call(statement: Call, scope: Scope): void {
    const isPlain = statement.modifiers.length === 0 && statement.operands.length === 0;
    if (isPlain && scope.find(statement.name)?.kind === 'def') {
      const { name, args, at } = statement;
      this.#subroutine({ kind: 'call', name, args, at }, scope);
      return;
    }
    for (const operand of statement.operands)
      if (operand.kind === 'physical') this.#physical(operand.qubit, operand.at);
    this.#gates.unroll(statement, scope, this.#output.gates);
  }

  #measure(of: Expr, into: Expr | undefined, scope: Scope, at: number): void {
    const qubits = this.#qubits(of, scope);
    if (into === undefined)
      throw this.#source.unsupported(at, 'a measurement needs bits for its result: bit[2] c; c = measure q;');
    this.#measureInto(qubits, this.#evaluator.place(into, scope, 'bits'), at);
  }

  #measureInto(qubits: Place, bits: Place, at: number): void {
    const pairs =
      qubits.of.length === bits.of.length
        ? broadcast([
            { ...qubits, isSingle: false },
            { ...bits, isSingle: false },
          ])
        : undefined;
    if (pairs === undefined)
      throw this.#source.syntax(at, `${qubits.of.length} qubits can not be measured into ${bits.of.length} bits`);
    for (const [qubit = 0, bit = 0] of pairs) this.#output.measure(qubit, bit, at);
  }

  #barrier({ of, at }: StatementOf<'barrier'>, scope: Scope): void {
    const all = Array.from({ length: this.#output.qubits }, (_, qubit) => qubit);
    const qubits = of.length === 0 ? all : [...new Set(of.flatMap((one) => this.#qubits(one, scope).of))];
    this.#output.weigh(at, qubits.length);
    this.#output.put({ kind: 'barrier', qubits }, at);
  }

  #assign({ to, operator, value, at }: StatementOf<'assign'>, scope: Scope): void {
    const name = to.kind === 'name' ? to.name : undefined;
    const found = name === undefined ? undefined : scope.find(name);
    if (found?.kind !== 'variable' || name === undefined) {
      if (operator !== '') throw this.#source.unsupported(at, `"${operator}=" to bits or parts is not supported`);
      return this.#setBits(this.#evaluator.place(to, scope, 'bits'), value, scope, at);
    }
    if (found.isConstant) throw this.#source.syntax(at, `${name} is a constant`);
    if (found.flow !== this.#output.flow)
      throw this.#source.unsupported(at, `${name} can not be set where measured bits tell whether it is`);
    const right = this.#initial(value, scope, name);
    const result = operator === '' ? right : binary(operator, this.#evaluator.value(to, scope), right, false);
    if (typeof result === 'string') throw this.#source.syntax(at, result);
    found.value = this.#evaluator.cast(result, found.type, scope, at);
    found.since = this.#output.clock;
  }

  #if({ condition, body, otherwise, at }: StatementOf<'if'>, scope: Scope): Ending {
    const truth = this.#evaluator.truth(condition, scope);
    if (typeof truth === 'boolean') return this.#block(truth ? body : otherwise, scope);
    this.#branch(
      truth,
      () => this.#apart(body, scope),
      otherwise.length === 0 ? undefined : () => this.#apart(otherwise, scope),
      at,
    );
    return next;
  }

  #branch(condition: Expression, body: () => void, otherwise: (() => void) | undefined, at: number): void {
    const done = this.#output.apart(false, body);
    const other = otherwise === undefined ? [] : this.#output.apart(false, otherwise);
    this.#output.put({ kind: 'branch', condition, body: done, otherwise: other }, at);
  }

  /** Statements that run as measured bits tell, and so all to their end. */
  #apart(body: readonly Statement[], scope: Scope): void {
    const ending = this.#block(body, scope);
    if (ending.kind !== 'next')
      throw this.#source.unsupported(
        body[0]?.at ?? 0,
        `${ending.kind} where measured bits tell whether it runs is not supported`,
      );
  }

  #while({ condition, body, at }: StatementOf<'while'>, scope: Scope): Ending {
    for (;;) {
      this.#output.step(at);
      const truth = this.#evaluator.truth(condition, scope);
      if (truth === false) return next;
      if (truth !== true) {
        // What the bits are in later rounds is not known from those before.
        const inner = this.#output.apart(true, () => this.#apart(body, scope));
        this.#output.put({ kind: 'loop', condition: truth, body: inner }, at);
        return next;
      }
      const ending = this.#block(body, scope);
      if (ending.kind === 'break') return next;
      if (ending.kind === 'return' || ending.kind === 'end') return ending;
    }
  }

  #for({ over, type, name, body, at }: StatementOf<'for'>, scope: Scope): Ending {
    for (const value of this.#evaluator.sequence(over, scope)) {
      this.#output.step(at);
      const inner = new Scope(scope);
      inner.declare(name, constant(type, this.#evaluator.cast(value, type, scope, at)));
      const ending = this.#block(body, inner);
      if (ending.kind === 'break') return next;
      if (ending.kind === 'return' || ending.kind === 'end') return ending;
    }
    return next;
  }

  #switch({ of, cases, otherwise, at }: StatementOf<'switch'>, scope: Scope): Ending {
    const value = this.#evaluator.value(of, scope);
    if (cases.length > nestingMax) throw this.#source.tooLarge(at, `a switch has at most ${nestingMax} cases`);
    const from = (rest: readonly Case[]): Ending => {
      const [first, ...others] = rest;
      if (first === undefined) return this.#block(otherwise, scope);
      const condition = this.#oneOf(value, first.values, scope);
      if (condition === true) return this.#block(first.body, scope);
      if (condition === false) return from(others);
      const hasMore = others.length > 0 || otherwise.length > 0;
      const more = (): void => {
        if (from(others).kind !== 'next')
          throw this.#source.unsupported(at, 'a jump out of this switch is not supported');
      };
      this.#branch(condition, () => this.#apart(first.body, scope), hasMore ? more : undefined, at);
      return next;
    };
    return from(cases);
  }

  #oneOf(value: Value, among: readonly Expr[], scope: Scope): boolean | Expression {
    return among.reduce<boolean | Expression>((before, one) => {
      const equal = binary('==', value, this.#evaluator.value(one, scope), false);
      if (typeof equal === 'string') throw this.#source.syntax(one.at, equal);
      if (equal.kind !== 'measured') return before === true || (equal.kind === 'boolean' && equal.value) || before;
      if (typeof before === 'boolean') return before || equal.expression;
      return { kind: 'binary', operator: '||', left: before, right: equal.expression };
    }, false);
  }

  #returned(call: Expr & { kind: 'call' }, scope: Scope): Value | undefined {
    const value = this.#subroutine(call, scope);
    if (value !== 'measured') return value;
    throw this.#source.unsupported(
      call.at,
      `${call.name} returns a measurement, which goes into bits: c = ${call.name}(…);`,
    );
  }

  /** Runs it in place. @returns undefined where there is none of that name or it returns nothing, `measured` where it measured into `bits` */
  #subroutine(call: Expr & { kind: 'call' }, scope: Scope, bits?: Place): Value | 'measured' | undefined {
    const found = scope.find(call.name);
    if (found?.kind !== 'def') return undefined;
    const { definition } = found;
    const inner = this.#bound(definition, call, scope);
    this.#depth += 1;
    if (this.#depth > nestingMax)
      throw this.#source.tooLarge(call.at, `subroutines are nested more than ${nestingMax} deep`);
    const last = definition.body.at(-1);
    const measured = last?.kind === 'return' && last.value?.kind === 'measure' ? last.value : undefined;
    const ending = this.#all(measured === undefined ? definition.body : definition.body.slice(0, -1), inner);
    if (measured !== undefined && bits !== undefined && ending.kind === 'next')
      this.#measureInto(this.#qubits(measured.of, inner), bits, measured.at);
    this.#depth -= 1;
    if (measured !== undefined && ending.kind === 'next') return 'measured';
    return ending.kind === 'return' ? ending.value : undefined;
  }

  #bound(definition: Subroutine, call: Expr & { kind: 'call' }, scope: Scope): Scope {
    const inner = new Scope(this.#globals);
    const { params, name } = definition;
    if (params.length !== call.args.length)
      throw this.#source.syntax(call.at, `${name} takes ${params.length} parameters, not ${call.args.length}`);
    params.forEach(({ name: parameter, type, size }, index) => {
      const arg = call.args[index] as Expr;
      this.#bind(inner, { name: parameter, at: definition.at }, this.#argument(arg, type, size, scope));
    });
    return inner;
  }

  #argument(arg: Expr, type: Type | 'qubit', size: Expr | undefined, scope: Scope): Binding {
    if (type !== 'qubit') {
      if (type.name === 'bit' && this.#isBits(arg, scope)) return this.#evaluator.place(arg, scope, 'bits');
      const { flow, clock } = this.#output;
      const value = this.#evaluator.cast(this.#evaluator.value(arg, scope), type, scope, arg.at);
      return { kind: 'variable', type, isConstant: false, value, flow, since: clock };
    }
    const place = this.#qubits(arg, scope);
    const wanted = this.#size(size, scope);
    if (place.of.length !== wanted)
      throw this.#source.syntax(arg.at, `expected ${wanted} qubits, not ${place.of.length}`);
    return { ...place, isSingle: size === undefined };
  }
}
