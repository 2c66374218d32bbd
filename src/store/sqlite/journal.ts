import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';
import type { JSONFlowError } from '../../lib/errors.ts';
import type { Append, Deployment, RunQuery, RunRow } from '../../ports/store.ts';
import type { RunEvent } from '../../protocol/events.ts';
import type { PublicKeyEntry } from '../../protocol/receipt.ts';
import {
  claimTaken,
  completedOf,
  cursorOf,
  fenced,
  keyTaken,
  otherKey,
  pageOf,
  startedOf,
  startedRow,
  tenantKey,
  wrongSeq,
} from '../runs.ts';
import { corrupt } from './errors.ts';

/** An append and its events as a JSON array. */
export interface Entry {
  append: Append;
  text: string;
}

/** A row of the journal: events of one run that were appended together, as a JSON array. */
export interface JournalRow {
  seq: number;
  count: number;
  sum: number;
  events: string;
}
type StoredRun = RunRow & { events_min: number; sum: number };

/** Runs whose next sequence number is remembered, so that an append need not look it up. */
const REMEMBERED_RUNS_MAX = 50_000;

const RUN_COLUMNS =
  'run_id, workflow, tenant_id, status, idempotency_key, workflow_digest, started_at, finished_at, steps_total, events_min, sum';

/** The journal's SQL. Synchronous; every method may throw errors of `node:sqlite` or STORE_CORRUPT. */
export class Journal {
  readonly #database: DatabaseSync;
  readonly #sql: ReturnType<typeof prepare>;
  readonly #next = new Map<string, number>();
  #dataVersion: unknown;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#sql = prepare(database);
  }

  acquireEpoch(): number {
    return Number(this.#sql.raiseEpoch.get()?.value);
  }

  /**
   * Commits a group in one transaction. An append that may not be written gets its error and leaves no trace; anything thrown
   * means that nothing of the group was written, as far as anyone can know.
   * @returns per entry undefined, or why it was refused
   */
  commit(group: readonly Entry[]): (JSONFlowError | undefined)[] {
    this.#sql.begin.run();
    try {
      this.#forgetIfChanged();
      const epoch = this.#epoch();
      const results = group.map((entry) => this.#write(entry, epoch));
      this.#sql.commit.run();
      return results;
    } catch (error) {
      this.#next.clear();
      if (this.#database.isTransaction) this.#sql.rollback.run();
      throw error;
    }
  }

  /** Another connection's commit changes SQLite's data version: then what we remember may be old. */
  #forgetIfChanged(): void {
    const version = this.#sql.dataVersion.get()?.data_version;
    if (version === this.#dataVersion) return;
    this.#dataVersion = version;
    this.#next.clear();
  }

  #epoch(): number {
    const epoch = this.#sql.epoch.get()?.value;
    if (typeof epoch !== 'number') throw corrupt('the journal has lost its epoch');
    return epoch;
  }

  /** All checks come before the first write, so that a refusal needs no savepoint. */
  #write({ append, text }: Entry, epoch: number): JSONFlowError | undefined {
    const { run_id, seq, events } = append;
    if (append.epoch !== epoch) return fenced(append, epoch);
    const next = this.#next.get(run_id) ?? this.#lookUpNext(run_id);
    if (seq !== next) return wrongSeq(append, next);
    const started = startedOf(events);
    if (started) {
      const row = startedRow(run_id, started);
      const key = row.idempotency_key;
      if (key !== null && this.#sql.byKey.get(tenantKey(row.tenant_id), key)) return keyTaken(append);
      const { claims = [] } = append;
      if (claims.some((claim) => this.#sql.claim.get(claim))) return claimTaken(append);
      for (const claim of claims) this.#sql.insertClaim.run(claim, run_id);
      this.#insertRun(row, events.length);
    }
    this.#sql.insertEvents.run(run_id, seq, events.length, sumOf(run_id, seq, events.length, text), text);
    const completed = completedOf(events);
    if (completed) this.#complete(run_id, completed.status, completed.at, seq + events.length);
    this.#remember(run_id, seq + events.length);
    return undefined;
  }

  #lookUpNext(runId: string): number {
    const last = this.#sql.lastRow.get(runId) as { seq: number; count: number } | undefined;
    return last ? last.seq + last.count : 0;
  }

  #remember(runId: string, next: number): void {
    // Deleted first, so that the order is that of use and the oldest goes.
    this.#next.delete(runId);
    this.#next.set(runId, next);
    if (this.#next.size > REMEMBERED_RUNS_MAX) this.#next.delete(this.#next.keys().next().value ?? '');
  }

  #insertRun(row: RunRow, events: number): void {
    this.#sql.insertRun.run(...valuesOf(row, events), sumOfRun(row, events));
  }

  #complete(runId: string, status: RunRow['status'], finished_at: number, events: number): void {
    const row = this.run(runId);
    if (!row) throw corrupt(`the row of run ${runId} is lost`);
    const sum = sumOfRun({ ...row, status, finished_at }, events);
    this.#sql.completeRun.run(status, finished_at, events, sum, runId);
  }

  read(runId: string, fromSeq: number, limit: number | undefined): RunEvent[] {
    // A row holds at least one event, so `limit` rows are enough.
    const rows = this.#sql.read.all(runId, runId, fromSeq, limit ?? -1) as unknown as JournalRow[];
    const found: RunEvent[] = [];
    let expected = rows[0]?.seq ?? 0;
    if (expected > fromSeq) throw corrupt(`run ${runId}: event ${fromSeq} is lost`);
    for (const row of rows) {
      if (row.seq !== expected) throw corrupt(`run ${runId}: event ${expected} is lost`);
      expected += row.count;
      for (const event of eventsOf(runId, row)) found.push(event);
    }
    if (limit === undefined) this.#checkEnd(runId, fromSeq, expected, rows.length > 0);
    const skipped = Math.max(0, fromSeq - (rows[0]?.seq ?? 0));
    return found.slice(skipped, limit === undefined ? undefined : skipped + limit);
  }

  #checkEnd(runId: string, fromSeq: number, end: number, any: boolean): void {
    const row = this.#sql.run.get(runId) as unknown as StoredRun | undefined;
    if (any && !row) throw corrupt(`the row of run ${runId} is lost`);
    if (row && (any || fromSeq === 0) && end < row.events_min) throw corrupt(`run ${runId}: event ${end} is lost`);
  }

  run(runId: string): RunRow | undefined {
    return checked(this.#sql.run.get(runId));
  }

  byIdempotencyKey(tenantId: string | null, key: string): RunRow | undefined {
    return checked(this.#sql.byKey.get(tenantKey(tenantId), key));
  }

  runs(query: RunQuery): { rows: RunRow[]; cursor?: string } {
    const { before, size } = pageOf(query);
    const place = [before.started_at, before.run_id, size + 1] as const;
    const found =
      query.status === undefined ? this.#sql.page.all(...place) : this.#sql.pageByStatus.all(query.status, ...place);
    const rows = found.slice(0, size).map((row) => checked(row) as RunRow);
    const last = rows.at(-1);
    return found.length > size && last ? { rows, cursor: cursorOf(last) } : { rows };
  }

  /** @returns why the key was refused */
  enrol(key: PublicKeyEntry): JSONFlowError | undefined {
    this.#sql.enrol.run(key.node_id, key.key_id, key.public_key, sumOfKey(key));
    const kept = this.enrolled(key.node_id)[0];
    return kept?.key_id === key.key_id && kept.public_key === key.public_key ? undefined : otherKey(key.node_id);
  }

  enrolled(nodeId?: string): PublicKeyEntry[] {
    const rows = nodeId === undefined ? this.#sql.nodes.all() : this.#sql.node.all(nodeId);
    return (rows as unknown as (PublicKeyEntry & { sum: number })[]).map(({ sum, ...key }) => {
      if (sumOfKey(key) !== sum) throw corrupt(`the key of node ${key.node_id} is damaged`);
      return { ...key };
    });
  }

  claimed(claims: readonly string[]): Set<string> {
    return new Set(claims.filter((claim) => this.#sql.claim.get(claim) !== undefined));
  }

  deploy(deployment: Deployment): void {
    const text = JSON.stringify(deployment);
    this.#sql.deploy.run(tenantKey(deployment.tenant_id), deployment.name, text, crc32(text));
  }

  undeploy(tenantId: string | null, name: string): boolean {
    return this.#sql.undeploy.run(tenantKey(tenantId), name).changes > 0;
  }

  deployments(): Deployment[] {
    return this.#sql.deployments.all().map((row) => {
      const text = String(row.deployment);
      if (crc32(text) !== row.sum) throw corrupt(`the deployment ${String(row.name)} is damaged`);
      return JSON.parse(text) as Deployment;
    });
  }

  unfinished(): string[] {
    return this.#sql.unfinished.all().map((row) => String(row.run_id));
  }
}

function prepare(database: DatabaseSync) {
  const run = `SELECT ${RUN_COLUMNS} FROM runs`;
  const page = '(started_at, run_id) < (?, ?) ORDER BY started_at DESC, run_id DESC LIMIT ?';
  const statements = {
    begin: 'BEGIN IMMEDIATE',
    commit: 'COMMIT',
    rollback: 'ROLLBACK',
    dataVersion: 'PRAGMA data_version',
    epoch: "SELECT value FROM meta WHERE name = 'epoch'",
    raiseEpoch: "UPDATE meta SET value = value + 1 WHERE name = 'epoch' RETURNING value",
    lastRow: 'SELECT seq, count FROM journal WHERE run_id = ? ORDER BY seq DESC LIMIT 1',
    insertEvents: 'INSERT INTO journal (run_id, seq, count, sum, events) VALUES (?, ?, ?, ?, ?)',
    insertRun: `INSERT INTO runs (${RUN_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    completeRun: 'UPDATE runs SET status = ?, finished_at = ?, events_min = ?, sum = ? WHERE run_id = ?',
    // From the row that holds `fromSeq`, which may begin before it.
    read: `SELECT seq, count, sum, events FROM journal WHERE run_id = ? AND seq >=
      ifnull((SELECT max(seq) FROM journal WHERE run_id = ? AND seq <= ?), 0) ORDER BY seq LIMIT ?`,
    run: `${run} WHERE run_id = ?`,
    byKey: `${run} WHERE ifnull('=' || tenant_id, '') = ? AND idempotency_key = ?`,
    page: `${run} WHERE ${page}`,
    pageByStatus: `${run} WHERE status = ? AND ${page}`,
    enrol: 'INSERT INTO nodes (node_id, key_id, public_key, sum) VALUES (?, ?, ?, ?) ON CONFLICT (node_id) DO NOTHING',
    nodes: 'SELECT node_id, key_id, public_key, sum FROM nodes ORDER BY id',
    node: 'SELECT node_id, key_id, public_key, sum FROM nodes WHERE node_id = ?',
    claim: 'SELECT run_id FROM claims WHERE claim = ?',
    insertClaim: 'INSERT OR IGNORE INTO claims (claim, run_id) VALUES (?, ?)',
    deploy: 'INSERT OR REPLACE INTO deployments (tenant, name, deployment, sum) VALUES (?, ?, ?, ?)',
    undeploy: 'DELETE FROM deployments WHERE tenant = ? AND name = ?',
    deployments: 'SELECT name, deployment, sum FROM deployments ORDER BY tenant, name',
    unfinished: "SELECT run_id FROM runs WHERE status = 'running' ORDER BY started_at, run_id",
  };
  const entries = Object.entries(statements).map(([name, sql]) => [name, database.prepare(sql)]);
  return Object.fromEntries(entries) as Record<keyof typeof statements, StatementSync>;
}

const sumOf = (runId: string, seq: number, count: number, text: string): number =>
  crc32(text, crc32(`${runId}\n${seq}\n${count}`));

const sumOfRun = (row: RunRow, events: number): number => crc32(JSON.stringify(valuesOf(row, events)));

const sumOfKey = ({ node_id, key_id, public_key }: PublicKeyEntry): number =>
  crc32(JSON.stringify([node_id, key_id, public_key]));

/** In the order of RUN_COLUMNS, without the sum. */
const valuesOf = (row: RunRow, events: number) =>
  [
    row.run_id,
    row.workflow,
    row.tenant_id,
    row.status,
    row.idempotency_key,
    row.workflow_digest,
    row.started_at,
    row.finished_at,
    row.steps_total,
    events,
  ] as const;

function eventsOf(runId: string, row: JournalRow): RunEvent[] {
  checkRow(runId, row);
  return JSON.parse(row.events) as RunEvent[];
}

/** @throws JSONFlowError STORE_CORRUPT where the row is not as it was written */
export function checkRow(runId: string, { seq, count, sum, events }: JournalRow): void {
  if (sumOf(runId, seq, count, events) !== sum) throw corrupt(`run ${runId}: the events from ${seq} on are damaged`);
}

function checked(found: unknown): RunRow | undefined {
  if (found === undefined) return undefined;
  const { events_min, sum, ...row } = found as StoredRun;
  if (sumOfRun(row, events_min) !== sum) throw corrupt(`the row of run ${row.run_id} is damaged`);
  return { ...row };
}
