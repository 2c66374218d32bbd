import type { PlacementReason, RunEvent, RunEventOf, Stored } from '../../protocol/events.ts';
import { limits } from '../../protocol/limits.ts';
import type { Envelope, StepFailure } from '../../protocol/receipt.ts';
import type { FaultTolerance } from '../../protocol/workflow.ts';
import { recordOf } from './fold.ts';
import type { Assigned, RunState } from './state.ts';

// What the rules make of something that happened. Nothing here changes the state: the events that come back do, once applied.

/** An answer of a node to an assignment, its receipt checked. */
export interface Answer {
  step: string;
  attempt: number;
  epoch: number;
  node: string;
  envelope: Envelope;
  inputDigest: string;
  outputDigest: string;
  output: Stored;
  /** Absent where the attempt succeeded. */
  error?: StepFailure;
  latencyMs: number;
}

export type AnswerVerdict =
  | { kind: 'accept'; event: RunEvent }
  /** The same answer was accepted before: only the acknowledgement was lost. */
  | { kind: 'known' }
  /** Too late or never asked for. `event` keeps it as evidence, where the run still takes events. */
  | { kind: 'refuse'; why: string; event?: RunEvent };

/** The event that gives a step to a node, as the next attempt at it. */
export function assignStep(
  run: RunState,
  step: string,
  where: { node: string; epoch: number; inputDigest: string; reason: PlacementReason },
  at: number,
): RunEventOf<'step.assigned'> {
  return {
    kind: 'step.assigned',
    at,
    step,
    attempt: recordOf(run, step).attempt + 1,
    epoch: where.epoch,
    node: where.node,
    input_digest: where.inputDigest,
    reason: where.reason,
  };
}

/** Whether this is the attempt that the journal waits for: the fence against late and foreign answers. */
export function isCurrent(
  run: RunState,
  key: { step: string; attempt: number; epoch: number; node: string },
): Assigned | undefined {
  const { state } = recordOf(run, key.step);
  if (state.kind !== 'assigned') return undefined;
  return state.attempt === key.attempt && state.epoch === key.epoch && state.node === key.node ? state : undefined;
}

/** @param jitter uniform in [0, 1) */
export function judgeAnswer(run: RunState, answer: Answer, at: number, jitter: number): AnswerVerdict {
  const current = isCurrent(run, answer);
  if (current === undefined) return lateAnswer(run, answer, at);
  if (current.inputDigest !== answer.inputDigest) {
    return refuse(run, answer, at, 'the receipt is for another input than the one assigned');
  }
  return {
    kind: 'accept',
    event: answer.error === undefined ? success(answer, at) : failure(run, answer, answer.error, at, jitter),
  };
}

function lateAnswer(run: RunState, answer: Answer, at: number): AnswerVerdict {
  const { state, receipt } = recordOf(run, answer.step);
  const newest = receipt === undefined ? undefined : run.receipts[receipt];
  if (newest?.envelope.payload === answer.envelope.payload) return { kind: 'known' };
  const why =
    state.kind === 'assigned'
      ? `attempt ${answer.attempt} of epoch ${answer.epoch} was superseded by attempt ${state.attempt} of epoch ${state.epoch} on ${state.node}`
      : `the step is ${state.kind}; attempt ${answer.attempt} was no longer waited for`;
  return refuse(run, answer, at, why);
}

function refuse(run: RunState, answer: Answer, at: number, why: string): AnswerVerdict {
  if (run.ended !== undefined) return { kind: 'refuse', why: `the run has ended: ${why}` };
  const { step, attempt, node, envelope } = answer;
  return { kind: 'refuse', why, event: { kind: 'evidence.refused', at, step, attempt, node, why, envelope } };
}

function success(answer: Answer, at: number): RunEvent {
  const { step, attempt, node, envelope, output, outputDigest, latencyMs } = answer;
  return {
    kind: 'step.succeeded',
    at,
    step,
    attempt,
    node,
    envelope,
    output,
    output_digest: outputDigest,
    latency_ms: latencyMs,
  };
}

function failure(run: RunState, answer: Answer, error: StepFailure, at: number, jitter: number): RunEvent {
  const { step, attempt, node, envelope } = answer;
  if (error.code === 'STEP_CANCELLED' && run.stopping !== undefined)
    return { kind: 'step.cancelled', at, step, attempt, node, why: run.stopping.why };
  const { failures } = recordOf(run, step);
  const wait = run.stopping === undefined && error.retryable ? backoffMs(run, failures, jitter) : undefined;
  if (wait === undefined) return { kind: 'step.failed', at, step, attempt, node, error, envelope };
  return { kind: 'step.retrying', at, step, attempt, node, error, envelope, retry_at: at + wait };
}

const backoffDefaults = { max_retries: 3, backoff_ms: 200, backoff_max_ms: 30_000 };

/** Wait before the next attempt, in ms; undefined where there is none. Exponential with jitter over the upper half. */
export function backoffMs(run: RunState, failures: number, jitter: number): number | undefined {
  const policy: FaultTolerance = run.plan.workflow.fault_tolerance ?? {};
  if (policy.retry_failed_steps !== true) return undefined;
  if (failures >= (policy.max_retries ?? backoffDefaults.max_retries)) return undefined;
  const base = policy.backoff_ms ?? backoffDefaults.backoff_ms;
  const longest = policy.backoff_max_ms ?? backoffDefaults.backoff_max_ms;
  const full = Math.min(longest, base * 2 ** Math.min(failures, 30));
  return Math.round(full * (0.5 + jitter / 2));
}

/** The node of an attempt is gone, or has handed it back: the step is ready again, or cancelled where the run is stopping. */
export function loseAttempt(
  run: RunState,
  step: string,
  why: string,
  counts: boolean,
  at: number,
): RunEvent | undefined {
  const { state } = recordOf(run, step);
  if (state.kind !== 'assigned') return undefined;
  const { attempt, node } = state;
  if (run.stopping !== undefined) return { kind: 'step.cancelled', at, step, attempt, node, why };
  return { kind: 'step.reassigned', at, step, attempt, node, why, counts };
}

/** Why a ready step must not be tried again, if so: it has taken too many nodes with it. */
export function blameForLosses(run: RunState, step: string): StepFailure | undefined {
  const { losses } = recordOf(run, step);
  if (losses < limits.nodeLossesMax) return undefined;
  return {
    code: 'NODE_LOST',
    message: `step ${step} lost its node ${losses} times; it may be what brings nodes down`,
    retryable: false,
  };
}

/** Whether a checkpoint that a node offers is to be kept. */
export function acceptCheckpoint(
  run: RunState,
  key: { step: string; attempt: number; epoch: number; node: string },
): boolean {
  return isCurrent(run, key) !== undefined && run.stopping === undefined;
}
