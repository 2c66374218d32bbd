import type { JSONObject, JSONValue } from '../../lib/json.ts';
import type { Backend } from './backends.ts';
import type { Circuit } from './circuit/circuit.ts';
import type { Target } from './transpile/target.ts';

/** A step's work on this node, as plain data that can be cloned into a thread. Equal jobs give equal outputs. */
export interface Job {
  readonly type: 'quantum_circuit' | 'quantum_sample' | 'quantum_optimize';
  readonly params: JSONObject;
  /** Where the params name none. */
  readonly seed: string;
  readonly backend: Extract<Backend, { kind: 'simulator' }>;
  readonly limits: JobLimits;
  /** The circuit, where it was read before. */
  readonly circuit?: Circuit;
  /** Of an earlier attempt. */
  readonly checkpoint?: JSONValue;
}

interface JobLimits {
  readonly qubitsMax: number;
  readonly memoryBytesMax: number;
  /** Changes nothing but the time it takes. */
  readonly threads: number;
}

/** What a thread does: a job, or what may take long before a device has its circuit. */
export type Work =
  | Job
  | { readonly type: 'read'; readonly params: JSONObject; readonly compiled: Circuit | undefined }
  | { readonly type: 'transpile'; readonly circuit: Circuit; readonly target: Target };

export interface JobHooks {
  /** @param fraction from 0 to 1, null where unknown */
  progress(fraction: number | null, note?: string): void;
  checkpoint(state: JSONValue): void;
}
