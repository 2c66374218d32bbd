import type { TObject, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { closest } from '../lib/suggest.ts';
import { HttpProblem } from './problem.ts';

/** One finding in a body or query. */
export interface RequestProblem {
  code: string;
  path: string;
  message: string;
  suggestion?: string;
}

/** A client learns nothing from the thousandth finding. */
const PROBLEMS_MAX = 20;

/** Every way in which a value departs from its schema. */
export function problemsOf(schema: TSchema, value: unknown): RequestProblem[] {
  if (Value.Check(schema, value)) return [];
  return Value.Errors(schema, value)
    .slice(0, PROBLEMS_MAX)
    .flatMap(({ keyword, instancePath, message, params }) => {
      const path = instancePath.slice(1).replaceAll('/', '.');
      if (keyword !== 'additionalProperties') return [{ code: keyword, path, message }];
      const known = Object.keys((schema as Partial<TObject>).properties ?? {});
      const unknown = (params as { additionalProperties?: string[] }).additionalProperties ?? [];
      return unknown.slice(0, PROBLEMS_MAX).map((name) => unknownField(name, known));
    });
}

export const invalid = (message: string, problems: readonly RequestProblem[]): HttpProblem =>
  new HttpProblem('INVALID_PARAMS', `${message}: ${problems[0]?.message ?? 'not an object'}`, {
    hint: problems[0]?.suggestion ?? 'See /api/openapi.json.',
    problems: [...problems],
  });

const unknownField = (name: string, known: readonly string[]): RequestProblem => {
  const near = closest(name, known);
  return {
    code: 'unknown',
    path: name.slice(0, 100),
    message: `unknown field ${JSON.stringify(name.slice(0, 100))}`,
    suggestion: near === undefined ? `Known: ${known.join(', ') || 'none'}.` : `Did you mean ${JSON.stringify(near)}?`,
  };
};

/** A query string checked against the schema of its route: each name once, and known. @throws HttpProblem INVALID_PARAMS */
export function queryOf(search: URLSearchParams, schema: TObject | undefined): Record<string, string> {
  const properties: Record<string, TSchema> = schema?.properties ?? {};
  const query: Record<string, string> = {};
  const problems: RequestProblem[] = [];
  for (const [name, value] of [...search].slice(0, PROBLEMS_MAX)) {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (property === undefined) problems.push(unknownField(name, Object.keys(properties)));
    else if (Object.hasOwn(query, name))
      problems.push({ code: 'twice', path: name, message: `${name} is given twice` });
    else {
      query[name] = value;
      const parsed =
        'type' in property && property.type === 'integer' && /^-?\d{1,15}$/.test(value) ? Number(value) : value;
      const wrong = Value.Errors(property, parsed)[0];
      if (wrong !== undefined) problems.push({ code: wrong.keyword, path: name, message: `${name} ${wrong.message}` });
    }
  }
  if (problems.length > 0) throw invalid('the query is not valid', problems);
  return query;
}
