import { SqlFailure } from './errors.ts';

/** A connection that can be told to stop. */
export interface Cancellable {
  /** Tells the server to stop what runs. Does not reject. */
  cancel(): Promise<void>;
  destroy(): void;
  /** Undoes what the author's SQL may have left in the session. Does not reject: what can't be tidied up is given up. */
  tidy(): Promise<void>;
}

/** A server that has not stopped after so long is left alone. */
const stopMs = 2_000;

/** Runs `body`; when the signal aborts, stops the connection and throws the signal's reason. A stopped connection is not used again. */
export async function cancellable<R>(connection: Cancellable, signal: AbortSignal, body: () => Promise<R>): Promise<R> {
  let stopped: Promise<unknown> | undefined;
  let late: NodeJS.Timeout | undefined;
  const stop = (): void => {
    const tooLate = new Promise<void>((resolve) => {
      late = setTimeout(() => {
        connection.destroy();
        resolve();
      }, stopMs);
    });
    stopped = Promise.race([connection.cancel(), tooLate]);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    const result = await body();
    await connection.tidy();
    return result;
  } catch (thrown) {
    if (!(thrown instanceof SqlFailure && thrown.effect === 'unknown')) signal.throwIfAborted();
    if (stopped === undefined) await connection.tidy();
    throw thrown;
  } finally {
    signal.removeEventListener('abort', stop);
    if (stopped !== undefined) {
      await stopped;
      connection.destroy();
    }
    clearTimeout(late);
  }
}
