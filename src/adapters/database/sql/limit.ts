const secondsMax = 2 ** 20;

/** The server's own limit for a statement, for when this node is gone: a power of two, so that it rarely has to be set anew. Seconds. */
export const limitSeconds = (timeoutMs: number): number =>
  Math.min(2 ** Math.ceil(Math.log2(Math.max(1, timeoutMs / 1_000))), secondsMax);
