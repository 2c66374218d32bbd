import { flag, object, text, whole } from '../../../kit/schema.ts';
import type { JSONObject } from '../../../lib/json.ts';

// Parts of params that requests, GraphQL and WebSockets share.

/** Where a URL stands as it is, what is wrong with it is said before a run. */
const urlOf = (scheme: string, words: string): JSONObject => ({
  ...text(`Absolute URL, ${words}, without user and password in it (give auth or headers).`, 16_384),
  pattern: `^${scheme}://[^\\x00-\\x20\\x7f\\\\/?#@]+([/?#][^\\x00-\\x20\\x7f\\\\]*)?$`,
});

export const urlSchema: JSONObject = urlOf('[hH][tT][tT][pP][sS]?', 'http or https');
export const webSocketUrlSchema: JSONObject = urlOf('[wW][sS][sS]?', 'ws or wss');

const scalar: JSONObject = { type: ['string', 'number', 'boolean'] };

export const querySchema: JSONObject = {
  type: 'object',
  description: 'Parameters to add to the URL: texts, numbers, booleans, or lists of them. Null leaves one out.',
  maxProperties: 1000,
  additionalProperties: {
    anyOf: [{ type: ['string', 'number', 'boolean', 'null'] }, { type: 'array', maxItems: 10_000, items: scalar }],
  },
};

export const headersSchema: JSONObject = {
  type: 'object',
  description: 'Headers by name; a list sends one more than once. Secrets as vault:// pointers.',
  maxProperties: 200,
  additionalProperties: { anyOf: [scalar, { type: 'array', maxItems: 100, items: { type: 'string' } }] },
};

export const authSchema: JSONObject = object('The header `authorization`, made for you: one of these.', {
  basic: object(
    'User name and password (RFC 7617, UTF-8).',
    {
      username: { type: 'string', maxLength: 1024, description: 'User name, without a colon.' },
      password: { type: 'string', maxLength: 8192, description: 'Password.' },
    },
    ['username', 'password'],
  ),
  bearer: text('A token (RFC 6750).', 65_536),
});

export const tlsSchema: JSONObject = object(
  'TLS beyond the defaults. Versions 1.2 and 1.3; certificates are always verified.',
  {
    cert: text('Client certificate, PEM, with its chain.', 262_144),
    key: text('Its private key, PEM.', 262_144),
    ca: text('Certificate authorities to trust instead of the usual ones, PEM.', 1_048_576),
    server_name: text('Name that the certificate must have, instead of that in the URL.', 253),
  },
);

const retrySchema: JSONObject = object('More tries after a failure that may pass.', {
  attempts: whole('Tries after the first. Default 0.', 0, 20),
  backoff: { enum: ['exponential', 'fixed'], description: 'How the waits grow. Default exponential.' },
  base_ms: whole('Wait before the second try. Default 100.', 0, 600_000),
  max_ms: whole('Longest wait. Default 10,000.', 0, 600_000),
  jitter: flag('Spreads each wait over 0 to its length. Default true.'),
  statuses: {
    type: 'array',
    description: 'Statuses that are tried again. Default 408, 425, 429, 500, 502, 503, 504.',
    maxItems: 100,
    items: whole('A status.', 300, 599),
  },
  retry_after_max_ms: whole(
    'The longest `Retry-After` that is waited for; a longer one ends the tries. Default 60,000.',
    0,
    3_600_000,
  ),
});

/** `options` of a request: what `HttpClient` understands. */
export const httpOptions: JSONObject = {
  timeout: whole('Ms for the whole step: name, connection, redirects, retries, body. Default 30,000.', 1, 86_400_000),
  try_timeout: whole('Ms for one try. Default: what is left of `timeout`.', 1, 86_400_000),
  retry: retrySchema,
  idempotency_key: {
    description:
      'Whether a header names this step, so that a server that knows it does the work once: true, false, or the header. Default: `idempotency-key`, with POST and PATCH.',
    anyOf: [{ type: 'boolean' }, text('Name of the header.', 128)],
  },
  max_redirects: whole('Redirects that are followed; 0 gives the redirect itself. Default 5.', 0, 20),
  http2: flag('Whether HTTP/2 is offered to servers with TLS. Default true.'),
  max_bytes: whole('The largest response, decompressed. Default 1 GiB.', 1, 1_099_511_627_776),
  proxy: text('URL of an HTTP proxy (http or https, CONNECT), with credentials where it needs some.', 4096),
};
