import { clip } from '../lib/clip.ts';
import { JSONFlowError, messageOf, StepError } from '../lib/errors.ts';
import { limits } from '../protocol/limits.ts';
import type { StepFailure } from '../protocol/receipt.ts';

/** The message of anything that was thrown, whatever its getters and conversions do. */
export function wordsOf(thrown: unknown): string {
  try {
    return String(messageOf(thrown));
  } catch {
    return 'what was thrown has no text';
  }
}

/**
 * What a receipt says of a failure: a code and a sentence, never a stack. Whatever an adapter throws, it can be signed.
 *
 * @param redact takes secrets out of a text
 */
export function failureOf(thrown: unknown, redact: (text: string) => string): StepFailure {
  try {
    // Redacted before it is cut: half a secret is not recognised.
    const message = clip(redact(withRemedy(thrown, wordsOf(thrown))), limits.errorLengthMax);
    if (thrown instanceof StepError)
      return { code: codeOf(thrown.code, redact), message, retryable: thrown.retryable === true };
    if (thrown instanceof JSONFlowError) return { code: thrown.code, message, retryable: thrown.retriable };
    return { code: crashed, message, retryable: false };
  } catch {
    return { code: crashed, message: "the attempt failed, and what was thrown can't be read", retryable: false };
  }
}

const crashed = 'ADAPTER_CRASHED';

/** A receipt has no place for a hint, but a secret that is missing is missing on one machine, and that must be said. */
const withRemedy = (thrown: unknown, words: string): string =>
  thrown instanceof JSONFlowError && thrown.code === 'SECRET_NOT_FOUND'
    ? `${words} on the node that ran this attempt. ${thrown.hint ?? ''}`.trimEnd()
    : words;

/** Types don't bind an adapter that is written in JavaScript. */
function codeOf(code: unknown, redact: (text: string) => string): string {
  const usable = (typeof code === 'string' && code !== '') || typeof code === 'number';
  return usable ? clip(redact(String(code)), limits.idLengthMax) : crashed;
}
