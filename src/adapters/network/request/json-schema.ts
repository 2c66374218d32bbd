import type { ErrorObject } from 'ajv';
import { boundedOptions, isDraft7, unboundedReason } from '../../../lib/bounded-schema.ts';
import { messageOf, StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import { formatPath } from '../../../lib/json-path.ts';

/** Problems of a value, in words that hold none of it. */
export type Check = (value: JSONValue) => string[];

const schemaLengthMax = 64 * 1024;
const patternWorkMax = 50_000_000;
const cacheMax = 100;

/**
 * Compiled schemas of workflows, the last ones used. Schemas and values are strangers': patterns run in linear time, references stay within
 * the schema and must end, and what takes quadratic time is refused.
 */
export class SchemaCache {
  readonly #checks = new Map<string, Check>();

  /** @throws StepError INVALID_PARAMS */
  async get(schema: JSONObject): Promise<Check> {
    const text = JSON.stringify(schema);
    const known = this.#checks.get(text);
    if (known !== undefined) {
      this.#checks.delete(text);
      this.#checks.set(text, known);
      return known;
    }
    if (text.length > schemaLengthMax) throw refused(`is longer than ${schemaLengthMax} characters`);
    const reason = unboundedReason(schema);
    if (reason !== undefined) throw refused(reason);
    const made = await compile(schema);
    this.#checks.set(text, made);
    const [oldest] = this.#checks.keys();
    if (this.#checks.size > cacheMax && oldest !== undefined) this.#checks.delete(oldest);
    return made;
  }
}

const refused = (why: string): StepError => new StepError('INVALID_PARAMS', `params.expect.schema ${why}`);

async function compile(schema: JSONObject): Promise<Check> {
  const { $schema: _, $id: __, ...rest } = schema;
  const tooLong = () => new StepError('EXPECTATION_FAILED', 'a text is too long for its pattern');
  const options = boundedOptions((await import('@bufbuild/re2')).RE2JS, patternWorkMax, tooLong);
  try {
    const Compiler = isDraft7(schema) ? (await import('ajv')).Ajv : (await import('ajv/dist/2020.js')).Ajv2020;
    const validate = new Compiler(options).compile(rest);
    return (value) => {
      try {
        return validate(value) ? [] : (validate.errors ?? []).map(wordsOf);
      } catch (thrown) {
        // A reference that never ends, or a text too long for a pattern.
        return [`it can't be checked: ${thrown instanceof RangeError ? 'it is nested too deeply' : messageOf(thrown)}`];
      }
    };
  } catch (thrown) {
    throw refused(`is not a JSON Schema: ${messageOf(thrown)}`);
  }
}

/** Where and which rule. Values never stand in Ajv's messages, but names of unknown properties come from the response. */
function wordsOf({ instancePath, message = 'is wrong', keyword }: ErrorObject): string {
  const path = instancePath
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part.slice(0, 100)));
  return `${formatPath(path, 'body')} ${message} (${keyword})`;
}
