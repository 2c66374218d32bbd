import { JSONFlowError, messageOf } from '../../lib/errors.ts';

/** SQLite's primary result codes (sqlite.org/rescode.html) that a user can do something about. */
const hints: Record<number, string> = {
  5: 'Another process holds the database; stop it.',
  8: 'The file or its file system is read-only; make it writable.',
  10: 'The disk reports an error; check it, then start again.',
  13: 'Free some space, then start again; what was acknowledged is safe.',
  14: 'Check that the data directory exists and may be written.',
};
/** Generic error, corrupt, not a database. Our statements are fixed, so the generic one means that the tables are not as we made them. */
const damage = new Set([1, 11, 26]);

export const corrupt = (what: string, cause?: unknown): JSONFlowError =>
  new JSONFlowError('STORE_CORRUPT', what, {
    hint: 'Restore the data directory from a backup, or start with an empty one.',
    ...(cause === undefined ? {} : { cause }),
  });

/**
 * What a failure of SQLite or of the file system means to the caller.
 * @param what the attempt, such as "write the journal"
 */
export function storeError(what: string, thrown: unknown): JSONFlowError {
  if (thrown instanceof JSONFlowError) return thrown;
  const { errcode, code } = thrown as { errcode?: number; code?: string };
  const primary = (errcode ?? 0) & 0xff;
  const message = `can't ${what}: ${messageOf(thrown)}`;
  // A number that JavaScript can't hold was never written by us.
  if (damage.has(primary) || code === 'ERR_OUT_OF_RANGE') return corrupt(message, thrown);
  const hint = hints[primary] ?? 'Remove the cause, then start again; what was acknowledged is safe.';
  return new JSONFlowError('STORE_FAILED', message, { hint, cause: thrown });
}
