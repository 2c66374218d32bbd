import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { Job } from '../job.ts';

export type ToThread = { readonly kind: 'run'; readonly job: Job };

export type FromThread =
  | { readonly kind: 'progress'; readonly fraction: number | null; readonly note: string }
  | { readonly kind: 'checkpoint'; readonly state: JSONValue }
  | { readonly kind: 'done'; readonly output: JSONObject }
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly retryable: boolean };
