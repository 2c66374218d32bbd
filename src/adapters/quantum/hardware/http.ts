import { clip } from '../../../lib/clip.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONValue } from '../../../lib/json.ts';
import { hostOf, isLoopback, speaksNoTls } from '../../../lib/net.ts';
import type { Egress, Reach } from '../../../ports/egress.ts';

export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  /** Behind the base URL, with its `/`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  /** Undefined where the body is empty or no JSON. */
  readonly body: JSONValue | undefined;
  /** What the server asks to wait before the next request; ms, 0 where it asks for nothing. */
  readonly retryAfterMs: number;
}

export interface HttpOptions {
  readonly egress: Egress;
  readonly reach: Reach;
  /** Of one request and its answer. Default 30,000. */
  readonly timeoutMs?: number | undefined;
}

const timeoutMsDefault = 30_000;
/** Results are a number per shot and register. */
const bytesMax = 64 * 1024 * 1024;

/** A client of one API. Redirects are not followed: a token is for whom it was given. */
export class ApiClient {
  readonly #base: URL;
  readonly #options: HttpOptions;
  readonly #what: string;

  /** @param what whose API, for messages @param name of the param that holds the URL @throws StepError INVALID_PARAMS */
  constructor(base: string, what: string, name: string, options: HttpOptions) {
    const url = URL.parse(base);
    if (url === null || (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLoopback(hostOf(url)))))
      throw new StepError('INVALID_PARAMS', `${name} must be an https URL (http on this machine only)`);
    if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
      throw new StepError('INVALID_PARAMS', `${name} must hold no user, password, parameters or fragment`);
    this.#base = url;
    this.#what = what;
    this.#options = options;
  }

  /** @throws StepError QUANTUM_UNREACHABLE (retryable), QUANTUM_RESPONSE_INVALID, EGRESS_DENIED; the signal's reason */
  async call({ method, path, headers, body }: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
    const url = new URL(`${this.#base.href.replace(/\/$/, '')}${path}`);
    const scheme = url.protocol.slice(0, -1);
    const port = Number(url.port) || (scheme === 'https' ? 443 : 80);
    const { egress, reach, timeoutMs = timeoutMsDefault } = this.#options;
    const limit = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    await egress.addresses({ scheme, host: hostOf(url), port }, reach);
    const { Agent, request } = await import('undici');
    const agent = new Agent({ connect: { lookup: egress.lookup({ scheme, port }, reach), timeout: timeoutMs } });
    try {
      const answer = await request(url.href, {
        method,
        headers: { accept: 'application/json', ...headers },
        ...(body === undefined ? {} : { body }),
        dispatcher: agent,
        signal: limit,
      });
      if (answer.statusCode >= 300 && answer.statusCode < 400)
        throw new StepError(
          'QUANTUM_RESPONSE_INVALID',
          `${this.#what} redirects (status ${answer.statusCode}), which is not followed, since the token is not for elsewhere: check base_url`,
        );
      return {
        status: answer.statusCode,
        body: jsonOf(await this.#read(answer.body)),
        retryAfterMs: secondsOf(answer.headers['retry-after']) * 1000,
      };
    } catch (thrown) {
      signal.throwIfAborted();
      throw thrown instanceof StepError ? thrown : this.#unreachable(thrown, limit, timeoutMs);
    } finally {
      void agent.destroy().catch(() => undefined);
    }
  }

  async #read(body: AsyncIterable<Uint8Array>): Promise<string> {
    const chunks: Uint8Array[] = [];
    let size = 0;
    for await (const chunk of body) {
      size += chunk.length;
      if (size > bytesMax)
        throw new StepError('QUANTUM_RESPONSE_INVALID', `${this.#what} answered with more than ${bytesMax} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, size).toString('utf8');
  }

  #unreachable(thrown: unknown, { aborted }: AbortSignal, timeoutMs: number): StepError {
    if (aborted)
      return new StepError('QUANTUM_UNREACHABLE', `${this.#what} did not answer within ${timeoutMs} ms`, {
        retryable: true,
      });
    const code = isObject(thrown) && typeof thrown.code === 'string' ? thrown.code : 'no code';
    const isTls = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/.test(code);
    const why = speaksNoTls(code) ? 'what answers there speaks no TLS' : 'the connection failed';
    return new StepError('QUANTUM_UNREACHABLE', `${this.#what} can not be reached: ${why} (${code})`, {
      retryable: !isTls,
      cause: thrown,
    });
  }
}

const secondsOf = (header: string | string[] | undefined): number =>
  typeof header === 'string' && /^\d{1,6}$/.test(header) ? Number(header) : 0;

function jsonOf(text: string): JSONValue | undefined {
  try {
    return JSON.parse(text) as JSONValue;
  } catch {
    return undefined;
  }
}

/** What a provider says, short and without the tokens, which it may repeat. */
export function saidBy(text: unknown, ...tokens: readonly string[]): string {
  if (typeof text !== 'string') return '';
  return clip(
    tokens.reduce((so, token) => (token === '' ? so : so.replaceAll(token, '***')), text),
    500,
  );
}

/** An answer whose status says that something is wrong. */
export class RefusedError extends StepError {
  /** The least ms to wait before the next try. */
  readonly retryAfterMs: number;
  readonly status: number;

  constructor(what: string, { status, retryAfterMs }: HttpAnswer, said: string) {
    const { code, why, retryable } = kindOf(status);
    super(code, `${what}: ${why} (status ${status})${said === '' ? '' : `: ${said}`}`, { retryable });
    this.retryAfterMs = retryAfterMs;
    this.status = status;
  }
}

function kindOf(status: number): { code: string; why: string; retryable: boolean } {
  if (status === 401 || status === 403)
    return { code: 'QUANTUM_UNAUTHORIZED', why: 'the token is not accepted, or not for this', retryable: false };
  if (status === 429) return { code: 'QUANTUM_BUSY', why: 'it takes no more requests at the moment', retryable: true };
  if (status >= 500) return { code: 'QUANTUM_UNREACHABLE', why: 'it is out of order at the moment', retryable: true };
  return { code: 'QUANTUM_REJECTED', why: 'it does not accept the request', retryable: false };
}
