import { isDeepStrictEqual } from 'node:util';
import { isStoredData, readRows } from '../../kit/rows.ts';
import { verdictOf } from '../../kit/verdict.ts';
import { StepError } from '../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue, setOwn } from '../../lib/json.ts';
import { SizeBudget } from '../../lib/size-budget.ts';
import type { Adapter, AdapterContext, AdapterStep, AdapterVerdict } from '../../ports/adapter.ts';
import type { Clock } from '../../ports/clock.ts';
import { limits } from '../../protocol/limits.ts';
import type { Expression, ExpressionCache } from './expression/expression.ts';
import { compilePath, lastName, type Path } from './path.ts';
import { type Aggregate, type Aggregation, aggregate, aggregateBy, group } from './reduce.ts';
import { stepTypes } from './schemas.ts';

const VERSION = '1.0.0';
/** Work between two turns of the event loop, in the units of an expression's cost: a few ms. */
const TURN_COST = 50_000;

export interface TransformOptions {
  /** Timers of `mock_compute`. Default: real ones. */
  clock?: Pick<Clock, 'timer'>;
}

const realTimers: Pick<Clock, 'timer'> = {
  timer(ms, fn) {
    const timer = setTimeout(fn, ms);
    return () => clearTimeout(timer);
  },
};

/** The adapter `transform`: `mock_compute`, `transform_map`, `transform_filter` and `transform_reduce`. Params: docs/adapters/transform.md. */
export function createTransformAdapter({ clock = realTimers }: TransformOptions = {}): Adapter {
  const expressions = lazyExpressions();
  return {
    getManifest: () => ({ adapter_id: 'transform', version: VERSION, step_types: stepTypes }),
    async validate(step): Promise<AdapterVerdict> {
      const problem = conflictOf(step);
      if (problem !== undefined) return { valid: false, error: problem };
      const { expression } = step.params;
      if (step.type === 'mock_compute' || typeof expression !== 'string') return { valid: true };
      const cache = await expressions();
      return verdictOf(() => void cache.get(expression));
    },
    async execute(step, context): Promise<JSONValue> {
      switch (step.type) {
        case 'mock_compute':
          return mockCompute(step.params, context, clock);
        case 'transform_map':
          return map(await loaded(step.params, context), context, expressions);
        case 'transform_filter':
          return filter(await loaded(step.params, context), context, expressions);
        case 'transform_reduce':
          return { result: reduce(await loaded(step.params, context)) };
        default:
          throw new StepError('INVALID_PARAMS', `the adapter transform has no step type "${step.type}"`);
      }
    },
    healthCheck: () => ({ status: 'ok', timestamp: new Date().toISOString() }),
  };
}

type Expressions = () => Promise<ExpressionCache>;

/** The CEL parser is loaded when the first expression needs it: it takes longer than all the rest of a small run. */
function lazyExpressions(): Expressions {
  let cache: Promise<ExpressionCache> | undefined;
  return () => {
    cache ??= import('./expression/expression.ts').then((module) => new module.ExpressionCache());
    return cache;
  };
}

/** What the schema can't say: which params exclude or need each other. */
function conflictOf({ type, params }: AdapterStep): string | undefined {
  const has = (name: string): boolean => params[name] !== undefined;
  if (has('expression') && (has('fields') || has('key') || has('value')))
    return 'params: give either an expression, or the other params';
  if (type === 'transform_map' && Array.isArray(params.fields)) {
    const names = params.fields.map((field) => lastName(String(field)));
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) return `params.fields: two paths end in "${twice}"; use the form { "name": "path" }`;
  }
  if (type === 'transform_filter' && !has('expression') && !has('value'))
    return 'params: transform_filter needs an expression, or key and value';
  return type === 'transform_reduce' ? reduceConflict(params, has) : undefined;
}

function reduceConflict(params: JSONObject, has: (name: string) => boolean): string | undefined {
  if (has('aggregates') === has('operation')) return 'params: give either operation, or aggregates';
  if (has('aggregates') && has('key')) return 'params: with aggregates each aggregate has its own key';
  if (params.operation === 'group' && (has('by') || has('as')))
    return 'params: group takes key alone; use by with an aggregate';
  if (params.operation === 'group' && !has('key')) return 'params: group needs the key to group by';
  if (has('as') && !has('by')) return 'params: "as" goes with "by"';
  return undefined;
}

async function mockCompute(
  params: JSONObject,
  { signal }: AdapterContext,
  clock: Pick<Clock, 'timer'>,
): Promise<JSONValue> {
  const { input = null, delay_ms = 0 } = params;
  signal.throwIfAborted();
  if (typeof delay_ms === 'number' && delay_ms > 0) await wait(delay_ms, signal, clock);
  return { result: input };
}

function wait(ms: number, signal: AbortSignal, clock: Pick<Clock, 'timer'>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const cancel = clock.timer(ms, () => {
    signal.removeEventListener('abort', abort);
    resolve();
  });
  function abort(): void {
    cancel();
    reject(signal.reason);
  }
  signal.addEventListener('abort', abort, { once: true });
  return promise;
}

async function map(params: JSONObject, context: AdapterContext, expressions: Expressions): Promise<JSONValue> {
  const items = itemsOf(params);
  const { expression, fields } = params;
  let result: JSONValue[] = items;
  if (typeof expression === 'string') {
    result = new Array<JSONValue>(items.length);
    const budget = new SizeBudget(limits.blobBytesMax);
    await evaluateAll((await expressions()).get(expression), params, context, (value, index) => {
      budget.spendAll(value);
      result[index] = value;
    });
  } else if (fields !== undefined) {
    const project = projection(fields);
    result = items.map(project);
  }
  return { result, count: result.length };
}

async function filter(params: JSONObject, context: AdapterContext, expressions: Expressions): Promise<JSONValue> {
  const items = itemsOf(params);
  const { expression, key = '', value = null } = params;
  let result: JSONValue[] = [];
  if (typeof expression === 'string') {
    await evaluateAll((await expressions()).get(expression), params, context, (keep, index) => {
      if (typeof keep !== 'boolean')
        throw new StepError(
          'EXPRESSION_FAILED',
          `item ${index}: the expression must be true or false, but it is ${kindOf(keep)}`,
        );
      if (keep) result.push(items[index] ?? null);
    });
  } else {
    const path = compilePath(String(key));
    result = items.filter((item) => equals(path(item), value));
  }
  return { result, count: result.length };
}

const kindOf = (value: JSONValue): string => (value === null ? 'null' : Array.isArray(value) ? 'a list' : typeof value);

const equals = (left: JSONValue | undefined, right: JSONValue): boolean =>
  typeof right === 'object' && right !== null ? isDeepStrictEqual(left, right) : left === right;

/** Evaluates for all items, lets other work of the node have its turn now and then, and stops at the signal. */
async function evaluateAll(
  expression: Expression,
  params: JSONObject,
  { signal, progress }: AdapterContext,
  take: (value: JSONValue, index: number) => void,
): Promise<void> {
  const items = itemsOf(params);
  const vars = isObject(params.vars) ? (params.vars as JSONObject) : {};
  let spent = 0;
  for (const [index, item] of items.entries()) {
    const { value, cost } = expression.evaluate(item, index, vars);
    take(value, index);
    spent += cost;
    if (spent < TURN_COST) continue;
    spent = 0;
    progress(index / items.length);
    await new Promise(setImmediate);
    signal.throwIfAborted();
  }
}

/** The params with rows that a step has stored in their place. */
async function loaded(params: JSONObject, context: AdapterContext): Promise<JSONObject> {
  const { input } = params;
  if (!isStoredData(input)) return params;
  if (input.bytes > limits.blobBytesMax)
    throw new StepError(
      'LIMIT_EXCEEDED',
      `params.input has ${input.bytes} bytes of rows; a transform takes at most ${limits.blobBytesMax}: let the query aggregate or select less`,
    );
  const items: JSONValue[] = [];
  for await (const rows of readRows(input as unknown as JSONValue, 'params.input', context)) {
    context.signal.throwIfAborted();
    for (const row of rows) items.push(row);
  }
  return { ...params, input: items };
}

function itemsOf({ input }: JSONObject): JSONValue[] {
  if (Array.isArray(input)) return input;
  throw new StepError('INVALID_PARAMS', 'params.input must be a list, or rows that a step has stored');
}

function projection(fields: JSONValue): (item: JSONValue) => JSONObject {
  const named = Array.isArray(fields)
    ? fields.map((path): [string, JSONValue] => [lastName(String(path)), path])
    : Object.entries(fields as JSONObject);
  const columns = named.map(([name, path]): [string, Path] => [name, compilePath(String(path))]);
  return (item) => {
    const row: JSONObject = {};
    for (const [name, path] of columns) setOwn(row, name, path(item) ?? null);
    return row;
  };
}

function reduce(params: JSONObject): JSONValue {
  const items = itemsOf(params);
  const { operation, by, as } = params;
  const key = typeof params.key === 'string' ? params.key : '';
  if (operation === 'group') return group(items, key);
  const one = { operation: operation as Aggregation, key };
  const aggregates = isObject(params.aggregates)
    ? (params.aggregates as unknown as Record<string, Aggregate>)
    : { value: one };
  if (typeof by === 'string') return aggregateBy(items, by, aggregates, as === 'map' ? 'map' : 'list');
  const result = aggregate(items, aggregates);
  return params.aggregates === undefined ? (result.value ?? null) : result;
}
