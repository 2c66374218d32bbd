import { RE2JS } from '@bufbuild/re2';
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { boundedOptions, isDraft7, unboundedReason } from '../../lib/bounded-schema.ts';
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
  // The node that runs the step checks uniqueItems anyway.
  const safe = withoutUniqueItems(schema) as JSONObject;
  const reason = unboundedReason(safe);
  if (reason !== undefined) throw new JSONFlowError('LIMIT_EXCEEDED', `the schema ${reason}`);
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
  const { $schema: _, ...rest } = schema;
  const tooLong = () => new JSONFlowError('LIMIT_EXCEEDED', 'the text is too long for a pattern');
  const options = { ...boundedOptions(RE2JS, patternWorkMax, tooLong), allErrors };
  return (isDraft7(schema) ? new Ajv(options) : new Ajv2020(options)).compile(rest);
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

function withoutUniqueItems(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutUniqueItems);
  if (!isObject(value)) return value;
  const copy: Record<string, unknown> = {};
  // A property may have that name; a keyword is a boolean.
  for (const [key, inner] of Object.entries(value))
    if (key !== 'uniqueItems' || typeof inner !== 'boolean') setOwn(copy, key, withoutUniqueItems(inner));
  return copy;
}
