import type { TSchema } from 'typebox';
import { productVersion } from '../protocol/version.ts';
import { namePattern } from '../protocol/workflow.ts';
import { type ProblemCode, statusOf } from './problem.ts';
import type { Route } from './route.ts';
import { type SchemaName, schemas } from './schemas.ts';

const ref = (name: string): object => ({ $ref: `#/components/schemas/${name}` });
const shown = (schema: SchemaName | TSchema): unknown => (typeof schema === 'string' ? ref(schema) : schema);
const contentOf = (content: Record<string, SchemaName | TSchema>): object =>
  Object.fromEntries(Object.entries(content).map(([type, schema]) => [type, { schema: shown(schema) }]));

/** What any route that needs access may answer. */
const common: readonly ProblemCode[] = [
  'INVALID_PARAMS',
  'UNAUTHORIZED',
  'FORBIDDEN',
  'RATE_LIMITED',
  'CLOSED',
  'INTERNAL',
];

function answersOf(route: Route): object {
  const answers: Record<string, object> = {};
  for (const [status, { description, content, headers }] of Object.entries(route.answers))
    answers[status] = {
      description,
      ...(headers === undefined
        ? {}
        : {
            headers: Object.fromEntries(
              Object.entries(headers).map(([name, text]) => [name, { description: text, schema: { type: 'string' } }]),
            ),
          }),
      ...(content === undefined ? {} : { content: contentOf(content) }),
    };
  const byStatus = Map.groupBy([...(route.open === true ? [] : common), ...(route.problems ?? [])], statusOf);
  for (const [status, codes] of [...byStatus].sort(([a], [b]) => a - b))
    answers[status] ??= {
      description: `Problem: ${codes.join(', ')}`,
      ...(status === 429 || status === 503
        ? { headers: { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } } } }
        : {}),
      content: { 'application/problem+json': { schema: ref('Problem') } },
    };
  return answers;
}

function parametersOf(route: Route): object[] {
  const parameters: object[] = [];
  if (route.path.includes('{run_id}'))
    parameters.push({ name: 'run_id', in: 'path', required: true, schema: { type: 'string', pattern: namePattern } });
  for (const [name, schema] of Object.entries(route.query?.properties ?? {}))
    parameters.push({ name, in: 'query', required: false, schema });
  for (const [name, { description, schema }] of Object.entries(route.headers ?? {}))
    parameters.push({ name, in: 'header', required: false, description, schema });
  return parameters;
}

/** References within component schemas name other components. */
function resolveRefs(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(resolveRefs);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [
      key,
      key === '$ref' && typeof value === 'string' && !value.startsWith('#')
        ? `#/components/schemas/${value}`
        : resolveRefs(value),
    ]),
  );
}

/** The OpenAPI 3.1 document of the routes that are served. */
export function openApiDocument(routes: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const route of routes) {
    const parameters = parametersOf(route);
    const operation = {
      operationId: route.operationId,
      summary: route.summary,
      ...(route.description === undefined ? {} : { description: route.description }),
      ...(route.open === true ? { security: [] } : {}),
      ...(parameters.length === 0 ? {} : { parameters }),
      ...(route.body === undefined
        ? {}
        : { requestBody: { required: route.body.required, content: contentOf(route.body.content) } }),
      responses: answersOf(route),
    };
    paths[route.path] = { ...paths[route.path], [route.method.toLowerCase()]: operation };
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'JSONFlow',
      version: productVersion,
      description: 'Runs JSON workflows across machines that need not trust each other, and proves what ran.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/' }],
    security: [{ token: [] }, {}],
    paths,
    components: {
      schemas: resolveRefs(schemas),
      securitySchemes: {
        token: { type: 'http', scheme: 'bearer', description: 'Not needed from the same machine, by default.' },
      },
    },
  };
}
