import { StepError } from '../lib/errors.ts';
import type { AdapterVerdict } from '../ports/adapter.ts';

/**
 * The verdict about a step's params.
 *
 * @param check gives what is wrong, or nothing, or throws a StepError, whose code the verdict then has
 */
export function verdictOf(check: () => string | undefined): AdapterVerdict {
  try {
    const error = check();
    return error === undefined ? { valid: true } : { valid: false, error };
  } catch (thrown) {
    if (thrown instanceof StepError) return { valid: false, error: thrown.message, code: thrown.code };
    throw thrown;
  }
}
