import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { completed, middle, started } from '../../../test/compliance/run-events.ts';
import { storeCompliance } from '../../../test/compliance/store.ts';
import { openDatabase } from './database.ts';
import { SqliteStore } from './sqlite-store.ts';

const newDirectory = () => mkdtemp(join(tmpdir(), 'jsonflow-store-'));

storeCompliance('SqliteStore', async () => {
  const directory = await newDirectory();
  return { open: () => SqliteStore.open(directory), remove: () => rm(directory, { recursive: true }) };
});

describe('SqliteStore and its files', () => {
  let directory: string;
  let file: string;
  before(async () => {
    directory = join(await newDirectory(), 'new', 'data');
    file = join(directory, 'journal.db');
    const store = await SqliteStore.open(directory);
    await store.acquireEpoch();
    await store.close();
  });
  after(() => rm(join(directory, '..', '..'), { recursive: true }));

  test('only the owner may read them, and a clean close leaves no log', async () => {
    if (process.platform !== 'win32') {
      assert.equal((await stat(directory)).mode & 0o777, 0o700);
      assert.equal((await stat(file)).mode & 0o777, 0o600);
    }
    await assert.rejects(stat(`${file}-wal`), { code: 'ENOENT' });
  });

  test('commits are synced unless the user says otherwise', () => {
    for (const [options, expected] of [
      [{}, 2],
      [{ synchronous: 'normal' }, 1],
    ] as const) {
      const database = openDatabase(file, options);
      assert.equal(database.prepare('PRAGMA synchronous').get()?.synchronous, expected);
      assert.equal(database.prepare('PRAGMA journal_mode').get()?.journal_mode, 'wal');
      database.close();
    }
  });

  test('a newer schema is refused, and stays as it is', async () => {
    const raw = new DatabaseSync(file);
    const version = raw.prepare('PRAGMA user_version').get()?.user_version;
    raw.exec('PRAGMA user_version = 99');
    await assert.rejects(SqliteStore.open(directory), { code: 'STORE_FAILED', message: /schema 99/, hint: /newer/ });
    raw.exec(`PRAGMA user_version = ${version}`);
    raw.close();
    await (await SqliteStore.open(directory)).close();
  });

  test('tables that are not as we made them are damage', async () => {
    const other = await newDirectory();
    await (await SqliteStore.open(other)).close();
    const raw = new DatabaseSync(join(other, 'journal.db'));
    raw.exec('ALTER TABLE runs RENAME COLUMN workflow_digest TO workflow_digess');
    raw.close();
    await assert.rejects(SqliteStore.open(other), { code: 'STORE_CORRUPT', message: /workflow_digest/ });
    await rm(other, { recursive: true });
  });

  test("another program's database and a file of another kind are refused, and stay as they are", async () => {
    const other = await newDirectory();
    const path = join(other, 'journal.db');
    const raw = new DatabaseSync(path);
    raw.exec('CREATE TABLE theirs (x)');
    raw.close();
    const original = await readFile(path);
    await assert.rejects(SqliteStore.open(other), { code: 'STORE_CORRUPT', hint: /backup/ });
    const again = new DatabaseSync(path);
    assert.equal(again.prepare('SELECT count(*) AS n FROM sqlite_schema').get()?.n, 1);
    again.close();
    assert.ok(original.length > 0);
    const text = 'These are notes, and no database at all. '.repeat(100);
    await writeFile(path, text);
    await assert.rejects(SqliteStore.open(other), { code: 'STORE_CORRUPT' });
    assert.equal(await readFile(path, 'utf8'), text);
    await rm(other, { recursive: true });
  });

  test('a place that can not be a directory is a typed error with a hint', async () => {
    const other = await newDirectory();
    await writeFile(join(other, 'file'), '');
    await assert.rejects(SqliteStore.open(join(other, 'file')), { code: 'STORE_FAILED', hint: /./ });
    await assert.rejects(SqliteStore.open(join(other, 'file', 'below')), { code: 'STORE_FAILED' });
    await mkdir(join(other, 'data', 'journal.db'), { recursive: true });
    await assert.rejects(SqliteStore.open(join(other, 'data')), { code: 'STORE_FAILED' });
    await rm(other, { recursive: true });
  });

  test('a database that stays locked stops the store', async () => {
    const store = await SqliteStore.open(directory, { busyTimeoutMs: 1 });
    const epoch = await store.acquireEpoch();
    const other = new DatabaseSync(file);
    other.exec('BEGIN IMMEDIATE');
    const append = { run_id: 'locked', seq: 0, epoch, events: [started()] };
    await assert.rejects(store.append(append), { code: 'STORE_FAILED', hint: /Another process/ });
    other.exec('ROLLBACK');
    other.close();
    await assert.rejects(store.append(append), { code: 'STORE_FAILED' });
    await assert.rejects(store.read('locked'), { code: 'STORE_FAILED' });
    await store.close();
    const again = await SqliteStore.open(directory);
    assert.deepEqual(await again.read('locked'), []);
    await again.close();
  });

  test('a burst larger than a group is committed in several, in order', async () => {
    const store = await SqliteStore.open(directory, { synchronous: 'normal' });
    const epoch = await store.acquireEpoch();
    const events = Array.from({ length: 2_500 }, (_, seq) => (seq === 0 ? started() : middle(seq)));
    const settled: number[] = [];
    await Promise.all(
      events.map((event, seq) =>
        store.append({ run_id: 'burst', seq, epoch, events: [event] }).then(() => settled.push(seq)),
      ),
    );
    assert.deepEqual(
      settled,
      [...settled].sort((a, b) => a - b),
    );
    assert.equal(store.stats().commits, 3);
    assert.deepEqual(await store.read('burst'), events);
    await store.close();
  });

  test('lists, keys and ranges are served by an index, so that they stay fast', async () => {
    const database = openDatabase(file, {});
    const plan = (sql: string) =>
      database
        .prepare(`EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map((row) => String(row.detail))
        .join('; ');
    const page = '(started_at, run_id) < (9, 9) ORDER BY started_at DESC, run_id DESC LIMIT 50';
    assert.match(plan(`SELECT * FROM runs WHERE ${page}`), /^SEARCH runs USING INDEX runs_by_time [^;]*$/);
    assert.match(
      plan(`SELECT * FROM runs WHERE status = 'failed' AND ${page}`),
      /^SEARCH runs USING INDEX runs_by_status [^;]*$/,
    );
    assert.match(
      plan("SELECT run_id FROM runs WHERE status = 'running' ORDER BY started_at, run_id"),
      /^SEARCH runs USING COVERING INDEX runs_by_status [^;]*$/,
    );
    assert.match(
      plan("SELECT * FROM runs WHERE ifnull('=' || tenant_id, '') = 'x' AND idempotency_key = 'k'"),
      /^SEARCH runs USING INDEX runs_by_key [^;]*$/,
    );
    assert.match(
      plan('SELECT seq FROM journal WHERE run_id = 1 ORDER BY seq DESC LIMIT 1'),
      /^SEARCH journal USING COVERING INDEX journal_by_seq [^;]*$/,
    );
    database.close();
  });

  test('lost and changed rows are noticed on reading', async () => {
    const other = await newDirectory();
    const store = await SqliteStore.open(other);
    const epoch = await store.acquireEpoch();
    const run_id = 'r';
    await store.append({ run_id, seq: 0, epoch, events: [started()] });
    await store.append({ run_id, seq: 1, epoch, events: [middle(1), middle(2)] });
    await store.append({ run_id, seq: 3, epoch, events: [middle(3)] });
    await store.append({ run_id, seq: 4, epoch, events: [completed()] });
    await store.enrol({ node_id: 'n', key_id: 'k', public_key: 'p' });
    const raw = new DatabaseSync(join(other, 'journal.db'));
    const damages: [string, (() => Promise<unknown>)[]][] = [
      ["UPDATE journal SET events = replace(events, 'event 1', 'event 7')", [() => store.read(run_id)]],
      ['UPDATE journal SET seq = 9 WHERE seq = 4', [() => store.read(run_id), () => store.read(run_id, 4)]],
      ['DELETE FROM journal WHERE seq = 0', [() => store.read(run_id), () => store.read(run_id, 0, 1)]],
      ['DELETE FROM journal WHERE seq = 1', [() => store.read(run_id)]],
      ['DELETE FROM journal WHERE seq = 4', [() => store.read(run_id), () => store.read(run_id, 2)]],
      ['DELETE FROM journal', [() => store.read(run_id)]],
      ['DELETE FROM runs', [() => store.read(run_id)]],
      ["UPDATE runs SET workflow = 'other'", [() => store.run(run_id), () => store.runs({})]],
      ["UPDATE nodes SET public_key = 'q'", [() => store.enrolled()]],
      ['UPDATE runs SET steps_total = 9007199254740993', [() => store.run(run_id)]],
    ];
    for (const [damage, reads] of damages) {
      raw.exec(`BEGIN; ${damage}; COMMIT`);
      for (const read of reads) await assert.rejects(read(), { code: 'STORE_CORRUPT' }, damage);
      await restore(raw);
    }
    raw.close();
    await store.close();
    await rm(other, { recursive: true });

    async function restore(database: DatabaseSync): Promise<void> {
      database.exec('DELETE FROM journal; DELETE FROM runs');
      const fresh = await SqliteStore.open(other);
      const newer = await fresh.acquireEpoch();
      await fresh.append({ run_id, seq: 0, epoch: newer, events: [started()] });
      await fresh.append({ run_id, seq: 1, epoch: newer, events: [middle(1), middle(2)] });
      await fresh.append({ run_id, seq: 3, epoch: newer, events: [middle(3)] });
      await fresh.append({ run_id, seq: 4, epoch: newer, events: [completed()] });
      assert.equal((await store.read(run_id)).length, 5);
      await fresh.close();
    }
  });
});
