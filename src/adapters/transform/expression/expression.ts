import { parse } from '@bufbuild/cel';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { Compiler } from './compile.ts';
import type { Evaluate, ParsedExpr } from './syntax.ts';
import { Failure, Frame, OutOfBudget, toJSON } from './value.ts';

export const expressionLimits = {
  lengthMax: 4096,
  /** Brackets inside brackets; the parser's work on a wrong expression grows faster than this. */
  nestingMax: 32,
  /** Work of one evaluation, about one unit for each element looked at. */
  budget: 5_000_000,
  cached: 256,
} as const;

const scope = new Map([
  ['item', 0],
  ['index', 1],
  ['vars', 2],
]);
const literals = /r?("""[\s\S]*?"""|'''[\s\S]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')/g;

/** A compiled expression over `item`, `index` and `vars`. It has no state between evaluations. */
export class Expression {
  readonly #source: string;
  readonly #evaluate: Evaluate;
  readonly #slots: number;
  /** Only times are not JSON already. */
  readonly #makesTimes: boolean;
  readonly #baseCost: number;

  /** @throws StepError INVALID_EXPRESSION with line and column */
  constructor(source: string) {
    this.#source = source;
    const parsed = parseChecked(source);
    const compiler = new Compiler(parsed, scope);
    try {
      this.#evaluate = compiler.compile(parsed.expr, scope);
    } catch (thrown) {
      throw thrown instanceof Failure ? refused(source, thrown.message, thrown.at) : thrown;
    }
    this.#slots = compiler.slots;
    this.#baseCost = 1 + (source.length >> 3);
    this.#makesTimes = /timestamp|duration/.test(source);
  }

  /**
   * @returns the value, which may share parts with the arguments, and the work it took
   * @throws StepError EXPRESSION_FAILED with line, column and the item's index
   */
  evaluate(item: JSONValue, index: number, vars: JSONObject): { value: JSONValue; cost: number } {
    const frame = new Frame(this.#slots, expressionLimits.budget);
    frame.slots[0] = item;
    frame.slots[1] = index;
    frame.slots[2] = vars;
    try {
      const value = this.#evaluate(frame);
      return {
        value: this.#makesTimes ? toJSON(value, frame) : (value as JSONValue),
        cost: this.#baseCost + expressionLimits.budget - frame.left,
      };
    } catch (thrown) {
      throw this.#failed(thrown, index);
    }
  }

  #failed(thrown: unknown, index: number): unknown {
    if (thrown instanceof Failure)
      return new StepError(
        'EXPRESSION_FAILED',
        `item ${index}: ${thrown.message} (expression, ${place(this.#source, thrown.at)})`,
      );
    if (thrown instanceof OutOfBudget)
      return new StepError(
        'EXPRESSION_FAILED',
        `item ${index}: the expression does too much work for one item; look values up by key instead of searching lists`,
      );
    // A string that grew too long, or a stack too deep: limits of the language, not defects.
    if (thrown instanceof RangeError) return new StepError('EXPRESSION_FAILED', `item ${index}: ${thrown.message}`);
    return thrown;
  }
}

/** Compiled expressions, the most recent ones kept. */
export class ExpressionCache {
  readonly #expressions = new Map<string, Expression>();

  /** @throws StepError INVALID_EXPRESSION */
  get(source: string): Expression {
    const expression = this.#expressions.get(source) ?? new Expression(source);
    this.#expressions.delete(source);
    this.#expressions.set(source, expression);
    const [oldest] = this.#expressions.keys();
    if (this.#expressions.size > expressionLimits.cached && oldest !== undefined) this.#expressions.delete(oldest);
    return expression;
  }
}

function parseChecked(source: string): ParsedExpr {
  if (source.length > expressionLimits.lengthMax)
    throw new StepError('INVALID_EXPRESSION', `the expression is longer than ${expressionLimits.lengthMax} characters`);
  let depth = 0;
  for (const character of source.replace(literals, '')) {
    if ('([{'.includes(character)) depth += 1;
    if (')]}'.includes(character)) depth -= 1;
    if (depth > expressionLimits.nestingMax)
      throw new StepError(
        'INVALID_EXPRESSION',
        `the expression has more than ${expressionLimits.nestingMax} levels of brackets`,
      );
  }
  try {
    return parse(source);
  } catch (thrown) {
    throw syntaxError(source, thrown);
  }
}

function syntaxError(source: string, thrown: unknown): StepError {
  const location = isObject(thrown) && isObject(thrown.location) ? thrown.location.start : undefined;
  if (!isObject(location) || typeof location.offset !== 'number')
    return new StepError('INVALID_EXPRESSION', `syntax error in the expression: ${messageOf(thrown)}`);
  const { offset } = location;
  const found =
    offset < source.length ? `unexpected ${JSON.stringify(source.slice(offset, offset + 1))}` : 'unexpected end';
  const reserved = messageOf(thrown).includes('reserved') ? 'a reserved word can not be a name' : found;
  return refused(source, `syntax error: ${reserved}`, offset);
}

const refused = (source: string, message: string, offset: number): StepError =>
  new StepError('INVALID_EXPRESSION', `${message} (expression, ${place(source, offset)})`);

function place(source: string, offset: number): string {
  const before = source.slice(0, offset).split('\n');
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}
