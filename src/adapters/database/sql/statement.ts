import type { JSONObject, JSONValue } from '../../../lib/json.ts';

/** SQL with its bound values, in the forms of docs/adapters/database.md (`{ "$bytes": … }`, `{ "$json": … }`). */
export interface Statement {
  text: string;
  values: readonly JSONValue[];
  /** Values by name, where the server takes them so. */
  named?: JSONObject;
  /** Whether the same text will come again, so that the server should keep it prepared. */
  reuse: boolean;
  /** Of the workflow's author: it may change what the session keeps after the transaction. */
  raw?: boolean;
}
