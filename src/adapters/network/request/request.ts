import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { HttpRequest } from '../http/http-client.ts';
import { bodyOf } from './body.ts';
import { checkBody, checkHead } from './expect.ts';
import { paginate } from './pagination.ts';
import { headOf, type RequestParts } from './parts.ts';
import { readBody } from './response-body.ts';

/** `network_request`. Params and output: docs/adapters/network.md. */
export async function networkRequest(
  params: JSONObject,
  context: AdapterContext,
  parts: RequestParts,
): Promise<JSONObject> {
  const request = requestOf(params, context);
  const expect = objectOf(params.expect);
  const options = objectOf(params.options);
  // A schema that is none must not be found out after the request was made.
  if (isObject(expect.schema)) await parts.schemas.get(expect.schema as JSONObject);
  if (isObject(params.pagination)) return paginate(params, request, context, parts);
  return parts.http.exchange(request, context, async (response) => {
    checkHead(response, expect, params.options as JSONObject | undefined);
    const { value, stored } = await readBody(response, options, context);
    if (stored && expect.schema !== undefined)
      throw new StepError(
        'EXPECTATION_FAILED',
        'the response is too large to be checked against expect.schema; raise options.max_inline_bytes',
      );
    await checkBody(value, expect, parts.schemas);
    return { ...headOf(response), body: value, result: value };
  });
}

const objectOf = (value: unknown): JSONObject => (isObject(value) ? (value as JSONObject) : {});

function requestOf(params: JSONObject, context: AdapterContext): HttpRequest {
  const given = (name: string): JSONObject | undefined =>
    isObject(params[name]) ? (params[name] as JSONObject) : undefined;
  return {
    method: typeof params.method === 'string' ? params.method : 'GET',
    url: String(params.url),
    query: given('query'),
    headers: given('headers'),
    body: bodyOf(params, context),
    auth: given('auth'),
    tls: given('tls'),
    options: given('options'),
  };
}
