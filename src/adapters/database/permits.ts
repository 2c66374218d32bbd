interface Waiter {
  take(): void;
  fail(thrown: unknown): void;
}

/** A fixed number of permits, given out first come first served. */
export class Permits {
  #free: number;
  readonly #waiters = new Set<Waiter>();

  constructor(count: number) {
    this.#free = count;
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** @param late what to throw when the time is over @throws that, or the signal's reason */
  async take(signal: AbortSignal, timeoutMs: number, late: () => Error): Promise<void> {
    signal.throwIfAborted();
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      this.#waiters.delete(waiter);
    };
    const waiter: Waiter = {
      take: () => {
        done();
        resolve();
      },
      fail: (thrown) => {
        done();
        reject(thrown);
      },
    };
    const abort = (): void => waiter.fail(signal.reason);
    const timer = setTimeout(() => waiter.fail(late()), timeoutMs);
    signal.addEventListener('abort', abort, { once: true });
    this.#waiters.add(waiter);
    return promise;
  }

  give(): void {
    const [next] = this.#waiters;
    if (next === undefined) this.#free += 1;
    else next.take();
  }

  /** Refuses all who wait. */
  fail(thrown: unknown): void {
    for (const waiter of this.#waiters) waiter.fail(thrown);
  }
}
