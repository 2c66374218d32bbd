import type { JSONObject, JSONValue } from '../lib/json.ts';
import type { ParamsWarning } from '../lib/validation-error.ts';
import type { AdapterManifest } from '../protocol/messages.ts';

/** A step as an adapter gets it: references and vault pointers are resolved. */
export interface AdapterStep {
  id: string;
  type: string;
  params: JSONObject;
}

/** What an adapter may use while it runs a step. */
export interface AdapterContext {
  readonly run_id: string;
  readonly step_id: string;
  readonly attempt: number;
  readonly tenant_id: string | null;
  /** The same for every attempt at this step of this run, and for no other: pass it on wherever an effect must happen once. */
  readonly idempotency_key: string;
  /**
   * Aborted where the attempt is to stop. Its reason is a StepError: STEP_CANCELLED where nobody wants the step any more, STEP_TIMEOUT at the
   * deadline, CLOSED where the node shuts down and another attempt goes on with the step; what that one can take up is left in place then.
   */
  readonly signal: AbortSignal;
  /** Ms since 1970; undefined where the step has no time-out. */
  readonly deadline_ms: number | undefined;
  /** 32 hexadecimal digits, equal for every node and attempt: seed any randomness with it. */
  readonly seed: string;
  /** State saved by an earlier attempt, if the run's failover strategy is `checkpoint`. */
  readonly last_checkpoint: JSONValue | undefined;
  /** Whether `checkpoint` saves anything: the run's failover strategy is `checkpoint`. */
  readonly keeps_checkpoints: boolean;
  /** Saves state for a later attempt; resolves when it is durable. Does nothing where the run keeps no checkpoints. */
  checkpoint(state: JSONValue): Promise<void>;
  /** @param fraction done, from 0 to 1, or null where unknown */
  progress(fraction: number | null, note?: string): void;
  readonly log: Record<'debug' | 'info' | 'warn' | 'error', (text: string) => void>;
  /** Secrets that are not written as a whole `vault://` string in params. */
  readonly vault: { resolve(pointer: string): Promise<string> };
  /** Replaces secrets that were resolved for this attempt by their pointers. What `execute` returns is searched anyway; blobs are not. */
  redact(text: string): string;
  /** What the step reserves of the node, by name, such as `ram_mb`. */
  readonly resources: Readonly<Record<string, number>>;
  /** Digests of the files that params name, as they were when the run began, by name; their bytes are in `blobs`. */
  readonly assets: Readonly<Record<string, string>>;
  /** States in the receipt, also where the step fails, that the step used these bytes. @param name as in the params; no secret @param digest SHA-256, hexadecimal */
  pin(name: string, digest: string): void;
  /** Says that another attempt may give another output, whatever the manifest promises: the receipt promises nothing then. */
  varies(): void;
  /** Large values by SHA-256 digest. */
  readonly blobs: { get(digest: string): Promise<Uint8Array>; put(bytes: Uint8Array): Promise<string> };
  /**
   * Calls `fn` once the step's receipt is durable: the place to acknowledge a message. Where the attempt turns out not to count, calls
   * `otherwise` instead: the place to give back what is held. Neither is called if the process ends before.
   */
  afterCommit(fn: () => void | Promise<void>, otherwise?: () => void | Promise<void>): void;
}

/** The receipt-like form that `execute` may return instead of a bare output. */
export interface ReceiptLike {
  step_id: string;
  status: 'success' | 'failed';
  output?: JSONValue;
  error?: { code?: string; message?: string; retryable?: boolean };
}

/** How an adapter is: `ok`, or a word of its own. */
export interface AdapterHealth {
  status: string;
  timestamp: string | number;
  [detail: string]: unknown;
}

/** Whether a step's params are valid, and otherwise why not, for whoever writes the workflow. */
export interface AdapterVerdict {
  valid: boolean;
  error?: string;
  code?: string;
}

/** One external world. Built-in and custom adapters have the same form; `test/compliance/adapter.ts` checks it. */
export interface Adapter {
  getManifest(): AdapterManifest;
  /** Checks what the schema can't say. `code` is that of the step's failure, by default INVALID_PARAMS. */
  validate?(step: AdapterStep): AdapterVerdict | Promise<AdapterVerdict>;
  /**
   * What a step reserves of its node where the workflow does not say, by resource name, such as `{ qubits: 4 }`. Asked before the step is
   * placed: params may still hold references and pointers, and it leaves out what it can't tell.
   */
  requirements?(step: AdapterStep): Readonly<Record<string, number>> | Promise<Readonly<Record<string, number>>>;
  /**
   * What is dangerous about a step though it is valid, for whoever writes the workflow. Pure; params still hold references and pointers. At
   * most 100 are shown of a step.
   */
  lint?(step: AdapterStep): readonly ParamsWarning[];
  /** @throws StepError with the adapter's code; anything else counts as ADAPTER_CRASHED and is not retried */
  execute(step: AdapterStep, context: AdapterContext): Promise<unknown> | unknown;
  healthCheck(): Promise<AdapterHealth> | AdapterHealth;
  /** Releases pools and handles when the node closes. */
  close?(): Promise<void> | void;
}
