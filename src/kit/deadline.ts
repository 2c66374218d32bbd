import { StepError } from '../lib/errors.ts';

export interface Deadline {
  /** Aborted with the step's signal, or when the time is over; its reason is a StepError. */
  readonly signal: AbortSignal;
  /** Ms that were left when it was made; Infinity without a limit. */
  readonly ms: number;
  /** Ends the timer. */
  done(): void;
}

/**
 * The sooner of a step's own end and `timeoutMs` from now.
 * @param code of the error where the time is over; it is retryable
 */
export function deadlineOf(
  { signal, deadline_ms }: { signal: AbortSignal; deadline_ms: number | undefined },
  timeoutMs: number | undefined,
  code: string,
  what: string,
): Deadline {
  const untilStepEnds = deadline_ms === undefined ? Number.POSITIVE_INFINITY : Math.max(1, deadline_ms - Date.now());
  if (timeoutMs === undefined) return { signal, ms: untilStepEnds, done: () => undefined };
  const stop = new AbortController();
  const timer = setTimeout(() => {
    stop.abort(new StepError(code, `${what} took longer than ${timeoutMs} ms`, { retryable: true }));
  }, timeoutMs);
  const onAbort = () => stop.abort(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return {
    signal: stop.signal,
    ms: Math.min(timeoutMs, untilStepEnds),
    done: () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    },
  };
}
