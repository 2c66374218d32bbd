import type { JSONValue } from '../lib/json.ts';
import type { RunStatus, StepFailure } from './receipt.ts';

/** A receipt as users see it. */
export interface Receipt {
  step_id: string;
  status: 'success' | 'failed';
  /** A value above the bundle limit stands as `{ digest, bytes }` under `output_ref` instead. */
  output: JSONValue;
  output_ref?: { digest: string; bytes: number };
  error?: StepFailure;
  /** RFC 9162 inclusion proof; null while the run goes on. */
  merkle_proof: MerkleProof | null;
  execution_metadata: {
    /** RFC 3339: when the attempt ended. */
    timestamp: string;
    latency_ms: number;
    adapter_version: string;
    executor_node: string;
    attempt: number;
  };
  /** `ed25519:` and the base64 signature of the envelope. */
  signature: string;
}

/** That a receipt is in the run's tree: the path from its leaf to the root (RFC 9162, section 2.1.3). */
export interface MerkleProof {
  leaf_index: number;
  tree_size: number;
  leaf_hash: string;
  /** Sibling hashes from the leaf up, in hexadecimal. */
  path: string[];
  root: string;
}

/** One attempt at one step. */
export interface TimelineEntry {
  step_id: string;
  node: string;
  attempt: number;
  started_at: string;
  /** null while the step runs. */
  latency_ms: number | null;
  /** Why the step was placed on this node. */
  reason: string;
  /** How this attempt ended. */
  outcome: 'success' | 'failed' | 'retrying' | 'reassigned' | 'cancelled' | 'running';
}

/** The result of a run, or what there is of it so far. */
export interface DistributedResult {
  /** The workflow's name. */
  workflow_id: string;
  run_id: string;
  status: RunStatus;
  receipts: Receipt[];
  /** Output of each step that succeeded, by step id. */
  outputs: Record<string, JSONValue>;
  /** null while the run goes on. */
  merkle_root: string | null;
  result_root: string | null;
  execution_trace: { nodes: string[]; timeline: TimelineEntry[] };
  stats: {
    total_steps: number;
    succeeded: number;
    failed: number;
    skipped: number;
    cancelled: number;
    running: number;
    waiting: number;
    retries: number;
    reassignments: number;
    total_time_ms: number;
  };
  /** Why steps that could start do not: by step id, one sentence. Only while the run goes on. */
  waiting?: Record<string, string>;
  error?: StepFailure & { step_id?: string };
}

/** A run in a list. */
export interface RunSummary {
  run_id: string;
  workflow: string;
  status: RunStatus;
  tenant_id: string | null;
  started_at: string;
  finished_at: string | null;
  steps_total: number;
  /** Steps that have ended; null where only the end of the run is at hand. */
  steps_done: number | null;
}

/** A node as its coordinator sees it. */
export interface NodeStatus {
  id: string;
  role: 'coordinator' | 'worker';
  state: 'connected' | 'suspected' | 'left';
  /** Adapter ids. */
  adapters: string[];
  step_types: string[];
  labels: Record<string, string>;
  resources: { total: Record<string, number>; free: Record<string, number> };
  load: { running: number; slots: number };
  /** Smoothed round trip, in ms; null until measured. */
  latency_ms: number | null;
  key_id: string;
  version: string;
  connected_at: string;
}

/** A coordinator and all nodes, itself among them where it runs steps. */
export interface NetworkStatus {
  coordinator: string;
  epoch: number;
  nodes: NodeStatus[];
}
