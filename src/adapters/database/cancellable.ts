/** A connection that can be told to stop. */
export interface Cancellable {
  /** Tells the server to stop what runs. Does not reject. */
  cancel(): Promise<void>;
  destroy(): void;
}

/** A server that has not stopped after so long is left alone. */
const stopMs = 2_000;

/** Runs `body`; when the signal aborts, stops the connection and throws the signal's reason. A stopped connection is not used again. */
export async function cancellable<R>(connection: Cancellable, signal: AbortSignal, body: () => Promise<R>): Promise<R> {
  let stopping: Promise<void> | undefined;
  let late: NodeJS.Timeout | undefined;
  const stop = (): void => {
    stopping = connection.cancel();
    late = setTimeout(() => connection.destroy(), stopMs);
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    return await body();
  } catch (thrown) {
    signal.throwIfAborted();
    throw thrown;
  } finally {
    signal.removeEventListener('abort', stop);
    if (stopping !== undefined) {
      await stopping;
      connection.destroy();
    }
    clearTimeout(late);
  }
}
