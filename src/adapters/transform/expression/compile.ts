import { clip } from '../../../lib/clip.ts';
import { setOwn } from '../../../lib/json.ts';
import { closest } from '../../../lib/suggest.ts';
import { type CelFunction, functions, mathFunctions, methods } from './functions.ts';
import { compileMacro } from './macros.ts';
import { Matchers } from './matchers.ts';
import { arithmetic, negate } from './numbers.ts';
import type { Evaluate, Expr, ExprCase, ExprCompiler, ParsedExpr, Scope } from './syntax.ts';
import { compare, equal, Failure, type Frame, isMap, keyOf, typeOf, type Value } from './value.ts';

const NAMES_SHOWN_MAX = 12;
const NAME_LENGTH_SHOWN_MAX = 64;
/** What a member of a map takes, in units of work. */
const MEMBER_UNITS = 4;
/** `a + b + c` is three deep. */
const DEPTH_MAX = 250;
const orderings: Readonly<Record<string, (order: number) => boolean>> = {
  '_<_': (order) => order < 0,
  '_<=_': (order) => order <= 0,
  '_>_': (order) => order > 0,
  '_>=_': (order) => order >= 0,
};

/**
 * Turns the syntax tree into closures: one pass before the first item, no look-up of names and overloads after it.
 * All its errors are Failures with a place, found before anything is evaluated.
 */
export class Compiler implements ExprCompiler {
  readonly #positions: Record<string, number>;
  readonly #matchers = new Matchers();
  #depth = 0;
  /** How many slots the frame needs. */
  slots: number;

  constructor(parsed: ParsedExpr, scope: Scope) {
    this.#positions = parsed.sourceInfo?.positions ?? {};
    this.slots = scope.size;
  }

  #at(expr: Expr): number {
    return this.#positions[String(expr.id)] ?? 0;
  }

  compile(expr: Expr | undefined, scope: Scope): Evaluate {
    if (expr === undefined) throw new Failure('the expression is incomplete', 0);
    this.#depth += 1;
    const compiled = this.#compileKind(expr, scope, this.#at(expr));
    this.#depth -= 1;
    return compiled;
  }

  #compileKind(expr: Expr, scope: Scope, at: number): Evaluate {
    if (this.#depth > DEPTH_MAX) throw new Failure(`more than ${DEPTH_MAX} operations inside each other`, at);
    const { exprKind } = expr;
    switch (exprKind.case) {
      case 'constExpr':
        return this.#constant(exprKind.value, at);
      case 'identExpr':
        return this.#variable(exprKind.value.name, scope, at);
      case 'selectExpr':
        return this.#select(exprKind.value, scope, at);
      case 'callExpr':
        return this.#call(exprKind.value, scope, at);
      case 'listExpr': {
        const elements = exprKind.value.elements.map((element) => this.compile(element, scope));
        return (frame) => {
          frame.spend(1 + elements.length);
          return elements.map((element) => element(frame));
        };
      }
      case 'structExpr':
        return this.#struct(exprKind.value, scope, at);
      case 'comprehensionExpr':
        return compileMacro(this, exprKind.value, scope, at);
      default:
        throw new Failure('this kind of expression is not supported', at);
    }
  }

  bind(name: string, scope: Scope): { scope: Scope; slot: number } {
    const slot = this.slots;
    this.slots += 1;
    return { scope: new Map(scope).set(name, slot), slot };
  }

  #constant({ constantKind }: ExprCase<'constExpr'>, at: number): Evaluate {
    switch (constantKind.case) {
      case 'stringValue':
      case 'boolValue': {
        const { value } = constantKind;
        return () => value;
      }
      case 'nullValue':
        return () => null;
      case 'doubleValue':
      case 'int64Value':
      case 'uint64Value': {
        const value = Number(constantKind.value);
        if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
          throw new Failure('the number is beyond 2^53', at);
        return () => value;
      }
      default:
        throw new Failure('only texts, numbers, true, false and null are constants here: JSON has no bytes', at);
    }
  }

  #variable(name: string, scope: Scope, at: number): Evaluate {
    const slot = scope.get(name);
    if (slot === undefined) {
      const names = [...scope.keys()];
      throw new Failure(`there is no variable "${name}"${suggestion(name, names)}; there are ${names.join(', ')}`, at);
    }
    return (frame) => frame.slots[slot] ?? null;
  }

  #select({ operand, field, testOnly }: ExprCase<'selectExpr'>, scope: Scope, at: number): Evaluate {
    const target = this.compile(operand, scope);
    if (testOnly) return (frame) => hasField(target, field, frame);
    return (frame) => selectField(target(frame), field, at);
  }

  #struct({ messageName, entries }: ExprCase<'structExpr'>, scope: Scope, at: number): Evaluate {
    if (messageName !== '') throw new Failure(`there is no type "${messageName}"`, at);
    const pairs = entries.map(({ keyKind, value }): [Evaluate, Evaluate] => {
      if (keyKind.case !== 'mapKey') throw new Failure('a key of a map must be an expression', at);
      return [this.compile(keyKind.value, scope), this.compile(value, scope)];
    });
    return (frame) => {
      frame.spend(1 + MEMBER_UNITS * pairs.length);
      const map: { [key: string]: Value } = {};
      for (const [key, value] of pairs) {
        const name = keyOf(key(frame));
        if (name === undefined) throw new Failure('a key of a map must be a text, a number or a boolean', at);
        setOwn(map, name, value(frame));
      }
      return map;
    };
  }

  #call({ target, function: name, args }: ExprCase<'callExpr'>, scope: Scope, at: number): Evaluate {
    if (target !== undefined) return this.#method(target, name, args, scope, at);
    const operator = this.#operator(name, args, scope, at);
    if (operator !== undefined) return operator;
    const known = functions.get(name);
    if (known === undefined) {
      if (name === 'has') throw new Failure('has() takes a field, as in has(item.name)', at);
      throw new Failure(`there is no function "${name}"${suggestion(name, [...functions.keys()])}`, at);
    }
    return this.#apply(known, name, args, scope, at);
  }

  #method(target: Expr, name: string, args: Expr[], scope: Scope, at: number): Evaluate {
    if (target.exprKind.case === 'identExpr' && target.exprKind.value.name === 'math' && !scope.has('math')) {
      const known = mathFunctions.get(name);
      if (known === undefined)
        throw new Failure(`there is no function "math.${name}"${suggestion(name, [...mathFunctions.keys()])}`, at);
      return this.#apply(known, `math.${name}`, args, scope, at);
    }
    const known = methods.get(name);
    if (known !== undefined) return this.#apply(known, name, [target, ...args], scope, at);
    if (['all', 'exists', 'exists_one', 'existsOne', 'map', 'filter'].includes(name))
      throw new Failure(`${name}() takes a variable and an expression, as in list.${name}(x, x > 1)`, at);
    throw new Failure(`there is no method "${name}"${suggestion(name, [...methods.keys()])}`, at);
  }

  #apply(known: CelFunction, name: string, args: Expr[], scope: Scope, at: number): Evaluate {
    const [least, most] = known.arity;
    if (args.length < least || args.length > most) throw new Failure(`${name} has the wrong number of arguments`, at);
    const compiled = args.map((arg) => this.compile(arg, scope));
    const matchers = this.#matchers;
    const pattern = args[1]?.exprKind;
    if (name === 'matches' && pattern?.case === 'constExpr' && pattern.value.constantKind.case === 'stringValue')
      matchers.compile(pattern.value.constantKind.value, at);
    return (frame) =>
      known.call(
        compiled.map((arg) => arg(frame)),
        { at, name, frame, matchers },
      );
  }

  #operator(name: string, args: Expr[], scope: Scope, at: number): Evaluate | undefined {
    const [first, second, third] = args;
    const left = (): Evaluate => this.compile(first, scope);
    const right = (): Evaluate => this.compile(second, scope);
    switch (name) {
      case '_&&_':
        return lazily(left(), right(), false, at);
      case '_||_':
        return lazily(left(), right(), true, at);
      case '_?_:_':
        return conditional(left(), right(), this.compile(third, scope), at);
      case '_[_]':
        return indexed(left(), right(), at);
      case '@in':
        return membership(left(), right(), at);
      case '!_':
        return negation(left(), at);
      case '-_': {
        const value = left();
        return (frame) => negate(value(frame), at);
      }
      case '_==_':
      case '_!=_':
        return equality(left(), right(), name === '_==_');
      default:
    }
    const operator = arithmetic[name];
    if (operator !== undefined) {
      const [a, b] = [left(), right()];
      return (frame) => operator(a(frame), b(frame), frame, at);
    }
    const holds = orderings[name];
    return holds && ordering(left(), right(), holds, at);
  }
}

function suggestion(name: string, names: readonly string[]): string {
  const near = closest(name, names);
  return near === undefined ? '' : ` (did you mean "${near}"?)`;
}

/** Right and left may be evaluated in any order: an error of one side is no error where the other side decides. */
function lazily(left: Evaluate, right: Evaluate, decisive: boolean, at: number): Evaluate {
  return (frame) => {
    let failure: Failure | undefined;
    for (const side of [left, right]) {
      try {
        const value = side(frame);
        if (value === decisive) return decisive;
        if (typeof value !== 'boolean')
          failure ??= new Failure(`"${decisive ? '||' : '&&'}" needs true or false, not ${typeOf(value)}`, at);
      } catch (thrown) {
        if (!(thrown instanceof Failure)) throw thrown;
        failure ??= thrown;
      }
    }
    if (failure !== undefined) throw failure;
    return !decisive;
  };
}

function conditional(condition: Evaluate, then: Evaluate, otherwise: Evaluate, at: number): Evaluate {
  return (frame) => {
    const value = condition(frame);
    if (value === true) return then(frame);
    if (value === false) return otherwise(frame);
    throw new Failure(`the condition before "?" is ${typeOf(value)}, not true or false`, at);
  };
}

function negation(operand: Evaluate, at: number): Evaluate {
  return (frame) => {
    const value = operand(frame);
    if (typeof value !== 'boolean') throw new Failure(`"!" does not work on ${typeOf(value)}`, at);
    return !value;
  };
}

function equality(left: Evaluate, right: Evaluate, wanted: boolean): Evaluate {
  return (frame) => equal(left(frame), right(frame), frame) === wanted;
}

function ordering(left: Evaluate, right: Evaluate, holds: (order: number) => boolean, at: number): Evaluate {
  return (frame) => {
    const [a, b] = [left(frame), right(frame)];
    const order = compare(a, b, frame);
    if (order === undefined) throw new Failure(`${typeOf(a)} and ${typeOf(b)} have no order`, at);
    return holds(order);
  };
}

function membership(left: Evaluate, right: Evaluate, at: number): Evaluate {
  return (frame) => {
    const [value, container] = [left(frame), right(frame)];
    if (Array.isArray(container)) {
      frame.spend(container.length);
      return (container as Value[]).some((element) => equal(element, value, frame));
    }
    if (!isMap(container)) throw new Failure(`"in" needs a list or a map, not ${typeOf(container)}`, at);
    const key = keyOf(value);
    return key !== undefined && Object.hasOwn(container, key);
  };
}

function indexed(left: Evaluate, right: Evaluate, at: number): Evaluate {
  return (frame) => {
    const [container, index] = [left(frame), right(frame)];
    if (Array.isArray(container)) {
      if (typeof index !== 'number' || !Number.isInteger(index))
        throw new Failure(`the index of a list must be a whole number`, at);
      const element = (container as Value[])[index];
      if (element === undefined)
        throw new Failure(`index ${index} is outside of the list of ${container.length}`, at, true);
      return element;
    }
    const key = keyOf(index);
    if (key === undefined) throw new Failure(`${typeOf(index)} can't be a key`, at);
    return selectField(container, key, at);
  };
}

function selectField(target: Value, field: string, at: number): Value {
  if (!isMap(target))
    throw new Failure(`${typeOf(target)} has no field "${clip(field, NAME_LENGTH_SHOWN_MAX)}"`, at, true);
  if (!Object.hasOwn(target, field)) throw new Failure(() => noField(target, field), at, true);
  return target[field] ?? null;
}

function noField(target: object, field: string): string {
  const names: string[] = [];
  for (const name in target) {
    // Many names help nobody.
    if (names.length === NAMES_SHOWN_MAX) return `there is no field "${clip(field, NAME_LENGTH_SHOWN_MAX)}"`;
    names.push(clip(name, NAME_LENGTH_SHOWN_MAX));
  }
  return `there is no field "${clip(field, NAME_LENGTH_SHOWN_MAX)}"; there are ${names.join(', ') || 'none'}`;
}

/** False where the way to the field is missing, too. */
function hasField(target: Evaluate, field: string, frame: Frame): boolean {
  try {
    const value = target(frame);
    return isMap(value) && Object.hasOwn(value, field);
  } catch (thrown) {
    if (thrown instanceof Failure && thrown.missing) return false;
    throw thrown;
  }
}
