import { STATUS_CODES } from 'node:http';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { HttpResponse } from '../http/http-client.ts';
import { httpOptionsOf } from '../http/options.ts';
import { shownOrigin } from '../http/url.ts';
import { essenceOf } from './content-type.ts';
import type { SchemaCache } from './json-schema.ts';

/** What a response must be, before its body is read: status and content type. @throws StepError HTTP_STATUS, EXPECTATION_FAILED, INVALID_PARAMS */
export function checkHead(
  { status, headers, url }: HttpResponse,
  expect: JSONObject,
  options: JSONObject | undefined,
): void {
  const wanted = expect.status ?? '2xx';
  if (!(Array.isArray(wanted) ? wanted : [wanted]).some((one) => includes(one, status))) {
    const hint = expect.status === undefined ? '; expect.status can make it an answer' : '';
    throw new StepError('HTTP_STATUS', `${shownOrigin(url)} answered ${status}${wordOf(status)}${hint}`, {
      retryable: httpOptionsOf(options).statuses.includes(status),
    });
  }
  if (expect.content_type === undefined) return;
  const type = essenceOf(headers['content-type']);
  const types = Array.isArray(expect.content_type) ? expect.content_type : [expect.content_type];
  if (types.some((one) => fits(String(one).toLowerCase(), type))) return;
  throw new StepError(
    'EXPECTATION_FAILED',
    `the response is of the type ${/^[\w.+/-]{1,100}$/.test(type) ? type : 'none or an unknown'}, not of one in expect.content_type`,
  );
}

const wordOf = (status: number): string => {
  const word = STATUS_CODES[status];
  return word === undefined ? '' : ` ${word}`;
};

function includes(wanted: JSONValue, status: number): boolean {
  if (typeof wanted === 'number') return wanted === status;
  const text = String(wanted).toLowerCase();
  if (text === 'any') return true;
  const [, hundreds] = /^([1-5])xx$/.exec(text) ?? [];
  if (hundreds !== undefined) return Math.floor(status / 100) === Number(hundreds);
  const [, from, to] = /^(\d{3})(?:-(\d{3}))?$/.exec(text) ?? [];
  if (from === undefined)
    throw new StepError(
      'INVALID_PARAMS',
      'params.expect.status: write 200, "2xx", "200-299", "any", or a list of these',
    );
  return status >= Number(from) && status <= Number(to ?? from);
}

const fits = (wanted: string, type: string): boolean =>
  wanted.endsWith('/*') ? type.startsWith(wanted.slice(0, -1)) : wanted === type;

/** Checks a body against `expect.schema`. @throws StepError EXPECTATION_FAILED that names the places, never a value; INVALID_PARAMS */
export async function checkBody(body: JSONValue, expect: JSONObject, schemas: SchemaCache): Promise<void> {
  if (expect.schema === undefined) return;
  const problems = (await schemas.get(expect.schema as JSONObject))(body);
  if (problems.length > 0)
    throw new StepError('EXPECTATION_FAILED', `the response is not what expect.schema says: ${problems.join('; ')}`);
}
