import type { JSONObject } from '../../../lib/json.ts';

/** An answer, before it is a message. */
export interface Reply {
  status: number;
  json: JSONObject;
  tail?: Uint8Array[];
  headers?: Record<string, string>;
}

/** What goes wrong in a request, with the status that says so. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly headers: Record<string, string>;
  constructor(status: number, text: string, headers: Record<string, string> = {}) {
    super(text);
    this.status = status;
    this.headers = headers;
  }
}
