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
import type { Slots } from './slots.ts';

export interface TriggerDeps {
  store: Pick<Store, 'claimed'>;
  clock: Clock;
  /** Undefined where this coordinator has no adapter for it. */
  source: MessageSource | undefined;
  /** Places for runs of this trigger; they outlive a new deployment of the same name. */
  slots: Slots;
  submit(request: SubmitRequest): Promise<{ run_id: string }>;
  /** Resolves when the run has ended, whatever way; undefined where it is not under way. */
  ending(runId: string): Promise<unknown> | undefined;
}

export const concurrentRunsDefault = 16;
const batchWaitMsDefault = 200;
/** Messages that may be held at once, whatever their runs and batches would allow. */
const prefetchMax = 1_000;
/** Waits before the start of a run is tried again; the next one doubles. */
const retryMs = { first: 200, max: 5_000 };
/** Between two tries of a source that failed for good: its operator may mend what it needs. */
const restartMs = 5_000;

interface Waiting {
  incoming: SourceMessage;
  claim: string;
  gone: AbortSignal;
  answer(disposition: Disposition): void;
}

/**
 * One trigger of a deployed workflow: takes messages from its source and starts runs, never more than allowed at once. A message is
 * acknowledged when its run is durable, and the run has claimed it: delivered again, after whatever failure, it starts no other. One
 * that can't start a run yet is held until it can, so that the rest stays with the broker.
 */
export class Trigger {
  readonly #deployment: Deployment;
  readonly #trigger: MqTrigger;
  readonly #deps: TriggerDeps;
  readonly #stop = new AbortController();
  #state: SourceState = { kind: 'disconnected', why: 'it has not connected yet' };
  /** Why no run can be started at the moment. */
  #held: string | undefined;
  readonly #counts = { started: 0, repeated: 0, rejected: 0 };
  #batch: Waiting[] = [];
  #batchTimer: (() => void) | undefined;
  #running: Promise<void> | undefined;

  constructor(deployment: Deployment, trigger: MqTrigger, deps: TriggerDeps) {
    this.#deployment = deployment;
    this.#trigger = trigger;
    this.#deps = deps;
  }

  get status(): TriggerStatus {
    const { kind } = this.#state;
    const why = this.#state.kind === 'disconnected' ? this.#state.why : this.#held;
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
    const { source } = this.#deps;
    if (source === undefined) {
      this.#state = { kind: 'disconnected', why: `this coordinator has no adapter for ${this.#trigger.type}` };
      return;
    }
    this.#running ??= this.#run(source);
  }

  /** Takes nothing more; resolves when the source has let go of its messages. */
  async close(): Promise<void> {
    this.#stop.abort(new JSONFlowError('CLOSED', 'the trigger is closed'));
    this.#batchTimer?.();
    for (const { answer } of this.#batch.splice(0)) answer('release');
    await this.#running;
  }

  async #run(source: MessageSource): Promise<void> {
    const { signal } = this.#stop;
    const { max_concurrent_runs = concurrentRunsDefault, batch, params } = this.#trigger;
    const config = {
      params: params as JSONObject,
      tenantId: this.#deployment.tenant_id,
      prefetch: Math.min(prefetchMax, max_concurrent_runs * (batch?.max_messages ?? 1)),
      onState: (state: SourceState) => {
        this.#state = state;
      },
    };
    while (!signal.aborted) {
      try {
        await source.start(config, (incoming, gone) => this.#deliver(incoming, gone), signal);
      } catch (thrown) {
        this.#state = { kind: 'disconnected', why: clip(messageOf(thrown), limits.errorLengthMax) };
      }
      if (!signal.aborted) await pause(this.#deps.clock, restartMs, signal);
    }
    this.#state = { kind: 'disconnected', why: 'it is closed' };
  }

  #deliver(incoming: SourceMessage, gone: AbortSignal): Promise<Disposition> {
    if (this.#stop.signal.aborted || gone.aborted) return Promise.resolve('release');
    const { promise, resolve } = Promise.withResolvers<Disposition>();
    const one: Waiting = { incoming, claim: this.#claimOf(incoming.delivery.id), gone, answer: resolve };
    this.#batch.push(one);
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

  /** Starts one run for the messages. The first answer to each counts; where none was given, the message is released. */
  async #startRun(waiting: readonly Waiting[]): Promise<void> {
    // All of a batch come over one subscription, or the older ones are gone already.
    const signal = AbortSignal.any([this.#stop.signal, ...new Set(waiting.map(({ gone }) => gone))]);
    let release: (() => void) | undefined;
    try {
      release = await this.#deps.slots.take(signal);
      const runId = await this.#untilStarted(waiting, signal);
      const ending = runId === undefined ? undefined : this.#deps.ending(runId);
      if (ending !== undefined) {
        void ending.then(release, release);
        release = undefined;
      }
    } catch (thrown) {
      // One of several spoils the batch: each gets a run of its own, or does not.
      if (!signal.aborted && waiting.length > 1) return waiting.forEach((one) => void this.#startRun([one]));
      if (!signal.aborted) this.#reject(waiting, thrown);
    } finally {
      release?.();
    }
    for (const { answer } of waiting) answer('release');
  }

  /**
   * Tries until the run is durable, and acknowledges its messages then. Undefined where there was nothing to start.
   * @throws what is wrong with the messages themselves; the signal's reason
   */
  async #untilStarted(waiting: readonly Waiting[], signal: AbortSignal): Promise<string | undefined> {
    for (let waitMs: number = retryMs.first; ; waitMs = Math.min(retryMs.max, waitMs * 2)) {
      signal.throwIfAborted();
      try {
        const fresh = await this.#unclaimed(waiting);
        if (fresh.length === 0) return undefined;
        const { run_id } = await this.#deps.submit(this.#requestFor(fresh));
        this.#held = undefined;
        this.#counts.started += 1;
        for (const { answer } of fresh) answer('ack');
        return run_id;
      } catch (thrown) {
        if (isPoison(thrown)) throw thrown;
        this.#held = clip(`no run can be started: ${messageOf(thrown)}`, limits.errorLengthMax);
      }
      await pause(this.#deps.clock, waitMs, signal);
    }
  }

  /** Acknowledges what has had its run already, and returns the rest, each message once. */
  async #unclaimed(waiting: readonly Waiting[]): Promise<Waiting[]> {
    const taken = await this.#deps.store.claimed(waiting.map(({ claim }) => claim));
    const fresh = new Map<string, Waiting>();
    for (const one of waiting) {
      if (!taken.has(one.claim)) {
        // The same message twice in one batch: the second is released, and acknowledged when it comes again.
        if (!fresh.has(one.claim)) fresh.set(one.claim, one);
        continue;
      }
      this.#counts.repeated += 1;
      one.answer('ack');
    }
    return [...fresh.values()];
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
      trigger: trigger.id,
      claims: fresh.map(({ claim }) => claim),
      ...(tenant_id === null ? {} : { tenantId: tenant_id }),
    };
  }

  #reject(waiting: readonly Waiting[], thrown: unknown): void {
    this.#counts.rejected += 1;
    for (const { answer } of waiting) answer({ reject: clip(messageOf(thrown), limits.errorLengthMax) });
  }
}

/** What is wrong with a message itself stays wrong. All else may pass: a full queue, a step type whose worker is away. */
function isPoison(thrown: unknown): boolean {
  const { code } = thrown instanceof StepError ? thrown : asError(thrown);
  return code === 'INVALID_INPUT' || code === 'LIMIT_EXCEEDED';
}

/** Resolves early where the signal aborts. */
function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      stop();
      signal.removeEventListener('abort', done);
      resolve();
    };
    const stop = clock.timer(ms, done);
    signal.addEventListener('abort', done, { once: true });
  });
}
