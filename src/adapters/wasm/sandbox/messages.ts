import type { Outcome } from '../abi/outcome.ts';
import type { CallInput } from '../abi/params.ts';
import type { ModuleShape, Policy } from '../types.ts';
import type { CallPlan, CallSettings, RunFacts } from './order.ts';

/** What a thread needs to make an instance; the module itself comes once. */
export interface InstanceMessage {
  key: string;
  loaded?: { module: WebAssembly.Module; shape: ModuleShape };
  /** Keys of modules that are no longer needed. */
  forget: string[];
  policy: Policy;
  plan: CallPlan;
  settings: CallSettings;
  fuel: bigint;
}

export type ToThread =
  | ({ kind: 'call'; input: CallInput } & InstanceMessage)
  | ({ kind: 'open'; fuelPerChunk?: bigint; finish?: string } & InstanceMessage)
  | { kind: 'item'; input: CallInput }
  | { kind: 'end' }
  /** A program with its standard input and output as rings; it blocks the thread until it ends. */
  | ({ kind: 'pipe'; stdin: SharedArrayBuffer; stdout: SharedArrayBuffer } & InstanceMessage);

export interface Failure {
  code: string;
  message: string;
  retryable: boolean;
}

export type FromThread =
  | { kind: 'done'; outcome: Outcome; facts: RunFacts }
  | { kind: 'failed'; failure: Failure; facts: RunFacts }
  /** One item of a stream. */
  | { kind: 'gave'; outcome: Outcome; fuelUsed: bigint }
  /** A stream has ended, perhaps with a last item. */
  | { kind: 'closed'; outcome?: Outcome; facts: RunFacts };
