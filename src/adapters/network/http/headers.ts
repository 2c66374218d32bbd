import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject } from '../../../lib/json.ts';

/** Names in lower case with their values, in order. */
export type HeaderList = [name: string, value: string][];

/** What frames the message or belongs to one connection is ours to set. */
const forbidden = new Set([
  ...['host', 'content-length', 'transfer-encoding', 'connection', 'keep-alive', 'upgrade', 'te', 'trailer', 'expect'],
  ...['proxy-connection', 'proxy-authorization', 'http2-settings'],
]);
const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/;

/** @throws StepError INVALID_PARAMS that names the header, never its value */
export function headerList(headers: JSONObject | undefined): HeaderList {
  const list: HeaderList = [];
  for (const [given, value] of Object.entries(headers ?? {})) {
    const name = given.toLowerCase();
    if (!token.test(name)) throw refused(given.replace(/[^\x20-\x7e]/g, '?'), 'is not a header name');
    if (forbidden.has(name)) throw refused(name, 'is set by the client itself, from url and body');
    for (const one of Array.isArray(value) ? value : [value]) list.push([name, checkedValue(name, String(one))]);
  }
  return list;
}

/** @throws StepError INVALID_PARAMS */
export function checkedValue(name: string, value: string): string {
  if (fieldValue.test(value)) return value.replace(/^[\t ]+|[\t ]+$/g, '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what a header can be broken up with
  if (/[\r\n\u0000]/.test(value))
    throw refused(name, 'must not hold line breaks or NUL; a secret that was read from a file may end in one');
  throw refused(name, 'must hold printable characters of Latin-1 only');
}

const refused = (name: string, why: string): StepError =>
  new StepError('INVALID_PARAMS', `params.headers: "${name}" ${why}`);

/** @throws StepError INVALID_PARAMS */
export function authorization(auth: JSONObject | undefined): string | undefined {
  if (auth === undefined) return undefined;
  const { basic, bearer } = auth;
  if ((basic === undefined) === (bearer === undefined))
    throw new StepError('INVALID_PARAMS', 'params.auth: give either basic or bearer');
  if (typeof bearer === 'string') return checkedValue('authorization', `Bearer ${bearer}`);
  if (!isObject(basic)) return undefined;
  const { username, password } = basic;
  if (String(username).includes(':'))
    throw new StepError('INVALID_PARAMS', 'params.auth.basic.username must not contain a colon');
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

/** Headers that say nothing about who asks: all others stay with the origin that they were written for. */
const harmless = new Set([
  ...['accept', 'accept-charset', 'accept-encoding', 'accept-language', 'cache-control', 'content-encoding'],
  ...['content-language', 'content-type', 'pragma', 'range', 'user-agent'],
]);

/** Without what could be a credential, under whatever name. @param redact changes a text that holds a secret */
export const withoutCredentials = (list: HeaderList, redact: (text: string) => string): HeaderList =>
  list.filter(([name, value]) => harmless.has(name) && redact(value) === value);

export const has = (list: HeaderList, name: string): boolean => list.some(([one]) => one === name);
