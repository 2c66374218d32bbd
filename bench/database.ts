// PostgreSQL, MySQL and SQLite in the database adapter beside the bare drivers, in one run, on the servers of `scripts/services`.
// Options: --seconds N, --rows N, --only postgres,mysql,sqlite, --json
import type { EventEmitter } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseArgs } from 'node:util';
import mysql from 'mysql2/promise';
import pg from 'pg';
import { createDatabaseAdapter } from '../src/adapters/database/adapter.ts';
import { createEgress } from '../src/egress/egress.ts';
import type { JSONObject } from '../src/lib/json.ts';
import type { Adapter, AdapterContext } from '../src/ports/adapter.ts';
import { contextFor } from '../test/compliance/adapter.ts';
import { freshDatabase } from '../test/support/fresh-database.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    rows: { type: 'string', default: '1000000' },
    only: { type: 'string', default: 'postgres,mysql,sqlite' },
    json: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
const manyRows = Number(values.rows);
const rowsPerInsert = 10_000;
const rowsPerStatement = 1_000;
const rowsPerSelect = 10_000;
const concurrency = 10;

/** A driver without the adapter, doing the same work. */
interface Bare {
  /** All batches, in one transaction. */
  insert(): Promise<void>;
  select(): Promise<number>;
  /** One row by its key, on a pool of `concurrency` connections. */
  lookup(id: number): Promise<void>;
  /** Rows as they come, kept by nobody. */
  stream(): Promise<number>;
  close(): Promise<void>;
}

interface Row {
  name: string;
  n: number;
  price: number;
  at: string;
  note: string;
}

interface Bench {
  name: string;
  url: string;
  ddl: string;
  lookup: string;
  /** A query of `manyRows` rows. */
  many: string;
  bare(): Promise<Bare>;
  drop(): Promise<void>;
}

const dataOf = (count: number): Row[] =>
  Array.from({ length: count }, (_, n) => ({
    name: `name ${n}`,
    n,
    price: n / 4,
    at: '2026-01-02 03:04:05',
    note: 'some text of a usual length, as notes are',
  }));
const rows = dataOf(rowsPerInsert);
const batches = Array.from({ length: rowsPerInsert / rowsPerStatement }, (_, batch) =>
  rows.slice(batch * rowsPerStatement, (batch + 1) * rowsPerStatement),
);
const columns = 'name, n, price, at, note';
const flat = (list: readonly Row[]): (string | number)[] =>
  list.flatMap(({ name, n, price, at, note }) => [name, n, price, at, note]);

async function postgres(): Promise<Bench> {
  const { url, drop } = await freshDatabase('postgres');
  const cells = (batches[0] ?? [])
    .map((_, row) => `($${[1, 2, 3, 4, 5].map((at) => row * 5 + at).join(',$')})`)
    .join(',');
  const many = `SELECT i AS id, 'name ' || i AS name, i / 4.0 AS price FROM generate_series(1, ${manyRows}) AS i`;
  return {
    name: 'PostgreSQL',
    url,
    drop,
    ddl: 'CREATE TABLE t (id serial PRIMARY KEY, name text, n int, price double precision, at timestamp, note text)',
    lookup: 'SELECT * FROM t WHERE id = $1',
    many,
    async bare() {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      const pool = new pg.Pool({ connectionString: url, max: concurrency });
      return {
        async insert() {
          await client.query('BEGIN');
          for (const list of batches)
            await client.query({
              name: 'i',
              text: `INSERT INTO b (${columns}) VALUES ${cells} RETURNING id`,
              values: flat(list),
            });
          await client.query('COMMIT');
        },
        select: async () =>
          (await client.query({ name: 's', text: `SELECT * FROM t ORDER BY id LIMIT ${rowsPerSelect}` })).rows.length,
        lookup: async (id) =>
          void (await pool.query({ name: 'l', text: 'SELECT * FROM t WHERE id = $1', values: [id] })),
        stream: () =>
          new Promise((resolve, reject) => {
            let count = 0;
            const query = client.query(new pg.Query(many));
            query.on('row', (row) => {
              count += lineOf(row);
            });
            query.on('end', () => resolve(count));
            query.on('error', reject);
          }),
        async close() {
          await pool.end();
          await client.end();
        },
      };
    },
  };
}

/** mysql2 without promises, which its types hide. */
interface EventedConnection {
  execute(sql: string): EventEmitter;
}

async function mariadb(): Promise<Bench> {
  const { url, drop } = await freshDatabase('mysql');
  const cells = (batches[0] ?? []).map(() => '(?,?,?,?,?)').join(',');
  const many = `SELECT seq AS id, CONCAT('name ', seq) AS name, seq / 4.0 AS price FROM seq_1_to_${manyRows}`;
  return {
    name: 'MariaDB',
    url,
    drop,
    ddl: 'CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(100), n INT, price DOUBLE, at DATETIME, note TEXT)',
    lookup: 'SELECT * FROM t WHERE id = ?',
    many,
    async bare() {
      const connection = await mysql.createConnection({ uri: url, dateStrings: true, supportBigNumbers: true });
      const pool = mysql.createPool({
        uri: url,
        connectionLimit: concurrency,
        dateStrings: true,
        supportBigNumbers: true,
      });
      return {
        async insert() {
          await connection.query('START TRANSACTION');
          for (const list of batches)
            await connection.execute(`INSERT INTO b (${columns}) VALUES ${cells} RETURNING id`, flat(list));
          await connection.query('COMMIT');
        },
        async select() {
          const [found] = await connection.execute(`SELECT * FROM t ORDER BY id LIMIT ${rowsPerSelect}`);
          return (found as unknown[]).length;
        },
        lookup: async (id) => void (await pool.execute('SELECT * FROM t WHERE id = ?', [id])),
        stream: () =>
          new Promise((resolve, reject) => {
            let count = 0;
            const query = (connection as unknown as { connection: EventedConnection }).connection.execute(many);
            query.on('result', (row) => {
              count += lineOf(row);
            });
            query.on('end', () => resolve(count));
            query.on('error', reject);
          }),
        async close() {
          await pool.end();
          await connection.end();
        },
      };
    },
  };
}

async function sqlite(): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'jsonflow-bench-'));
  const path = join(folder, 'bench.db');
  const many = `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < ${manyRows}) SELECT i AS id, 'name ' || i AS name, i / 4.0 AS price FROM c`;
  return {
    name: 'SQLite',
    url: `sqlite:${path}`,
    drop: () => rm(folder, { recursive: true }),
    ddl: 'CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n INTEGER, price REAL, at TEXT, note TEXT)',
    lookup: 'SELECT * FROM t WHERE id = ?',
    many,
    async bare() {
      const db = new DatabaseSync(path);
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      const insert = db.prepare(`INSERT INTO b (${columns}) VALUES (?,?,?,?,?) RETURNING id`);
      const select = db.prepare(`SELECT * FROM t ORDER BY id LIMIT ${rowsPerSelect}`);
      const one = db.prepare('SELECT * FROM t WHERE id = ?');
      return {
        async insert() {
          db.exec('BEGIN IMMEDIATE');
          for (const { name, n, price, at, note } of rows) insert.get(name, n, price, at, note);
          db.exec('COMMIT');
        },
        select: async () => select.all().length,
        lookup: async (id) => void one.get(id),
        stream: async () => {
          let count = 0;
          for (const row of db.prepare(many).iterate()) count += lineOf(row);
          return count;
        },
        close: async () => db.close(),
      };
    },
  };
}

/** What the adapter does with a row, too. */
const lineOf = (row: unknown): number => (JSON.stringify(row).length > 0 ? 1 : 0);

/** Calls a second, after one that warms up. */
async function rate(body: (turn: number) => Promise<unknown>, lanes = 1, forSeconds = seconds / 3): Promise<number> {
  await body(0);
  const end = performance.now() + forSeconds * 1_000;
  const start = performance.now();
  let turns = 0;
  const lane = async (): Promise<void> => {
    while (performance.now() < end) {
      turns += 1;
      await body(turns);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return turns / ((performance.now() - start) / 1_000);
}

/** Both in turn, three times; the medians, so that a neighbour's load falls on both. */
async function compare(
  bare: (turn: number) => Promise<unknown>,
  ours: (turn: number) => Promise<unknown>,
  lanes = 1,
): Promise<{ bare: number; ours: number; ratio: number }> {
  const rates: { bare: number; ours: number }[] = [];
  for (let round = 0; round < 3; round += 1)
    rates.push({ bare: await rate(bare, lanes), ours: await rate(ours, lanes) });
  const median = (list: number[]): number => list.toSorted((a, b) => a - b)[1] ?? 0;
  return {
    bare: median(rates.map((one) => one.bare)),
    ours: median(rates.map((one) => one.ours)),
    ratio: median(rates.map((one) => one.ours / one.bare)),
  };
}

async function peakRssOf(body: () => Promise<unknown>): Promise<{ mb: number; ms: number }> {
  global.gc?.();
  const before = process.memoryUsage.rss();
  let peak = before;
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss());
  }, 10);
  const start = performance.now();
  await body();
  const ms = performance.now() - start;
  clearInterval(timer);
  return { mb: (peak - before) / 1_048_576, ms };
}

let steps = 0;
function stepper(adapter: Adapter, connection: string): (type: string, params: JSONObject) => Promise<JSONObject> {
  return async (type, params) => {
    steps += 1;
    const step = { id: `s${steps}`, type, params: { connection, ...params } };
    const context: AdapterContext = {
      ...contextFor(step),
      idempotency_key: `bench/${process.pid}/${steps}`,
      blobs: { get: async () => new Uint8Array(), put: async (bytes) => String(bytes.length) },
    };
    return (await adapter.execute(step, context)) as JSONObject;
  };
}

async function measure(bench: Bench): Promise<JSONObject[]> {
  const adapter = createDatabaseAdapter({ egress: createEgress() });
  const run = stepper(adapter, bench.url);
  const table = (sql: string, id: string): Promise<JSONObject> =>
    run('db_migrate', { migrations: [{ id: 't', sql: bench.ddl }, ...(id === 't' ? [] : [{ id, sql }])] });
  await table('', 't');
  await table(bench.ddl.replace('TABLE t', 'TABLE b'), 'b');
  await run('db_insert', { table: 't', data: dataOf(rowsPerSelect) as unknown as JSONObject[] });
  const bare = await bench.bare();
  const list = rows as unknown as JSONObject[];
  const results: JSONObject[] = [];
  const add = (
    what: string,
    unit: string,
    factor: number,
    one: { bare: number; ours: number; ratio: number },
  ): void => {
    const whole = (value: number): number => Math.round(value * factor);
    results.push({
      server: bench.name,
      what,
      unit,
      bare: whole(one.bare),
      adapter: whole(one.ours),
      ratio: Math.round(one.ratio * 100) / 100,
    });
  };
  const insert = (idempotency: string) => () => run('db_insert', { table: 'b', data: list, idempotency });
  add('db_insert of 10,000 rows, once', 'rows/s', rowsPerInsert, await compare(() => bare.insert(), insert('on')));
  add(
    'db_insert of 10,000 rows, idempotency off',
    'rows/s',
    rowsPerInsert,
    await compare(() => bare.insert(), insert('off')),
  );
  const select = () =>
    run('db_query', { table: 't', order_by: 'id', limit: rowsPerSelect, options: { batch_size: 10_000 } });
  add('db_query of 10,000 rows', 'rows/s', rowsPerSelect, await compare(() => bare.select(), select));
  const params = (turn: number): JSONObject => ({ query: bench.lookup, params: [1 + (turn % rowsPerSelect)] });
  add(
    'db_query of one row, 10 at a time',
    'queries/s',
    1,
    await compare(
      (turn) => bare.lookup(1 + (turn % rowsPerSelect)),
      (turn) => run('db_query', params(turn)),
      concurrency,
    ),
  );
  const streamed = await peakRssOf(() =>
    run('db_query', { query: bench.many, options: { max_rows: 1_000, timeout: 600_000 } }),
  );
  const plain = await peakRssOf(() => bare.stream());
  results.push({
    server: bench.name,
    what: `db_query of ${manyRows} rows to the blob store`,
    unit: 'rows/s',
    bare: Math.round((manyRows / plain.ms) * 1_000),
    adapter: Math.round((manyRows / streamed.ms) * 1_000),
    ratio: Math.round((plain.ms / streamed.ms) * 100) / 100,
    'RSS + MB': Math.round(streamed.mb),
  });
  await bare.close();
  await adapter.close?.();
  await bench.drop();
  return results;
}

const benches: Record<string, () => Promise<Bench>> = { postgres, mysql: mariadb, sqlite };
const report: JSONObject[] = [];
for (const name of values.only.split(',')) {
  const open = benches[name];
  if (open !== undefined) report.push(...(await measure(await open())));
}
if (values.json)
  console.log(
    JSON.stringify({ node: process.version, cores: availableParallelism(), load: loadavg(), results: report }),
  );
else {
  console.log(
    `Node ${process.version}, ${availableParallelism()} cores, load ${loadavg()
      .map((x) => x.toFixed(2))
      .join(' ')}`,
  );
  console.table(report);
}
