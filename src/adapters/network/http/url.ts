import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject } from '../../../lib/json.ts';

/** Why a text is no URL to connect to, in words; the URL otherwise. */
type Parsed = { url: URL } | { problem: string };

// The URL parser mends these, each in its own way, and what looks like one host then means another.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it is about
const mended = /[\u0000-\u0020\u007f\\]/;

/**
 * An absolute URL with one of the schemes, without credentials.
 * @param base of a relative one
 */
export function readUrl(text: string, schemes: readonly string[], base?: URL): Parsed {
  if (mended.test(text))
    return { problem: 'it has blanks, control characters or backslashes, which must be percent-encoded' };
  const url = URL.parse(text, base?.href);
  if (url === null || url.hostname === '') return { problem: 'it is not an absolute URL' };
  if (!schemes.includes(url.protocol))
    return { problem: `its scheme must be ${schemes.map((one) => one.slice(0, -1)).join(' or ')}` };
  if (url.username !== '' || url.password !== '')
    return { problem: 'it holds credentials; use auth or headers, which are kept out of logs' };
  url.hash = '';
  return { url };
}

/** @throws StepError INVALID_PARAMS, without the text: it may hold a secret */
export function requireUrl(text: string, schemes: readonly string[], param: string): URL {
  const parsed = readUrl(text, schemes);
  if ('problem' in parsed) throw new StepError('INVALID_PARAMS', `params.${param}: ${parsed.problem}`);
  return parsed.url;
}

export const httpSchemes = ['http:', 'https:'] as const;

/** Adds parameters; a list gives one for each element. */
export function addQuery(url: URL, query: JSONObject | undefined): void {
  if (!isObject(query)) return;
  const added = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === null) continue;
    for (const one of Array.isArray(value) ? value : [value]) added.append(name, String(one));
  }
  // What stands in the URL stays as it is written: it may be signed.
  if (added.size > 0) url.search = url.search === '' ? `${added}` : `${url.search}&${added}`;
}

/** For messages: paths and queries often hold keys. */
export const shownOrigin = (url: URL): string => `${url.protocol}//${url.host}`;

export const portOf = (url: URL): number =>
  url.port === '' ? (url.protocol === 'https:' || url.protocol === 'wss:' ? 443 : 80) : Number(url.port);
