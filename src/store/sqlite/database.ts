import { chmodSync, closeSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { JSONFlowError } from '../../lib/errors.ts';
import { corrupt, storeError } from './errors.ts';

/** "JSFL": tells our files from other programs' databases. */
const APPLICATION_ID = 0x4a53464c;

/** Entry n leads from version n to n + 1. Entries are added, never changed: old files must open. */
const migrations: readonly string[] = [
  `CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
   INSERT INTO meta VALUES ('epoch', 0);

   -- A row per append, because rows and not bytes are the cost; in the order of arrival, so that writes go to one end of the table.
   CREATE TABLE journal (
     id INTEGER PRIMARY KEY,
     run_id TEXT NOT NULL,
     seq INTEGER NOT NULL,
     count INTEGER NOT NULL,
     sum INTEGER NOT NULL, -- CRC-32, because SQLite does not notice damage inside a value
     events TEXT NOT NULL  -- JSON array
   );
   CREATE UNIQUE INDEX journal_by_seq ON journal (run_id, seq);

   CREATE TABLE runs (
     run_id TEXT NOT NULL UNIQUE,
     workflow TEXT NOT NULL,
     tenant_id TEXT,
     status TEXT NOT NULL,
     idempotency_key TEXT,
     workflow_digest TEXT NOT NULL,
     started_at REAL NOT NULL,
     finished_at REAL,
     steps_total INTEGER NOT NULL,
     events_min INTEGER NOT NULL, -- the journal holds at least so many, or its end is lost
     sum INTEGER NOT NULL
   );
   CREATE TABLE nodes (
     id INTEGER PRIMARY KEY,
     node_id TEXT NOT NULL UNIQUE,
     key_id TEXT NOT NULL,
     public_key TEXT NOT NULL,
     sum INTEGER NOT NULL
   );
   CREATE INDEX runs_by_time ON runs (started_at, run_id);
   CREATE INDEX runs_by_status ON runs (status, started_at, run_id);
   -- '=' keeps "no tenant" apart from every name.
   CREATE UNIQUE INDEX runs_by_key ON runs (ifnull('=' || tenant_id, ''), idempotency_key) WHERE idempotency_key IS NOT NULL;`,

  `CREATE TABLE claims (claim TEXT PRIMARY KEY, run_id TEXT NOT NULL) WITHOUT ROWID;
   CREATE TABLE deployments (
     tenant TEXT NOT NULL, -- '=' and the tenant, or nothing
     name TEXT NOT NULL,
     deployment TEXT NOT NULL, -- JSON
     sum INTEGER NOT NULL,
     PRIMARY KEY (tenant, name)
   ) WITHOUT ROWID;`,
];

/** Files up to this size are checked as a whole when they are opened (about 0.1 s); larger ones row by row as they are read. */
const CHECKED_BYTES_MAX = 16 * 1024 * 1024;

export interface DatabaseOptions {
  /** `full` (default): an acknowledged event survives a power cut. `normal`: it survives a killed process, not a power cut. */
  synchronous?: 'full' | 'normal';
  /** How long to wait for another process's transaction. Default 5,000. */
  busyTimeoutMs?: number;
}

/**
 * Opens or creates the database file, readable by its owner alone.
 * @throws JSONFlowError STORE_CORRUPT, STORE_FAILED
 */
export function openDatabase(file: string, options: DatabaseOptions): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    closeSync(openSync(file, 'a', 0o600));
    chmodSync(file, 0o600);
    database = new DatabaseSync(file, {
      timeout: options.busyTimeoutMs ?? 5_000,
      enableForeignKeyConstraints: false,
    });
    configure(database, options.synchronous ?? 'full');
    migrate(database, file);
    check(database, file);
    return database;
  } catch (error) {
    database?.close();
    throw storeError(`open ${file}`, error);
  }
}

function configure(database: DatabaseSync, synchronous: 'full' | 'normal'): void {
  // The header is read here: a file of another kind fails before anything is written.
  numberOf(database, 'application_id');
  database.exec(`
    PRAGMA page_size = 8192;
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = ${synchronous === 'full' ? 'FULL' : 'NORMAL'};
    -- macOS only: there a plain fsync leaves the bytes in the drive's cache.
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = ${16 * 1024 * 1024};
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;`);
}

function migrate(database: DatabaseSync, file: string): void {
  database.exec('BEGIN IMMEDIATE');
  const application = numberOf(database, 'application_id');
  const version = numberOf(database, 'user_version');
  const tables = database.prepare('SELECT count(*) AS count FROM sqlite_schema').get()?.count;
  if (application !== APPLICATION_ID && (application !== 0 || version !== 0 || tables !== 0))
    throw corrupt(`${file} is a database, but not one of JSONFlow's`);
  if (version > migrations.length)
    throw new JSONFlowError(
      'STORE_FAILED',
      `${file} has schema ${version}; this JSONFlow knows ${migrations.length} at most`,
      {
        hint: 'A newer JSONFlow wrote it; use that version or a later one.',
      },
    );
  for (const migration of migrations.slice(version)) database.exec(migration);
  if (version < migrations.length)
    database.exec(`PRAGMA application_id = ${APPLICATION_ID}; PRAGMA user_version = ${migrations.length}`);
  database.exec('COMMIT');
}

function check(database: DatabaseSync, file: string): void {
  const bytes = numberOf(database, 'page_count') * numberOf(database, 'page_size');
  if (bytes > CHECKED_BYTES_MAX) return;
  const found = database.prepare('PRAGMA integrity_check(1)').get()?.integrity_check;
  if (found !== 'ok') throw corrupt(`${file} is damaged: ${String(found)}`);
}

const numberOf = (database: DatabaseSync, pragma: string): number =>
  Number(Object.values(database.prepare(`PRAGMA ${pragma}`).get() ?? {})[0]);
