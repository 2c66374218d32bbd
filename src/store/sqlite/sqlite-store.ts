import { mkdir } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { JSONFlowError } from '../../lib/errors.ts';
import { syncDirectory } from '../../lib/sync-directory.ts';
import type { Append, Deployment, RunQuery, RunRow, Store, StoreStats } from '../../ports/store.ts';
import type { RunEvent } from '../../protocol/events.ts';
import type { PublicKeyEntry } from '../../protocol/receipt.ts';
import { checkAppend, storeClosed } from '../runs.ts';
import { BlobFiles } from './blob-files.ts';
import type { DatabaseOptions } from './database.ts';
import { openDatabase } from './database.ts';
import { storeError } from './errors.ts';
import type { Entry } from './journal.ts';
import { Journal } from './journal.ts';

export type SqliteStoreOptions = DatabaseOptions;

/** One transaction takes at most so much, so that a burst does not hold the event loop for long. */
const GROUP_APPENDS_MAX = 1_000;
const GROUP_CHARS_MAX = 8 * 1024 * 1024;
/** What may wait for a commit; beyond it callers are told to come back. */
const QUEUE_CHARS_MAX = 256 * 1024 * 1024;

interface Pending extends Entry {
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * Journal in `journal.db` (SQLite, WAL), blobs in `blobs/` beside it.
 *
 * The database lives on the main thread. A worker thread that owns it was measured (2 cores, 2 KB appends): it saves 27 µs of
 * main-thread time per append, but its messages cost more than that elsewhere: 12.2–13.9 k appends/s became 10.2–10.7 k with 50
 * writers that also sign, and one append alone took 0.3 ms instead of 0.2. Appends of one turn of the event loop share a transaction.
 *
 * Fail-stop: after an I/O error nobody knows what reached the disk, so every waiter is rejected and the store refuses all further
 * work. A new start reads what is there.
 */
export class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #journal: Journal;
  readonly #blobs: BlobFiles;
  readonly #stats: StoreStats = { appends: 0, events: 0, commits: 0 };
  #queue: Pending[] = [];
  #queuedChars = 0;
  #scheduled = false;
  #failure: JSONFlowError | undefined;
  #closing: Promise<void> | undefined;

  private constructor(database: DatabaseSync, journal: Journal, blobs: BlobFiles) {
    this.#database = database;
    this.#journal = journal;
    this.#blobs = blobs;
  }

  /**
   * Opens the store in a directory, which is created where it is missing. Call `acquireEpoch` before the first append.
   * @throws JSONFlowError STORE_CORRUPT where a file is damaged or not ours; STORE_FAILED where it can't be opened or is of a newer version
   */
  static async open(directory: string, options: SqliteStoreOptions = {}): Promise<SqliteStore> {
    const path = resolve(directory);
    try {
      const created = await mkdir(path, { recursive: true, mode: 0o700 });
      if (created !== undefined) await syncDirectory(dirname(created));
    } catch (error) {
      throw storeError(`create ${path}`, error);
    }
    const blobs = await BlobFiles.open(join(path, 'blobs'));
    const file = join(path, 'journal.db');
    const database = openDatabase(file, options);
    try {
      return new SqliteStore(database, new Journal(database), blobs);
    } catch (error) {
      database.close();
      throw storeError(`read ${file}`, error);
    }
  }

  async acquireEpoch(): Promise<number> {
    return this.#write('start an epoch', () => this.#journal.acquireEpoch());
  }

  async append(append: Append): Promise<void> {
    this.#check();
    checkAppend(append);
    const text = JSON.stringify(append.events);
    if (this.#queuedChars + text.length > QUEUE_CHARS_MAX)
      throw new JSONFlowError('OVERLOADED', 'too much waits to be written to the journal', { retriable: true });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#queue.push({ append: { ...append, events: [...append.events] }, text, resolve, reject });
    this.#queuedChars += text.length;
    this.#schedule();
    return promise;
  }

  async read(runId: string, fromSeq = 0, limit?: number): Promise<RunEvent[]> {
    return this.#read(`read run ${runId}`, () => this.#journal.read(runId, fromSeq, limit));
  }

  async run(runId: string): Promise<RunRow | undefined> {
    return this.#read(`read run ${runId}`, () => this.#journal.run(runId));
  }

  async runs(query: RunQuery): Promise<{ rows: RunRow[]; cursor?: string }> {
    return this.#read('list the runs', () => this.#journal.runs(query));
  }

  async unfinished(): Promise<string[]> {
    return this.#read('list the runs', () => this.#journal.unfinished());
  }

  async byIdempotencyKey(tenantId: string | null, key: string): Promise<RunRow | undefined> {
    return this.#read('look up an idempotency key', () => this.#journal.byIdempotencyKey(tenantId, key));
  }

  async claimed(claims: readonly string[]): Promise<Set<string>> {
    return this.#read('look up claims', () => this.#journal.claimed(claims));
  }

  async deploy(deployment: Deployment): Promise<void> {
    this.#write('keep a deployment', () => this.#journal.deploy(deployment));
  }

  async undeploy(tenantId: string | null, name: string): Promise<boolean> {
    return this.#write('remove a deployment', () => this.#journal.undeploy(tenantId, name));
  }

  async deployments(): Promise<Deployment[]> {
    return this.#read('list the deployments', () => this.#journal.deployments());
  }

  async putBlob(digest: string, bytes: Uint8Array): Promise<void> {
    this.#check();
    await this.#blobs.put(digest, bytes);
  }

  async getBlob(digest: string): Promise<Uint8Array | undefined> {
    this.#check();
    return this.#blobs.get(digest);
  }

  async hasBlob(digest: string): Promise<boolean> {
    this.#check();
    return this.#blobs.has(digest);
  }

  async enrol(key: PublicKeyEntry): Promise<void> {
    const refused = this.#write('enrol a node', () => this.#journal.enrol(key));
    if (refused) throw refused;
  }

  async enrolled(): Promise<PublicKeyEntry[]> {
    return this.#read('list the nodes', () => this.#journal.enrolled());
  }

  stats(): StoreStats {
    return { ...this.#stats };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    while (this.#queue.length > 0) this.#commitGroup();
    await this.#blobs.close();
    try {
      this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch {
      // Nothing is lost: the next open finds everything in the write-ahead log.
    }
    this.#database.close();
  }

  #check(): void {
    if (this.#closing) throw storeClosed();
    if (this.#failure) throw this.#failure;
  }

  #read<T>(what: string, body: () => T): T {
    this.#check();
    try {
      return body();
    } catch (error) {
      throw storeError(what, error);
    }
  }

  #write<T>(what: string, body: () => T): T {
    this.#check();
    try {
      return body();
    } catch (error) {
      throw this.#fail(what, error);
    }
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Not a microtask: those run after every callback, and a turn of the event loop has many.
    setImmediate(() => {
      this.#scheduled = false;
      this.#commitGroup();
      if (this.#queue.length > 0) this.#schedule();
    });
  }

  #commitGroup(): void {
    const group = this.#takeGroup();
    if (group.length === 0) return;
    let results: (JSONFlowError | undefined)[];
    try {
      results = this.#journal.commit(group);
    } catch (error) {
      const failure = this.#fail('write the journal', error);
      for (const pending of [...group, ...this.#queue]) pending.reject(failure);
      this.#queue = [];
      return;
    }
    let applied = 0;
    for (const [index, { append, resolve, reject }] of group.entries()) {
      const error = results[index];
      if (error) {
        reject(error);
        continue;
      }
      applied += 1;
      this.#stats.events += append.events.length;
      resolve();
    }
    this.#stats.appends += applied;
    if (applied > 0) this.#stats.commits += 1;
  }

  #takeGroup(): Pending[] {
    let chars = 0;
    let count = 0;
    for (const { text } of this.#queue) {
      // The first always fits.
      if (count > 0 && (count === GROUP_APPENDS_MAX || chars + text.length > GROUP_CHARS_MAX)) break;
      chars += text.length;
      count += 1;
    }
    this.#queuedChars -= chars;
    return this.#queue.splice(0, count);
  }

  #fail(what: string, error: unknown): JSONFlowError {
    this.#failure ??= storeError(what, error);
    return this.#failure;
  }
}
