import type { RunEvent } from '../protocol/events.ts';
import type { PublicKeyEntry, RunStatus } from '../protocol/receipt.ts';
import type { Workflow } from '../protocol/workflow.ts';

/** Events of one run that are appended together or not at all. */
export interface Append {
  run_id: string;
  /** Sequence number of the first event; the journal must hold exactly this many events of the run before. */
  seq: number;
  /** The writer's epoch. */
  epoch: number;
  events: readonly RunEvent[];
  /** With `run.started` only: names that this run takes, such as that of the message it is about. Each name is one run's, for good. */
  claims?: readonly string[];
}

/** A workflow whose triggers start runs. */
export interface Deployment {
  tenant_id: string | null;
  /** Of the workflow; unique within the tenant. */
  name: string;
  workflow: Workflow;
  workflow_digest: string;
  /** Ms since 1970. */
  deployed_at: number;
}

export interface RunRow {
  run_id: string;
  workflow: string;
  tenant_id: string | null;
  status: RunStatus;
  idempotency_key: string | null;
  workflow_digest: string;
  /** Ms since 1970. */
  started_at: number;
  finished_at: number | null;
  steps_total: number;
}

export interface RunQuery {
  status?: RunStatus;
  /** Opaque, from an earlier page. */
  cursor?: string;
  /** Default 50, at most 500. */
  limit?: number;
}

/** Counters since the store was opened. */
export interface StoreStats {
  /** Appends that became durable. */
  appends: number;
  /** Events in them. */
  events: number;
  /** Groups that they were committed in. */
  commits: number;
}

/**
 * Durable journal and blobs of a coordinator. Drivers pass `test/compliance/store.ts`. All methods may reject with
 * JSONFlowError STORE_FAILED; after a failed append the store refuses every further one.
 */
export interface Store {
  /**
   * Starts a new epoch, higher than all before, and fences every writer of an older one.
   */
  acquireEpoch(): Promise<number>;
  /**
   * Resolves when the events are durable. Appends of one turn of the event loop are committed as a group, in the order of the calls.
   * The run's row (status, times) follows from its `run.started`, which is its first event and no other, and `run.completed`.
   * @throws JSONFlowError FENCED where a newer epoch exists; CONFLICT where `seq` is not the next, or the tenant's idempotency key or a claim is taken
   */
  append(append: Append): Promise<void>;
  /** Events of a run from `fromSeq` (default 0), in order; `limit` events at most (default all). Empty where there is no such run. */
  read(runId: string, fromSeq?: number, limit?: number): Promise<RunEvent[]>;
  run(runId: string): Promise<RunRow | undefined>;
  /** Newest first. */
  runs(query: RunQuery): Promise<{ rows: RunRow[]; cursor?: string }>;
  /** Ids of the runs without `run.completed`, oldest first. */
  unfinished(): Promise<string[]>;
  /** The run that was started under this key. */
  byIdempotencyKey(tenantId: string | null, key: string): Promise<RunRow | undefined>;
  /** Those of the claims that runs have taken. */
  claimed(claims: readonly string[]): Promise<Set<string>>;
  /** Keeps a deployment instead of an earlier one of that name; resolves when durable. */
  deploy(deployment: Deployment): Promise<void>;
  /** Resolves, when it is durably gone, with whether there was one. */
  undeploy(tenantId: string | null, name: string): Promise<boolean>;
  /** By tenant, then name. */
  deployments(): Promise<Deployment[]>;
  /** Stores bytes under their SHA-256; resolves when durable. Storing the same again is free. @throws BAD_EVIDENCE where the digest is another's */
  putBlob(digest: string, bytes: Uint8Array): Promise<void>;
  getBlob(digest: string): Promise<Uint8Array | undefined>;
  hasBlob(digest: string): Promise<boolean>;
  /**
   * Keeps the public key of a node, for good: a node id stays bound to its first key. Resolves when durable.
   * @throws CONFLICT where the node id has another key
   */
  enrol(key: PublicKeyEntry): Promise<void>;
  /** All keys kept, in the order of their enrolment. */
  enrolled(): Promise<PublicKeyEntry[]>;
  stats(): StoreStats;
  /** Flushes and releases; every later call rejects with CLOSED. Idempotent. */
  close(): Promise<void>;
}
