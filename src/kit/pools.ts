import { StepError } from '../lib/errors.ts';
import { abortable } from './abortable.ts';

export interface PoolCacheOptions {
  /** Pools that may be open at once. Default 100. */
  poolsMax?: number;
  /** A pool that nobody has used for so long is closed. Ms; default 60,000. */
  idleMs?: number;
}

interface Closable {
  close(): Promise<void>;
}

interface Entry<T> {
  ready: Promise<T>;
  /** What `ready` gave. */
  pool: T | undefined;
  users: number;
  reap: NodeJS.Timeout | undefined;
}

/** One pool of connections per target, opened when first needed, closed when long unused, and never too many. */
export class PoolCache<T extends Closable> {
  readonly #poolsMax: number;
  readonly #idleMs: number;
  /** In the order of their last use, the oldest first. Keys hold passwords: they go nowhere. */
  readonly #entries = new Map<string, Entry<T>>();
  readonly #closing = new AbortController();

  constructor({ poolsMax = 100, idleMs = 60_000 }: PoolCacheOptions = {}) {
    this.#poolsMax = poolsMax;
    this.#idleMs = idleMs;
  }

  /** What is open, for health and metrics; not what is being opened. */
  async opened(): Promise<T[]> {
    return [...this.#entries.values()].flatMap(({ pool }) => (pool === undefined ? [] : [pool]));
  }

  /**
   * @param key everything that makes a pool another one: target, credentials, options, and for whom it was opened
   * @param open gets a signal that aborts when the cache closes: `close` waits for it to end
   * @param signal ends the wait for a pool that is being opened; that goes on, for whoever comes next
   * @throws StepError POOLS_EXHAUSTED (retryable); what `open` and `body` throw; the signal's reason
   */
  async use<R>(
    key: string,
    open: (closing: AbortSignal) => Promise<T>,
    body: (pool: T) => Promise<R>,
    signal: AbortSignal,
  ): Promise<R> {
    this.#closing.signal.throwIfAborted();
    const entry = this.#entries.get(key) ?? this.#open(key, open);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users += 1;
    clearTimeout(entry.reap);
    try {
      return await body(await abortable(entry.ready, signal));
    } finally {
      entry.users -= 1;
      if (entry.users === 0 && this.#entries.get(key) === entry) this.#reapLater(key, entry);
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new StepError('STEP_CANCELLED', 'the node is closing'));
    const entries = [...this.#entries];
    await Promise.allSettled(entries.map(([key, entry]) => this.#discard(key, entry)));
  }

  #open(key: string, open: (closing: AbortSignal) => Promise<T>): Entry<T> {
    this.#makeRoom();
    const entry: Entry<T> = { ready: open(this.#closing.signal), pool: undefined, users: 0, reap: undefined };
    entry.ready.then(
      (pool) => {
        entry.pool = pool;
      },
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    );
    return entry;
  }

  #makeRoom(): void {
    if (this.#entries.size < this.#poolsMax) return;
    for (const [key, entry] of this.#entries)
      if (entry.users === 0) return void this.#discard(key, entry).catch(() => undefined);
    throw new StepError(
      'POOLS_EXHAUSTED',
      `all ${this.#poolsMax} connection pools of this node are in use; use fewer different connections at once`,
      { retryable: true },
    );
  }

  #reapLater(key: string, entry: Entry<T>): void {
    entry.reap = setTimeout(() => void this.#discard(key, entry).catch(() => undefined), this.#idleMs);
    entry.reap.unref();
  }

  async #discard(key: string, entry: Entry<T>): Promise<void> {
    clearTimeout(entry.reap);
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    const pool = await entry.ready;
    await pool.close();
  }
}
