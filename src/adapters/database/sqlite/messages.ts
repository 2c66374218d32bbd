import type { JSONObject, JSONValue } from '../../../lib/json.ts';

export interface ChildStatement {
  text: string;
  values: readonly JSONValue[];
  named?: JSONObject;
  reuse: boolean;
}

/** What the process of a connection is asked to do. */
export type ChildRequest =
  | { op: 'open'; path: string; journal: string; busyMs: number }
  | { op: 'begin'; readOnly: boolean; busyMs: number; then: readonly ChildStatement[] }
  | { op: 'run'; statement: ChildStatement }
  | { op: 'read'; statement: ChildStatement; batchRows: number; busyMs: number }
  /** The next rows of `read`; `stop`: no more are wanted. */
  | { op: 'next'; stop: boolean }
  | { op: 'commit'; first: readonly ChildStatement[] }
  | { op: 'rollback' }
  | { op: 'script'; text: string };

export interface ChildColumn {
  name: string;
  type: string | null;
}

/** A cell as JSON carries it: whole numbers beyond 2^53 as texts, bytes as `{ "$bytes": … }`. */
export type Cell = JSONValue;

export type ChildAnswer =
  | {
      ok: true;
      columns?: ChildColumn[];
      rows?: Cell[][];
      affected?: number;
      insertId?: JSONValue;
      more?: boolean;
      inTransaction: boolean;
    }
  | { ok: false; code: number | null; message: string };
