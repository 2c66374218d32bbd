// What the child programs that run kernels are asked, and answer.
import type { DType } from '../tensor/dtype.ts';

type ElementDType = Exclude<DType, 'string'>;

export interface KernelJob {
  source: string;
  /** Macros for the compiler. */
  defines: Readonly<Record<string, string>>;
  /** Device memory that lives as long as the job. */
  buffers: readonly { bytes: number; dtype: ElementDType; data?: Uint8Array }[];
  /** In this order, each after the one before has ended. */
  launches: readonly Launch[];
  /** Buffers that the answer holds, by index. */
  outputs: readonly number[];
}

export interface Launch {
  entry: string;
  /** Work items along up to three axes; of WGSL workgroups. */
  global: readonly number[];
  /** Work items of a group; null: the driver chooses, or the source says. */
  local: readonly number[] | null;
  /** Dynamic shared memory, in bytes. */
  shared: number;
  args: readonly LaunchArg[];
}

export type LaunchArg =
  | { kind: 'buffer'; index: number }
  | { kind: 'scalar'; bytes: Uint8Array; dtype: ElementDType }
  /** Memory of a group, without contents. */
  | { kind: 'local'; size: number };

export interface KernelAnswer {
  outputs: Uint8Array[];
  /** Whether a compiled program was at hand. */
  cached: boolean;
  compile_ms: number;
  /** From the first launch to the end of the last. */
  run_ms: number;
}
