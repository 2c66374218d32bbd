import { triggerIdOf } from '../core/workflow/triggers.ts';
import { canonicalize } from '../lib/canonical.ts';
import { clip } from '../lib/clip.ts';
import { asError, JSONFlowError, messageOf, StepError } from '../lib/errors.ts';
import { sha256 } from '../lib/hash.ts';
import type { JSONObject, JSONValue } from '../lib/json.ts';
import type { Clock } from '../ports/clock.ts';
import type { Disposition, MessageSource, SourceMessage, SourceState } from '../ports/message-source.ts';
import type { Deployment, Store } from '../ports/store.ts';
import { limits } from '../protocol/limits.ts';
import type { MqTrigger } from '../protocol/workflow.ts';
import type { SubmitRequest, TriggerStatus } from './api.ts';
import { Slots } from './slots.ts';

export interface TriggerDeps {
  store: Pick<Store, 'claimed'>;
  clock: Clock;
  source: MessageSource;
  submit(request: SubmitRequest): Promise<{ run_id: string }>;
  /** Resolves when the run has ended, whatever way; undefined where it is not under way. */
  ending(runId: string): Promise<unknown> | undefined;
}

const concurrentRunsDefault = 16;
const batchWaitMsDefault = 200;
/** How long a message stays away that could not start a run for a reason that may pass. */
const retryMs = 1_000;
/** Between two tries of a source that failed for good: its operator may mend what it needs. */
const restartMs = 5_000;

interface Waiting {
  incoming: SourceMessage;
  claim: string;
  answer(disposition: Disposition): void;
}

/**
 * One trigger of a deployed workflow: takes messages from its source and starts runs, never more than allowed at once. A message is
 * acknowledged when its run is durable, and the run has claimed it: delivered again, after whatever failure, it starts no other.
 */
export class Trigger {
  readonly #deployment: Deployment;
  readonly #trigger: MqTrigger;
  readonly #deps: TriggerDeps;
  readonly #stop = new AbortController();
  readonly #slots: Slots;
  #state: SourceState = { kind: 'disconnected', why: 'it has not connected yet' };
  readonly #counts = { started: 0, repeated: 0, rejected: 0 };
  #batch: Waiting[] = [];
  #batchTimer: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(deployment: Deployment, trigger: MqTrigger, deps: TriggerDeps) {
    this.#deployment = deployment;
    this.#trigger = trigger;
    this.#deps = deps;
    this.#slots = new Slots(trigger.max_concurrent_runs ?? concurrentRunsDefault);
  }

  get status(): TriggerStatus {
    const { kind } = this.#state;
    const why = this.#state.kind === 'disconnected' ? this.#state.why : undefined;
    return {
      id: triggerIdOf(this.#trigger),
      type: this.#trigger.type,
      state: kind,
      ...(why === undefined ? {} : { why }),
      runs_started: this.#counts.started,
      messages_repeated: this.#counts.repeated,
      messages_rejected: this.#counts.rejected,
    };
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Takes nothing more; resolves when the source has let go of its messages. */
  async close(): Promise<void> {
    this.#stop.abort(new JSONFlowError('CLOSED', 'the trigger is closed'));
    this.#batchTimer?.();
    for (const { answer } of this.#batch.splice(0)) answer({ retry: 0 });
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    const { source, clock } = this.#deps;
    const { max_concurrent_runs = concurrentRunsDefault, batch, params } = this.#trigger;
    const config = {
      params: params as JSONObject,
      tenantId: this.#deployment.tenant_id,
      prefetch: Math.min(10_000, max_concurrent_runs * (batch?.max_messages ?? 1)),
      onState: (state: SourceState) => {
        this.#state = state;
      },
    };
    while (!signal.aborted) {
      try {
        await source.start(config, (incoming) => this.#deliver(incoming), signal);
      } catch (thrown) {
        this.#state = { kind: 'disconnected', why: clip(messageOf(thrown), limits.errorLengthMax) };
      }
      if (!signal.aborted) await pause(clock, restartMs, signal);
    }
    this.#state = { kind: 'disconnected', why: 'it is closed' };
  }

  #deliver(incoming: SourceMessage): Promise<Disposition> {
    if (this.#stop.signal.aborted) return Promise.resolve({ retry: 0 });
    const { promise, resolve } = Promise.withResolvers<Disposition>();
    this.#batch.push({ incoming, claim: this.#claimOf(incoming.delivery.id), answer: resolve });
    const { batch } = this.#trigger;
    if (batch === undefined || this.#batch.length >= batch.max_messages) this.#flush();
    else this.#batchTimer ??= this.#deps.clock.timer(batch.wait_ms ?? batchWaitMsDefault, () => this.#flush());
    return promise;
  }

  #flush(): void {
    this.#batchTimer?.();
    this.#batchTimer = undefined;
    const waiting = this.#batch.splice(0);
    if (waiting.length > 0) void this.#startRun(waiting);
  }

  /** What makes a message this trigger's own: the same id from another queue's trigger is another message. */
  #claimOf(messageId: string): string {
    const { tenant_id, name } = this.#deployment;
    return sha256(canonicalize(['trigger', tenant_id, name, triggerIdOf(this.#trigger), messageId]));
  }

  async #startRun(waiting: readonly Waiting[]): Promise<void> {
    let release: (() => void) | undefined;
    try {
      release = await this.#slots.take(this.#stop.signal);
      const fresh = await this.#unclaimed(waiting);
      if (fresh.length === 0) return;
      const run = await this.#deps.submit(this.#requestFor(fresh));
      this.#counts.started += 1;
      for (const { answer } of fresh) answer('ack');
      const ending = this.#deps.ending(run.run_id);
      if (ending === undefined) return;
      const done = release;
      release = undefined;
      void ending.then(done, done);
    } catch (thrown) {
      this.#failed(waiting, thrown);
    } finally {
      release?.();
    }
  }

  /** Acknowledges what has had its run already, and returns the rest, each message once. */
  async #unclaimed(waiting: readonly Waiting[]): Promise<Waiting[]> {
    const taken = await this.#deps.store.claimed(waiting.map(({ claim }) => claim));
    const fresh: Waiting[] = [];
    for (const one of waiting) {
      if (!taken.has(one.claim)) {
        taken.add(one.claim);
        fresh.push(one);
      } else if (fresh.some(({ claim }) => claim === one.claim)) {
        // The same message twice in one batch: its fate is that of the first, so it comes again until that is settled.
        one.answer({ retry: retryMs });
      } else {
        this.#counts.repeated += 1;
        one.answer('ack');
      }
    }
    return fresh;
  }

  #requestFor(fresh: readonly Waiting[]): SubmitRequest {
    const trigger = { id: triggerIdOf(this.#trigger), type: this.#trigger.type };
    const [first] = fresh;
    const input: JSONValue =
      this.#trigger.batch === undefined && first !== undefined
        ? { trigger, message: first.incoming.message, delivery: first.incoming.delivery }
        : {
            trigger,
            messages: fresh.map(({ incoming }) => incoming.message),
            deliveries: fresh.map(({ incoming }) => incoming.delivery),
          };
    const { tenant_id, workflow } = this.#deployment;
    return {
      workflow,
      input,
      claims: fresh.map(({ claim }) => claim),
      ...(tenant_id === null ? {} : { tenantId: tenant_id }),
    };
  }

  /** An answer that was given before stays: only the first counts. */
  #failed(waiting: readonly Waiting[], thrown: unknown): void {
    const { code, message } = thrown instanceof StepError ? thrown : asError(thrown);
    // What is wrong with the message itself stays wrong. All else may pass: a full queue, a step type whose worker is away.
    const poisonous = code === 'INVALID_INPUT' || code === 'LIMIT_EXCEEDED';
    if (poisonous && waiting.length > 1) {
      // One of them spoils the batch: each gets a run of its own, or does not.
      for (const one of waiting) void this.#startRun([one]);
      return;
    }
    if (poisonous) this.#counts.rejected += 1;
    for (const { answer } of waiting)
      answer(poisonous ? { reject: clip(message, limits.errorLengthMax) } : { retry: retryMs });
  }
}

function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const stop = clock.timer(ms, resolve);
    signal.addEventListener(
      'abort',
      () => {
        stop();
        resolve();
      },
      { once: true },
    );
  });
}
