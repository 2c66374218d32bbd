import type { StreamEvent } from '../../compose/offline.ts';
import type { RunStatus } from '../../protocol/receipt.ts';

export type StepState = 'waiting' | 'running' | 'retrying' | 'succeeded' | 'failed' | 'stopped';

export interface StepView {
  id: string;
  type: string;
  state: StepState;
  node: string;
  attempt: number;
  /** ms since 1970, of the coordinator. */
  startedAt: number | undefined;
  latencyMs: number | undefined;
  /** Progress, what it waits for, or why it failed. */
  note: string;
}

/** A run as a person watches it: the fold of its events. */
export interface RunView {
  runId: string;
  workflow: string;
  status: RunStatus;
  cancelling: boolean;
  startedAt: number | undefined;
  /** Time of the last event: the coordinator's clock. */
  lastAt: number;
  steps: Map<string, StepView>;
  error: string;
}

export const emptyRunView = (runId: string): RunView => ({
  runId,
  workflow: '',
  status: 'running',
  cancelling: false,
  startedAt: undefined,
  lastAt: 0,
  steps: new Map(),
  error: '',
});

const percent = (fraction: number | null): string => (fraction === null ? '' : `${Math.round(fraction * 100)} %`);

/** Takes one event into the view. */
export function observe(view: RunView, { event }: StreamEvent): void {
  view.lastAt = Math.max(view.lastAt, event.at);
  if (event.kind === 'run.started') {
    view.workflow = event.workflow.workflow;
    view.startedAt = event.at;
    for (const { id, type } of event.workflow.steps)
      view.steps.set(id, {
        id,
        type,
        state: 'waiting',
        node: '',
        attempt: 0,
        startedAt: undefined,
        latencyMs: undefined,
        note: '',
      });
  } else if (event.kind === 'run.cancelling') view.cancelling = true;
  else if (event.kind === 'run.completed') {
    view.status = event.status;
    view.error = event.error?.message ?? '';
    for (const step of view.steps.values())
      if (step.state === 'running' || step.state === 'waiting' || step.state === 'retrying') step.state = 'stopped';
  } else {
    const step = view.steps.get(event.step);
    if (step !== undefined) observeStep(step, event);
  }
}

function observeStep(step: StepView, event: Extract<StreamEvent['event'], { step: string }>): void {
  switch (event.kind) {
    case 'step.assigned':
      Object.assign(step, {
        state: 'running',
        node: event.node,
        attempt: event.attempt,
        startedAt: event.at,
        note: '',
      });
      return;
    case 'step.succeeded':
      Object.assign(step, { state: 'succeeded', node: event.node, latencyMs: event.latency_ms, note: '' });
      return;
    case 'step.failed':
      Object.assign(step, { state: 'failed', node: event.node, note: event.error.message });
      return;
    case 'step.retrying':
      Object.assign(step, { state: 'retrying', note: `attempt ${event.attempt} failed: ${event.error.message}` });
      return;
    case 'step.cancelled':
      Object.assign(step, { state: 'stopped', note: event.why });
      return;
    case 'step.reassigned':
      Object.assign(step, { state: 'waiting', note: `left ${event.node}: ${event.why}` });
      return;
    case 'step.progress':
      step.note = [percent(event.fraction), event.note].filter((part) => part !== '').join(' ');
      return;
    case 'step.waiting':
      if (step.state === 'waiting') step.note = event.why;
      return;
    case 'step.log':
    case 'step.checkpoint':
    case 'evidence.refused':
      return;
  }
}

/** How many steps are in each state. */
export function countStates(view: RunView): Record<StepState, number> {
  const counts: Record<StepState, number> = {
    waiting: 0,
    running: 0,
    retrying: 0,
    succeeded: 0,
    failed: 0,
    stopped: 0,
  };
  for (const { state } of view.steps.values()) counts[state] += 1;
  return counts;
}
