import type { RE2JS } from '@bufbuild/re2';
import type { Options } from 'ajv';
import { isObject, type JSONObject } from './json.ts';

// JSON Schemas come from strangers: none may take more than linear time to hold a value against.

/** Subschemas that a value may be held against, each as often as something refers to it. */
const unfoldedMax = 10_000;

/**
 * Why a schema could take more than linear time, as words that follow "the schema"; undefined where it can't. References must be pointers
 * within the schema (RFC 6901) and must end: one that leads back to itself may double the work with each level of the value.
 */
export function unboundedReason(schema: JSONObject): string | undefined {
  let count = 0;
  const visit = (value: unknown, open: readonly string[]): string | undefined => {
    if (typeof value !== 'object' || value === null) return undefined;
    count += 1;
    if (count > unfoldedMax) return `unfolds to more than ${unfoldedMax} subschemas`;
    for (const [key, inner] of Object.entries(value)) {
      const reason =
        key === '$ref' && typeof inner === 'string'
          ? follow(inner, open)
          : (keywordReason(key, inner, value === schema) ?? visit(inner, open));
      if (reason !== undefined) return reason;
    }
    return undefined;
  };
  const follow = (ref: string, open: readonly string[]): string | undefined =>
    open.includes(ref) || !/^#(\/|$)/.test(ref)
      ? `refers to ${ref}, which never ends or is not a place in it`
      : visit(pointed(schema, ref), [...open, ref]);
  return visit(schema, []);
}

/** A property may have the name of a keyword, but not its kind of value. */
function keywordReason(key: string, value: unknown, isRoot: boolean): string | undefined {
  if (key === 'uniqueItems' && value === true) return 'uses uniqueItems, which takes too long on long lists';
  if (typeof value !== 'string') return undefined;
  if (key === '$dynamicRef') return 'uses $dynamicRef, which may never end';
  return key === '$id' && !isRoot ? 'has an $id within, which changes what references lead to' : undefined;
}

function pointed(schema: JSONObject, ref: string): unknown {
  return ref
    .slice(1)
    .split('/')
    .slice(1)
    .reduce<unknown>((value, part) => {
      const key = decoded(part).replaceAll('~1', '/').replaceAll('~0', '~');
      return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<string, unknown>)[key]
        : undefined;
    }, schema);
}

/** What is no percent-encoding leads nowhere; the compiler says so. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/**
 * Ajv's options for such schemas. Patterns are tested by RE2 in linear time: it has no look-around and no back references, and refuses them.
 *
 * @param workMax for one text and pattern: at worst each character meets each instruction
 * @param tooLong what is thrown above that
 */
export function boundedOptions(engine: typeof RE2JS, workMax: number, tooLong: () => Error): Options {
  const regExp = (pattern: string) => {
    const expression = engine.compile(pattern);
    return {
      test(text: string): boolean {
        if (text.length * expression.re2Input.prog.numInst() > workMax) throw tooLong();
        return expression.test(text);
      },
      // Ajv keeps patterns apart by this.
      toString: (): string => pattern,
    };
  };
  regExp.code = 'new RegExp';
  return { strict: false, logger: false, addUsedSchema: false, validateFormats: false, code: { regExp } };
}

/** Whether a schema is one of draft 7 or before, as it says or as it looks; else it is of 2020-12. */
export const isDraft7 = ({ $schema, definitions }: JSONObject): boolean =>
  typeof $schema === 'string' ? /draft-0\d/.test($schema) : isObject(definitions);
