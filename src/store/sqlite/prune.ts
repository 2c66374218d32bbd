import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { JSONFlowError } from '../../lib/errors.ts';
import { BlobFiles } from './blob-files.ts';
import { openDatabase } from './database.ts';
import { storeError } from './errors.ts';
import { checkRow, Journal, type JournalRow } from './journal.ts';

export interface PruneOptions {
  /** Runs that ended before go, in ms since 1970. */
  before: number;
  /** Says what would go, and leaves it. Default false. */
  dryRun?: boolean;
}

export interface PruneReport {
  /** Ended runs that are gone. */
  runs: number;
  /** Blobs that no run left names, and their bytes. */
  blobs: number;
  bytes: number;
}

/**
 * Deletes runs that ended long ago, and the blobs that no other run names. What a run has claimed, such as a message, stays claimed, and nodes
 * keep their keys. Stopped at any point it can be called again.
 * @throws JSONFlowError NOT_FOUND where there is no store, CONFLICT while another process uses it, STORE_CORRUPT before anything is deleted, STORE_FAILED
 */
export async function pruneStore(directory: string, { before, dryRun = false }: PruneOptions): Promise<PruneReport> {
  const path = resolve(directory);
  const file = join(path, 'journal.db');
  if (!existsSync(file))
    throw new JSONFlowError('NOT_FOUND', `there is no journal in ${path}`, {
      hint: 'Name the data directory of a coordinator with --data-dir.',
    });
  // It checks the file, and brings it to this version.
  openDatabase(file, {}).close();
  const database = alone(file);
  try {
    const blobs = await BlobFiles.open(join(path, 'blobs'));
    const ended = "SELECT run_id FROM runs WHERE status <> 'running' AND finished_at < ?";
    database.prepare(`CREATE TEMP TABLE gone AS ${ended}`).run(before);
    const gone = Number(database.prepare('SELECT count(*) AS count FROM gone').get()?.count);
    const sizes = await blobs.list();
    const live = await liveBlobs(database, blobs, sizes);
    const dead = [...sizes].filter(([digest]) => !live.has(digest));
    const report = { runs: gone, blobs: dead.length, bytes: dead.reduce((sum, [, bytes]) => sum + bytes, 0) };
    if (dryRun) return report;
    database.exec(`BEGIN IMMEDIATE;
      DELETE FROM journal WHERE run_id IN (SELECT run_id FROM gone);
      DELETE FROM runs WHERE run_id IN (SELECT run_id FROM gone);
      COMMIT`);
    // Only now: a run must never lack what it names.
    for (const [digest] of dead) await blobs.remove(digest);
    if (gone > 0) database.exec('VACUUM; PRAGMA wal_checkpoint(TRUNCATE)');
    return report;
  } catch (thrown) {
    throw storeError(`prune ${path}`, thrown);
  } finally {
    database.close();
  }
}

/** A connection that no other can be beside. */
function alone(file: string): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: 0, enableForeignKeyConstraints: false });
  try {
    database.exec(
      'PRAGMA locking_mode = EXCLUSIVE; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; BEGIN IMMEDIATE; COMMIT',
    );
    return database;
  } catch (cause) {
    database.close();
    throw new JSONFlowError('CONFLICT', `another process uses ${file}`, {
      hint: 'Stop the coordinator first: it could store what would be deleted here.',
      cause,
    });
  }
}

/** Whatever the runs that stay name, in events, receipts, deployments, and in the blobs that these name. */
async function liveBlobs(
  database: DatabaseSync,
  blobs: BlobFiles,
  sizes: ReadonlyMap<string, number>,
): Promise<Set<string>> {
  const live = new Set<string>();
  const unread: string[] = [];
  const look = (text: string): void => {
    for (const digest of digestsIn(text))
      if (sizes.has(digest) && !live.has(digest)) {
        live.add(digest);
        unread.push(digest);
      }
  };
  const rows = database.prepare(
    'SELECT run_id, seq, count, sum, events FROM journal WHERE run_id NOT IN (SELECT run_id FROM gone)',
  );
  for (const row of rows.iterate() as Iterable<unknown>) {
    const { run_id, ...entry } = row as JournalRow & { run_id: string };
    checkRow(run_id, entry);
    look(entry.events);
    for (const [, payload = ''] of entry.events.matchAll(/"payload":"([A-Za-z0-9+/=]*)"/g))
      look(Buffer.from(payload, 'base64').toString('latin1'));
  }
  for (const deployment of new Journal(database).deployments()) look(JSON.stringify(deployment));
  for (let digest = unread.pop(); digest !== undefined; digest = unread.pop()) {
    const bytes = Buffer.from((await blobs.get(digest)) ?? []);
    for (let at = 0; at < bytes.length; at += sliceBytes)
      look(bytes.toString('latin1', at, at + sliceBytes + digestLength - 1));
  }
  return live;
}

const digestLength = 64;
const sliceBytes = 4 * 1024 * 1024;

/** Each place that could be one, also within longer ones: a blob that is kept for nothing does no harm. */
function* digestsIn(text: string): Generator<string> {
  for (const [run] of text.matchAll(/[0-9a-f]{64,}/g))
    for (let at = 0; at + digestLength <= run.length; at += 1) yield run.slice(at, at + digestLength);
}
