// What a process is asked, and answers. Values cross by structured clone: typed arrays are cheap.

export interface ToChild {
  id: number;
  method: string;
  args: unknown;
  /** MiB that the process may have beyond what it began with. */
  memoryMb: number;
}

export type FromChild =
  | { kind: 'event'; id: number; value: unknown }
  /** `retire`: the process is not to be used again. */
  | { kind: 'done'; id: number; value: unknown; retire: boolean }
  | { kind: 'failed'; id: number; retire: boolean; code: string; message: string; retryable: boolean };
