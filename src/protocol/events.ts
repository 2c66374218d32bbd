import type { JSONValue } from '../lib/json.ts';
import type { Envelope, FinalStatus, StepFailure } from './receipt.ts';
import type { Workflow } from './workflow.ts';

/** Version of the journal's events. A change to their meaning raises it and keeps a recorded journal in the tests. */
export const journalVersion = 1;

/** A value in the journal: in line, or by digest where it is large. */
export type Stored = { value: JSONValue } | { digest: string; bytes: number };

export interface PlacementReason {
  /** Total score; the highest wins. */
  score: number;
  /** One sentence for people. */
  text: string;
  /** The parts of the score by criterion. */
  parts: Record<string, number>;
  /** Nodes that could have run the step then. */
  candidates: number;
}

export interface RunStarted {
  kind: 'run.started';
  at: number;
  version: typeof journalVersion;
  workflow: Workflow;
  workflow_digest: string;
  input: Stored;
  input_digest: string;
  tenant_id: string | null;
  /** SHA-256 of the files that steps name and the coordinator had, by name: the run uses these, whatever becomes of the files. */
  assets?: Record<string, string>;
  idempotency_key?: string;
  /** Id of the workflow's trigger that started it. */
  trigger?: string;
}

/**
 * The journal of a run: appended to, never changed. `at` is the coordinator's clock in ms since 1970. Which steps are ready
 * follows from these events, so it isn't written.
 */
export type RunEvent =
  | RunStarted
  | {
      kind: 'step.assigned';
      at: number;
      step: string;
      attempt: number;
      epoch: number;
      node: string;
      input_digest: string;
      reason: PlacementReason;
    }
  | { kind: 'step.checkpoint'; at: number; step: string; attempt: number; state: Stored }
  | {
      kind: 'step.succeeded';
      at: number;
      step: string;
      attempt: number;
      node: string;
      envelope: Envelope;
      output: Stored;
      output_digest: string;
      latency_ms: number;
    }
  | {
      /** One attempt failed; another follows at `retry_at`. */
      kind: 'step.retrying';
      at: number;
      step: string;
      attempt: number;
      node: string;
      error: StepFailure;
      envelope: Envelope;
      retry_at: number;
    }
  | {
      /** The node was lost or gave the step back; the step is ready again. */
      kind: 'step.reassigned';
      at: number;
      step: string;
      attempt: number;
      node: string;
      why: string;
      /** Whether the loss counts towards the limit of lost nodes; a step handed back at shutdown does not. */
      counts: boolean;
    }
  | {
      kind: 'step.failed';
      at: number;
      step: string;
      attempt: number;
      node: string;
      error: StepFailure;
      envelope: Envelope;
    }
  | {
      /** The run ended before the attempt did: it was told to stop, or gave no answer. */
      kind: 'step.cancelled';
      at: number;
      step: string;
      attempt: number;
      node: string;
      why: string;
    }
  | {
      kind: 'evidence.refused';
      at: number;
      step: string;
      attempt: number;
      node: string;
      why: string;
      envelope?: Envelope;
    }
  | { kind: 'run.cancelling'; at: number; why: string }
  | {
      kind: 'run.completed';
      at: number;
      status: FinalStatus;
      run_statement: Envelope;
      merkle_root: string;
      result_root: string;
      error?: StepFailure & { step_id?: string };
    };
type RunEventKind = RunEvent['kind'];
export type RunEventOf<Kind extends RunEventKind> = Extract<RunEvent, { kind: Kind }>;
