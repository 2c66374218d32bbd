import { StepError } from '../../../lib/errors.ts';
import { sha256 } from '../../../lib/hash.ts';
import type { JSONObject } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { productVersion } from '../../../protocol/version.ts';
import { authorization, checkedValue, type HeaderList, has, headerList, withoutCredentials } from './headers.ts';
import type { HttpBody, HttpRequest } from './http-client.ts';
import type { Tls } from './lane.ts';
import { type HttpOptions, httpOptionsOf } from './options.ts';
import { addQuery, httpSchemes, requireUrl, shownOrigin } from './url.ts';

/** One request on its way: the first, or one that a redirect asks for. */
export interface Hop {
  readonly url: URL;
  readonly method: string;
  readonly headers: HeaderList;
  readonly body: HttpBody | undefined;
  readonly tls: Tls;
}

export interface Plan {
  readonly first: Hop;
  /** The first origin, for messages. */
  readonly where: string;
  readonly options: HttpOptions;
  readonly proxy: URL | undefined;
  /** Whether the server may get the request twice. */
  readonly repeatable: boolean;
}

const methodsIdempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'QUERY']);
const methodsKeyed = new Set(['POST', 'PATCH']);

/** Checks a request, and makes all decisions that don't depend on answers. @throws StepError INVALID_PARAMS, EGRESS_DENIED */
export function planOf(request: HttpRequest, context: Pick<AdapterContext, 'idempotency_key' | 'redact'>): Plan {
  const options = httpOptionsOf(request.options);
  const url = requireUrl(request.url, httpSchemes, 'url');
  addQuery(url, request.query);
  const method = methodOf(request.method);
  const headers = headerList(request.headers);
  const authorized = authorization(request.auth);
  if (authorized !== undefined) {
    if (has(headers, 'authorization'))
      throw new StepError('INVALID_PARAMS', 'params: give either auth, or the header authorization');
    headers.push(['authorization', authorized]);
  }
  const { body } = request;
  if (body?.type !== undefined && !has(headers, 'content-type'))
    headers.push(['content-type', checkedValue('content-type', body.type)]);
  if (!has(headers, 'user-agent')) headers.push(['user-agent', `jsonflow/${productVersion}`]);
  if (!has(headers, 'accept-encoding')) headers.push(['accept-encoding', 'gzip, deflate, br, zstd']);
  const hop: Hop = { url, method, headers, body, tls: tlsOf(request.tls) };
  const kept = request.trustedOrigin === undefined ? hop : keptFor(hop, new URL(request.trustedOrigin), context.redact);
  const keyed = addKey(kept.headers, method, options, request.idempotencyKey ?? context.idempotency_key);
  return {
    first: kept,
    where: shownOrigin(url),
    options,
    proxy: options.proxy === undefined ? undefined : proxyOf(options.proxy),
    repeatable: request.idempotent ?? (methodsIdempotent.has(method) || keyed),
  };
}

function methodOf(given: string): string {
  const method = given.toUpperCase();
  if (/^[A-Z][A-Z-]{0,31}$/.test(method) && method !== 'CONNECT' && method !== 'TRACE') return method;
  throw new StepError('INVALID_PARAMS', 'params.method must be a method of HTTP, such as GET or POST');
}

export function tlsOf(tls: JSONObject | undefined): Tls {
  const pem = (name: string): string | undefined => (typeof tls?.[name] === 'string' ? tls[name] : undefined);
  const made: Tls = { cert: pem('cert'), key: pem('key'), ca: pem('ca'), serverName: pem('server_name') };
  if ((made.cert === undefined) !== (made.key === undefined))
    throw new StepError('INVALID_PARAMS', 'params.tls: cert and key go together');
  return made;
}

/** Adds the header that names the request, and says whether there is one. */
function addKey(headers: HeaderList, method: string, { idempotencyKey }: HttpOptions, key: string): boolean {
  const name = typeof idempotencyKey === 'string' ? idempotencyKey.toLowerCase() : 'idempotency-key';
  if (has(headers, name)) return true;
  if (idempotencyKey === false || (idempotencyKey === undefined && !methodsKeyed.has(method))) return false;
  const [header] = headerList({ [name]: /^[\x21-\x7e]+$/.test(key) ? key : sha256(key) });
  if (header !== undefined) headers.push(header);
  return true;
}

function proxyOf(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.hostname === '')
    throw new StepError('INVALID_PARAMS', 'params.options.proxy must be an http or https URL');
  return url;
}

const keptFor = (hop: Hop, trusted: URL, redact: (text: string) => string): Hop =>
  trusted.origin === hop.url.origin ? hop : toOtherOrigin(hop, trusted, redact);

/**
 * A hop to a place that a server named, and that nobody gave credentials for.
 * @throws StepError EGRESS_DENIED where it would be less safe than before
 */
function toOtherOrigin(hop: Hop, from: URL, redact: (text: string) => string): Hop {
  if (from.protocol === 'https:' && hop.url.protocol !== 'https:')
    throw new StepError('EGRESS_DENIED', `${from.host} leads from https to http, which is not followed`);
  if (hop.body !== undefined && holdsSecret(hop.body, redact))
    throw new StepError(
      'EGRESS_DENIED',
      `${from.host} leads to another host, and the body with its secret is not sent there; name that host in url`,
    );
  return {
    ...hop,
    headers: withoutCredentials(hop.headers, redact),
    tls: { cert: undefined, key: undefined, ca: hop.tls.ca, serverName: undefined },
  };
}

function holdsSecret({ content }: HttpBody, redact: (text: string) => string): boolean {
  if (typeof content === 'function') return false;
  const text = typeof content === 'string' ? content : Buffer.from(content).toString('latin1');
  return redact(text) !== text;
}

/** Whether an answer is a redirect, and where to. */
export const locationOf = (status: number, headers: Record<string, string | string[]>): string | undefined => {
  const { location } = headers;
  return [301, 302, 303, 307, 308].includes(status) && typeof location === 'string' ? location : undefined;
};

/** The hop that a redirect asks for. @throws StepError EGRESS_DENIED */
export function redirected(hop: Hop, status: number, location: string, redact: (text: string) => string): Hop {
  const url = targetOf(location, hop.url);
  const changes = status === 303 ? hop.method !== 'HEAD' : status <= 302 && hop.method === 'POST';
  const moved: Hop = changes
    ? {
        ...hop,
        url,
        method: 'GET',
        body: undefined,
        headers: hop.headers.filter(([name]) => !name.startsWith('content-')),
      }
    : { ...hop, url };
  return keptFor(moved, hop.url, redact);
}

function targetOf(location: string, base: URL): URL {
  // Servers write paths with spaces and UTF-8 there; what could name another host than it seems is still refused.
  const url = /[\\\t\r\n]/.test(location) ? null : URL.parse(location, base.href);
  const fine =
    url !== null &&
    (httpSchemes as readonly string[]).includes(url.protocol) &&
    url.hostname !== '' &&
    url.username === '' &&
    url.password === '';
  if (!fine)
    throw new StepError(
      'EGRESS_DENIED',
      `${base.host} redirects to something else than an http or https URL without credentials, which is not followed`,
    );
  url.hash = '';
  return url;
}
