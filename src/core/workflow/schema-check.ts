import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { canonicalize } from '../../lib/canonical.ts';
import { JSONFlowError } from '../../lib/errors.ts';
import { isObject, type JSONObject } from '../../lib/json.ts';

/** Errors of a value against a schema, as Ajv gives them. Empty where the value is fine, or where that can't be told. */
export type Check = (value: JSONObject) => ErrorObject[];

const schemaLengthMax = 256 * 1024;
/** Above this many values inside, only the first error is looked for: all errors could outgrow the value by far. */
const allErrorsValuesMax = 10_000;

/**
 * Compiles a JSON Schema, draft 2020-12 or, where it says so or uses `definitions`, draft 7. Schemas come from adapters of other
 * machines: patterns that could hang are refused, and so are references to other documents.
 *
 * @throws JSONFlowError LIMIT_EXCEEDED, or Ajv's errors
 */
export function compileSchema(schema: JSONObject): Check {
  if (canonicalize(schema).length > schemaLengthMax) {
    throw new JSONFlowError('LIMIT_EXCEEDED', `the schema is longer than ${schemaLengthMax} characters`);
  }
  const all = compile(schema, true);
  const first = compile(schema, false);
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

const textTestedMax = 10_000;

/**
 * A regular expression that can't hang. JavaScript's engine backtracks, so a pattern with a repeated group, a look-around, a back
 * reference or many repetitions is refused, and so are long texts.
 */
function cautiousRegExp(pattern: string, flags: string) {
  const expression = new RegExp(pattern, flags);
  const plain = pattern.replace(/\\./gs, 'x').replace(/\[[^\]]*\]/g, 'x');
  const repetitions = plain.match(/[*+]|\{\d+,/g)?.length ?? 0;
  if (/\)[*+{]/.test(plain) || /\(\?<?[=!]/.test(plain) || /\\[1-9k]/.test(pattern) || repetitions > 3) {
    throw new JSONFlowError('LIMIT_EXCEEDED', 'a pattern of the schema could take more than linear time');
  }
  return {
    test: (text: string): boolean => {
      if (text.length > textTestedMax) throw new JSONFlowError('LIMIT_EXCEEDED', 'the text is too long for a pattern');
      return expression.test(text);
    },
    // Ajv keeps patterns apart by this.
    toString: (): string => String(expression),
  };
}
cautiousRegExp.code = 'new RegExp';
