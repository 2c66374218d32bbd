import type { ErrorObject } from 'ajv';
import type { JSONObject } from '../../lib/json.ts';
import type { PathSegment } from '../../lib/json-path.ts';
import { parseTemplate, visitStrings } from './template.ts';

/*
 * Before a run, references stand for values that nobody knows. Ajv sees them as strings, so some of what it reports may turn out
 * to be fine. Kept is only what holds whatever the references become; the worker checks the resolved params in full.
 */

/** What is known of a string inside params: nothing at all, or only that it will be text. */
type Unknown = 'value' | 'text';

/** Keywords whose verdict rests on several parts of the value. */
const aggregates = new Set([
  'anyOf',
  'oneOf',
  'not',
  'if',
  'contains',
  'uniqueItems',
  'const',
  'enum',
  'unevaluatedProperties',
  'unevaluatedItems',
]);
const branch = /\/(anyOf|oneOf|not|if|then|else|contains|dependentSchemas|\$defs|definitions)(\/|$)/;

/** Whether the error was raised inside of an `anyOf` or its like, and so is only a part of a verdict. May err towards true. */
export const isBranch = ({ schemaPath }: ErrorObject): boolean => branch.test(schemaPath);

/** Whether one JSON pointer is the other or leads into it. */
export const isWithin = (pointer: string, outer: string): boolean =>
  pointer === outer || (pointer.startsWith(outer) && pointer[outer.length] === '/');

/** More errors than this are not weighed against each other, which takes quadratic time. */
const weighedMax = 500;

/** The errors that hold for every value the references inside `params` may have. */
export function certainErrors(errors: readonly ErrorObject[], params: JSONObject): ErrorObject[] {
  const unknowns = new Map<string, Unknown>();
  visitStrings(params, (text, at) => {
    const kind = unknownOf(text);
    if (kind !== undefined) unknowns.set(pointerOf(at), kind);
  });
  const hitsUnknown = ({ instancePath, keyword }: ErrorObject): boolean => {
    const kind = unknowns.get(instancePath);
    return kind === 'value' || (kind === 'text' && keyword !== 'type');
  };
  if (errors.length > weighedMax) {
    return errors
      .filter((error) => !hitsUnknown(error) && !isBranch(error) && !aggregates.has(error.keyword))
      .slice(0, weighedMax);
  }
  if (unknowns.size === 0) return [...errors];
  const pointers = [...unknowns.keys()];
  /** What may turn out to be fine so far. Ajv reports an aggregate after its branches. */
  const doubtful: ErrorObject[] = [];
  for (const error of errors) {
    if (hitsUnknown(error)) doubtful.push(error);
    else if (aggregates.has(error.keyword)) {
      const failedOnEveryBranch =
        error.keyword === 'anyOf' || (error.keyword === 'oneOf' && error.params.passingSchemas === null);
      const inDoubt = failedOnEveryBranch
        ? doubtful.some((other) => isBranch(other) && isWithin(other.instancePath, error.instancePath))
        : pointers.some((pointer) => isWithin(pointer, error.instancePath));
      if (inDoubt) doubtful.push(error);
    }
  }
  const doubtfulAggregates = doubtful.filter(({ keyword }) => aggregates.has(keyword));
  return errors.filter(
    (error) =>
      !doubtful.includes(error) &&
      !(isBranch(error) && doubtfulAggregates.some((other) => isWithin(error.instancePath, other.instancePath))),
  );
}

function unknownOf(text: string): Unknown | undefined {
  if (text.startsWith('vault://')) return 'text';
  const template = parseTemplate(text);
  if (template === undefined) return undefined;
  // A text with `$$` in front changes, too.
  return template.kind === 'reference' ? 'value' : 'text';
}

const pointerOf = (path: readonly PathSegment[]): string =>
  path.map((segment) => `/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
