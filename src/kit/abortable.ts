/**
 * The promise, or the signal's reason, whichever comes first. What the promise gives later is handed to `tidy`.
 */
export async function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  tidy: (late: T) => void = () => undefined,
): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = (): void => {
    promise.then(tidy, () => undefined);
    reject(signal.reason);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
