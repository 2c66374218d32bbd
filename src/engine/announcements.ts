import type { RunEvent } from '../protocol/events.ts';
import type { ActiveRun } from './active-run.ts';
import type { Emit } from './events.ts';

/** Tells listeners what has become durable, and counts it. */
export class Announcements {
  readonly counters = { succeeded: 0, failed: 0, retried: 0, reassigned: 0, refused: 0 };
  readonly #emit: Emit;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  announce(run: ActiveRun, event: RunEvent): void {
    const { runId } = run.state;
    switch (event.kind) {
      case 'step.assigned':
        return this.#emit('step:started', {
          runId,
          stepId: event.step,
          nodeId: event.node,
          attempt: event.attempt,
          reason: event.reason.text,
        });
      case 'step.succeeded':
        this.counters.succeeded += 1;
        return this.#emit('step:completed', {
          runId,
          stepId: event.step,
          nodeId: event.node,
          attempt: event.attempt,
          latency: event.latency_ms,
        });
      case 'step.retrying':
        this.counters.retried += 1;
        return this.#failed(run, event, false);
      case 'step.failed':
        this.counters.failed += 1;
        return this.#failed(run, event, true);
      case 'step.reassigned':
        this.counters.reassigned += 1;
        return;
      default:
        return;
    }
  }

  #failed({ state }: ActiveRun, event: RunEvent & { kind: 'step.failed' | 'step.retrying' }, final: boolean): void {
    const { step: stepId, node: nodeId, attempt, error } = event;
    const receipt = state.receipts[state.steps[state.plan.byId.get(stepId)?.index ?? -1]?.receipt ?? -1];
    const latency = receipt?.attempt === attempt ? receipt.latencyMs : 0;
    this.#emit('step:failed', { runId: state.runId, stepId, nodeId, attempt, latency, error, final });
  }
}
