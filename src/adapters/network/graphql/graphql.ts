import { deadlineOf } from '../../../kit/deadline.ts';
import { RowSink } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { sha256 } from '../../../lib/hash.ts';
import { isObject, type JSONObject, type JSONValue, setOwn } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { HttpClient, HttpRequest } from '../http/http-client.ts';
import { operationKind } from './operation.ts';
import { codeOf, type GraphqlResponse, graphqlError, readResponse } from './response.ts';

/** Errors beside data that are kept of all pages together. */
const errorsMax = 1000;

/** A step's request, but for what changes from page to page. */
interface Operation {
  params: JSONObject;
  context: AdapterContext;
  http: HttpClient;
  isQuery: boolean;
}

/**
 * `network_graphql`. Params: `graphqlSchema`. Output: `data`, `errors`, `extensions`, `status` and `result`, the data; with `pagination`
 * also `items` (a list, or StoredData), `item_count`, `pages`, `more`, and `result` is the items.
 * @throws StepError GRAPHQL_ERROR, HTTP_STATUS, RESPONSE_INVALID, INVALID_PARAMS, those of `HttpClient`; the signal's reason
 */
export async function graphqlRequest(
  params: JSONObject,
  context: AdapterContext,
  http: HttpClient,
): Promise<JSONObject> {
  const name = typeof params.operation_name === 'string' ? params.operation_name : undefined;
  const kind = operationKind(String(params.query), name);
  if (kind === 'subscription')
    throw new StepError(
      'INVALID_PARAMS',
      'params.query: a subscription never ends; use network_websocket with the protocol graphql-transport-ws',
    );
  const { pagination } = params;
  const operation: Operation = { params, context, http, isQuery: kind === 'query' };
  if (isObject(pagination)) {
    if (kind !== 'query') throw new StepError('INVALID_PARAMS', 'params.pagination is for queries');
    return paginate(operation, pagination as JSONObject);
  }
  const response = await send(operation, variablesOf(params));
  const { data = null, errors, extensions, status } = response;
  return { data, errors, extensions, status, result: data };
}

const variablesOf = ({ variables }: JSONObject): JSONObject => (isObject(variables) ? (variables as JSONObject) : {});

/** One operation: checked, so that there is data. */
async function send(operation: Operation, variables: JSONObject): Promise<GraphqlResponse> {
  const { params } = operation;
  const response =
    isObject(params.options) && params.options.persisted === true
      ? await sendPersisted(operation, variables)
      : await post(operation, bodyOf(operation, variables));
  const { data, errors } = response;
  const allowed = isObject(params.expect) && params.expect.errors === 'allow';
  if (data === undefined || data === null ? errors.length > 0 || data === undefined : errors.length > 0 && !allowed)
    throw graphqlError(
      response,
      operation.isQuery || !(isObject(params.options) && params.options.idempotency_key === false),
    );
  return response;
}

const bodyOf = ({ params }: Operation, variables: JSONObject, extensions?: JSONObject): JSONObject => ({
  query: String(params.query),
  ...(params.operation_name === undefined ? {} : { operationName: params.operation_name }),
  ...(Object.keys(variables).length === 0 ? {} : { variables }),
  ...(extensions === undefined ? {} : { extensions }),
});

/** By the digest alone; with the document where the server does not know it. */
async function sendPersisted(operation: Operation, variables: JSONObject): Promise<GraphqlResponse> {
  const document = String(operation.params.query);
  const extensions = { persistedQuery: { version: 1, sha256Hash: sha256(document) } };
  const { query: _, ...short } = bodyOf(operation, variables, extensions);
  const first = await (operation.isQuery ? get(operation, short) : post(operation, short));
  const codes = first.errors.map((error) => codeOf(error) ?? String(error.message));
  if (codes.some((code) => /^PERSISTED_?QUERY_?NOT_?FOUND$/i.test(code)))
    return post(operation, bodyOf(operation, variables, extensions));
  if (codes.some((code) => /^PERSISTED_?QUERY_?NOT_?SUPPORTED$/i.test(code)))
    return post(operation, bodyOf(operation, variables));
  return first;
}

function post(operation: Operation, body: JSONObject): Promise<GraphqlResponse> {
  return exchange(operation, {
    method: 'POST',
    body: { content: JSON.stringify(body), type: 'application/json' },
  });
}

function get(operation: Operation, body: JSONObject): Promise<GraphqlResponse> {
  const query: JSONObject = {};
  for (const [name, value] of Object.entries(body))
    query[name] = typeof value === 'string' ? value : JSON.stringify(value);
  return exchange(operation, { method: 'GET', query });
}

function exchange(
  { params, context, http, isQuery }: Operation,
  request: Pick<HttpRequest, 'method' | 'body' | 'query'>,
): Promise<GraphqlResponse> {
  const { headers, auth, tls, options } = params;
  const { persisted: _, ...rest } = isObject(options) ? (options as JSONObject) : {};
  return http.exchange(
    {
      url: String(params.url),
      // What the step says itself wins.
      headers:
        isObject(headers) && Object.keys(headers).some((name) => name.toLowerCase() === 'accept')
          ? (headers as JSONObject)
          : { ...(isObject(headers) ? (headers as JSONObject) : {}), accept: accepted },
      ...(isObject(auth) ? { auth: auth as JSONObject } : {}),
      ...(isObject(tls) ? { tls: tls as JSONObject } : {}),
      // A query changes nothing, so its key would tell a server nothing.
      options: isQuery ? { idempotency_key: false, ...rest } : rest,
      ...(isQuery ? { idempotent: true } : {}),
      ...request,
    },
    context,
    readResponse,
  );
}

const accepted = 'application/graphql-response+json, application/json;q=0.9';

async function paginate(operation: Operation, pagination: JSONObject): Promise<JSONObject> {
  const { params, context } = operation;
  const {
    variable = 'after',
    max_pages: pagesMax = 100,
    max_inline: inlineMax,
  } = pagination as {
    variable?: string;
    max_pages?: number;
    max_inline?: number;
  };
  const timeout = isObject(params.options) ? params.options.timeout : undefined;
  const deadline = deadlineOf(
    context,
    typeof timeout === 'number' ? timeout : 30_000,
    'NETWORK_TIMEOUT',
    'all pages together',
  );
  const within: Operation = { ...operation, context: Object.create(context, { signal: { value: deadline.signal } }) };
  const sink = new RowSink(context, inlineMax);
  const variables = { ...variablesOf(params) };
  let pages = 0;
  let failures: JSONObject[] = [];
  try {
    for (;;) {
      const { data = null, errors, extensions, status } = await send(within, variables);
      pages += 1;
      failures = [...failures, ...errors].slice(0, errorsMax);
      const items = below(data, String(pagination.items));
      if (!Array.isArray(items))
        throw new StepError(
          'RESPONSE_INVALID',
          `page ${pages} has no list at data.${pagination.items} (pagination.items)`,
        );
      await sink.add(items as JSONObject[]);
      const cursor = below(data, String(pagination.cursor)) ?? null;
      const more = cursor !== null && cursor !== '' && saysMore(data, pagination);
      if (!more || pages >= pagesMax)
        return { ...(await collected(sink)), pages, more, data, errors: failures, extensions, status };
      if (cursor === variables[variable])
        throw new StepError(
          'RESPONSE_INVALID',
          `page ${pages} has the same cursor as the one before: it would never end`,
        );
      setOwn(variables, variable, cursor);
    }
  } finally {
    deadline.done();
  }
}

const saysMore = (data: JSONValue, { has_next: hasNext }: JSONObject): boolean =>
  hasNext === undefined || below(data, String(hasNext)) === true;

async function collected(sink: RowSink): Promise<JSONObject> {
  const rows = await sink.end();
  const items: JSONValue =
    'rows' in rows ? rows.rows : { ...rows.stored, chunks: rows.stored.chunks.map((chunk) => ({ ...chunk })) };
  return { items, item_count: rows.row_count, result: items };
}

/** What stands at a dotted path below the data. */
function below(data: JSONValue, path: string): JSONValue | undefined {
  let at: JSONValue | undefined = data;
  for (const name of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined;
    at = (at as JSONObject)[name];
  }
  return at;
}
