import { abortable } from '../../kit/abortable.ts';
import { StepError } from '../../lib/errors.ts';
import { Permits } from './permits.ts';

/** How connections of one kind are made, checked and ended. */
export interface ConnectionKind<C> {
  open(signal: AbortSignal): Promise<C>;
  /** Rejects where the connection is of no use. */
  check(connection: C): Promise<void>;
  /** Politely; does not reject. */
  end(connection: C): Promise<void>;
  /** At once. */
  destroy(connection: C): void;
  /** False once it is broken, or left in the middle of something. */
  usable(connection: C): boolean;
}

export interface ConnectionPoolOptions {
  /** Connections at once. */
  sizeMax: number;
  /** An idle connection is closed after so long. Ms; default 30,000. */
  idleMs?: number;
  /** Operations that may wait. Default 10,000. */
  waitingMax?: number;
  /** What to name in errors, without credentials. */
  name: string;
}

/** How long an idle connection may take to answer, or to end. */
const answerMs = 2_000;
/** How long a new connection may take: a server of another kind may wait for words that never come. */
const openMs = 15_000;

interface Idle<C> {
  connection: C;
  sinceMs: number;
}

/** Connections to one server, first come first served, with a limit on their number and on the wait for one. */
export class ConnectionPool<C> {
  readonly #kind: ConnectionKind<C>;
  readonly #options: Required<ConnectionPoolOptions>;
  /** The longest idle first. */
  readonly #idle: Idle<C>[] = [];
  readonly #busy = new Set<C>();
  readonly #permits: Permits;
  readonly #closing = new AbortController();
  #opening = 0;
  /** Connections that were idle before must prove that they still work. */
  #suspectBeforeMs = 0;
  #reaper: NodeJS.Timeout | undefined;

  constructor(kind: ConnectionKind<C>, options: ConnectionPoolOptions) {
    this.#kind = kind;
    this.#options = { idleMs: 30_000, waitingMax: 10_000, ...options };
    this.#permits = new Permits(options.sizeMax);
  }

  stats(): { size: number; idle: number; waiting: number } {
    return {
      size: this.#busy.size + this.#idle.length + this.#opening,
      idle: this.#idle.length,
      waiting: this.#permits.waiting,
    };
  }

  /**
   * @param acquireMs how long to wait for a free connection
   * @throws StepError POOL_EXHAUSTED (retryable), the signal's reason, what `open` and `body` throw
   */
  async use<R>(signal: AbortSignal, acquireMs: number, body: (connection: C) => Promise<R>): Promise<R> {
    this.#closing.signal.throwIfAborted();
    const { waitingMax } = this.#options;
    if (this.#permits.waiting >= waitingMax) throw this.#exhausted(`${waitingMax} operations wait already`);
    await this.#permits.take(signal, acquireMs, () => this.#exhausted(`none became free in ${acquireMs} ms`));
    try {
      return await this.#with(signal, body);
    } finally {
      this.#permits.give();
    }
  }

  /** Ends what is idle and cuts off what is not. */
  async close(): Promise<void> {
    this.#closing.abort(closed());
    clearTimeout(this.#reaper);
    this.#permits.fail(closed());
    for (const connection of this.#busy) this.#kind.destroy(connection);
    await Promise.all(this.#idle.splice(0).map(({ connection }) => this.#end(connection)));
  }

  async #with<R>(signal: AbortSignal, body: (connection: C) => Promise<R>): Promise<R> {
    const connection = (await this.#reuse(signal)) ?? (await this.#open(signal));
    this.#busy.add(connection);
    try {
      signal.throwIfAborted();
      this.#closing.signal.throwIfAborted();
      return await body(connection);
    } finally {
      this.#busy.delete(connection);
      this.#putBack(connection);
    }
  }

  async #open(signal: AbortSignal): Promise<C> {
    this.#opening += 1;
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(this.#silent()), openMs);
    try {
      return await this.#kind.open(AbortSignal.any([signal, this.#closing.signal, late.signal]));
    } finally {
      clearTimeout(timer);
      this.#opening -= 1;
    }
  }

  /** Who holds a permit takes an idle connection before opening another, so there are never more than permits. */
  async #reuse(signal: AbortSignal): Promise<C | undefined> {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      const { connection, sinceMs } = idle;
      if (this.#kind.usable(connection)) {
        if (sinceMs >= this.#suspectBeforeMs) return connection;
        if (await this.#works(connection, signal)) return connection;
      }
      this.#kind.destroy(connection);
      signal.throwIfAborted();
    }
    return undefined;
  }

  /** A server that says nothing must not take the whole time of whoever asks. */
  async #works(connection: C, signal: AbortSignal): Promise<boolean> {
    const limit = AbortSignal.any([signal, this.#closing.signal, AbortSignal.timeout(answerMs)]);
    return abortable(this.#kind.check(connection), limit).then(
      () => true,
      () => false,
    );
  }

  async #end(connection: C): Promise<void> {
    const limit = AbortSignal.timeout(answerMs);
    await abortable(this.#kind.end(connection), limit).catch(() => this.#kind.destroy(connection));
  }

  #putBack(connection: C): void {
    const nowMs = performance.now();
    if (!this.#kind.usable(connection)) this.#suspectBeforeMs = nowMs;
    if (this.#closing.signal.aborted || !this.#kind.usable(connection)) return this.#kind.destroy(connection);
    this.#idle.push({ connection, sinceMs: nowMs });
    this.#reapLater();
  }

  #silent(): StepError {
    return new StepError(
      'CONNECTION_FAILED',
      `${this.#options.name} did not let anybody in within ${openMs / 1_000} s; may be another kind of server is there, or one without TLS`,
      { retryable: true },
    );
  }

  #exhausted(why: string): StepError {
    const { sizeMax, name } = this.#options;
    return new StepError(
      'POOL_EXHAUSTED',
      `all ${sizeMax} connections (options.pool_size) to ${name} are in use, and ${why}; raise options.pool_size or options.acquire_timeout`,
      { retryable: true },
    );
  }

  #reapLater(): void {
    if (this.#reaper !== undefined || this.#idle.length === 0) return;
    this.#reaper = setTimeout(() => {
      this.#reaper = undefined;
      this.#reap();
    }, this.#options.idleMs);
    this.#reaper.unref();
  }

  #reap(): void {
    const beforeMs = performance.now() - this.#options.idleMs;
    const kept = this.#idle.findIndex(({ sinceMs }) => sinceMs > beforeMs);
    for (const { connection } of this.#idle.splice(0, kept === -1 ? this.#idle.length : kept))
      void this.#end(connection);
    this.#reapLater();
  }
}

const closed = (): StepError => new StepError('STEP_CANCELLED', 'the node is closing');
