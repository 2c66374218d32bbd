import type { Evaluate, ExprCase, ExprCompiler, Scope } from './syntax.ts';
import { Failure, type Frame, isMap, typeOf, type Value } from './value.ts';

type Comprehension = ExprCase<'comprehensionExpr'>;

/**
 * The parser writes `all`, `exists`, `exists_one`, `map` and `filter` as folds with an accumulator. A fold that appends to
 * a list copies it each time, so the macro is recognised again and run as a loop.
 */
export function compileMacro(compiler: ExprCompiler, fold: Comprehension, outer: Scope, at: number): Evaluate {
  const range = compiler.compile(fold.iterRange, outer);
  const { scope, slot } = compiler.bind(fold.iterVar, outer);
  const { accuInit, loopStep } = fold;
  const kind = accuInit?.exprKind;
  if (kind?.case === 'listExpr') return mapping(compiler, fold, range, scope, slot, at);
  if (kind?.case === 'constExpr' && loopStep?.exprKind.case === 'callExpr') {
    const { args } = loopStep.exprKind.value;
    const initial = kind.value.constantKind.value;
    if (typeof initial === 'boolean') return quantifier(compiler.compile(args[1], scope), !initial, range, slot, at);
    return exactlyOne(compiler.compile(args[0], scope), range, slot, at);
  }
  throw new Failure('this macro is not supported', at);
}

/** Each element is accounted for, so that nested loops over large lists end in an error instead of holding the node up. */
function* each(range: Evaluate, frame: Frame, slot: number, at: number): Generator<Value> {
  const values = range(frame);
  const elements = Array.isArray(values) ? (values as Value[]) : isMap(values) ? Object.keys(values) : undefined;
  if (elements === undefined) throw new Failure(`a list or a map is needed here, not ${typeOf(values)}`, at);
  // The names of a map are all listed, even where the first one decides.
  if (elements !== values) frame.spend(elements.length);
  for (const element of elements) {
    frame.spend(2);
    frame.slots[slot] = element;
    yield element;
  }
}

function mapping(
  compiler: ExprCompiler,
  fold: Comprehension,
  range: Evaluate,
  scope: Scope,
  slot: number,
  at: number,
): Evaluate {
  const step = fold.loopStep?.exprKind;
  if (step?.case !== 'callExpr') throw new Failure('this macro is not supported', at);
  const filtered = step.value.function === '_?_:_';
  const append = filtered ? step.value.args[1]?.exprKind : step;
  const appended = append?.case === 'callExpr' ? append.value.args[1]?.exprKind : undefined;
  if (appended?.case !== 'listExpr') throw new Failure('this macro is not supported', at);
  const keep = filtered ? compiler.compile(step.value.args[0], scope) : undefined;
  const transform = compiler.compile(appended.value.elements[0], scope);
  return (frame) => {
    const result: Value[] = [];
    for (const _ of each(range, frame, slot, at)) {
      const kept = keep === undefined || keep(frame);
      if (typeof kept !== 'boolean') throw new Failure(`the condition is ${typeOf(kept)}, not true or false`, at);
      if (kept) result.push(transform(frame));
    }
    return result;
  };
}

/** `exists` (decisive: true) and `all` (decisive: false). A failure counts only where no element decides. */
function quantifier(predicate: Evaluate, decisive: boolean, range: Evaluate, slot: number, at: number): Evaluate {
  return (frame) => {
    let failure: Failure | undefined;
    for (const _ of each(range, frame, slot, at)) {
      try {
        const value = predicate(frame);
        if (value === decisive) return decisive;
        if (typeof value !== 'boolean')
          failure ??= new Failure(`the condition is ${typeOf(value)}, not true or false`, at);
      } catch (thrown) {
        if (!(thrown instanceof Failure)) throw thrown;
        failure ??= thrown;
      }
    }
    if (failure !== undefined) throw failure;
    return !decisive;
  };
}

function exactlyOne(predicate: Evaluate, range: Evaluate, slot: number, at: number): Evaluate {
  return (frame) => {
    let count = 0;
    for (const _ of each(range, frame, slot, at)) {
      const value = predicate(frame);
      if (typeof value !== 'boolean') throw new Failure(`the condition is ${typeOf(value)}, not true or false`, at);
      if (value) count += 1;
    }
    return count === 1;
  };
}
