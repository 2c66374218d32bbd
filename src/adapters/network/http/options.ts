import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';

/** `params.options` of a request with its defaults. */
export interface HttpOptions {
  timeoutMs: number;
  tryTimeoutMs: number | undefined;
  /** Tries after the first. */
  retries: number;
  backoff: 'exponential' | 'fixed';
  baseMs: number;
  maxMs: number;
  jitter: boolean;
  statuses: readonly number[];
  retryAfterMaxMs: number;
  /** A header's name, or whether there is one; undefined leaves it to the method. */
  idempotencyKey: string | boolean | undefined;
  redirectsMax: number;
  http2: boolean;
  bytesMax: number;
  proxy: string | undefined;
}

export const timeoutMsDefault = 30_000;
const statusesDefault = [408, 425, 429, 500, 502, 503, 504];

/** @param options checked by the schema */
export function httpOptionsOf(options: JSONObject = {}): HttpOptions {
  const retry = isObject(options.retry) ? (options.retry as JSONObject) : {};
  const { idempotency_key: key } = options;
  return {
    timeoutMs: numberOr(options.timeout, timeoutMsDefault),
    tryTimeoutMs: typeof options.try_timeout === 'number' ? options.try_timeout : undefined,
    retries: numberOr(retry.attempts, 0),
    backoff: retry.backoff === 'fixed' ? 'fixed' : 'exponential',
    baseMs: numberOr(retry.base_ms, 100),
    maxMs: numberOr(retry.max_ms, 10_000),
    jitter: retry.jitter !== false,
    statuses: Array.isArray(retry.statuses) ? retry.statuses.map(Number) : statusesDefault,
    retryAfterMaxMs: numberOr(retry.retry_after_max_ms, 60_000),
    idempotencyKey: typeof key === 'string' || typeof key === 'boolean' ? key : undefined,
    redirectsMax: numberOr(options.max_redirects, 5),
    http2: options.http2 !== false,
    bytesMax: numberOr(options.max_bytes, 1024 ** 3),
    proxy: typeof options.proxy === 'string' ? options.proxy : undefined,
  };
}

export const numberOr = (value: JSONValue | undefined, otherwise: number): number =>
  typeof value === 'number' ? value : otherwise;
