import { type Metadata, status as Status, type StatusObject } from '@grpc/grpc-js';
import { clip } from '../../../lib/clip.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { setOwn } from '../../../lib/json.ts';
import { speaksNoTls } from '../../../lib/net.ts';
import { statusNames } from './schema.ts';

const detailsBytesMax = 500;

/** How a call ended. */
export interface Ended {
  status: StatusObject;
  /** Metadata before the first message; undefined where the server sent none. */
  headers: Metadata | undefined;
}

/** A call that ended with a status that is not OK, before it is decided what that means for the step. */
export class CallFailed extends Error {
  readonly ended: Ended;

  constructor(ended: Ended) {
    super(`the call ended with status ${ended.status.code}`);
    this.ended = ended;
  }
}

const isUnsaid = ({ status }: Ended): boolean => Object.keys(status.metadata.getMap()).length === 0;

/** Whether this side made the status up, because nothing came of the server. */
const isLocal = (ended: Ended): boolean => ended.headers === undefined && isUnsaid(ended);

/** Whether no part of the call can have reached the server. */
export const neverReached = (ended: Ended): boolean =>
  ended.status.code === Status.UNAVAILABLE &&
  isLocal(ended) &&
  ended.status.details.startsWith('No connection established');

export const statusName = (code: number): string => statusNames[code] ?? String(code);

const passing: ReadonlySet<number> = new Set([
  Status.UNAVAILABLE,
  Status.RESOURCE_EXHAUSTED,
  Status.ABORTED,
  Status.DEADLINE_EXCEEDED,
]);

/** What grpc-js says of connections that break. */
const brokenConnection = /Connection dropped|ECONNRESET|EPIPE|ETIMEDOUT|GOAWAY|ENETRESET/;

/**
 * The step's error.
 * @param what the call, for the message
 * @param authority host and port
 * @param deadlineMs when the call had to be done, in ms since 1970
 */
export function failureOf(
  ended: Ended,
  { what, authority, deadlineMs }: { what: string; authority: string; deadlineMs: number },
): StepError {
  const { code, details } = ended.status;
  if (code === Status.DEADLINE_EXCEEDED && Date.now() >= deadlineMs)
    return new StepError('NETWORK_TIMEOUT', `${what} was not done in time`, { retryable: true });
  // A server that got too much says the same, but with metadata.
  if (code === Status.RESOURCE_EXHAUSTED && isUnsaid(ended) && details.startsWith('Received message larger than max'))
    return new StepError(
      'RESPONSE_TOO_LARGE',
      `${what}: a message of the answer is larger than options.max_bytes allows`,
    );
  if (neverReached(ended)) return connectionFailure(details, authority);
  if (code === Status.UNAVAILABLE && (isLocal(ended) || (isUnsaid(ended) && brokenConnection.test(details))))
    return new StepError('CONNECTION_FAILED', `the connection to ${authority} broke during ${what}`, {
      retryable: true,
    });
  const said = details === '' ? '' : `: ${clip(details, detailsBytesMax)}`;
  return new StepError('GRPC_STATUS', `${what} ended with ${statusName(code)}${said}`, {
    retryable: passing.has(code),
  });
}

/** The texts are those of Node's sockets and OpenSSL. */
function connectionFailure(details: string, authority: string): StepError {
  const tls = /certificate|altnames|\bSSL\b|\bTLS\b|ERR_TLS|ERR_SSL|EPROTO|self.signed|ALPN|alert/i.test(details);
  const why = /\b(E[A-Z]{4,}|ERR_[A-Z_0-9]+|[A-Z]+(?:_[A-Z]+){2,})\b/.exec(details)?.[1];
  const reason = why === undefined ? '' : ` (${why})`;
  if (
    /wrong version number|packet length too long|http request/i.test(details) ||
    (why !== undefined && speaksNoTls(why))
  )
    return new StepError(
      'TLS_FAILED',
      `what answers at ${authority} speaks no TLS${reason}: the port is one for plain text (grpc://), or for something else`,
    );
  return tls
    ? new StepError(
        'TLS_FAILED',
        `no trusted TLS connection to ${authority}${reason}; certificates are checked always: give tls.ca for an authority of your own, tls.cert and tls.key where the server asks for them`,
      )
    : new StepError(
        'CONNECTION_FAILED',
        `no connection to ${authority}${/Protocol error/.test(details) ? ': what answers there speaks no HTTP/2, which gRPC needs, or expects TLS (grpcs://)' : reason}`,
        { retryable: true },
      );
}

/** Metadata as JSON: binary values in base64, several values of a name as a list. */
export function metadataJson(metadata: Metadata | undefined): JSONObject {
  const json: JSONObject = {};
  if (metadata === undefined) return json;
  for (const name of Object.keys(metadata.getMap())) {
    const values = metadata.get(name).map((value) => (typeof value === 'string' ? value : value.toString('base64')));
    setOwn(json, name, values.length === 1 ? (values[0] ?? '') : values);
  }
  return json;
}

export const statusJson = ({ code, details }: Pick<StatusObject, 'code' | 'details'>): JSONObject => ({
  code,
  name: statusName(code),
  details: clip(details, detailsBytesMax),
});
