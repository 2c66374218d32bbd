import { canonicalize } from '../../lib/canonical.ts';
import { JSONFlowError } from '../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue, setOwn } from '../../lib/json.ts';
import { formatPath, type JSONPath, type PathSegment } from '../../lib/json-path.ts';
import { SizeBudget } from '../../lib/size-budget.ts';
import { closest } from '../../lib/suggest.ts';
import { limits } from '../../protocol/limits.ts';
import { parseTemplate, type Target, visitStrings } from './template.ts';

/** What a look into one element of a list counts for. */
const ELEMENT_COST = 16;

/** A reference where it stands. */
export interface Reference extends Target {
  /** Path of the string that holds it, from the value that was searched. */
  at: PathSegment[];
  /** Whether the string is this reference and nothing else, so that it is replaced by the value and not by its text. */
  whole: boolean;
}

/** All references inside a value, in document order. Those that are malformed are left out; validation reports them. */
export function findReferences(value: unknown): Reference[] {
  const references: Reference[] = [];
  visitStrings(value, (text, at) => {
    const template = parseTemplate(text);
    if (template === undefined) return;
    if (template.kind === 'reference') references.push({ ...template.target, at: [...at], whole: true });
    else
      for (const part of template.parts)
        if (typeof part !== 'string') references.push({ ...part, at: [...at], whole: false });
  });
  return references;
}

export interface Lookup {
  /** Output of a step; undefined where the step has none (yet). */
  output(stepId: string): JSONValue | undefined;
  /** The run's `$input`. */
  input: JSONValue;
}

/**
 * The params with every reference replaced by what it names. The result is a deep copy that shares nothing with the params,
 * the outputs or the input; values that come from outputs are not searched for references again.
 *
 * @param budget for the values that references give and the lists they look through, as a few references can multiply a large
 *   output; one for several calls bounds them together. Default: `limits.blobBytesMax` for this call
 * @throws JSONFlowError REFERENCE_FAILED, which names the reference, where it stands and what was there instead;
 *   LIMIT_EXCEEDED where the budget does not suffice, or the result would be nested deeper than `limits.jsonDepthMax`
 */
export function resolveParams(
  params: JSONObject,
  lookup: Lookup,
  budget = new SizeBudget(limits.blobBytesMax),
): JSONObject {
  return resolveValue(params, lookup, budget, []) as JSONObject;
}

function resolveValue(value: JSONValue, lookup: Lookup, budget: SizeBudget, at: PathSegment[]): JSONValue {
  if (typeof value === 'string') return resolveString(value, lookup, budget, at);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    return value.map((element, index) => {
      at.push(index);
      const resolved = resolveValue(element, lookup, budget, at);
      at.pop();
      return resolved;
    });
  }
  const resolved: JSONObject = {};
  for (const key of Object.keys(value)) {
    at.push(key);
    setOwn(resolved, key, resolveValue(value[key] as JSONValue, lookup, budget, at));
    at.pop();
  }
  return resolved;
}

function resolveString(source: string, lookup: Lookup, budget: SizeBudget, at: JSONPath): JSONValue {
  const template = parseTemplate(source);
  if (template === undefined) return source;
  try {
    if (template.kind === 'reference') return copy(select(template.target, lookup, budget, at), budget, at.length);
    const malformed = template.malformed[0];
    if (malformed !== undefined)
      throw failed(malformed, at, 'it is malformed', 'Write ${step.path}, or $${ for a literal ${.');
    let text = '';
    for (const part of template.parts)
      text += typeof part === 'string' ? part : textOf(select(part, lookup, budget, at), budget);
    return text;
  } catch (thrown) {
    if (!(thrown instanceof JSONFlowError) || thrown.code !== 'LIMIT_EXCEEDED') throw thrown;
    throw new JSONFlowError('LIMIT_EXCEEDED', `${formatPath(at, 'params')}: ${thrown.message}`, {
      hint: 'Refer to a smaller or less deep part of the output, or pass a digest.',
    });
  }
}

function textOf(value: JSONValue, budget: SizeBudget): string {
  // Before the text is made as well: it is in memory beside the value.
  budget.spendAll(value);
  if (typeof value === 'string') return value;
  const text = canonicalize(value);
  budget.spend(text.length);
  return text;
}

function copy(value: JSONValue, budget: SizeBudget, depth: number): JSONValue {
  budget.spendValue(value);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= limits.jsonDepthMax)
    throw new JSONFlowError('LIMIT_EXCEEDED', `the value is nested deeper than ${limits.jsonDepthMax} levels`);
  if (Array.isArray(value)) return value.map((element) => copy(element, budget, depth + 1));
  const fresh: JSONObject = {};
  for (const key of Object.keys(value)) {
    budget.spendKey(key);
    setOwn(fresh, key, copy(value[key] as JSONValue, budget, depth + 1));
  }
  return fresh;
}

/** Walks into the value that the target names. */
function select(target: Target, lookup: Lookup, budget: SizeBudget, at: JSONPath): JSONValue {
  const { stepId, path, text } = target;
  let value = stepId === null ? lookup.input : lookup.output(stepId);
  if (value === undefined) throw failed(text, at, `step "${stepId}" has no output`);
  for (let depth = 0; depth < path.length; depth++) {
    const segment = path[depth] as PathSegment;
    // A step's result is its primary value: what it calls `result`, or else all of its output.
    if (
      depth === 0 &&
      stepId !== null &&
      segment === 'result' &&
      !(isObject(value) && Object.hasOwn(value, 'result'))
    ) {
      continue;
    }
    const next = stepInto(value, segment, budget);
    if (next === undefined) throw missing(target, depth, value, budget, at);
    value = next;
  }
  return value;
}

/** One step into a value, through own properties only; undefined where there is nothing. */
function stepInto(value: JSONValue, segment: PathSegment, budget: SizeBudget): JSONValue | undefined {
  if (Array.isArray(value)) {
    const index = typeof segment === 'number' ? segment : asIndex(segment);
    if (index !== undefined) return value[index];
    const mapped: JSONValue[] = [];
    for (const element of value) {
      budget.spend(ELEMENT_COST);
      const next = stepInto(element, segment, budget);
      if (next === undefined) return undefined;
      mapped.push(next);
    }
    return mapped;
  }
  if (!isObject(value) || typeof segment === 'number' || !Object.hasOwn(value, segment)) return undefined;
  return value[segment] as JSONValue;
}

/** `.0` is an index like `[0]` where it meets a list. */
const asIndex = (segment: string): number | undefined => (/^\d{1,9}$/.test(segment) ? Number(segment) : undefined);

function missing(
  { text, stepId, path }: Target,
  depth: number,
  found: JSONValue,
  budget: SizeBudget,
  at: JSONPath,
): JSONFlowError {
  const segment = path[depth] as PathSegment;
  const name = typeof segment === 'number' ? `[${segment}]` : `"${segment}"`;
  let holder: JSONValue = found;
  let place = formatPath(path.slice(0, depth), stepId === null ? '$input' : `$${stepId}`);
  // Where a list was mapped over, the element without the key is what the reader wants to see.
  while (Array.isArray(holder) && typeof segment === 'string' && asIndex(segment) === undefined) {
    const list: JSONValue[] = holder;
    const index = list.findIndex((element) => stepInto(element, segment, budget) === undefined);
    if (index < 0) break;
    holder = list[index] as JSONValue;
    place += `[${index}]`;
  }
  const suggestion =
    typeof segment === 'string' && isObject(holder) ? closest(segment, Object.keys(holder)) : undefined;
  return failed(
    text,
    at,
    `there is no ${name} in ${place}, which is ${describe(holder)}`,
    suggestion === undefined
      ? 'Look at the output of that step, or at the input of the run.'
      : `Did you mean "${suggestion}"?`,
  );
}

const keysShownMax = 10;

function describe(value: JSONValue): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return value.length === 1 ? 'a list of 1 element' : `a list of ${value.length} elements`;
  if (!isObject(value)) return `a ${typeof value}`;
  const keys = Object.keys(value);
  if (keys.length === 0) return 'an empty object';
  const shown = keys.slice(0, keysShownMax).map((key) => (key.length > 64 ? `${key.slice(0, 64)}…` : key));
  const more = keys.length > keysShownMax ? ` and ${keys.length - keysShownMax} more` : '';
  return `an object with ${keys.length === 1 ? 'the key' : 'the keys'} ${shown.join(', ')}${more}`;
}

function failed(reference: string, at: JSONPath, why: string, hint?: string): JSONFlowError {
  const path = formatPath(at, 'params');
  const shown = reference.length > 200 ? `${reference.slice(0, 200)}…` : reference;
  return new JSONFlowError('REFERENCE_FAILED', `the reference ${shown} at ${path} can't be resolved: ${why}`, {
    ...(hint === undefined ? {} : { hint }),
    details: { reference: shown, path },
  });
}
