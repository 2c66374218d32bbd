import type { RE2JS } from '@bufbuild/re2';
import type { ErrorObject, Options } from 'ajv';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { formatPath } from '../../../lib/json-path.ts';

/** Problems of a value, in words that hold none of it. */
export type Check = (value: JSONValue) => string[];

const schemaLengthMax = 64 * 1024;
const subschemasMax = 10_000;
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
    checkBounds(schema);
    const made = await compile(schema);
    this.#checks.set(text, made);
    const [oldest] = this.#checks.keys();
    if (this.#checks.size > cacheMax && oldest !== undefined) this.#checks.delete(oldest);
    return made;
  }
}

const refused = (why: string): StepError => new StepError('INVALID_PARAMS', `params.expect.schema ${why}`);

async function compile(schema: JSONObject): Promise<Check> {
  const { $schema, $id: _, ...rest } = schema;
  const draft7 = typeof $schema === 'string' && /draft-0\d/.test($schema);
  const options: Options = {
    strict: false,
    logger: false,
    addUsedSchema: false,
    validateFormats: false,
    code: { regExp: linearRegExp((await import('@bufbuild/re2')).RE2JS) },
  };
  try {
    const Compiler = draft7 ? (await import('ajv')).Ajv : (await import('ajv/dist/2020.js')).Ajv2020;
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

/** RE2 has no back-tracking: no look-around and no back references either, which it refuses. */
function linearRegExp(engine: typeof RE2JS) {
  const compile = (pattern: string) => {
    const expression = engine.compile(pattern);
    return {
      test: (text: string): boolean => {
        if (text.length * expression.re2Input.prog.numInst() > patternWorkMax)
          throw new StepError('EXPECTATION_FAILED', 'a text is too long for its pattern');
        return expression.test(text);
      },
      // Ajv keeps patterns apart by this.
      toString: (): string => pattern,
    };
  };
  compile.code = 'new RegExp';
  return compile;
}

function checkBounds(schema: JSONObject): void {
  let count = 0;
  const visit = (value: unknown, open: readonly string[]): void => {
    if (typeof value !== 'object' || value === null) return;
    count += 1;
    if (count > subschemasMax) throw refused(`unfolds to more than ${subschemasMax} subschemas`);
    for (const [key, inner] of Object.entries(value)) {
      if (key === 'uniqueItems' && inner === true)
        throw refused('uses uniqueItems, which takes too long on long lists');
      if (key !== '$ref' || typeof inner !== 'string') visit(inner, open);
      else if (!inner.startsWith('#') || open.includes(inner))
        throw refused('refers to another document, or to itself without end');
      else visit(pointed(schema, inner), [...open, inner]);
    }
  };
  visit(schema, []);
}

/** What a reference within the schema points at (RFC 6901); an anchor, or nothing, is left to Ajv. */
const pointed = (schema: JSONObject, ref: string): unknown =>
  ref
    .slice(2)
    .split('/')
    .reduce<unknown>((value, part) => {
      const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
      return isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined;
    }, schema);
