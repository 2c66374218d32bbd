import { isObject, type JSONValue } from '../../lib/json.ts';
import type { PathSegment } from '../../lib/json-path.ts';
import { namePattern, stepIdPattern, Workflow } from '../../protocol/workflow.ts';
import { alternatives, quoted, type Report, shown } from './report.ts';

/** The part of JSON Schema that the workflow's schema uses; a test keeps it to that. */
interface Schema {
  type?: string;
  const?: unknown;
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean;
  patternProperties?: Record<string, Schema>;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  minLength?: number;
  maxLength?: number;
  pattern?: string;
  minimum?: number;
  maximum?: number;
}

const patterns: Record<string, { test: RegExp; words: string }> = {
  [stepIdPattern]: {
    test: new RegExp(stepIdPattern),
    words: 'letters, digits, "_" and "-", beginning with a letter or "_", at most 128 characters',
  },
  [namePattern]: {
    test: new RegExp(namePattern),
    words: 'letters, digits and ". _ : @ -", beginning with a letter or digit, at most 128 characters',
  },
};

/** Fields as other workflow formats call them. */
const aliases: Record<string, string> = {
  name: 'workflow',
  depends_on: 'parent_step_ids',
  dependencies: 'parent_step_ids',
  dependsOn: 'parent_step_ids',
  needs: 'parent_step_ids',
  parents: 'parent_step_ids',
  args: 'params',
  arguments: 'params',
  with: 'params',
  input: 'params',
  inputs: 'params',
  parameters: 'params',
  uses: 'type',
  retries: 'max_retries',
  timeout: 'timeout_ms',
  resources: 'resource_requirements',
};

/** Reports everything in which the value differs from the workflow's schema. */
export function checkShape(value: JSONValue, report: Report): void {
  check(Workflow as unknown as Schema, value, [], report);
}

function check(schema: Schema, value: JSONValue, path: PathSegment[], report: Report): void {
  if (report.full) return;
  if (schema.anyOf !== undefined) checkAnyOf(schema, schema.anyOf, value, path, report);
  else if (schema.const !== undefined) {
    if (value !== schema.const) refuse(schema, value, path, report);
  } else if (schema.type !== undefined && !hasType(schema.type, value)) {
    report.add('WRONG_TYPE', path, `expected ${expected(schema)}, found ${shown(value)}`);
  } else if (typeof value === 'string') checkText(schema, value, path, report);
  else if (typeof value === 'number') checkNumber(schema, value, path, report);
  else if (Array.isArray(value)) checkArray(schema, value, path, report);
  else if (isObject(value)) checkObject(schema, value, path, report);
}

function hasType(type: string, value: JSONValue): boolean {
  switch (type) {
    case 'object':
      return isObject(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

/** Where one alternative has the right type, its problems are the useful ones. */
function checkAnyOf(schema: Schema, options: Schema[], value: JSONValue, path: PathSegment[], report: Report): void {
  const fitting = options.filter(
    (option) => option.const === undefined && option.type !== undefined && hasType(option.type, value),
  );
  const [only] = fitting;
  if (only !== undefined) check(only, value, path, report);
  else if (!options.some((option) => option.const !== undefined && option.const === value))
    refuse(schema, value, path, report);
}

function refuse(schema: Schema, value: JSONValue, path: PathSegment[], report: Report): void {
  const options = (schema.anyOf ?? [schema])
    .map((option) => option.const)
    .filter((option) => typeof option === 'string');
  report.add(
    typeof value === 'string' && options.length > 0 ? 'INVALID_VALUE' : 'WRONG_TYPE',
    path,
    `expected ${expected(schema)}, found ${shown(value)}`,
    { suggestion: typeof value === 'string' ? report.didYouMean(value, options) : undefined },
  );
}

function checkText(schema: Schema, value: string, path: PathSegment[], report: Report): void {
  const { minLength = 0, maxLength, pattern } = schema;
  const rule = pattern === undefined ? undefined : patterns[pattern];
  if (rule !== undefined && !rule.test.test(value)) {
    report.add('INVALID_VALUE', path, `expected ${rule.words}; found ${shown(value)}`);
  } else if (value.length < minLength) {
    report.add('INVALID_VALUE', path, 'the text must not be empty');
  } else if (maxLength !== undefined && value.length > maxLength && [...value].length > maxLength) {
    report.add('INVALID_VALUE', path, `the text has more than ${maxLength} characters`);
  }
}

function checkNumber(schema: Schema, value: number, path: PathSegment[], report: Report): void {
  const { minimum = value, maximum = value } = schema;
  if (!(value < minimum || value > maximum)) return;
  report.add('INVALID_VALUE', path, `expected ${expected(schema)}, found ${shown(value)}`);
}

function checkArray(schema: Schema, value: JSONValue[], path: PathSegment[], report: Report): void {
  const { minItems = 0, maxItems = Number.POSITIVE_INFINITY, items } = schema;
  if (value.length < minItems) report.add('INVALID_VALUE', path, 'the list must not be empty');
  if (value.length > maxItems) {
    report.add('TOO_LARGE', path, `the list has ${value.length} elements; ${maxItems} are allowed`);
  }
  if (items === undefined) return;
  for (let index = 0; index < value.length; index++) {
    path.push(index);
    check(items, value[index] as JSONValue, path, report);
    path.pop();
  }
}

function checkObject(schema: Schema, value: Record<string, unknown>, path: PathSegment[], report: Report): void {
  const { properties = {}, required = [], patternProperties = {} } = schema;
  const [anyKey] = Object.values(patternProperties);
  for (const key of required) {
    if (!Object.hasOwn(value, key)) report.add('MISSING_FIELD', [...path, key], `the field "${key}" is missing`);
  }
  for (const key of Object.keys(value)) {
    path.push(key);
    const member = Object.hasOwn(properties, key) ? properties[key] : anyKey;
    if (member !== undefined) check(member, value[key] as JSONValue, path, report);
    else if (schema.additionalProperties === false) reportUnknownField(key, Object.keys(properties), path, report);
    path.pop();
  }
}

function reportUnknownField(key: string, known: readonly string[], path: PathSegment[], report: Report): void {
  const alias = Object.hasOwn(aliases, key) ? aliases[key] : undefined;
  const suggestion =
    alias !== undefined && known.includes(alias)
      ? `Did you mean "${alias}"?`
      : (report.didYouMean(key, known) ?? `Known fields: ${known.filter((field) => field !== '$schema').join(', ')}.`);
  report.add('UNKNOWN_FIELD', path, `there is no field ${quoted(key)} here`, { atKey: true, suggestion });
}

/** What a schema asks for, in words. */
function expected(schema: Schema): string {
  if (schema.anyOf !== undefined) return alternatives(schema.anyOf.map(expected));
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const { minimum, maximum } = schema;
  const range =
    minimum === undefined ? '' : maximum === undefined ? ` of at least ${minimum}` : ` from ${minimum} to ${maximum}`;
  switch (schema.type) {
    case 'integer':
      return `a whole number${range}`;
    case 'number':
      return `a number${range}`;
    case 'boolean':
      return 'true or false';
    case 'array':
      return 'a list';
    case 'object':
      return 'an object';
    default:
      return 'a text';
  }
}
