import type { Dispatcher } from 'undici';
import { deadlineOf } from '../../../kit/deadline.ts';
import { retrying } from '../../../kit/retry.ts';
import { StepError } from '../../../lib/errors.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { Egress } from '../../../ports/egress.ts';
import { decoded } from './decode.ts';
import { dispatch, type RawResponse } from './dispatch.ts';
import type { HttpClient, HttpResponse } from './http-client.ts';
import { type Hop, locationOf, type Plan, planOf, redirected } from './plan.ts';
import { HttpPools, type PoolLimits } from './pool.ts';
import { retryAfterMs } from './retry-after.ts';

export interface HttpClientOptions extends PoolLimits {
  egress: Egress;
}

/** The client over undici. Close it to end its connections. */
export function createHttpClient({ egress, ...limits }: HttpClientOptions): HttpClient & { close(): Promise<void> } {
  const pools = new HttpPools(egress, limits);
  return {
    async exchange(request, context, read) {
      const plan = planOf(request, context);
      const { options } = plan;
      const deadline = deadlineOf(context, options.timeoutMs, 'NETWORK_TIMEOUT', `the request to ${plan.where}`);
      const endMs = Date.now() + deadline.ms;
      const state = { sent: false, answered: false };
      try {
        return await retrying(
          {
            attempts: options.retries + 1,
            baseMs: options.baseMs,
            maxMs: options.maxMs,
            backoff: options.backoff,
            jitter: options.jitter,
            signal: deadline.signal,
            again: (thrown) =>
              thrown instanceof AnswerToRetry
                ? thrown.waitMs
                : thrown instanceof StepError &&
                  thrown.retryable &&
                  !state.answered &&
                  (plan.repeatable || !state.sent),
          },
          async (attempt) => {
            state.sent = false;
            const once = new Try({
              plan,
              context,
              pools,
              onSent: () => (state.sent = true),
              onAnswer: () => (state.answered = true),
            });
            const waits = attempt <= options.retries && plan.repeatable;
            return once.run(deadline, waits ? endMs : undefined, read);
          },
        );
      } catch (thrown) {
        throw plan.repeatable || !state.sent ? thrown : doneMaybe(thrown, context.signal);
      } finally {
        deadline.done();
      }
    },
    close: () => pools.close(),
  };
}

/** Nobody knows whether the server did the work: whoever asks again for it must know that. */
const doneMaybe = (thrown: unknown, { reason }: AbortSignal): unknown =>
  thrown instanceof StepError && thrown.retryable && thrown !== reason
    ? new StepError(thrown.code, `${thrown.message}; it may have taken effect, so it is not tried again`, {
        cause: thrown,
      })
    : thrown;

/** The server asks to come back. */
class AnswerToRetry extends Error {
  readonly waitMs: number;
  constructor(waitMs: number) {
    super('a status that is tried again');
    this.waitMs = waitMs;
  }
}

interface TryParts {
  plan: Plan;
  context: AdapterContext;
  pools: HttpPools;
  onSent(): void;
  /** Called with a status that would be tried again, if that were of any use: it is the answer. */
  onAnswer(): void;
}

/** One try: the request, the redirects it leads to, and the reading of the answer. */
class Try {
  readonly #parts: TryParts;

  constructor(parts: TryParts) {
    this.#parts = parts;
  }

  /** @param retryUntilMs when the time for further tries is over; undefined where there is none */
  async run<T>(
    outer: { signal: AbortSignal },
    retryUntilMs: number | undefined,
    read: (response: HttpResponse) => Promise<T>,
  ): Promise<T> {
    const { plan } = this.#parts;
    const { tryTimeoutMs } = plan.options;
    const what = `one try at the request to ${plan.where}`;
    const limit = deadlineOf({ signal: outer.signal, deadline_ms: undefined }, tryTimeoutMs, 'NETWORK_TIMEOUT', what);
    try {
      return await this.#follow(limit.signal, retryUntilMs, read);
    } finally {
      limit.done();
    }
  }

  async #follow<T>(
    signal: AbortSignal,
    retryUntilMs: number | undefined,
    read: (response: HttpResponse) => Promise<T>,
  ): Promise<T> {
    const { plan, context, pools } = this.#parts;
    let hop = plan.first;
    for (let redirects = 0; ; redirects += 1) {
      const lane = { tls: hop.tls, http2: plan.options.http2, proxy: plan.proxy };
      // The pool stays in use until the answer was read.
      const end = await pools.use(lane, context, async (agent): Promise<{ value: T } | { next: Hop }> => {
        const response = await this.#send(agent, hop, signal);
        try {
          const next = this.#redirect(response, hop, redirects);
          if (next !== undefined) return { next };
          return { value: await this.#conclude(response, hop, redirects, retryUntilMs, read) };
        } finally {
          response.discard();
        }
      });
      if ('value' in end) return end.value;
      hop = end.next;
    }
  }

  #redirect({ status, headers }: RawResponse, hop: Hop, redirects: number): Hop | undefined {
    const { plan, context } = this.#parts;
    const { redirectsMax } = plan.options;
    const location = redirectsMax === 0 ? undefined : locationOf(status, headers);
    if (location === undefined) return undefined;
    if (redirects >= redirectsMax)
      throw new StepError(
        'TOO_MANY_REDIRECTS',
        `${plan.where} redirects more than ${redirectsMax} times (options.max_redirects)`,
      );
    return redirected(hop, status, location, context.redact);
  }

  #conclude<T>(
    { status, headers, body }: RawResponse,
    { url }: Hop,
    redirects: number,
    retryUntilMs: number | undefined,
    read: (response: HttpResponse) => Promise<T>,
  ): Promise<T> {
    const { statuses, retryAfterMaxMs, bytesMax } = this.#parts.plan.options;
    if (retryUntilMs !== undefined && statuses.includes(status)) {
      const waitMs = retryAfterMs(headers['retry-after'], Date.now());
      // A wait that outlasts the step only hides what the server says.
      if (waitMs <= retryAfterMaxMs && Date.now() + waitMs < retryUntilMs) throw new AnswerToRetry(waitMs);
    }
    if (statuses.includes(status)) this.#parts.onAnswer();
    return read({ status, headers, url, redirects, body: decoded(body, headers['content-encoding'], bytesMax) });
  }

  #send(dispatcher: Dispatcher, { url, method, headers, body }: Hop, signal: AbortSignal): Promise<RawResponse> {
    const content = body?.content;
    const flat = headers.flat();
    if (typeof content === 'function' && body?.length !== undefined) flat.push('content-length', String(body.length));
    return dispatch({
      dispatcher,
      options: {
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers: flat,
        // undici takes async iterables as well; its types don't say so.
        body: (typeof content === 'function' ? content() : (content ?? null)) as Uint8Array | string | null,
      },
      signal,
      onStart: this.#parts.onSent,
      url,
    });
  }
}
