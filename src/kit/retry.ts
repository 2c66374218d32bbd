import { setTimeout as sleep } from 'node:timers/promises';
import { StepError } from '../lib/errors.ts';

export interface RetryOptions {
  /** Tries in all, 1 or more. */
  attempts: number;
  /** Wait before the second try; doubles each time where `backoff` is `exponential`. Ms; default 100. */
  baseMs?: number;
  /** The longest wait. Ms; default 10,000. */
  maxMs?: number;
  backoff?: 'exponential' | 'fixed';
  /** Spreads waits over 0 to their length ("full jitter"), so that many callers don't come back at once. Default true. */
  jitter?: boolean;
  signal: AbortSignal;
  /** Whether another try may help; a number is the least ms to wait, as a server asked for. */
  again(thrown: unknown, attempt: number): boolean | number;
  /** Uniform in [0, 1). */
  random?: () => number;
}

/**
 * Calls `body` until it succeeds, at most `attempts` times. Throws what the last call threw, or the signal's reason; where that is that
 * the time is over, it says what failed before.
 * @param body gets the number of the try, from 1
 */
export async function retrying<T>(options: RetryOptions, body: (attempt: number) => Promise<T>): Promise<T> {
  const { attempts, signal, again } = options;
  let failure: unknown;
  for (let attempt = 1; ; attempt += 1) {
    if (signal.aborted) throw reasonWith(signal, failure);
    try {
      return await body(attempt);
    } catch (thrown) {
      if (signal.aborted) throw reasonWith(signal, failure);
      failure = thrown;
      const may = attempt < attempts && again(thrown, attempt);
      if (may === false) throw thrown;
      await pause(Math.max(waitMs(options, attempt), typeof may === 'number' ? may : 0), signal);
    }
  }
}

/** That the time is over says little to whoever could do something about the failures before. */
function reasonWith({ reason }: AbortSignal, failure: unknown): unknown {
  if (!(reason instanceof StepError && reason.retryable && failure instanceof StepError)) return reason;
  return new StepError(reason.code, `${reason.message}; the try before: ${failure.message}`, {
    retryable: true,
    cause: reason,
  });
}

function waitMs(
  { baseMs = 100, maxMs = 10_000, backoff = 'exponential', jitter = true, random = Math.random }: RetryOptions,
  attempt: number,
): number {
  const full = Math.min(maxMs, backoff === 'fixed' ? baseMs : baseMs * 2 ** Math.min(attempt - 1, 30));
  return jitter ? full * random() : full;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  // Whoever waits looks at the signal: the timer's own AbortError says less than its reason.
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
