import type { ErrorObject } from 'ajv';
import { isObject, type JSONObject, type JSONValue } from '../../lib/json.ts';
import type { PathSegment } from '../../lib/json-path.ts';
import { isBranch, isWithin } from './certainty.ts';
import { alternatives, kindOf, quoted, type Report } from './report.ts';

interface Explanation {
  /** From `params`. */
  path: PathSegment[];
  atKey: boolean;
  message: string;
  suggestion: string | undefined;
}

/** Ajv's errors about params in plain words. Values are not shown: they could be secrets. */
export function explain(
  errors: readonly ErrorObject[],
  params: JSONObject,
  schema: JSONObject,
  report: Report,
): Explanation[] {
  const unions = errors.filter(({ keyword }) => keyword === 'anyOf' || keyword === 'oneOf');
  const explanations: Explanation[] = [];
  for (const error of errors) {
    // Told as part of the union that they belong to, or by the branch of `then` or `else`.
    if (error.keyword === 'if') continue;
    if (isBranch(error) && unions.some((union) => union !== error && isBranchOf(error, union))) continue;
    const path = pathOf(error.instancePath, params);
    const parts = unions.includes(error) ? errors.filter((part) => part !== error && isBranchOf(part, error)) : [];
    const key: unknown =
      error.params.missingProperty ?? error.params.additionalProperty ?? error.params.unevaluatedProperty;
    explanations.push({
      path: typeof key === 'string' ? [...path, key] : path,
      ...describe(error, parts, valueAt(params, path), schema, report),
    });
  }
  return explanations.filter(
    ({ path, message }, index) =>
      explanations.findIndex((other) => other.message === message && other.path.join('\0') === path.join('\0')) ===
      index,
  );
}

const isBranchOf = (error: ErrorObject, union: ErrorObject): boolean =>
  isBranch(error) &&
  isWithin(error.instancePath, union.instancePath) &&
  (error.schemaPath.startsWith(`${union.schemaPath}/`) || /\/(\$defs|definitions)\//.test(error.schemaPath));

function describe(
  error: ErrorObject,
  parts: readonly ErrorObject[],
  value: JSONValue | undefined,
  schema: JSONObject,
  report: Report,
): Omit<Explanation, 'path'> {
  const { keyword, params } = error;
  if (keyword === 'required') {
    const missing = `the param ${quoted(params.missingProperty)} is missing`;
    return { atKey: false, message: missing, suggestion: signature(schemaAt(error, schema)) };
  }
  if (keyword === 'additionalProperties' || keyword === 'unevaluatedProperties') {
    const key: string = params.additionalProperty ?? params.unevaluatedProperty;
    const here = schemaAt(error, schema);
    const message = `there is no param ${quoted(key)} here`;
    return { atKey: true, message, suggestion: report.didYouMean(key, knownKeys(here)) ?? signature(here) };
  }
  const message = parts.length > 0 ? unionWords(parts, value) : `${wordsOf(error)}${foundWords(error, value)}`;
  const suggestion =
    keyword === 'enum' && typeof value === 'string'
      ? report.didYouMean(
          value,
          (params.allowedValues as unknown[]).filter((allowed) => typeof allowed === 'string'),
        )
      : describedBy(error, schema);
  return { atKey: false, message, suggestion };
}

const typeWords: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
};

/** What one error asks for. */
function wordsOf({ keyword, params, message }: ErrorObject): string {
  switch (keyword) {
    case 'type':
      return `expected ${alternatives([params.type].flat().map((type: string) => typeWords[type] ?? type))}`;
    case 'enum':
      return `expected ${alternatives((params.allowedValues as unknown[]).slice(0, 20).map((allowed) => JSON.stringify(allowed)))}`;
    case 'const':
      return `expected ${JSON.stringify(params.allowedValue)}`;
    case 'minimum':
      return `expected a number of at least ${params.limit}`;
    case 'maximum':
      return `expected a number of at most ${params.limit}`;
    case 'exclusiveMinimum':
      return `expected a number above ${params.limit}`;
    case 'exclusiveMaximum':
      return `expected a number below ${params.limit}`;
    case 'minLength':
      return params.limit === 1 ? 'the text must not be empty' : `expected at least ${params.limit} characters`;
    case 'maxLength':
      return `expected at most ${params.limit} characters`;
    case 'minItems':
      return params.limit === 1 ? 'the list must not be empty' : `expected at least ${params.limit} elements`;
    case 'maxItems':
      return `expected at most ${params.limit} elements`;
    case 'uniqueItems':
      return `elements ${params.j} and ${params.i} of the list are equal`;
    case 'pattern':
      return `expected a text that matches ${quoted(params.pattern)}`;
    case 'required':
      return `expected the param ${quoted(params.missingProperty)}`;
    case 'oneOf':
      return 'fits several of the forms of which exactly one is allowed';
    case 'false schema':
      return 'nothing is allowed here';
    default:
      return message ?? 'does not fit the schema';
  }
}

const foundWords = ({ keyword }: ErrorObject, value: JSONValue | undefined): string =>
  keyword === 'type' && value !== undefined ? `, found ${kindOf(value)}` : '';

const formsShownMax = 4;

function unionWords(parts: readonly ErrorObject[], value: JSONValue | undefined): string {
  const types = parts.filter(({ keyword }) => keyword === 'type');
  if (types.length === parts.length && types.every(({ instancePath }) => instancePath === types[0]?.instancePath)) {
    const words = types.flatMap(({ params }) => [params.type].flat()).map((type: string) => typeWords[type] ?? type);
    return `expected ${alternatives([...new Set(words)])}${value === undefined ? '' : `, found ${kindOf(value)}`}`;
  }
  const forms = [...new Set(parts.filter(({ keyword }) => keyword !== 'anyOf' && keyword !== 'oneOf').map(wordsOf))];
  return `fits none of the allowed forms: ${forms.slice(0, formsShownMax).join('; or ')}`;
}

/** Names that a schema allows. */
const knownKeys = (schema: JSONObject | undefined): string[] =>
  isObject(schema?.properties) ? Object.keys(schema.properties) : [];

/** The schema of the value that an error is about, where that is certain: not within a choice of several. */
function schemaAt({ instancePath }: ErrorObject, schema: JSONObject): JSONObject | undefined {
  let at: JSONObject = schema;
  for (const token of instancePath.split('/').slice(1)) {
    const { properties, items } = at;
    const name = token.replaceAll('~1', '/').replaceAll('~0', '~');
    let next: JSONValue | undefined;
    if (isObject(properties) && Object.hasOwn(properties, name)) next = properties[name];
    else if (/^\d+$/.test(name)) next = items;
    if (!isObject(next)) return undefined;
    at = next as JSONObject;
  }
  return at;
}

const paramsShownMax = 12;

/** `Takes input (a list), key? (a text).` */
function signature(schema: JSONObject | undefined): string | undefined {
  const { properties, required } = schema ?? {};
  if (!isObject(properties)) return undefined;
  const needed = Array.isArray(required) ? required : [];
  const params = Object.keys(properties).map((name) => {
    const property = properties[name];
    const type =
      isObject(property) && typeof property.type === 'string' ? ` (${typeWords[property.type] ?? property.type})` : '';
    return `${name}${needed.includes(name) ? '' : '?'}${type}`;
  });
  if (params.length === 0) return undefined;
  return `Takes ${params.slice(0, paramsShownMax).join(', ')}${params.length > paramsShownMax ? ', …' : ''}.`;
}

/** The schema's own words about the param, and what it takes where it should be an object. */
function describedBy(error: ErrorObject, schema: JSONObject): string | undefined {
  const [, first] = error.instancePath.split('/');
  if (first === undefined) return undefined;
  const here = schemaAt(error, schema);
  const name = here === undefined ? first : error.instancePath.split('/').findLast((token) => !/^\d+$/.test(token));
  const { properties } = schema;
  const outer = isObject(properties) && Object.hasOwn(properties, first) ? properties[first] : undefined;
  const about = typeof here?.description === 'string' ? here : isObject(outer) ? outer : undefined;
  const takes = error.keyword === 'type' ? signature(here) : undefined;
  const words =
    typeof about?.description === 'string' ? `${about === here ? name : first}: ${about.description}` : undefined;
  return [words, takes].filter((part) => part !== undefined).join(' ') || undefined;
}

/** A JSON pointer (RFC 6901) into the value as a path. */
function pathOf(pointer: string, root: JSONValue): PathSegment[] {
  const path: PathSegment[] = [];
  let value: JSONValue | undefined = root;
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~');
    const segment: PathSegment = Array.isArray(value) ? Number(key) : key;
    path.push(segment);
    value = value === undefined ? undefined : valueAt(value, [segment]);
  }
  return path;
}

function valueAt(root: JSONValue, path: readonly PathSegment[]): JSONValue | undefined {
  let value: JSONValue | undefined = root;
  for (const segment of path) {
    if (Array.isArray(value) && typeof segment === 'number') value = value[segment];
    else if (isObject(value) && Object.hasOwn(value, segment)) value = value[segment] as JSONValue;
    else return undefined;
  }
  return value;
}
