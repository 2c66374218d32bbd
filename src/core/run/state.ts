import type { PlacementReason, RunEventOf, RunStarted, Stored } from '../../protocol/events.ts';
import type { Envelope, FinalStatus, StepFailure } from '../../protocol/receipt.ts';
import type { TimelineEntry } from '../../protocol/result.ts';
import type { Plan } from '../workflow/plan.ts';

/**
 * A step's way through a run:
 *
 *     blocked ──parents──▶ ready ──▶ assigned ──▶ succeeded
 *                            ▲           │ ├────▶ failed        (for good)
 *                            │           │ ├────▶ cancelled     (the run is stopping)
 *                            ├─ backoff ◀┘ │                    (an attempt failed, another follows)
 *                            └─────────────┘                    (the node was lost, or handed the step back)
 *
 * A step that is still blocked, ready or in backoff when its run ends counts as skipped.
 */
export type StepState =
  | { kind: 'blocked'; missing: number }
  | { kind: 'ready' }
  | Assigned
  | { kind: 'backoff'; until: number }
  | Succeeded
  | { kind: 'failed'; node: string; error: StepFailure }
  | { kind: 'cancelled' };

export interface Assigned {
  kind: 'assigned';
  attempt: number;
  epoch: number;
  node: string;
  at: number;
  inputDigest: string;
  reason: PlacementReason;
  /** Index of the attempt in the timeline. */
  timeline: number;
}

interface Succeeded {
  kind: 'succeeded';
  attempt: number;
  node: string;
  inputDigest: string;
  outputDigest: string;
  output: Stored;
  receiptDigest: string;
}

export interface StepRecord {
  state: StepState;
  /** Number of the last attempt; 0 before the first. */
  attempt: number;
  /** Failed attempts, and attempts lost with their node. */
  failures: number;
  losses: number;
  checkpoint: Stored | undefined;
  /** Index of the step's newest receipt among those of the run. */
  receipt: number | undefined;
}

/** One attempt, as the trace shows it. */
export interface AttemptTrace {
  step: number;
  node: string;
  attempt: number;
  at: number;
  latencyMs: number | null;
  reason: string;
  outcome: TimelineEntry['outcome'];
}

export interface ReceiptRecord {
  step: number;
  attempt: number;
  node: string;
  envelope: Envelope;
  /** Its leaf in the Merkle tree. */
  leaf: Uint8Array;
  /** Whether it is the step's last word: a success, or the failure that ended it. */
  final: boolean;
  error: StepFailure | undefined;
  at: number;
  latencyMs: number;
}

/** Everything that the journal of a run says, folded. */
export interface RunState {
  readonly runId: string;
  readonly plan: Plan;
  readonly started: RunStarted;
  /** Sequence number of the next event. */
  seq: number;
  readonly steps: StepRecord[];
  /** How many steps are in each state. */
  readonly counts: Record<StepState['kind'], number>;
  /** Set once nothing more may start, and why. */
  stopping: { by: 'failure' | 'cancel'; why: string } | undefined;
  /** The failure that fails the run: the first in journal order. */
  failure: (StepFailure & { step_id: string }) | undefined;
  readonly receipts: ReceiptRecord[];
  readonly timeline: AttemptTrace[];
  retries: number;
  reassignments: number;
  ended: RunEventOf<'run.completed'> | undefined;
}

/** Whether nothing is left to wait for: the run may be concluded. */
export const isSettled = (run: RunState): boolean =>
  run.counts.assigned === 0 && (run.stopping !== undefined || (run.counts.ready === 0 && run.counts.backoff === 0));

/** How a settled run ends. */
export function finalStatus(run: RunState): FinalStatus {
  if (run.counts.succeeded === run.steps.length) return 'completed';
  if (run.failure !== undefined) return 'failed';
  return 'cancelled';
}
