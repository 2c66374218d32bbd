import { StepError } from '../../../../lib/errors.ts';
import type { Control, GateOperation } from '../../circuit/circuit.ts';
import { identity, type Matrix, multiply } from '../../circuit/complex.ts';
import { inverseOf, kronecker, matrixOf, powerOf, unitary } from '../../circuit/gates.ts';
import { didYouMean, type Evaluator } from './evaluate.ts';
import { broadcast, type Output } from './output.ts';
import { nestingMax } from './parse-expression.ts';
import { constant, type GateMeaning, Scope, type UserGate } from './scope.ts';
import type { Source } from './source.ts';
import { builtInGates, standardGates } from './standard.ts';
import type { Call, GateDefinition, Modifier, Statement } from './syntax.ts';
import { real } from './values.ts';

/** Powers up to this are written out gate by gate, which keeps their names; higher ones become one matrix. */
const repeatedMax = 4;

type Modified =
  | Exclude<Modifier, { kind: 'pow' | 'ctrl' }>
  | { kind: 'pow'; at: number; exponent: number }
  | Controlled;
interface Controlled {
  readonly kind: 'ctrl';
  readonly value: 0 | 1;
  readonly count: number;
}

/** Puts the gates of a call without its modifiers. */
type Plain = (qubits: readonly number[], isExact: boolean, into: GateOperation[]) => void;

/** Calls of gates, unrolled to those that a circuit knows. */
export class GateCalls {
  readonly #source: Source;
  readonly #output: Output;
  readonly #evaluator: Evaluator;
  readonly #version: 2 | 3;
  readonly #globals: Scope;
  /** Whether a file with the standard gates was included. */
  hasStandard = false;
  #depth = 0;

  constructor(source: Source, output: Output, evaluator: Evaluator, version: 2 | 3, globals: Scope) {
    this.#source = source;
    this.#output = output;
    this.#evaluator = evaluator;
    this.#version = version;
    this.#globals = globals;
  }

  /** The gate of a definition, with what the gates in its body mean here: later definitions change nothing of it. */
  define(definition: GateDefinition, scope: Scope): UserGate {
    const calls = new Map<string, GateMeaning>();
    this.#resolveAll(definition.body ?? [], scope, calls);
    return { kind: 'gate', definition, calls };
  }

  #resolveAll(body: readonly Statement[], scope: Scope, calls: Map<string, GateMeaning>): void {
    for (const statement of body)
      switch (statement.kind) {
        case 'call': {
          const meaning = this.#find(statement, scope);
          calls.set(statement.name, meaning);
          this.#checkCounts(statement, meaning);
          break;
        }
        case 'for':
        case 'block':
          this.#resolveAll(statement.body, scope, calls);
          break;
        case 'barrier':
        case 'nothing':
          break;
        default:
          throw this.#source.syntax(statement.at, 'the body of a gate holds gates, barriers and loops only');
      }
  }

  #find({ name, at }: Call, scope: Scope): GateMeaning {
    const own = scope.find(name);
    if (own?.kind === 'gate') return own;
    const builtIn = builtInGates[this.#version].get(name) ?? (this.hasStandard ? standardGates.get(name) : undefined);
    if (builtIn !== undefined) return { kind: 'standard', gate: builtIn };
    const known = [...scope.names('gate'), ...builtInGates[this.#version].keys()];
    if (standardGates.has(name) && !this.hasStandard)
      throw this.#unknown(at, `${name} needs include "${this.#version === 2 ? 'qelib1.inc' : 'stdgates.inc'}";`);
    throw this.#unknown(
      at,
      `there is no gate ${JSON.stringify(name.slice(0, 64))}${didYouMean(name, [...known, ...(this.hasStandard ? standardGates.keys() : [])])}`,
    );
  }

  #unknown(at: number, message: string): StepError {
    return new StepError('UNSUPPORTED_GATE', `OpenQASM ${this.#source.place(at)}: ${message}`);
  }

  /** As far as it is known before the counts of controls are. */
  #checkCounts(call: Call, meaning: GateMeaning, controls?: number): void {
    const [params, qubits] =
      meaning.kind === 'gate'
        ? [meaning.definition.params.length, meaning.definition.qubits.length]
        : [meaning.gate.params, meaning.gate.qubits];
    if (call.args.length !== params)
      throw this.#source.syntax(call.at, `${call.name} takes ${counted(params, 'parameter')}, not ${call.args.length}`);
    const wanted = qubits + (controls ?? statedControls(call.modifiers) ?? call.operands.length - qubits);
    if (call.operands.length !== wanted)
      throw this.#source.syntax(
        call.at,
        `${call.name} acts on ${counted(wanted, 'qubit')} here, not ${call.operands.length}`,
      );
  }

  /**
   * @param into gets the gates
   * @param known what names of gates mean within the body of a gate
   * @param isExact whether phases matter, as they do where the gates get controls
   */
  unroll(
    call: Call,
    scope: Scope,
    into: GateOperation[],
    known?: ReadonlyMap<string, GateMeaning>,
    isExact = false,
  ): void {
    this.#output.step(call.at);
    const meaning = known?.get(call.name) ?? this.#find(call, scope);
    const modifiers = call.modifiers.map((modifier) => this.#modifier(modifier, scope));
    const controls = modifiers.reduce((sum, modifier) => sum + (modifier.kind === 'ctrl' ? modifier.count : 0), 0);
    this.#checkCounts(call, meaning, controls);
    const params = call.args.map((arg) => this.#evaluator.number(arg, scope));
    const groups = broadcast(call.operands.map((operand) => this.#evaluator.place(operand, scope, 'qubits')));
    if (groups === undefined) throw this.#source.syntax(call.at, 'the registers differ in size');
    for (const qubits of groups) {
      if (qubits.length > 1 && new Set(qubits).size !== qubits.length)
        throw this.#source.syntax(call.at, `${call.name} has the same qubit twice`);
      const plain: Plain = (rest, exact, to) => this.#plain(call.at, meaning, params, rest, exact || isExact, to);
      if (modifiers.length === 0) plain(qubits, false, into);
      else for (const operation of this.#modified(call.at, modifiers, qubits, plain)) into.push(operation);
    }
  }

  #modifier(modifier: Modifier, scope: Scope): Modified {
    if (modifier.kind === 'inv') return modifier;
    if (modifier.kind === 'pow') return { ...modifier, exponent: this.#evaluator.number(modifier.exponent, scope) };
    const count = modifier.count === undefined ? 1 : this.#evaluator.integer(modifier.count, scope);
    if (count < 1) throw this.#source.syntax(modifier.at, 'a gate gets 1 control at least');
    return { ...modifier, count };
  }

  /** The first modifier is the outermost, and its controls are the first qubits. */
  #modified(at: number, modifiers: readonly Modified[], qubits: readonly number[], plain: Plain): GateOperation[] {
    const [outer, ...inner] = modifiers;
    if (outer === undefined) {
      const operations: GateOperation[] = [];
      plain(qubits, false, operations);
      return operations;
    }
    const taken = outer.kind === 'ctrl' ? outer.count : 0;
    const within = this.#modified(at, inner, qubits.slice(taken), (rest, isExact, into) =>
      plain(rest, isExact || outer.kind !== 'inv', into),
    );
    switch (outer.kind) {
      case 'inv':
        return inverse(within);
      case 'pow':
        return this.#power(at, within, outer.exponent);
      case 'ctrl': {
        const controls = qubits.slice(0, taken).map((qubit): Control => ({ qubit, value: outer.value }));
        this.#output.weigh(at, taken * within.length);
        return within.map((operation) => ({ ...operation, controls: [...controls, ...operation.controls] }));
      }
    }
  }

  #plain(
    at: number,
    meaning: GateMeaning,
    params: readonly number[],
    qubits: readonly number[],
    isExact: boolean,
    into: GateOperation[],
  ): void {
    if (meaning.kind === 'standard') {
      for (const operation of meaning.gate.on(params, qubits, isExact)) {
        this.#output.count(at);
        into.push(operation);
      }
      return;
    }
    const { definition, calls } = meaning;
    if (definition.body === undefined)
      throw this.#unknown(at, `${definition.name} is opaque: the program does not say what it does`);
    this.#depth += 1;
    if (this.#depth > nestingMax) throw this.#source.tooLarge(at, `gates are nested more than ${nestingMax} deep`);
    this.#body(definition.body, this.#scopeOf(definition, params, qubits), calls, isExact, into);
    this.#depth -= 1;
  }

  #scopeOf(definition: GateDefinition, params: readonly number[], qubits: readonly number[]): Scope {
    const scope = new Scope(this.#globals);
    definition.params.forEach((name, at) => {
      if (!scope.declare(name, constant({ name: 'angle' }, real(params[at] ?? 0))))
        throw this.#source.syntax(definition.at, `the gate ${definition.name} has ${name} twice`);
    });
    definition.qubits.forEach((name, at) => {
      if (!scope.declare(name, { kind: 'qubits', of: [qubits[at] ?? 0], isSingle: true }))
        throw this.#source.syntax(definition.at, `the gate ${definition.name} has ${name} twice`);
    });
    return scope;
  }

  #body(
    body: readonly Statement[],
    scope: Scope,
    calls: ReadonlyMap<string, GateMeaning>,
    isExact: boolean,
    into: GateOperation[],
  ): void {
    for (const statement of body)
      switch (statement.kind) {
        case 'call':
          this.unroll(statement, scope, into, calls, isExact);
          break;
        case 'block':
          this.#body(statement.body, new Scope(scope), calls, isExact, into);
          break;
        case 'for':
          for (const value of this.#evaluator.sequence(statement.over, scope)) {
            this.#output.step(statement.at);
            const inner = new Scope(scope);
            inner.declare(statement.name, constant(statement.type, value));
            this.#body(statement.body, inner, calls, isExact, into);
          }
          break;
        default:
      }
  }

  #power(at: number, operations: readonly GateOperation[], exponent: number): GateOperation[] {
    const [only, another] = operations;
    if (only === undefined || exponent === 0) return [];
    const isWhole = Number.isInteger(exponent);
    if (isWhole && (another !== undefined || Math.abs(exponent) <= repeatedMax)) {
      const once = exponent < 0 ? inverse(operations) : operations;
      const all: GateOperation[] = [];
      for (let times = 0; times < Math.abs(exponent); times += 1)
        for (const operation of once) {
          this.#output.count(at);
          all.push(operation);
        }
      return all;
    }
    const one = another === undefined ? only : asOneQubitGate(operations);
    const gate = one && powerOf(one.gate, exponent);
    if (one === undefined || gate === undefined)
      throw this.#unknown(
        at,
        `the power ${exponent} of this gate has no closed form here: whole powers have, and those of gates of one qubit`,
      );
    return [{ ...one, gate }];
  }
}

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** @returns undefined where a count has to be computed */
function statedControls(modifiers: readonly Modifier[]): number | undefined {
  const controls = modifiers.filter((modifier) => modifier.kind === 'ctrl');
  return controls.some(({ count }) => count !== undefined) ? undefined : controls.length;
}

const inverse = (operations: readonly GateOperation[]): GateOperation[] =>
  operations.map((operation) => ({ ...operation, gate: inverseOf(operation.gate) })).reverse();

/** Gates without controls on the same qubit, and phases, as one. */
function asOneQubitGate(operations: readonly GateOperation[]): GateOperation | undefined {
  const targets = operations.find((operation) => operation.targets.length > 0)?.targets ?? [];
  const fits = operations.every(
    (operation) =>
      operation.controls.length === 0 &&
      (operation.targets.length === 0 || (operation.targets.length === 1 && operation.targets[0] === targets[0])),
  );
  if (!fits || targets.length !== 1) return undefined;
  const product = operations.reduce((before, { gate }) => multiply(onOneQubit(matrixOf(gate)), before), identity(2));
  return { kind: 'gate', gate: unitary(product), targets, controls: [] };
}

const onOneQubit = (of: Matrix): Matrix => (of.dimension === 1 ? kronecker(of, identity(2)) : of);
