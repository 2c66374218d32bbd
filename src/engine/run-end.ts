import { isSettled } from '../core/run/state.ts';
import type { Scheduler } from '../core/scheduler/scheduler.ts';
import { asError, type JSONFlowError } from '../lib/errors.ts';
import type { Clock } from '../ports/clock.ts';
import type { StepFailure } from '../protocol/receipt.ts';
import { type ActiveRun, plannedAt, setTimer } from './active-run.ts';
import type { Journal } from './journal.ts';
import type { Members } from './members.ts';
import type { OwnReceipts } from './own-receipts.ts';

interface RunEndDeps {
  scheduler: Scheduler;
  members: Members;
  clock: Clock;
  journal: Journal;
  own: OwnReceipts;
  lose(run: ActiveRun, step: number, why: string, counts: boolean): void;
  attemptEnded(run: ActiveRun, step: number, node: string): void;
  /** The last event of a run is durable. */
  ended(run: ActiveRun): void;
  fatal(error: JSONFlowError): void;
  isClosed(): boolean;
}

/** How runs come to their end: steps that the coordinator fails, steps that are told to stop, and the conclusion. */
export class RunEnd {
  readonly #cancelGraceMs: number;
  readonly #deps: RunEndDeps;

  constructor(cancelGraceMs: number, deps: RunEndDeps) {
    this.#cancelGraceMs = cancelGraceMs;
    this.#deps = deps;
  }

  /** The coordinator fails a step itself: one that no node could be given, or whose assignment can't be sent. */
  async failStep(run: ActiveRun, step: number, error: StepFailure, inputDigest?: string): Promise<void> {
    const record = run.state.steps[step];
    if (record === undefined || run.failing.has(step)) return;
    const { state: before } = record;
    const attempt = before.kind === 'assigned' ? before.attempt : record.attempt + 1;
    run.failing.add(step);
    try {
      const event = await this.#deps.own.failure(run, step, attempt, error, inputDigest);
      // Meanwhile the run may have been cancelled, or a node may have answered after all.
      if (this.#deps.isClosed() || run.concluding || run.state.stopping !== undefined || record.state !== before)
        return;
      if (before.kind === 'assigned') this.#deps.attemptEnded(run, step, before.node);
      this.#deps.journal.emit(run, event);
    } catch (thrown) {
      this.#deps.fatal(asError(thrown));
    } finally {
      run.failing.delete(step);
      if (!this.#deps.isClosed()) this.concludeIfSettled(run);
    }
  }

  /** Cancels what runs; whoever does not answer in time is not waited for. */
  stopSteps(run: ActiveRun): void {
    this.#deps.scheduler.dropRun(run.state.runId);
    if (run.timers.has('cancel') || run.state.counts.assigned === 0) return;
    const why = run.state.stopping?.why ?? '';
    const running = run.state.steps.flatMap(({ state }, step) => (state.kind === 'assigned' ? [step] : []));
    for (const step of running) this.tellToStop(run, step, why);
    const stop = this.#deps.clock.timer(this.#cancelGraceMs, () => {
      for (const step of running) this.#deps.lose(run, step, `no answer to the cancellation (${why})`, false);
    });
    setTimer(run, 'cancel', stop);
  }

  tellToStop(run: ActiveRun, step: number, why: string): void {
    const state = run.state.steps[step]?.state;
    if (state?.kind !== 'assigned') return;
    const { attempt, epoch, node } = state;
    const step_id = plannedAt(run.state.plan, step).step.id;
    this.#deps.members.send(node, { kind: 'cancel', run_id: run.state.runId, step_id, attempt, epoch, why });
  }

  concludeIfSettled(run: ActiveRun): void {
    if (run.concluding || run.failing.size > 0 || !isSettled(run.state)) return;
    run.concluding = true;
    void this.#conclude(run);
  }

  async #conclude(run: ActiveRun): Promise<void> {
    try {
      const event = await this.#deps.own.conclusion(run);
      if (!this.#deps.isClosed()) this.#deps.journal.emit(run, event, () => this.#deps.ended(run));
    } catch (thrown) {
      this.#deps.fatal(asError(thrown));
    }
  }
}
