import type { JSONValue } from '../lib/json.ts';
import type { RunEvent } from '../protocol/events.ts';
import type { Bundle, RunStatus, TrustFile } from '../protocol/receipt.ts';
import type { DistributedResult, NetworkStatus, RunSummary } from '../protocol/result.ts';

export interface SubmitRequest {
  /** A workflow as an object, or its JSON source: then problems carry line and column. */
  workflow: unknown;
  /** The run's `$input`. Default `{}`. */
  input?: JSONValue;
  /** Equal keys of one tenant start one run. */
  idempotencyKey?: string;
  /** Names that the run takes for good; refused with CONFLICT where another run has one of them. For triggers. */
  claims?: readonly string[];
  /** Id of the trigger that starts the run. */
  trigger?: string;
  /** From the caller's credential; the workflow's `tenant_id` must agree with it where both are given. */
  tenantId?: string;
}

/** What passes by while a run goes on and isn't kept: lost events of this kind are lost for good. */
export type PassingEvent =
  | { kind: 'step.progress'; at: number; step: string; attempt: number; fraction: number | null; note: string }
  | { kind: 'step.log'; at: number; step: string; attempt: number; node: string; level: string; text: string }
  | { kind: 'step.waiting'; at: number; step: string; why: string };

/** `seq` is the place in the journal; passing events have none. */
export type StreamEvent = { seq: number; event: RunEvent } | { seq: null; event: PassingEvent };

/** Which runs to list: the newest first, a page at a time. */
export interface RunsQuery {
  status?: RunStatus;
  cursor?: string;
  limit?: number;
}

/** How the coordinator is, check by check; `status` is the worst of them. */
export interface CoordinatorHealth {
  /** `ok`, `degraded` (works, with something to look at) or `failed` (accepts nothing more). */
  status: 'ok' | 'degraded' | 'failed';
  timestamp: string;
  checks: Record<string, { status: 'ok' | 'degraded' | 'failed'; message?: string }>;
}

/** Counts of this process since it started, and what is under way. */
export interface CoordinatorStats {
  node_id: string;
  epoch: number;
  uptime_ms: number;
  runs: { active: number; queued: number; started: number; completed: number; failed: number; cancelled: number };
  steps: {
    ready: number;
    running: number;
    succeeded: number;
    failed: number;
    retried: number;
    reassigned: number;
    refused: number;
  };
  nodes: { connected: number; suspected: number };
  journal: { appends: number; events: number; commits: number };
}

/** A trigger of a deployed workflow, as it is now. Counts are of this process. */
export interface TriggerStatus {
  id: string;
  type: string;
  state: 'connected' | 'disconnected';
  /** Why it is not connected. */
  why?: string;
  runs_started: number;
  /** Messages that came again after they had had their run. */
  messages_repeated: number;
  /** Messages that no run could be started with. */
  messages_rejected: number;
}

export interface DeploymentStatus {
  workflow: string;
  tenant_id: string | null;
  workflow_digest: string;
  deployed_at: string;
  triggers: TriggerStatus[];
}

/** What the HTTP API and the command line need of a coordinator. Errors are JSONFlowError with the codes named. */
export interface CoordinatorApi {
  /**
   * Resolves when the run is durable. `created` is false where the idempotency key named an earlier run.
   * @throws INVALID_WORKFLOW (a ValidationError with all problems), INVALID_INPUT, CONFLICT (key reused for another workflow or input),
   *   OVERLOADED, CLOSED, NOT_AVAILABLE_YET
   */
  submit(request: SubmitRequest): Promise<{ run_id: string; created: boolean }>;
  /**
   * Lets the workflow's triggers start runs, from now on and after every restart; replaces an earlier deployment of that name.
   * @throws INVALID_WORKFLOW, INVALID_INPUT (no triggers, or no adapter for them), LIMIT_EXCEEDED, CLOSED
   */
  deploy(workflow: unknown): Promise<DeploymentStatus>;
  /** Ends a deployment; its runs go on. @param tenantId of the workflow; default none @throws NOT_FOUND */
  undeploy(name: string, tenantId?: string): Promise<void>;
  deployments(): Promise<DeploymentStatus[]>;
  /** Resolves when the wish is durable; false where the run had ended already. @throws NOT_FOUND */
  cancel(runId: string, why?: string): Promise<boolean>;
  /** The result so far. @throws NOT_FOUND */
  result(runId: string): Promise<DistributedResult>;
  /** The final result. @throws NOT_FOUND, CLOSED, or the signal's reason */
  wait(runId: string, signal?: AbortSignal): Promise<DistributedResult>;
  runs(query: RunsQuery): Promise<{ runs: RunSummary[]; cursor?: string }>;
  /**
   * Events from `fromSeq` (default 0) on, then live ones; ends after `run.completed` or on the signal. A slow reader is not waited
   * for: it catches up from the journal and may miss passing events. @throws NOT_FOUND
   */
  events(runId: string, options?: { fromSeq?: number; signal?: AbortSignal }): AsyncIterable<StreamEvent>;
  /** @throws NOT_FOUND, CONFLICT while the run goes on */
  bundle(runId: string): Promise<Bundle>;
  network(): NetworkStatus;
  /** A token with which one worker may join within `ttlMs`: at most, and by default, ten minutes. */
  createJoinToken(ttlMs?: number): { token: string; expires_at: string };
  /** Keys of this coordinator and of every node it has accepted. */
  trust(): Promise<TrustFile>;
  health(): Promise<CoordinatorHealth>;
  stats(): CoordinatorStats;
}
