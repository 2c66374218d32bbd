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
  | { kind: 'done'; id: number; value: unknown }
  | { kind: 'failed'; id: number; code: string; message: string; retryable: boolean };
