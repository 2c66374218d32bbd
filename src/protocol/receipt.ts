import type { JSONObject, JSONValue } from '../lib/json.ts';

/**
 * A DSSE v1 envelope (secure-systems-lab/dsse) around an in-toto Statement v1. The signature covers the pre-authentication
 * encoding of type and payload, never this JSON.
 */
export interface Envelope {
  /** Base64 of the canonical JSON of the statement. */
  payload: string;
  payloadType: typeof payloadType;
  signatures: { keyid: string; sig: string }[];
}

export const payloadType = 'application/vnd.in-toto+json';
export const statementType = 'https://in-toto.io/Statement/v1';
export const receiptPredicateType = 'urn:jsonflow:receipt:v1';
export const runPredicateType = 'urn:jsonflow:run:v1';

interface Statement<Type extends string, Predicate> {
  _type: typeof statementType;
  /** `name` is `<run_id>/<step_id>` for a receipt, the run id for a run; the digest is that of the output or of the workflow. */
  subject: [{ name: string; digest: { sha256: string } }];
  predicateType: Type;
  predicate: Predicate;
}

/** What one node states about one attempt at one step. All digests are SHA-256, in hexadecimal. */
export interface ReceiptPredicate {
  run_id: string;
  step_id: string;
  step_type: string;
  attempt: number;
  epoch: number;
  tenant_id: string | null;
  workflow_digest: string;
  /** Of the step as the workflow states it. */
  step_digest: string;
  /** Of the params with references resolved and vault pointers left as they are. */
  input_digest: string;
  /** Of the output; of `null` where the step failed. */
  output_digest: string;
  /** Digest of the canonical envelope of each parent's receipt. */
  parents: { step_id: string; receipt_digest: string }[];
  /** SHA-256 of the files that the attempt used, such as its module, by the name that the params have for each. */
  assets?: Record<string, string>;
  adapter: { id: string; version: string };
  node: { id: string; key_id: string };
  /** RFC 3339, UTC, milliseconds. */
  started_at: string;
  finished_at: string;
  status: 'success' | 'failed';
  /** Present exactly where the status is `failed`. */
  error?: StepFailure;
  /** Whether the adapter declares that equal inputs give equal outputs. */
  deterministic: boolean;
  /** What the attempt was granted, and what it used where that is known. */
  resources: Record<string, number>;
}
export type ReceiptStatement = Statement<typeof receiptPredicateType, ReceiptPredicate>;

/** How an attempt failed: the adapter's code and sentence, and whether another attempt may follow. */
export interface StepFailure {
  code: string;
  message: string;
  retryable: boolean;
}

/** `completed`: every step succeeded. */
export type RunStatus = 'running' | 'completed' | 'failed' | 'cancelled';
export type FinalStatus = Exclude<RunStatus, 'running'>;

/** What the coordinator states about a whole run. */
export interface RunPredicate {
  run_id: string;
  workflow: string;
  workflow_digest: string;
  input_digest: string;
  tenant_id: string | null;
  status: FinalStatus;
  error?: StepFailure & { step_id?: string };
  /** Number of receipts under `merkle_root`. */
  tree_size: number;
  merkle_root: string;
  result_root: string;
  /** Steps that have no final receipt, in the order of the workflow. Empty where the run completed. */
  not_run: { step_id: string; state: 'skipped' | 'cancelled' }[];
  coordinator: { id: string; key_id: string };
  epoch: number;
  started_at: string;
  finished_at: string;
}
export type RunStatement = Statement<typeof runPredicateType, RunPredicate>;

/** A leaf of the result tree: the same for the same result, whoever ran it and when. */
export interface ResultLeaf {
  step: string;
  step_digest: string;
  input_digest: string;
  output_digest: string;
}

/** A public key (Ed25519, RFC 8032) and whose it is. */
export interface PublicKeyEntry {
  node_id: string;
  /** SHA-256 of the raw 32-byte Ed25519 public key, in hexadecimal. */
  key_id: string;
  /** SubjectPublicKeyInfo in PEM, so that openssl reads it. */
  public_key: string;
}

/** A trust file: the keys that a verifier accepts, and what for. Without `roles` a key may sign both. */
export interface TrustFile {
  jsonflow_trust: 1;
  keys: (PublicKeyEntry & { roles?: ('coordinator' | 'worker')[] })[];
}

/** Everything needed to verify a finished run offline, as one JSON file. */
export interface Bundle {
  jsonflow_bundle: 1;
  run_id: string;
  workflow: JSONObject;
  input: JSONValue;
  /** In journal order: all accepted receipts, those of failed attempts too. */
  receipts: Envelope[];
  run_statement: Envelope;
  /** By step id; a value too large to be carried along stands as its digest. */
  outputs: Record<string, { value: JSONValue } | { digest: string; bytes: number }>;
  /** Keys of the signers. Convenient, but not a reason to trust them. */
  keys: PublicKeyEntry[];
}
