import { assert, unreachable } from '../../lib/assert.ts';
import { sha256 } from '../../lib/hash.ts';
import type { RunEvent, RunEventOf, RunStarted } from '../../protocol/events.ts';
import { envelopeText } from '../receipt/dsse.ts';
import { leafHash } from '../receipt/merkle.ts';
import { receiptLeaf } from '../receipt/roots.ts';
import type { Plan } from '../workflow/plan.ts';
import type { Assigned, AttemptTrace, ReceiptRecord, RunState, StepRecord, StepState } from './state.ts';

/** Hears of every step that becomes ready, so that nobody has to look for them. */
export type OnReady = (step: number) => void;

/** The state of a run right after its first event. */
export function startRun(runId: string, started: RunStarted, plan: Plan, onReady: OnReady): RunState {
  const run: RunState = {
    runId,
    plan,
    started,
    seq: 1,
    steps: plan.steps.map(({ parents }) => ({
      state: parents.length === 0 ? { kind: 'ready' } : { kind: 'blocked', missing: parents.length },
      attempt: 0,
      failures: 0,
      losses: 0,
      checkpoint: undefined,
      receipt: undefined,
    })),
    counts: { blocked: 0, ready: 0, assigned: 0, backoff: 0, succeeded: 0, failed: 0, cancelled: 0 },
    stopping: undefined,
    failure: undefined,
    receipts: [],
    timeline: [],
    retries: 0,
    reassignments: 0,
    ended: undefined,
  };
  for (const [index, { state }] of run.steps.entries()) {
    run.counts[state.kind] += 1;
    if (state.kind === 'ready') onReady(index);
  }
  return run;
}

/** Takes one event of the journal into the state. The same events give the same state, at the first time and after a crash. */
export function applyEvent(run: RunState, event: RunEvent, onReady: OnReady): void {
  assert(run.ended === undefined, `event ${event.kind} after the end of run ${run.runId}`);
  run.seq += 1;
  switch (event.kind) {
    case 'run.started':
      return assert(false, 'a run starts once');
    case 'step.assigned':
      return assigned(run, event);
    case 'step.checkpoint':
      recordOf(run, event.step).checkpoint = event.state;
      return;
    case 'step.succeeded':
      return succeeded(run, event, onReady);
    case 'step.retrying':
      return retrying(run, event);
    case 'step.reassigned':
      return reassigned(run, event, onReady);
    case 'step.failed':
      return failed(run, event);
    case 'step.cancelled':
      endAttempt(run, event, 'cancelled', event.at);
      move(run, recordOf(run, event.step), { kind: 'cancelled' });
      return;
    case 'evidence.refused':
      return;
    case 'run.cancelling':
      run.stopping ??= { by: 'cancel', why: event.why };
      return;
    case 'run.completed':
      run.ended = event;
      return;
    default:
      unreachable(event, 'run event');
  }
}

/** Moves a step whose wait is over from backoff to ready. Time does it, not an event: the journal says until when it waits. */
export function wake(run: RunState, step: number, onReady: OnReady): void {
  const record = run.steps[step];
  if (record?.state.kind !== 'backoff') return;
  move(run, record, { kind: 'ready' });
  onReady(step);
}

/** A step's state. The step is in the run's plan. */
export function recordOf(run: RunState, stepId: string): StepRecord {
  const record = run.steps[indexOf(run, stepId)];
  assert(record !== undefined, `step ${stepId} of run ${run.runId}`);
  return record;
}

function indexOf(run: RunState, stepId: string): number {
  const planned = run.plan.byId.get(stepId);
  assert(planned !== undefined, `step ${stepId} of run ${run.runId} is in its plan`);
  return planned.index;
}

/** The assignment that an attempt's event refers to: it must be the current one. */
function currentAssignment(run: RunState, event: { step: string; attempt: number }): Assigned {
  const { state } = recordOf(run, event.step);
  assert(
    state.kind === 'assigned' && state.attempt === event.attempt,
    `attempt ${event.attempt} of step ${event.step} is the one under way`,
  );
  return state;
}

function move(run: RunState, record: StepRecord, next: StepState): void {
  run.counts[record.state.kind] -= 1;
  run.counts[next.kind] += 1;
  record.state = next;
}

/** The end of a wait is no event: who reads a journal again finds the step still in backoff when its next attempt begins. */
const mayStart = ({ state }: StepRecord): boolean => state.kind === 'ready' || state.kind === 'backoff';

function assigned(run: RunState, event: RunEventOf<'step.assigned'>): void {
  const record = recordOf(run, event.step);
  assert(mayStart(record), `step ${event.step} is ready when it is assigned`);
  assert(event.attempt === record.attempt + 1, `attempts of step ${event.step} count up`);
  record.attempt = event.attempt;
  const { attempt, epoch, node, at, reason } = event;
  const timeline = run.timeline.length;
  run.timeline.push({
    step: indexOf(run, event.step),
    node,
    attempt,
    at,
    latencyMs: null,
    reason: reason.text,
    outcome: 'running',
  });
  move(run, record, { kind: 'assigned', attempt, epoch, node, at, inputDigest: event.input_digest, reason, timeline });
}

function endAttempt(
  run: RunState,
  event: { step: string; attempt: number },
  outcome: AttemptTrace['outcome'],
  at: number,
  latencyMs?: number,
): { inputDigest: string; latencyMs: number } {
  const { timeline, inputDigest } = currentAssignment(run, event);
  const trace = run.timeline[timeline];
  assert(trace !== undefined, 'every assignment is in the timeline');
  trace.outcome = outcome;
  trace.latencyMs = latencyMs ?? Math.max(0, at - trace.at);
  return { inputDigest, latencyMs: trace.latencyMs };
}

function succeeded(run: RunState, event: RunEventOf<'step.succeeded'>, onReady: OnReady): void {
  const { inputDigest } = endAttempt(run, event, 'success', event.at, event.latency_ms);
  const step = indexOf(run, event.step);
  const { attempt, node, envelope, output, output_digest: outputDigest, at, latency_ms: latencyMs } = event;
  const text = envelopeText(envelope);
  move(run, recordOf(run, event.step), {
    kind: 'succeeded',
    attempt,
    node,
    inputDigest,
    outputDigest,
    output,
    receiptDigest: sha256(text),
  });
  pushReceipt(run, {
    step,
    attempt,
    node,
    envelope,
    leaf: leafHash(text),
    final: true,
    error: undefined,
    at,
    latencyMs,
  });
  for (const child of run.plan.steps[step]?.children ?? []) unblock(run, child, onReady);
}

function unblock(run: RunState, step: number, onReady: OnReady): void {
  const record = run.steps[step];
  assert(record?.state.kind === 'blocked', 'a step waits until its last parent has succeeded');
  if (record.state.missing > 1) {
    record.state.missing -= 1;
    return;
  }
  move(run, record, { kind: 'ready' });
  onReady(step);
}

function retrying(run: RunState, event: RunEventOf<'step.retrying'>): void {
  const { latencyMs } = endAttempt(run, event, 'retrying', event.at);
  const record = recordOf(run, event.step);
  record.failures += 1;
  run.retries += 1;
  pushFailure(run, event, false, latencyMs);
  move(run, record, { kind: 'backoff', until: event.retry_at });
}

function reassigned(run: RunState, event: RunEventOf<'step.reassigned'>, onReady: OnReady): void {
  endAttempt(run, event, 'reassigned', event.at);
  const record = recordOf(run, event.step);
  if (event.counts) record.losses += 1;
  run.reassignments += 1;
  move(run, record, { kind: 'ready' });
  onReady(indexOf(run, event.step));
}

function failed(run: RunState, event: RunEventOf<'step.failed'>): void {
  const record = recordOf(run, event.step);
  // The coordinator fails a step that it could not even assign, under an attempt number of its own.
  let latencyMs = 0;
  if (record.state.kind === 'assigned') latencyMs = endAttempt(run, event, 'failed', event.at).latencyMs;
  else assert(mayStart(record) && event.attempt === record.attempt + 1, `step ${event.step} may fail`);
  record.attempt = event.attempt;
  record.failures += 1;
  pushFailure(run, event, true, latencyMs);
  move(run, record, { kind: 'failed', node: event.node, error: event.error });
  run.failure ??= { ...event.error, step_id: event.step };
  if (run.plan.workflow.fault_tolerance?.on_step_failure !== 'continue')
    run.stopping ??= { by: 'failure', why: `step ${event.step} failed` };
}

function pushFailure(
  run: RunState,
  event: RunEventOf<'step.failed'> | RunEventOf<'step.retrying'>,
  final: boolean,
  latencyMs: number,
): void {
  const { attempt, node, envelope, error, at } = event;
  pushReceipt(run, {
    step: indexOf(run, event.step),
    attempt,
    node,
    envelope,
    leaf: receiptLeaf(envelope),
    final,
    error,
    at,
    latencyMs,
  });
}

function pushReceipt(run: RunState, receipt: ReceiptRecord): void {
  const record = run.steps[receipt.step];
  assert(record !== undefined, 'a receipt belongs to a step');
  record.receipt = run.receipts.push(receipt) - 1;
}
