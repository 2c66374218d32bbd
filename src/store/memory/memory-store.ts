import { EvidenceError, JSONFlowError, messageOf } from '../../lib/errors.ts';
import { sha256 } from '../../lib/hash.ts';
import type { Append, Deployment, RunQuery, RunRow, Store, StoreStats } from '../../ports/store.ts';
import type { RunEvent } from '../../protocol/events.ts';
import type { PublicKeyEntry } from '../../protocol/receipt.ts';
import type { Place } from '../runs.ts';
import {
  checkAppend,
  checkDigest,
  claimTaken,
  completedOf,
  cursorOf,
  fenced,
  keyTaken,
  otherKey,
  pageOf,
  startedOf,
  startedRow,
  storeClosed,
  tenantKey,
  wrongSeq,
} from '../runs.ts';

interface MemoryRun {
  row: RunRow;
  /** As JSON, so that no reader or writer shares a value with the journal. */
  events: string[];
}

/** What outlives a MemoryStore. Several stores may share one, as several processes share a directory. */
export class MemoryDisk {
  epoch = 0;
  readonly runs = new Map<string, MemoryRun>();
  /** Rows by start time, then id. */
  readonly order: RunRow[] = [];
  readonly keys = new Map<string, string>();
  readonly blobs = new Map<string, Uint8Array>();
  readonly enrolled = new Map<string, PublicKeyEntry>();
  /** Run by claim. */
  readonly claims = new Map<string, string>();
  /** As JSON, by tenant and name. */
  readonly deployments = new Map<string, string>();

  /** Applies an append, or says why not. */
  apply({ append, texts }: Pending): JSONFlowError | undefined {
    if (append.epoch !== this.epoch) return fenced(append, this.epoch);
    const run = this.runs.get(append.run_id);
    const next = run?.events.length ?? 0;
    if (append.seq !== next) return wrongSeq(append, next);
    const started = startedOf(append.events);
    const target = run ?? (started && { row: startedRow(append.run_id, started), events: [] });
    if (!target) return wrongSeq(append, 0);
    if (started) {
      const key = target.row.idempotency_key === null ? null : keyOf(target.row.tenant_id, target.row.idempotency_key);
      if (key !== null && this.keys.has(key)) return keyTaken(append);
      const { claims = [] } = append;
      if (claims.some((claim) => this.claims.has(claim))) return claimTaken(append);
      for (const claim of claims) this.claims.set(claim, append.run_id);
      if (key !== null) this.keys.set(key, append.run_id);
      this.runs.set(append.run_id, target);
      this.order.splice(this.indexOf(target.row), 0, target.row);
    }
    for (const text of texts) target.events.push(text);
    const completed = completedOf(append.events);
    if (completed) Object.assign(target.row, { status: completed.status, finished_at: completed.at });
    return undefined;
  }

  /** How many rows stand before this place. */
  indexOf(place: Place): number {
    let [low, high] = [0, this.order.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      const row = this.order[middle];
      if (row && isBefore(row, place)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

export interface MemoryStoreOptions {
  /** Default: a new one. */
  disk?: MemoryDisk;
  /**
   * The fault hook, called with each group before it counts. The group becomes durable when the promise resolves; a rejection is
   * a failed disk; while it is pending the group is under way, and `crash` may lose it.
   */
  durable?: (group: readonly Append[]) => Promise<void>;
}

interface Pending {
  append: Append;
  texts: string[];
  resolve: () => void;
  reject: (error: JSONFlowError) => void;
}

/** The reference driver: deterministic, with no timer and no clock of its own. */
export class MemoryStore implements Store {
  readonly #options: MemoryStoreOptions;
  readonly #disk: MemoryDisk;
  readonly #stats: StoreStats = { appends: 0, events: 0, commits: 0 };
  #queue: Pending[] = [];
  #underWay: Pending[] = [];
  #flushing: Promise<void> | undefined;
  #state: 'open' | 'closed' | 'crashed' = 'open';
  #failure: JSONFlowError | undefined;

  constructor(options: MemoryStoreOptions = {}) {
    this.#options = options;
    this.#disk = options.disk ?? new MemoryDisk();
  }

  async acquireEpoch(): Promise<number> {
    this.#check();
    this.#disk.epoch += 1;
    return this.#disk.epoch;
  }

  async append(append: Append): Promise<void> {
    this.#check();
    checkAppend(append);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const texts = append.events.map((event) => JSON.stringify(event));
    this.#queue.push({ append: { ...append, events: [...append.events] }, texts, resolve, reject });
    this.#flushing ??= this.#flush();
    return promise;
  }

  async read(runId: string, fromSeq = 0, limit?: number): Promise<RunEvent[]> {
    this.#check();
    const texts = this.#disk.runs.get(runId)?.events ?? [];
    const end = limit === undefined ? texts.length : fromSeq + limit;
    return texts.slice(fromSeq, end).map((text) => JSON.parse(text) as RunEvent);
  }

  async run(runId: string): Promise<RunRow | undefined> {
    this.#check();
    const run = this.#disk.runs.get(runId);
    return run && { ...run.row };
  }

  async runs(query: RunQuery): Promise<{ rows: RunRow[]; cursor?: string }> {
    this.#check();
    const { before, size } = pageOf(query);
    const rows: RunRow[] = [];
    for (let index = this.#disk.indexOf(before) - 1; index >= 0 && rows.length <= size; index--) {
      const row = this.#disk.order[index];
      if (row && (query.status === undefined || row.status === query.status)) rows.push({ ...row });
    }
    const last = rows[size - 1];
    return rows.length > size && last ? { rows: rows.slice(0, size), cursor: cursorOf(last) } : { rows };
  }

  async unfinished(): Promise<string[]> {
    this.#check();
    return this.#disk.order.filter((row) => row.status === 'running').map((row) => row.run_id);
  }

  async byIdempotencyKey(tenantId: string | null, key: string): Promise<RunRow | undefined> {
    const runId = this.#disk.keys.get(keyOf(tenantId, key));
    return this.run(runId ?? '');
  }

  async claimed(claims: readonly string[]): Promise<Set<string>> {
    this.#check();
    return new Set(claims.filter((claim) => this.#disk.claims.has(claim)));
  }

  async deploy(deployment: Deployment): Promise<void> {
    this.#check();
    this.#disk.deployments.set(keyOf(deployment.tenant_id, deployment.name), JSON.stringify(deployment));
  }

  async undeploy(tenantId: string | null, name: string): Promise<boolean> {
    this.#check();
    return this.#disk.deployments.delete(keyOf(tenantId, name));
  }

  async deployments(): Promise<Deployment[]> {
    this.#check();
    const all = [...this.#disk.deployments.values()].map((text) => JSON.parse(text) as Deployment);
    // No name holds a NUL, so that this is the order of pairs.
    const place = ({ tenant_id, name }: Deployment): string => `${tenantKey(tenant_id)}\0${name}`;
    return all.sort((a, b) => (place(a) < place(b) ? -1 : 1));
  }

  async putBlob(digest: string, bytes: Uint8Array): Promise<void> {
    this.#check();
    checkDigest(digest);
    if (sha256(bytes) !== digest) throw new EvidenceError(`the bytes are not those of blob ${digest}`);
    if (!this.#disk.blobs.has(digest)) this.#disk.blobs.set(digest, Uint8Array.from(bytes));
  }

  async getBlob(digest: string): Promise<Uint8Array | undefined> {
    this.#check();
    checkDigest(digest);
    const bytes = this.#disk.blobs.get(digest);
    return bytes && Uint8Array.from(bytes);
  }

  async hasBlob(digest: string): Promise<boolean> {
    this.#check();
    checkDigest(digest);
    return this.#disk.blobs.has(digest);
  }

  async enrol({ node_id, key_id, public_key }: PublicKeyEntry): Promise<void> {
    this.#check();
    const known = this.#disk.enrolled.get(node_id);
    if (known && (known.key_id !== key_id || known.public_key !== public_key)) throw otherKey(node_id);
    if (!known) this.#disk.enrolled.set(node_id, { node_id, key_id, public_key });
  }

  async enrolled(): Promise<PublicKeyEntry[]> {
    this.#check();
    return [...this.#disk.enrolled.values()].map((key) => ({ ...key }));
  }

  stats(): StoreStats {
    return { ...this.#stats };
  }

  async close(): Promise<void> {
    if (this.#state === 'open') this.#state = 'closed';
    await this.#flushing;
  }

  /**
   * Ends this store as a power cut would: what waits for durability is lost and its promises never settle; every later call rejects.
   * @param survivors how many appends of the group under way had reached the disk nonetheless, though nobody was told
   * @returns a store that finds what was durable
   */
  crash(survivors = 0): MemoryStore {
    this.#state = 'crashed';
    for (const pending of this.#underWay.slice(0, survivors)) this.#disk.apply(pending);
    this.#queue = [];
    this.#underWay = [];
    return new MemoryStore({ ...this.#options, disk: this.#disk });
  }

  #check(): void {
    if (this.#state !== 'open') throw storeClosed();
    if (this.#failure) throw this.#failure;
  }

  async #flush(): Promise<void> {
    // One microtask later, so that the calls of a turn share a group; those that arrive meanwhile form the next.
    await undefined;
    while (this.#queue.length > 0) {
      const group = this.#queue;
      this.#queue = [];
      this.#underWay = group;
      try {
        await this.#options.durable?.(group.map(({ append }) => append));
      } catch (error) {
        if (this.#state !== 'crashed') this.#fail(error);
        break;
      }
      if (this.#state === 'crashed') return;
      this.#underWay = [];
      this.#settle(group);
    }
    this.#flushing = undefined;
  }

  #settle(group: readonly Pending[]): void {
    let applied = 0;
    for (const pending of group) {
      const error = this.#disk.apply(pending);
      if (error) {
        pending.reject(error);
        continue;
      }
      applied += 1;
      this.#stats.events += pending.texts.length;
      pending.resolve();
    }
    this.#stats.appends += applied;
    if (applied > 0) this.#stats.commits += 1;
  }

  #fail(cause: unknown): void {
    const failure = new JSONFlowError('STORE_FAILED', `can't write the journal: ${messageOf(cause)}`, {
      hint: 'Restart once the cause is gone; what was acknowledged is safe.',
      cause,
    });
    this.#failure = failure;
    for (const pending of [...this.#underWay, ...this.#queue]) pending.reject(failure);
    this.#queue = [];
    this.#underWay = [];
  }
}

const keyOf = (tenantId: string | null, key: string): string => JSON.stringify([tenantId, key]);

const isBefore = (a: Place, b: Place): boolean =>
  a.started_at < b.started_at || (a.started_at === b.started_at && a.run_id < b.run_id);
