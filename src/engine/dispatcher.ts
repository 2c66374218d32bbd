import { assignStep, blameForLosses, isCurrent } from '../core/run/decide.ts';
import type { Placement, Scheduler } from '../core/scheduler/scheduler.ts';
import { resolveParams } from '../core/workflow/references.ts';
import { canonicalize } from '../lib/canonical.ts';
import { JSONFlowError, messageOf } from '../lib/errors.ts';
import { sha256 } from '../lib/hash.ts';
import type { JSONObject } from '../lib/json.ts';
import type { Clock } from '../ports/clock.ts';
import type { PlacementReason, Stored } from '../protocol/events.ts';
import type { Assignment } from '../protocol/messages.ts';
import type { StepFailure } from '../protocol/receipt.ts';
import { type ActiveRun, clearTimer, demandFor, factsOf, paramsOf, plannedAt, setTimer } from './active-run.ts';
import type { CoordinatorConfig } from './config.ts';
import type { Journal } from './journal.ts';
import type { Members } from './members.ts';
import { assetsOf } from './pinned-assets.ts';
import type { Values } from './values.ts';

export interface DispatcherDeps {
  scheduler: Scheduler;
  members: Members;
  values: Values;
  clock: Clock;
  journal: Journal;
  run(runId: string): ActiveRun | undefined;
  /** An attempt is now on this node. */
  assigned(run: ActiveRun, step: number, node: string): void;
  /** The coordinator itself fails a step, with a receipt of its own. */
  fail(run: ActiveRun, step: number, failure: StepFailure, inputDigest?: string): void;
  /** A node kept a step beyond its time-out. */
  hung(run: ActiveRun, step: number, attempt: number): void;
}

interface Prepared {
  params: Stored;
  digest: string;
}

/** Brings ready steps to nodes: asks the scheduler, resolves inputs, journals the assignment, and sends it once it is durable. */
export class Dispatcher {
  readonly #config: CoordinatorConfig;
  readonly #deps: DispatcherDeps;
  #stopped = false;

  constructor(config: CoordinatorConfig, deps: DispatcherDeps) {
    this.#config = config;
    this.#deps = deps;
  }

  /** Nothing new is placed any more. */
  stop(): void {
    this.#stopped = true;
  }

  /** Places all that can be placed now. */
  pump(): void {
    if (this.#stopped) return;
    for (let placement = this.#deps.scheduler.next(); placement !== undefined; placement = this.#deps.scheduler.next())
      this.#place(placement);
  }

  /** Cancels the time-out of an attempt that has ended. */
  attemptEnded(run: ActiveRun, step: number): void {
    clearTimer(run, `hung ${step}`);
  }

  /** Starts the time-out of an attempt, from when it was assigned. */
  watch(run: ActiveRun, step: number, attempt: number, assignedAt: number): void {
    const timeout = timeoutOf(run, step);
    if (timeout === null) return;
    const left = assignedAt + timeout + this.#config.timeoutGraceMs - this.#deps.clock.now();
    setTimer(
      run,
      `hung ${step}`,
      this.#deps.clock.timer(Math.max(0, left), () => this.#deps.hung(run, step, attempt)),
    );
  }

  #place(placement: Placement): void {
    const { ready, node, reason } = placement;
    const { scheduler } = this.#deps;
    const run = this.#deps.run(ready.run);
    const giveUp = () => {
      if (scheduler.holds(placement)) scheduler.release(node, ready.demand);
    };
    if (run === undefined || !isWaiting(run, ready.step)) return giveUp();
    const blame = blameForLosses(run.state, plannedAt(run.state.plan, ready.step).step.id);
    if (blame !== undefined) {
      giveUp();
      return this.#deps.fail(run, ready.step, blame);
    }
    let prepared: Prepared | Promise<Prepared>;
    try {
      prepared = this.prepare(run, ready.step);
    } catch (thrown) {
      giveUp();
      return this.#deps.fail(run, ready.step, failureOf(thrown));
    }
    if (!(prepared instanceof Promise)) return this.#assign(run, ready.step, node, reason, prepared);
    prepared.then(
      (late) => {
        const there = scheduler.holds(placement) && this.#deps.members.get(node)?.connection !== undefined;
        if (there && isWaiting(run, ready.step)) return this.#assign(run, ready.step, node, reason, late);
        giveUp();
        if (isWaiting(run, ready.step)) scheduler.enqueue(ready);
        this.#deps.journal.schedule();
      },
      (thrown: unknown) => {
        giveUp();
        if (isWaiting(run, ready.step)) this.#deps.fail(run, ready.step, failureOf(thrown));
      },
    );
  }

  /**
   * The step's params with references resolved. Waits only where a value is not at hand.
   * @throws JSONFlowError REFERENCE_FAILED, NOT_I_JSON, LIMIT_EXCEEDED
   */
  prepare(run: ActiveRun, step: number): Prepared | Promise<Prepared> {
    const { plan, steps } = run.state;
    const absent: Stored[] = [];
    for (const parent of plannedAt(plan, step).parents) {
      const state = steps[parent]?.state;
      if (state?.kind === 'succeeded' && this.#deps.values.peek(state.output) === undefined) absent.push(state.output);
    }
    if (absent.length === 0) return this.#resolve(run, step, new Map());
    return this.#loadAll(absent).then((loaded) => this.#resolve(run, step, loaded));
  }

  async #loadAll(absent: readonly Stored[]): Promise<Map<Stored, unknown>> {
    const loaded = new Map<Stored, unknown>();
    // One after the other: each may be large.
    for (const stored of absent) loaded.set(stored, await this.#deps.values.load(stored));
    return loaded;
  }

  #resolve(run: ActiveRun, step: number, loaded: ReadonlyMap<Stored, unknown>): Prepared | Promise<Prepared> {
    const { plan, steps } = run.state;
    const resolved = resolveParams(paramsOf(plannedAt(plan, step)), {
      input: run.input,
      output: (id) => {
        const index = plan.byId.get(id)?.index;
        const state = index === undefined ? undefined : steps[index]?.state;
        if (state?.kind !== 'succeeded') return undefined;
        const value = loaded.has(state.output) ? loaded.get(state.output) : this.#deps.values.peek(state.output)?.value;
        return value as JSONObject | undefined;
      },
    });
    const text = canonicalize(resolved);
    const digest = sha256(text);
    const params = this.#deps.values.keep(text, resolved, digest);
    return params instanceof Promise ? params.then((kept) => ({ params: kept, digest })) : { params, digest };
  }

  #assign(run: ActiveRun, step: number, node: string, reason: PlacementReason, { params, digest }: Prepared): void {
    const { clock, journal, members } = this.#deps;
    const { step: stated } = plannedAt(run.state.plan, step);
    const event = assignStep(
      run.state,
      stated.id,
      { node, epoch: journal.epoch, inputDigest: digest, reason },
      clock.now(),
    );
    const assignment = this.#assignment(run, step, event.attempt, params, digest);
    this.#deps.assigned(run, step, node);
    journal.emit(run, event, () => {
      // The node may have gone meanwhile; then the step has been, or will be, given to another.
      if (isCurrent(run.state, { step: stated.id, attempt: event.attempt, epoch: event.epoch, node }) === undefined)
        return;
      this.watch(run, step, event.attempt, event.at);
      try {
        members.send(node, { kind: 'assign', assignment });
      } catch (thrown) {
        // Too large for one frame, wherever it would go.
        this.#deps.fail(run, step, failureOf(thrown), digest);
      }
    });
  }

  #assignment(run: ActiveRun, step: number, attempt: number, params: Stored, digest: string): Assignment {
    const { plan, started, runId, steps } = run.state;
    const { step: stated, digest: stepDigest } = plannedAt(plan, step);
    const assignment: Assignment = {
      run_id: runId,
      step_id: stated.id,
      step_type: stated.type,
      attempt,
      epoch: this.#deps.journal.epoch,
      tenant_id: started.tenant_id,
      workflow_digest: plan.digest,
      step_digest: stepDigest,
      input_digest: digest,
      params,
      pointers: factsOf(plan, step).pointers,
      parents: parentReceipts(run, step),
      timeout_ms: timeoutOf(run, step),
      resources: { ...demandFor(plan, step).resources },
    };
    const assets = assetsOf(plannedAt(plan, step), started.assets);
    if (assets !== undefined) assignment.assets = assets;
    const { failover_strategy, checkpoint_frequency } = plan.workflow.fault_tolerance ?? {};
    if (failover_strategy !== 'checkpoint') return assignment;
    assignment.checkpoint_frequency = checkpoint_frequency ?? 'per_step';
    const checkpoint = steps[step]?.checkpoint;
    if (checkpoint !== undefined) assignment.checkpoint = checkpoint;
    return assignment;
  }
}

/** Receipts that a step builds on, in the order of the workflow. */
export function parentReceipts(run: ActiveRun, step: number): { step_id: string; receipt_digest: string }[] {
  const { plan, steps } = run.state;
  return plannedAt(plan, step).parents.flatMap((parent) => {
    const state = steps[parent]?.state;
    if (state?.kind !== 'succeeded') return [];
    return [{ step_id: plannedAt(plan, parent).step.id, receipt_digest: state.receiptDigest }];
  });
}

export const isWaiting = (run: ActiveRun, step: number): boolean =>
  run.state.stopping === undefined &&
  !run.concluding &&
  !run.failing.has(step) &&
  run.state.steps[step]?.state.kind === 'ready';

const timeoutOf = (run: ActiveRun, step: number): number | null =>
  plannedAt(run.state.plan, step).step.resource_requirements?.timeout_ms ?? null;

function failureOf(thrown: unknown): StepFailure {
  const code = thrown instanceof JSONFlowError ? thrown.code : 'INTERNAL';
  return { code, message: messageOf(thrown), retryable: false };
}
