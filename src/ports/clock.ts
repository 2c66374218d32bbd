/** Time and timers, so that the same code runs under a virtual clock. */
export interface Clock {
  /** Ms since 1970-01-01 UTC. */
  now(): number;
  /** Calls `fn` once after `ms`; the returned function cancels. A timer does not keep the process alive by itself. */
  timer(ms: number, fn: () => void): () => void;
}

/** Unpredictable values: ids, nonces, jitter. */
export interface Random {
  /** A new run id: unique, and ordered by time. */
  runId(now: number): string;
  bytes(count: number): Uint8Array;
  /** Uniform in [0, 1). */
  fraction(): number;
}
