import type { JSONObject } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';

/** A body to send. It must be sendable again: for another try, and for redirects with 307 and 308. */
export interface HttpBody {
  /** A text is sent as UTF-8; a function makes the same stream each time. */
  content: string | Uint8Array | (() => AsyncIterable<Uint8Array>);
  /** Bytes; needed for a stream whose length is known. */
  length?: number;
  /** `content-type` where the headers don't name one. */
  type?: string;
}

/** A request. `query`, `headers`, `auth`, `tls` and `options` are those of a step's params, as http/schema.ts describes them. */
export interface HttpRequest {
  /** In any case. */
  method: string;
  /** Absolute, http or https. */
  url: string;
  query?: JSONObject | undefined;
  headers?: JSONObject | undefined;
  body?: HttpBody | undefined;
  auth?: JSONObject | undefined;
  tls?: JSONObject | undefined;
  options?: JSONObject | undefined;
  /** The key that names this request, where a step sends several. Default: the step's. */
  idempotencyKey?: string | undefined;
  /**
   * The origin that `headers`, `auth` and client certificate were meant for, where `url` came out of a response: another origin gets
   * none of them, and plain HTTP is refused after HTTPS.
   */
  trustedOrigin?: string | undefined;
  /** Whether sending it twice does no harm, where the method does not tell: a query by POST. Default: by the method. */
  idempotent?: boolean | undefined;
}

/** Headers as they came: names in lower case, `set-cookie` a list, others joined. */
export type HttpHeaders = Record<string, string | string[]>;

/** A response whose body has not been read yet. */
export interface HttpResponse {
  readonly status: number;
  readonly headers: HttpHeaders;
  /** Where it came from, after redirects. */
  readonly url: URL;
  /** Redirects that were followed. */
  readonly redirects: number;
  /**
   * The decompressed body, to be read once.
   * @throws StepError RESPONSE_TOO_LARGE above `options.max_bytes`; RESPONSE_INVALID where it can't be decompressed; CONNECTION_FAILED,
   *   NETWORK_TIMEOUT (both retryable), and the signal's reason
   */
  readonly body: AsyncIterable<Uint8Array>;
}

/** What sends requests for this adapter's step types: through the egress policy, with deadline, retries and redirects. */
export interface HttpClient {
  /**
   * Sends a request, and again as `options.retry` says, until `read` has made something out of a response. All of it, with the reading,
   * happens within `options.timeout`. A response with one of the `retry.statuses` is given to `read` only when no try is left;
   * `read` judges the status. What `read` leaves of the body is discarded.
   *
   * @param read called for each try that got a response; a StepError that it throws is tried again if it is `retryable`
   * @throws StepError INVALID_PARAMS, EGRESS_DENIED, HOST_NOT_FOUND, CONNECTION_FAILED, TLS_FAILED, NETWORK_TIMEOUT, TOO_MANY_REDIRECTS,
   *   RESPONSE_TOO_LARGE, RESPONSE_INVALID, what `read` throws, and the signal's reason
   */
  exchange<T>(request: HttpRequest, context: AdapterContext, read: (response: HttpResponse) => Promise<T>): Promise<T>;
}
