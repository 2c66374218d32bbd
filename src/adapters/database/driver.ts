import type { JSONObject } from '../../lib/json.ts';
import type { AdapterContext } from '../../ports/adapter.ts';
import type { Egress, Reach } from '../../ports/egress.ts';

/** The systems that the adapter speaks to. */
export type System = 'postgres' | 'mysql' | 'sqlite' | 'mongodb' | 'redis';

/** `params.options`, checked by the schema, with defaults filled in. */
export interface Options {
  /** Ms for the whole operation, its retries included; the server is told to stop at it. Default 30,000. */
  timeout: number;
  /** Connections of the pool. Default 10. */
  pool_size: number;
  /** How long an operation waits for a free connection. Ms; default 10,000. */
  acquire_timeout: number;
  /** Tries after the first, of failures that may pass: lost connections, deadlocks, serialization. Default 3. */
  retry_attempts: number;
  isolation?: 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable';
  read_only?: boolean;
  /** Rows that the output holds itself; more go to the blob store. Default 10,000. */
  max_rows: number;
  /** Rows of one statement or cursor fetch. Default 1,000. */
  batch_size: number;
}

/** One call of a driver: what a step's params became. */
export interface Call {
  readonly context: AdapterContext;
  /** Aborted at the step's end or at `options.timeout`, whichever comes first. */
  readonly signal: AbortSignal;
  /** Ms that are left. */
  readonly timeoutMs: number;
  readonly options: Options;
  /**
   * Names the effect of a write: run and step, never the attempt. Stored in the same transaction as the effect, with the output, so
   * that a second attempt changes nothing and answers the same. Undefined with `idempotency: "off"`.
   */
  readonly effectKey: string | undefined;
  /** For tests that kill the process at a point of a write. */
  readonly reached?: ((point: WritePoint) => void) | undefined;
}

/** Points of a write, in their order; `batch` comes once for each batch. */
export type WritePoint = 'start' | 'key' | 'batch' | 'before commit' | 'after commit';

/**
 * A pool of connections to one database. Each operation takes the step's params and gives its output, without `result`'s alias where
 * the adapter can add it. Throws StepError with a code of docs/adapters/database.md.
 */
export interface Driver {
  readonly system: System;
  query(params: JSONObject, call: Call): Promise<JSONObject>;
  insert(params: JSONObject, call: Call): Promise<JSONObject>;
  update(params: JSONObject, call: Call): Promise<JSONObject>;
  transaction(params: JSONObject, call: Call): Promise<JSONObject>;
  migrate(params: JSONObject, call: Call): Promise<JSONObject>;
  /** Rejects where the server does not answer. */
  ping(): Promise<void>;
  /** Connections by state, for health and metrics. */
  stats(): { size: number; idle: number; waiting: number };
  /** Resolves when all connections are closed; what still runs is cut off. */
  close(): Promise<void>;
}

/** Where a driver connects to. */
export interface Target {
  /** Of the connection string; the credentials in it must not appear in any message. */
  url: URL;
  /** What the connection may reach; checked at each new connection (`egress.addresses`, then `egress.lookup` or pinned addresses). */
  reach: Reach;
  egress: Egress;
  options: Options;
}

/** Opens a pool: fails on a bad connection string or a forbidden address, and need not connect yet. */
export type OpenDriver = (target: Target) => Promise<Driver>;
