import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { after, before, test } from 'node:test';
import { buildSchema, GraphQLError, graphql } from 'graphql';
import { createNetworkAdapter } from '../../../src/adapters/network/adapter.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import type { Adapter, AdapterContext } from '../../../src/ports/adapter.ts';
import { contextFor } from '../../compliance/adapter.ts';

const schema = buildSchema(`
  type Query { user(id: ID!): User  broken: String  strict: String!  items(first: Int!, after: String): Page!  flaky: Int }
  type Mutation { rename(id: ID!, name: String!): User  flakyRename: Int }
  type Subscription { ticks: Int }
  type User { id: ID! name: String secret: String }
  type Page { nodes: [Item!]! pageInfo: PageInfo! }
  type Item { n: Int! }
  type PageInfo { hasNextPage: Boolean! endCursor: String }
`);
const total = 250;
let calls = 0;
const rootValue = {
  user: ({ id }: { id: string }) => ({
    id,
    name: `user ${id}`,
    secret: () => {
      throw new GraphQLError('not for you', { extensions: { code: 'FORBIDDEN' } });
    },
  }),
  broken: () => {
    throw new GraphQLError('it broke', { extensions: { code: 'BROKEN' } });
  },
  strict: () => null,
  rename: ({ id, name }: { id: string; name: string }) => ({ id, name }),
  items: ({ first, after = '0' }: { first: number; after?: string }) => {
    const from = Number(after);
    const nodes = Array.from({ length: Math.min(first, total - from) }, (_, index) => ({ n: from + index }));
    return { nodes, pageInfo: { hasNextPage: from + first < total, endCursor: String(from + first) } };
  },
};

interface Seen {
  method: string;
  headers: IncomingMessage['headers'];
  body: JSONObject;
}
const seen: Seen[] = [];
const known = new Map<string, string>();

/** A server by the book of GraphQL over HTTP, with automatic persisted queries, over the reference engine. */
async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://localhost');
  let text = '';
  for await (const chunk of request) text += chunk;
  const fromQuery = Object.fromEntries(
    [...url.searchParams].map(([name, value]) => [
      name,
      name === 'variables' || name === 'extensions' ? JSON.parse(value) : value,
    ]),
  );
  const body = (text === '' ? fromQuery : JSON.parse(text)) as JSONObject & {
    query?: string;
    variables?: Record<string, unknown>;
    operationName?: string;
    extensions?: { persistedQuery?: { sha256Hash: string } };
  };
  seen.push({ method: request.method ?? '', headers: request.headers, body });
  calls += 1;
  const answer = (value: JSONValue | object, status = 200, type = 'application/graphql-response+json'): void => {
    response.writeHead(status, { 'content-type': `${type}; charset=utf-8` }).end(JSON.stringify(value));
  };
  const mode = url.pathname.slice(1);
  if (mode === 'html') return void response.writeHead(502, { 'content-type': 'text/html' }).end('<h1>bad gateway</h1>');
  if (mode === 'plain') return answer({ hello: 'world' }, 200, 'application/json');
  if (mode === 'flaky' && calls < 3) return answer({ errors: [{ message: 'try later' }] }, 503);
  if (mode === 'stuck')
    return answer({ data: { items: { nodes: [], pageInfo: { hasNextPage: true, endCursor: 'same' } } } });
  const hash = body.extensions?.persistedQuery?.sha256Hash;
  if (hash !== undefined && mode === 'unsupported')
    return answer({ errors: [{ message: 'PersistedQueryNotSupported' }] }, 200, 'application/json');
  if (hash !== undefined && body.query !== undefined) known.set(hash, body.query);
  const source = body.query ?? known.get(hash ?? '');
  if (source === undefined)
    return answer(
      { errors: [{ message: 'PersistedQueryNotFound', extensions: { code: 'PERSISTED_QUERY_NOT_FOUND' } }] },
      404,
    );
  const result = await graphql({
    schema,
    source,
    rootValue,
    variableValues: body.variables,
    operationName: body.operationName,
  });
  const legacy = mode === 'legacy';
  answer(result, result.data === undefined && !legacy ? 400 : 200, legacy ? 'application/json' : undefined);
}

let server: Server;
let origin: string;
let adapter: Adapter;
before(async () => {
  server = createServer((request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  adapter = createNetworkAdapter({ egress: createEgress({ allow: ['127.0.0.0/8'] }) });
});
after(async () => {
  await adapter.close?.();
  server.closeAllConnections();
  server.close();
});

async function query(params: JSONObject, context?: AdapterContext): Promise<JSONObject> {
  const step = { id: 'ask', type: 'network_graphql', params: { url: `${origin}/graphql`, ...params } };
  seen.length = 0;
  calls = 0;
  return (await adapter.execute(step, context ?? contextFor(step))) as JSONObject;
}

async function failure(promise: Promise<unknown>): Promise<StepError> {
  const thrown: unknown = await promise.then(
    (value) => assert.fail(`it gave ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  assert.ok(thrown instanceof StepError, String(thrown));
  return thrown;
}

for (const path of ['graphql', 'legacy'])
  test(`a query, answered as ${path}`, async () => {
    const output = await query({
      url: `${origin}/${path}`,
      query: 'query A { broken } query B($id: ID!) { user(id: $id) { id name } }',
      operation_name: 'B',
      variables: { id: '7' },
      headers: { authorization: 'Bearer t' },
    });
    const data = { user: { id: '7', name: 'user 7' } };
    assert.deepEqual(output, { data, errors: [], extensions: {}, status: 200, result: data });
    const [request] = seen;
    assert.equal(request?.method, 'POST');
    assert.match(String(request?.headers.accept), /application\/graphql-response\+json/);
    assert.deepEqual([request?.headers.authorization, request?.headers['idempotency-key']], ['Bearer t', undefined]);
  });

test('a mutation names its step', async () => {
  const output = await query({ query: 'mutation { rename(id: "1", name: "x") { name } }' });
  assert.deepEqual(output.result, { rename: { name: 'x' } });
  assert.equal(seen[0]?.headers['idempotency-key'], 'compliance/ask');
});

test('errors without data fail the step, whatever is allowed', async () => {
  for (const expect of [{}, { errors: 'allow' }]) {
    const nulled = await failure(query({ query: '{ strict }', expect }));
    assert.deepEqual([nulled.code, nulled.retryable], ['GRAPHQL_ERROR', false]);
    assert.match(nulled.message, /Cannot return null.*\(at strict\)/);
    const refused = await failure(query({ query: '{ nothing }', expect }));
    assert.equal(refused.code, 'GRAPHQL_ERROR');
    assert.match(refused.message, /Cannot query field "nothing"/);
  }
});

test('errors beside data fail the step, or are given', async () => {
  const params = { query: '{ user(id: 1) { id secret } broken }' };
  const error = await failure(query(params));
  assert.equal(error.code, 'GRAPHQL_ERROR');
  assert.match(error.message, /not for you \(at user.secret, code FORBIDDEN\)/);
  assert.match(error.message, /it broke \(at broken, code BROKEN\).*expect.errors "allow"/);
  const output = await query({ ...params, expect: { errors: 'allow' } });
  assert.deepEqual(output.data, { user: { id: '1', secret: null }, broken: null });
  assert.equal((output.errors as JSONValue[]).length, 2);
});

test('what is no GraphQL response', async () => {
  const gateway = await failure(query({ url: `${origin}/html`, query: '{ broken }' }));
  assert.deepEqual([gateway.code, gateway.retryable], ['HTTP_STATUS', true]);
  const other = await failure(query({ url: `${origin}/plain`, query: '{ broken }' }));
  assert.equal(other.code, 'RESPONSE_INVALID');
});

test('queries are tried again; mutations where a key names them', async () => {
  const options = { retry: { attempts: 4, base_ms: 1 } };
  const url = `${origin}/flaky`;
  await query({ url, query: '{ user(id: 1) { id } }', options });
  assert.equal(calls, 3);
  const mutation = 'mutation { rename(id: "1", name: "x") { name } }';
  await query({ url, query: mutation, options });
  assert.equal(calls, 3);
  const error = await failure(query({ url, query: mutation, options: { ...options, idempotency_key: false } }));
  assert.deepEqual([error.code, error.retryable, calls], ['GRAPHQL_ERROR', false, 1]);
});

test('automatic persisted queries', async () => {
  const document = 'query P($id: ID!) { user(id: $id) { name } }';
  const params = { query: document, variables: { id: '5' }, options: { persisted: true } };
  for (const methods of [['GET', 'POST'], ['GET']]) {
    const output = await query(params);
    assert.deepEqual(output.result, { user: { name: 'user 5' } });
    assert.deepEqual(
      seen.map(({ method }) => method),
      methods,
    );
  }
  assert.equal(known.get(createHash('sha256').update(document).digest('hex')), document);
  const plain = await query({ ...params, url: `${origin}/unsupported` });
  assert.deepEqual(plain.result, { user: { name: 'user 5' } });
  assert.equal(seen.at(-1)?.body.extensions, undefined);
});

const paged = {
  query:
    'query ($after: String) { items(first: 100, after: $after) { nodes { n } pageInfo { hasNextPage endCursor } } }',
  pagination: { items: 'items.nodes', cursor: 'items.pageInfo.endCursor', has_next: 'items.pageInfo.hasNextPage' },
};

test('pages are joined', async () => {
  const output = await query(paged);
  assert.deepEqual([output.item_count, output.pages, output.more], [total, 3, false]);
  assert.deepEqual(
    output.result,
    Array.from({ length: total }, (_, n) => ({ n })),
  );
  const first = await query({ ...paged, pagination: { ...paged.pagination, max_pages: 1, max_inline: 10 } });
  assert.deepEqual([first.item_count, first.pages, first.more], [100, 1, true]);
  assert.equal((first.items as JSONObject).stored, 'ndjson');
});

test('pages that would never end, or are not there', async () => {
  const stuck = await failure(query({ ...paged, url: `${origin}/stuck` }));
  assert.equal(stuck.code, 'RESPONSE_INVALID');
  assert.match(stuck.message, /the same cursor/);
  const missing = await failure(query({ ...paged, pagination: { ...paged.pagination, items: 'items.constructor' } }));
  assert.match(missing.message, /no list at data.items.constructor/);
});

test('what is not sent at all', async () => {
  const bad: [JSONObject, RegExp][] = [
    [{ query: 'subscription { ticks }' }, /network_websocket/],
    [{ query: 'query A { broken } query B { broken }' }, /operation_name/],
    [{ query: 'mutation { rename }', pagination: paged.pagination }, /pagination is for queries/],
  ];
  for (const [params, pattern] of bad) {
    const error = await failure(query(params));
    assert.equal(error.code, 'INVALID_PARAMS');
    assert.match(error.message, pattern);
    assert.equal(seen.length, 0);
  }
});

test('loopback is out of bounds by default', async () => {
  const guarded = createNetworkAdapter({ egress: createEgress() });
  const step = { id: 'ask', type: 'network_graphql', params: { url: `${origin}/graphql`, query: '{ broken }' } };
  try {
    const error = await failure(Promise.resolve(guarded.execute(step, contextFor(step))));
    assert.equal(error.code, 'EGRESS_DENIED');
  } finally {
    await guarded.close?.();
  }
});

test('docs/adapters/network-graphql.md: the examples work', async () => {
  const page = readFileSync(new URL('../../../docs/adapters/network-graphql.md', import.meta.url), 'utf8');
  const examples = [...page.matchAll(/^```json\n([\s\S]*?)^```/gm)].map(
    ([, code = '']) => JSON.parse(code) as JSONObject,
  );
  assert.ok(examples.length > 1);
  for (const { params } of examples)
    assert.notEqual((await query({ ...(params as JSONObject), url: `${origin}/graphql` })).result, null);
});
