import type { JSONValue } from '../../../lib/json.ts';
import type { OutputForm } from '../abi/outcome.ts';
import type { CallInput } from '../abi/params.ts';
import type { Signature } from '../abi/signature.ts';
import type { Abi, HostSettings, LogLine, ModuleShape, Policy } from '../types.ts';

/** A compiled module after the rewriter. Posted to each thread once, under its key. */
export interface SandboxModule {
  /** Equal keys mean equal modules: the digest with the rewriter's version and the policy. */
  key: string;
  module: WebAssembly.Module;
  shape: ModuleShape;
}

/** What is called, and how values cross. */
export interface CallPlan {
  abi: Abi;
  /** Whether the user named the ABI: then no function's own type overrides it. Default false. */
  abiStated?: boolean;
  /** Of `wasi-command` it is ignored: `_start` runs. */
  function: string;
  signature?: Signature | undefined;
  /** Default `auto`. */
  output?: OutputForm | undefined;
}

/** What the host functions show to the module; see `HostSettings`. */
export type CallSettings = Omit<HostSettings, 'stdin' | 'stdout' | 'argv' | 'env' | 'input' | 'config'> &
  Partial<Pick<HostSettings, 'argv' | 'env' | 'input' | 'config'>> & { stdin?: Uint8Array };

/** All that an instance is made with. */
export interface InstanceOrder {
  module: SandboxModule;
  policy: Policy;
  plan: CallPlan;
  settings: CallSettings;
  /** Units in all. At most 2^62. */
  fuel: bigint;
}

export interface CallOrder extends InstanceOrder {
  input: CallInput;
}

export interface StreamOrder extends InstanceOrder {
  /** Units that one item may take. Default: what is left of all. Not for `wasi-command`, which runs through all items at once. */
  fuelPerChunk?: bigint;
  /** Called at the end for what the module still has to say: `() → i64`, or as the function of the buffer ABI. */
  finish?: string;
  /** Size of the pieces in which the output of a `wasi-command` comes. Default 64 KiB. */
  chunkBytes?: number;
}

/** What is known of an instance when it has ended. */
export interface RunFacts {
  /** Equal for equal module, input and settings, on every machine. */
  fuelUsed: bigint;
  /** Size of the memory at the end; it never shrinks. */
  memoryBytes: number;
  /** The end of it. */
  stderr: string;
  logs: LogLine[];
}

/** Of what never came to be. */
export const noFacts: RunFacts = { fuelUsed: 0n, memoryBytes: 0, stderr: '', logs: [] };

export interface CallResult extends RunFacts {
  result: JSONValue | Uint8Array;
}

export interface SandboxOptions {
  /** Most threads at once. Default: the number of CPUs, at most 8. */
  threadsMax?: number;
  /** Calls that may wait for a thread. Default 1,000; more are refused with OVERLOADED, which is retryable. */
  queueMax?: number;
  /** After that time without work a thread ends, but for one, which is kept. Default 10,000. */
  idleMs?: number;
  /** Stack of a thread, which `callDepthMax` must fit in. Default 32. */
  stackSizeMb?: number;
  /** Memory for objects of JavaScript in a thread. Default 512. The modules' own memories don't count. */
  heapMb?: number;
  /** Compiled modules that a thread keeps. Default 32. */
  modulesPerThreadMax?: number;
}

/** Items in, items out, in order. Reading to the end, returning early and throwing all give the thread back. */
export interface SandboxStream extends AsyncIterable<JSONValue | Uint8Array> {
  /** Facts as of the last item that came out; final once the iteration has ended. */
  facts(): RunFacts;
}
