import type { JSONValue } from '../../../lib/json.ts';
import type { Work } from '../job.ts';

export type ToThread = { readonly kind: 'run'; readonly work: Work };

export type FromThread =
  | { readonly kind: 'progress'; readonly fraction: number | null; readonly note: string }
  | { readonly kind: 'checkpoint'; readonly state: JSONValue }
  | { readonly kind: 'done'; readonly output: unknown }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly retryable: boolean };
