import { clip } from '../../../lib/clip.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { HttpResponse } from '../http/http-client.ts';
import { readJSON } from '../http/read.ts';
import { shownOrigin } from '../http/url.ts';

/** A response as GraphQL defines it. */
export interface GraphqlResponse {
  status: number;
  data: JSONValue | undefined;
  errors: JSONObject[];
  extensions: JSONObject;
}

/** A response is held in memory, and so is the step's output. */
const responseBytesMax = 64 * 1024 * 1024;
const errorsShown = 5;
const messageBytesMax = 300;
const passing: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * Reads a response by the rules of GraphQL over HTTP: what says that it is `application/graphql-response+json` counts whatever its
 * status; `application/json` may come from anything in between, and counts with a status of success or with a list of errors.
 * @throws StepError HTTP_STATUS (another status), RESPONSE_INVALID
 */
export async function readResponse(response: HttpResponse): Promise<GraphqlResponse> {
  const { status } = response;
  const badStatus = (): StepError =>
    new StepError(
      'HTTP_STATUS',
      `${shownOrigin(response.url)} answered with status ${status}, and not with a GraphQL response${status === 404 ? '; is the path of url right?' : ''}`,
      { retryable: passing.has(status) },
    );
  const type =
    String(response.headers['content-type'] ?? '')
      .split(';')[0]
      ?.trim()
      .toLowerCase() ?? '';
  const success = status >= 200 && status < 300;
  const own = type === 'application/graphql-response+json';
  if (!own && type !== 'application/json') {
    if (!success) throw badStatus();
    throw new StepError(
      'RESPONSE_INVALID',
      `the answer of ${shownOrigin(response.url)} is no GraphQL response, but ${clip(type || 'of no type', 100)}`,
    );
  }
  const body = await readJSON(response, responseBytesMax).catch((thrown: unknown) => {
    throw success || own ? thrown : badStatus();
  });
  const formed = isObject(body) && (body.data !== undefined || Array.isArray(body.errors));
  if (!formed || (!own && !success && !Array.isArray(body.errors))) {
    if (!success) throw badStatus();
    throw new StepError('RESPONSE_INVALID', 'the answer has neither data nor errors');
  }
  const { data, errors, extensions } = body as JSONObject;
  return {
    status,
    data,
    errors: Array.isArray(errors) ? errors.map((error) => (isObject(error) ? (error as JSONObject) : {})) : [],
    extensions: isObject(extensions) ? (extensions as JSONObject) : {},
  };
}

/** The code that servers put into `extensions`. */
export const codeOf = ({ extensions }: JSONObject): string | undefined =>
  isObject(extensions) && typeof extensions.code === 'string' ? extensions.code : undefined;

/**
 * The errors of a response, as that of the step.
 * @param repeatable whether sending it again does no harm
 */
export function graphqlError({ errors, data, status }: GraphqlResponse, repeatable: boolean): StepError {
  const shown = errors.slice(0, errorsShown).map(shownError);
  const more = errors.length > errorsShown ? `; and ${errors.length - errorsShown} more` : '';
  const partial = data === null || data === undefined ? '' : '. There is data, too: expect.errors "allow" gives both';
  return new StepError('GRAPHQL_ERROR', `${shown.join('; ') || 'no data'}${more}${partial}`, {
    retryable: repeatable && passing.has(status),
  });
}

function shownError(error: JSONObject): string {
  const { message, path } = error;
  const code = codeOf(error);
  const details = [
    ...(Array.isArray(path) ? [`at ${clip(path.slice(0, 32).map(String).join('.'), 200)}`] : []),
    ...(code === undefined ? [] : [`code ${clip(code, 100)}`]),
  ];
  const text =
    typeof message === 'string' && message !== '' ? clip(message, messageBytesMax) : 'an error without a message';
  return details.length === 0 ? text : `${text} (${details.join(', ')})`;
}
