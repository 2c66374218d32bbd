import { setTimeout as sleep } from 'node:timers/promises';
import { abortable } from '../../kit/abortable.ts';
import { messageOf, StepError } from '../../lib/errors.ts';
import type { JSONObject } from '../../lib/json.ts';
import type { Egress } from '../../ports/egress.ts';
import type { Deliver, Disposition, MessageSource, SourceConfig } from '../../ports/message-source.ts';
import type { Broker, Incoming } from './broker.ts';
import { type BrokerName, checkedBroker, openBroker } from './connect.ts';
import { type Reading, read, readingOf } from './incoming.ts';
import { queueOf } from './params.ts';

const backoffMs = { first: 500, max: 30_000 };
/** How long what is in work may take to be settled once the trigger ends. */
const graceMs = 5_000;
/** How long a message stays away that was released while others are taken. */
const releaseMs = 1_000;
/** What trying again can't mend. */
const hopeless = new Set(['INVALID_PARAMS', 'EGRESS_DENIED', 'UNSUPPORTED']);

/** Where triggers of type `mq` get their messages: any broker that `mq_consume` speaks to, with the same params. */
export function createMqSource({ egress }: { egress: Egress }): MessageSource {
  const stop = new AbortController();
  const running = new Set<Promise<void>>();
  return {
    async start(config, deliver, signal) {
      const run = runTrigger(config, deliver, AbortSignal.any([signal, stop.signal]), egress);
      running.add(run);
      try {
        await run;
      } finally {
        running.delete(run);
      }
    },
    async close() {
      stop.abort(new StepError('STEP_CANCELLED', 'the node is closing'));
      await Promise.allSettled(running);
    },
  };
}

async function runTrigger(config: SourceConfig, deliver: Deliver, signal: AbortSignal, egress: Egress): Promise<void> {
  const { params, tenantId, onState } = config;
  queueOf(params);
  checkedBroker(String(params.broker));
  const name: BrokerName = { text: String(params.broker), reach: tenantId === null ? 'operator' : 'public', tenantId };
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      const broker = await abortable(
        openBroker(name, egress, signal),
        signal,
        (late) => void late.close().catch(() => undefined),
      );
      try {
        await new Receiver(config, deliver).receive(broker, signal, () => {
          failures = 0;
          onState({ kind: 'connected' });
        });
      } finally {
        await broker.close().catch(() => undefined);
      }
    } catch (thrown) {
      if (signal.aborted) return;
      if (thrown instanceof StepError && hopeless.has(thrown.code)) throw thrown;
      onState({ kind: 'disconnected', why: messageOf(thrown) });
    }
    const ms = Math.min(backoffMs.max, backoffMs.first * 2 ** Math.min(failures, 10));
    await sleep(ms * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
  }
}

/** One subscription, from its beginning until it breaks or the trigger ends. */
class Receiver {
  readonly #params: JSONObject;
  readonly #prefetch: number;
  readonly #deliver: Deliver;
  readonly #reading: Reading;
  /** Aborted when the subscription has ended: its messages go back, and come again. */
  readonly #gone = new AbortController();
  readonly #inWork = new Set<Promise<void>>();
  /** Ends the subscription, which gives back what it holds. */
  readonly #end = new AbortController();
  #broken: unknown;
  #draining = false;

  constructor({ params, prefetch }: SourceConfig, deliver: Deliver) {
    this.#params = params;
    this.#prefetch = prefetch;
    this.#deliver = deliver;
    // However often it was delivered, a message that has had no run yet is no poison: the coordinator may have been away.
    this.#reading = { ...readingOf(params), maxDeliveries: Number.POSITIVE_INFINITY };
  }

  async receive(broker: Broker, signal: AbortSignal, onConnected: () => void): Promise<void> {
    const onAbort = (): void => {
      this.#draining = true;
      void this.#settled().then(() => this.#end.abort(signal.reason));
    };
    if (signal.aborted) return;
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      const subscription = await broker.subscribe({
        params: this.#params,
        prefetch: this.#prefetch,
        onMessage: (incoming) => this.#take(incoming),
        signal: this.#end.signal,
      });
      onConnected();
      await subscription.ended;
      if (this.#broken !== undefined) throw this.#broken;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#gone.abort(new StepError('CONNECTION_FAILED', 'the subscription has ended', { retryable: true }));
    }
  }

  #take(incoming: Incoming): void {
    // What comes while the trigger ends goes back to the broker with the subscription.
    if (this.#draining) return;
    // A message that can't be settled would stay in its place for good: with the subscription, it goes back.
    const work = this.#handle(incoming).catch((thrown) => {
      this.#broken = thrown;
      this.#end.abort(thrown);
    });
    this.#inWork.add(work);
    void work.then(() => this.#inWork.delete(work));
  }

  async #handle(incoming: Incoming): Promise<void> {
    const one = read(incoming.delivery, this.#reading);
    if ('poison' in one) return incoming.reject(one.poison);
    const disposition = await this.#deliver(one, this.#gone.signal).catch((): Disposition => 'release');
    if (disposition === 'ack') return incoming.ack();
    if (disposition !== 'release') return incoming.reject(disposition.reject);
    // What is left when the subscription ends goes back by itself.
    if (!this.#draining && !this.#gone.signal.aborted) return incoming.retryLater(releaseMs);
  }

  async #settled(): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, graceMs);
    await Promise.race([Promise.allSettled(this.#inWork), late]);
    clearTimeout(timer);
  }
}
