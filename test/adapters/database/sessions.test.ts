// What a step's SQL does to its connection must not reach the steps that use the connection after it.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { JSONObject } from '../../../src/lib/json.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { describeWith } from '../../support/services.ts';
import { fails, Harness } from './harness.ts';

/** One connection, which all steps use one after the other. */
const options = { pool_size: 1 };

function withDatabase(fresh: () => Promise<{ url: string; drop(): Promise<void> }>): () => Harness {
  let db: Harness;
  let drop: () => Promise<void>;
  before(async () => {
    const made = await fresh();
    drop = made.drop;
    db = new Harness(made.url);
    await db.migrate({ migrations: [{ id: 'first', sql: 'CREATE TABLE t (id INTEGER PRIMARY KEY)' }] });
  });
  after(async () => {
    await db.close();
    await drop();
  });
  return () => db;
}

/** Applies one more migration. */
async function migrated(db: Harness, sql: string, transaction = true): Promise<void> {
  const { migrations } = await db.migrate({ migrations: [], status: true, options });
  const given = await Promise.all(
    (migrations as JSONObject[]).map(async ({ id }) => ({
      id: String(id),
      sql: texts.get(`${db.url} ${id}`) ?? first,
    })),
  );
  const id = `more ${given.length}`;
  texts.set(`${db.url} ${id}`, sql);
  const output = await db.migrate({ migrations: [...given, { id, sql, transaction }], options });
  assert.deepEqual(output.applied, [id]);
}
const texts = new Map<string, string>();
const first = 'CREATE TABLE t (id INTEGER PRIMARY KEY)';

describeWith('postgres', 'PostgreSQL: sessions', () => {
  const db = withDatabase(() => freshDatabase('postgres'));

  test('a query can not make later ones write', async () => {
    const off = "'default_transaction_read_only', 'off', false";
    for (const query of [
      `SELECT set_config(${off})`,
      String.raw`SELECT U&"set\005fconfig"(${off})`,
      `SELECT query_to_xml('SELECT set_con' || 'fig(${off.replaceAll("'", "''")})', true, true, '')`,
    ]) {
      await db().query({ query, options });
      const write = 'WITH x AS (INSERT INTO t VALUES (1) RETURNING id) SELECT * FROM x';
      await assert.rejects(db().query({ query: write, options }), fails('READ_ONLY'), query);
    }
    for (const serializable of [{ ...options, isolation: 'serializable' }]) {
      await db().query({ query: `SELECT set_config(${off})`, options: serializable });
      assert.deepEqual(
        (await db().query({ query: "SELECT current_setting('default_transaction_read_only') AS it", options })).rows,
        [{ it: 'on' }],
      );
    }
  });

  test('settings, roles, temporary tables and locks end with the step that made them', async () => {
    for (const query of [
      "SELECT set_config('TimeZone', 'Asia/Tokyo', false), set_config('bytea_output', 'escape', false)",
      "DO $$ BEGIN SET TimeZone = 'Asia/Tokyo'; SET bytea_output = 'escape'; END $$",
    ])
      await db().update({ query, options });
    await db().update({ query: 'CREATE TEMP TABLE t AS SELECT 1 AS not_the_table', options });
    await db().query({ query: 'SELECT pg_advisory_lock(1)', options });
    const query =
      "SELECT '2026-01-02T03:04:05Z'::timestamptz AS at, '\\x01'::bytea AS bytes, " +
      '(SELECT count(*) FROM pg_locks WHERE locktype = $1 AND pid = pg_backend_pid()) AS locks';
    const { rows } = await db().query({ query, params: ['advisory'], options });
    assert.deepEqual(rows, [{ at: '2026-01-02T03:04:05Z', bytes: { $bytes: 'AQ==' }, locks: 0 }]);
    assert.deepEqual((await db().query({ table: 't', options })).fields, [{ name: 'id', type: 'int4' }]);
  });

  test('a migration may take the search path away, as dumps do', async () => {
    const dump = "SELECT pg_catalog.set_config('search_path', '', false)";
    await migrated(db(), `${dump}; CREATE TABLE public.dumped (a int)`);
    await migrated(db(), dump, false);
    assert.deepEqual((await db().query({ table: 'dumped', options })).rows, []);
  });

  test('what a function raises is its own affair, with whatever code', async () => {
    const body = (code: string) => `BEGIN RAISE EXCEPTION 'canary 4111' USING ERRCODE = '${code}'; END`;
    await migrated(
      db(),
      ['42501', '23514', 'JF001']
        .map((code) => `CREATE FUNCTION raise_${code}() RETURNS int LANGUAGE plpgsql AS $$${body(code)}$$`)
        .join(';'),
    );
    for (const code of ['42501', 'jf001'])
      await assert.rejects(
        db().query({ query: `SELECT raise_${code}()`, options }),
        fails('QUERY_FAILED', { says: /raised an exception/, silent: ['4111'] }),
      );
    await assert.rejects(
      db().query({ query: 'SELECT raise_23514()', options }),
      fails('CONSTRAINT_VIOLATED', { silent: ['4111'] }),
    );
  });
});

describeWith('mysql', 'MySQL or MariaDB: sessions', () => {
  const db = withDatabase(() => freshDatabase('mysql'));

  test('variables, locks, and what procedures set end with the step', async () => {
    await migrated(db(), "CREATE PROCEDURE loose() BEGIN SET SESSION sql_mode = ''; SET time_zone = '+09:00'; END");
    await db().update({ query: 'CALL loose()', options });
    await db().query({ query: "SELECT GET_LOCK('jsonflow test', 0), @kept := 5", options });
    const query =
      "SELECT @@time_zone AS zone, @@sql_mode LIKE '%STRICT_TRANS_TABLES%' AS strict, @kept AS kept, IS_USED_LOCK('jsonflow test') AS locked";
    assert.deepEqual((await db().query({ query, options })).rows, [
      { zone: '+00:00', strict: 1, kept: null, locked: null },
    ]);
  });

  test('a migration may choose a character set, a mode and a database, as dumps do', async () => {
    await migrated(db(), "SET NAMES latin1; SET sql_mode = ''; SET FOREIGN_KEY_CHECKS = 0; USE information_schema");
    const query = 'SELECT @@character_set_client AS chars, @@foreign_key_checks AS checks, DATABASE() AS db, ? AS text';
    const name = new URL(db().url).pathname.slice(1);
    assert.deepEqual((await db().query({ query, params: ['ü€'], options })).rows, [
      { chars: 'utf8mb4', checks: 1, db: name, text: 'ü€' },
    ]);
    await assert.rejects(db().insert({ table: 't', data: { id: 'x' }, options }), fails('QUERY_FAILED'));
  });

  test('reading writes no sequence and no file', async () => {
    await migrated(db(), 'CREATE SEQUENCE numbers');
    await assert.rejects(db().query({ query: 'SELECT NEXTVAL(numbers)', options }), fails('READ_ONLY'));
    for (const into of ['OUTFILE', '/**/outfile', 'DUMPFILE'])
      await assert.rejects(
        db().query({ query: `SELECT 1 INTO ${into} '/tmp/jsonflow-test'`, options }),
        fails('READ_ONLY'),
      );
  });

  test('messages quote no values', async () => {
    await migrated(
      db(),
      "CREATE PROCEDURE boom() SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 5000, MESSAGE_TEXT = 'canary 4711';" +
        'CREATE TABLE parted (n INT) PARTITION BY RANGE(n) (PARTITION low VALUES LESS THAN (10))',
    );
    const silent = ['4711', 'FF4142'];
    await assert.rejects(
      db().update({ query: 'CALL boom()', options }),
      fails('QUERY_FAILED', { says: /signalled/, silent }),
    );
    await assert.rejects(
      db().insert({ table: 'parted', data: { n: 4711 }, options }),
      fails('QUERY_FAILED', { silent }),
    );
    const bytes = { $bytes: Buffer.from('ff4142', 'hex').toString('base64') };
    await assert.rejects(
      db().query({ query: "SELECT CONCAT(_utf8mb4 x'ff4142', ?)", params: [bytes], options }),
      fails('QUERY_FAILED', { silent }),
    );
  });

  test('rows that are large are sent in parts that the server takes, and what it never takes is said', async () => {
    await migrated(db(), 'CREATE TABLE large (id INT AUTO_INCREMENT PRIMARY KEY, text LONGTEXT)');
    const data = Array.from({ length: 800 }, () => ({ text: 'x'.repeat(25_000) }));
    // The output, too, is larger than half a packet.
    const output = await db().insert({ table: 'large', data, returning: ['text'], options: { max_rows: 400 } });
    assert.equal(output.inserted, 800);
    const some = await db().insert({ table: 'large', data: data.slice(0, 400), returning: ['text'] }, { key: 'large' });
    assert.deepEqual(
      await db().insert({ table: 'large', data: data.slice(0, 400), returning: ['text'] }, { key: 'large' }),
      some,
    );
    await assert.rejects(
      db().insert({ table: 'large', data: { text: 'x'.repeat(17_000_000) } }),
      fails('QUERY_FAILED', { says: /max_allowed_packet/ }),
    );
  });

  test('reading ends where the rows can not be kept', async () => {
    const harness = new Harness(db().url, { failBlobs: new Error('the disk is full') });
    const endless = 'SELECT seq FROM seq_1_to_1000000000000';
    await assert.rejects(
      harness.query({ query: endless, options: { max_rows: 10, timeout: 3_600_000 } }),
      /the disk is full|ADAPTER_CRASHED/,
    );
    await harness.close();
  });
});

describe('SQLite: sessions', () => {
  const db = withDatabase(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'jsonflow-sqlite-'));
    return { url: `sqlite:${folder}/test.db`, drop: () => rm(folder, { recursive: true }) };
  });

  test('temporary tables and settings end with the step that made them', async () => {
    await db().update({ query: 'CREATE TEMP TABLE t (not_the_table INTEGER)', options });
    assert.deepEqual((await db().query({ table: 't', options })).fields, [{ name: 'id', type: 'integer' }]);
    await migrated(db(), 'PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF', false);
    assert.deepEqual((await db().query({ query: 'SELECT synchronous FROM pragma_synchronous', options })).rows, [
      { synchronous: 2 },
    ]);
  });

  test('a migration may tidy the file up, and reach no other', async () => {
    await migrated(db(), 'VACUUM', false);
    for (const sql of [
      "VACUUM INTO '/tmp/jsonflow-other.db'",
      "ATTACH '/tmp/jsonflow-other.db' AS other",
      "ATTACH '/tmp/' || 'x' AS other",
    ]) {
      const fresh = new Harness(`${db().url}.${sql.length}`);
      await assert.rejects(
        fresh.migrate({ migrations: [{ id: 'x', sql, transaction: false }] }),
        fails('MIGRATION_FAILED', { says: /authoriz/ }),
      );
      await fresh.close();
    }
  });

  test('a statement ends with the process that asked for it', { skip: process.platform !== 'linux' }, async () => {
    const child = fork(join(import.meta.dirname, 'endless-worker.ts'), [db().url], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    const pid = await new Promise<number>((resolve) => child.once('message', (one) => resolve(Number(one))));
    child.kill('SIGKILL');
    const alive = async (): Promise<boolean> =>
      (await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z')).split(') ')[1]?.startsWith('Z') === false;
    while (await alive()) await new Promise((resolve) => setTimeout(resolve, 20));
  });
});
