import { JSONFlowError, messageOf } from '../lib/errors.ts';
import type { Clock, Random } from '../ports/clock.ts';
import type { Transport } from '../ports/transport.ts';
import type { Worker } from './worker.ts';

export interface UplinkOptions {
  url: string;
  /** First and longest wait between two tries, in ms; it doubles, with jitter. Defaults 200 and 2000: within the grace of a coordinator. */
  backoffMs?: number;
  backoffMaxMs?: number;
  handshakeTimeoutMs: number;
  onState?(state: UplinkState): void;
}

export type UplinkState =
  | { kind: 'connected' }
  | { kind: 'disconnected'; why: string; retryInMs: number }
  | { kind: 'refused'; error: JSONFlowError };

/** Keeps a worker connected to its coordinator until it is closed. */
export class Uplink {
  readonly #worker: Worker;
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #random: Pick<Random, 'fraction'>;
  readonly #options: UplinkOptions;
  readonly #closing = new AbortController();
  #wakeUp: (() => void) | undefined;

  constructor(
    options: UplinkOptions,
    deps: { worker: Worker; transport: Transport; clock: Clock; random: Pick<Random, 'fraction'> },
  ) {
    this.#options = options;
    this.#worker = deps.worker;
    this.#transport = deps.transport;
    this.#clock = deps.clock;
    this.#random = deps.random;
  }

  /**
   * Connects, and goes on connecting whenever the connection breaks. Resolves at the first welcome.
   * @throws JSONFlowError that trying again can't mend, such as a refused token; later ones are told through `onState`
   */
  start(): Promise<void> {
    const first = Promise.withResolvers<void>();
    void this.#run(first);
    return first.promise;
  }

  /** Ends the tries; an open connection is the worker's to close. */
  close(): void {
    this.#closing.abort(new JSONFlowError('CLOSED', 'the node is closing'));
    this.#wakeUp?.();
  }

  async #run(first: PromiseWithResolvers<void>): Promise<void> {
    const { backoffMs = 200, backoffMaxMs = 2_000 } = this.#options;
    let wait = backoffMs;
    while (!this.#closing.signal.aborted) {
      let why = 'the connection closed';
      try {
        const { closed } = await this.#once();
        first.resolve();
        this.#options.onState?.({ kind: 'connected' });
        wait = backoffMs;
        const error = await closed;
        if (error !== undefined) why = messageOf(error);
      } catch (thrown) {
        if (this.#closing.signal.aborted) break;
        why = messageOf(thrown);
        if (thrown instanceof JSONFlowError && !thrown.retriable) {
          this.#options.onState?.({ kind: 'refused', error: thrown });
          first.reject(thrown);
          return;
        }
      }
      if (this.#closing.signal.aborted) break;
      const retryInMs = Math.round(wait * (0.5 + this.#random.fraction() / 2));
      this.#options.onState?.({ kind: 'disconnected', why, retryInMs });
      await this.#sleep(retryInMs);
      wait = Math.min(backoffMaxMs, wait * 2);
    }
    first.reject(this.#closing.signal.reason);
  }

  /** One connection up to the welcome; `closed` resolves when it closes. */
  async #once(): Promise<{ closed: Promise<Error | undefined> }> {
    const connection = await this.#transport.connect(this.#options.url, { signal: this.#closing.signal });
    const closed = new Promise<Error | undefined>((resolve) => connection.onClose(resolve));
    const stopTimer = this.#clock.timer(this.#options.handshakeTimeoutMs, () =>
      connection.destroy(
        new JSONFlowError('NODE_UNREACHABLE', 'the coordinator did not answer the handshake', { retriable: true }),
      ),
    );
    try {
      await this.#worker.join(connection);
    } catch (thrown) {
      connection.destroy();
      throw thrown;
    } finally {
      stopTimer();
    }
    return { closed };
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.#clock.timer(ms, resolve);
      this.#wakeUp = () => {
        stop();
        resolve();
      };
    });
  }
}
