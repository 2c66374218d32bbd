import type { JSONObject } from '../lib/json.ts';
import type { Stored } from './events.ts';
import type { Envelope, StepFailure } from './receipt.ts';

/** An adapter as a node announces it. */
export interface AdapterManifest {
  adapter_id: string;
  version: string;
  step_types: StepTypeManifest[];
  /** Resources that the adapter adds to its node, such as the qubits of a simulator. */
  resources?: Record<string, number>;
}

/** A step type that an adapter offers. */
export interface StepTypeManifest {
  type: string;
  description?: string;
  /** JSON Schema (draft 2020-12 or 7) of `params`, or the simple form `{ name: 'string' }`. */
  params_schema?: JSONObject;
  /** Equal inputs give equal outputs. Default false. */
  deterministic?: boolean;
  /**
   * Names of the params that may name a file of the node's, such as a module: its bytes are fixed when the run begins. A path such as
   * `input.*.file` leads into objects, and through lists.
   */
  asset_params?: string[];
}

export interface Assignment {
  run_id: string;
  step_id: string;
  step_type: string;
  /** With the epoch the fencing token: an answer that carries another pair than the journal's is refused. */
  attempt: number;
  epoch: number;
  tenant_id: string | null;
  workflow_digest: string;
  step_digest: string;
  /** Of the resolved params; the node checks it before it runs the step. */
  input_digest: string;
  params: Stored;
  /** Paths within `params` of the vault pointers that the workflow itself states. */
  pointers: (string | number)[][];
  parents: { step_id: string; receipt_digest: string }[];
  /** SHA-256 of the files that the params name, by name; they are in the coordinator's blob store. */
  assets?: Record<string, string>;
  timeout_ms: number | null;
  resources: Record<string, number>;
  /** Last state that an earlier attempt saved, where the strategy is `checkpoint`. */
  checkpoint?: Stored;
  /** Least ms between two checkpoints, or a rule. Absent: checkpoints are not kept. */
  checkpoint_frequency?: 'per_step' | 'on_change' | number;
}

export interface AttemptKey {
  run_id: string;
  step_id: string;
  attempt: number;
  epoch: number;
}

/** Everything that travels between a coordinator and a worker. `blob.data` carries its bytes beside the message. */
export type Message =
  // Handshake: hello → challenge → proof → welcome, or refuse at any point.
  | {
      kind: 'hello';
      versions: { min: number; max: number };
      product: string;
      node_id: string;
      /** SPKI, PEM. */
      public_key: string;
      /** 32 random bytes, base64: the coordinator signs them, so that the worker knows whom it talks to. */
      nonce: string;
      token?: string;
    }
  | {
      kind: 'challenge';
      version: number;
      node_id: string;
      public_key: string;
      epoch: number;
      nonce: string;
      signature: string;
    }
  | {
      kind: 'proof';
      /** Ed25519 over the context string, both nonces and the TLS exporter, where there is one. */
      signature: string;
      adapters: AdapterManifest[];
      resources: Record<string, number>;
      labels: Record<string, string>;
      slots: number;
      backends: string[];
      /** What this worker still runs or holds a result of, from before the connection broke. */
      holding: AttemptKey[];
    }
  | { kind: 'welcome'; epoch: number; heartbeat_ms: number /** Attempts of `holding` to drop. */; drop: AttemptKey[] }
  | { kind: 'refuse'; code: string; message: string }
  // Work.
  | { kind: 'assign'; assignment: Assignment }
  | ({ kind: 'cancel'; why: string } & AttemptKey)
  | ({ kind: 'progress'; fraction: number | null; note: string } & AttemptKey)
  | ({ kind: 'log'; level: 'debug' | 'info' | 'warn' | 'error'; text: string; at: number } & AttemptKey)
  /** `save` counts the checkpoints of an attempt, so that an answer names the state it is about. */
  | ({ kind: 'checkpoint'; save: number; state: Stored } & AttemptKey)
  | ({ kind: 'checkpoint.saved'; save: number } & AttemptKey)
  | ({ kind: 'result'; envelope: Envelope; output: Stored; output_digest: string; error?: StepFailure } & AttemptKey)
  /** The result is durable (or refused for good): the worker may forget it. */
  | ({ kind: 'ack'; accepted: boolean; why?: string } & AttemptKey)
  /** The worker gives an attempt back that it will not finish, as when it shuts down. */
  | ({ kind: 'return'; why: string } & AttemptKey)
  // Membership.
  | { kind: 'ping'; at: number }
  | { kind: 'pong'; at: number; running: number; free: Record<string, number> }
  | { kind: 'manifest'; adapters: AdapterManifest[]; resources: Record<string, number> }
  | { kind: 'goodbye'; why: string }
  // Blobs, in both directions, by SHA-256 digest.
  | { kind: 'blob.get'; digest: string; id: number }
  | { kind: 'blob.data'; id: number; offset: number; total: number }
  | { kind: 'blob.missing'; id: number }
  | { kind: 'blob.put'; digest: string; id: number; total: number }
  | { kind: 'blob.stored'; id: number };
export type MessageKind = Message['kind'];
export type MessageOf<Kind extends MessageKind> = Extract<Message, { kind: Kind }>;
