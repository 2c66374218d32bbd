import { RE2JS } from '@bufbuild/re2';
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { canonicalize } from '../../lib/canonical.ts';
import { JSONFlowError } from '../../lib/errors.ts';
import { isObject, type JSONObject, setOwn } from '../../lib/json.ts';

/** Errors of a value against a schema, as Ajv gives them. Empty where the value is fine, or where that can't be told. */
export type Check = (value: JSONObject) => ErrorObject[];

const schemaLengthMax = 256 * 1024;
/** Above this many values inside, only the first error is looked for: all errors could outgrow the value by far. */
const allErrorsValuesMax = 10_000;

/**
 * Compiles a JSON Schema, draft 2020-12 or, where it says so or uses `definitions`, draft 7. Schemas come from adapters of other
 * machines: patterns are tested in linear time, and what could take more is refused, as are references to other documents.
 *
 * @throws JSONFlowError LIMIT_EXCEEDED, or Ajv's errors
 */
export function compileSchema(schema: JSONObject): Check {
  if (canonicalize(schema).length > schemaLengthMax) {
    throw new JSONFlowError('LIMIT_EXCEEDED', `the schema is longer than ${schemaLengthMax} characters`);
  }
  const safe = bounded(schema);
  const all = compile(safe, true);
  const first = compile(safe, false);
  return (value) => {
    const validate = countValues(value, allErrorsValuesMax) > allErrorsValuesMax ? first : all;
    try {
      if (validate(value)) return [];
    } catch {
      // A schema that refers to itself without end, or a text too long for its patterns.
      return [];
    }
    return validate.errors ?? [];
  };
}

function compile(schema: JSONObject, allErrors: boolean): ValidateFunction {
  const { $schema, ...rest } = schema;
  const isDraft7 = typeof $schema === 'string' ? /draft-0\d/.test($schema) : isObject(schema.definitions);
  const options: Options = {
    allErrors,
    strict: false,
    logger: false,
    addUsedSchema: false,
    validateFormats: false,
    code: { regExp: cautiousRegExp },
  };
  return (isDraft7 ? new Ajv(options) : new Ajv2020(options)).compile(rest);
}

function countValues(value: unknown, max: number): number {
  if (typeof value !== 'object' || value === null) return 1;
  let count = 1;
  for (const child of Object.values(value)) {
    count += countValues(child, max - count);
    if (count > max) break;
  }
  return count;
}

const patternWorkMax = 20_000_000;

/** A regular expression in linear time: RE2 has no look-around and no back references, and refuses them. */
function cautiousRegExp(pattern: string) {
  const expression = RE2JS.compile(pattern);
  return {
    test: (text: string): boolean => {
      // At worst each character meets each instruction.
      if (text.length * expression.re2Input.prog.numInst() > patternWorkMax)
        throw new JSONFlowError('LIMIT_EXCEEDED', 'the text is too long for a pattern');
      return expression.test(text);
    },
    // Ajv keeps patterns apart by this.
    toString: (): string => pattern,
  };
}
cautiousRegExp.code = 'new RegExp';

/** Subschemas that a value may be held against, each as often as something refers to it. */
const unfoldedMax = 10_000;

/**
 * The schema without what could take more than linear time: `uniqueItems` goes, since the node that runs the step checks it anyway.
 * @throws JSONFlowError LIMIT_EXCEEDED where references unfold without end, or to too much
 */
function bounded(schema: JSONObject): JSONObject {
  let count = 0;
  const visit = (value: unknown, open: readonly string[]): void => {
    if (typeof value !== 'object' || value === null) return;
    count += 1;
    if (count > unfoldedMax)
      throw new JSONFlowError('LIMIT_EXCEEDED', `the schema unfolds to more than ${unfoldedMax} subschemas`);
    for (const [key, inner] of Object.entries(value)) {
      if (key !== '$ref' || typeof inner !== 'string') visit(inner, open);
      else if (open.includes(inner) || !inner.startsWith('#'))
        throw new JSONFlowError('LIMIT_EXCEEDED', `the schema refers to ${inner}, which never ends or is not in it`);
      else visit(pointed(schema, inner), [...open, inner]);
    }
  };
  visit(schema, []);
  return withoutUniqueItems(schema) as JSONObject;
}

/** What a reference within the schema points at (RFC 6901); an anchor, or nothing, is left to Ajv. */
function pointed(schema: JSONObject, ref: string): unknown {
  return ref
    .slice(1)
    .split('/')
    .slice(1)
    .reduce<unknown>((value, part) => {
      const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
      return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<string, unknown>)[key]
        : undefined;
    }, schema);
}

function withoutUniqueItems(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUniqueItems);
  if (!isObject(value)) return value;
  const copy: Record<string, unknown> = {};
  // A property may have that name; a keyword is a boolean.
  for (const [key, inner] of Object.entries(value))
    if (key !== 'uniqueItems' || typeof inner !== 'boolean') setOwn(copy, key, withoutUniqueItems(inner));
  return copy;
}
