// JSONFLOW_KILLS=n for n rounds of all kinds of writes at all points, JSONFLOW_SEED=n for other points.
// What happens to writes when the process is killed within them: each has its effect exactly once, counted in the database.
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { WritePoint } from '../../../src/adapters/database/driver.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { skipReason } from '../../support/services.ts';
import { Harness } from './harness.ts';
import type { KillOrder } from './kill-worker.ts';

/** JSONFLOW_KILLS multiplies the rounds: 1 by default, for `npm test`. */
const rounds = Number(process.env.JSONFLOW_KILLS ?? '1');
const worker = join(import.meta.dirname, 'kill-worker.ts');

/** @param killMs after the step began, kill it from outside @returns how it ended */
function run(order: KillOrder, killMs?: number): Promise<'killed' | 'done'> {
  return new Promise((resolve, reject) => {
    const child = fork(worker, [JSON.stringify(order)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, NODE_COMPILE_CACHE: join(tmpdir(), 'jsonflow-test-compile-cache') },
    });
    child.on('message', (message) => {
      if (message === 'start' && killMs !== undefined) setTimeout(() => child.kill('SIGKILL'), killMs);
      if (message === 'done') child.kill('SIGKILL');
    });
    let done = false;
    child.on('message', (message) => {
      done ||= message === 'done';
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      if (signal === 'SIGKILL') resolve(done ? 'done' : 'killed');
      else reject(new Error(`the worker ended with ${code ?? signal}`));
    });
  });
}

const data = Array.from({ length: 50 }, (_, n) => ({ n }));
const options = { batch_size: 10 };

interface Work {
  type: string;
  params: JSONObject;
  batches: number;
}

const works: Work[] = [
  { type: 'db_insert', params: { table: 'rows_in', data, options }, batches: 5 },
  { type: 'db_update', params: { query: 'UPDATE counter SET n = n + 50' }, batches: 0 },
  {
    type: 'db_transaction',
    params: {
      operations: [
        { type: 'update', query: 'UPDATE counter SET n = n + 50' },
        { type: 'insert', table: 'rows_in', data },
      ],
      options,
    },
    batches: 5,
  },
];

const points: WritePoint[] = ['start', 'key', 'batch', 'before commit', 'after commit'];

function killed(fresh: () => Promise<{ url: string; drop(): Promise<void> }>, idColumn: string): void {
  let harness: Harness;
  let drop: () => Promise<void>;
  let seed = Number(process.env.JSONFLOW_SEED ?? Date.now() % 1_000_000);
  const random = (): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
    return seed / 2_147_483_648;
  };
  before(async () => {
    const database = await fresh();
    drop = database.drop;
    harness = new Harness(database.url);
    await harness.ddl(
      `CREATE TABLE rows_in (${idColumn}, n INTEGER)`,
      'CREATE TABLE counter (n INTEGER)',
      'INSERT INTO counter VALUES (0)',
    );
  });
  after(async () => {
    await harness.close();
    await drop();
  });

  const state = async (): Promise<[number, number]> => {
    const [rows] = await harness.rows({ query: 'SELECT COUNT(*) AS c FROM rows_in' });
    const [counter] = await harness.rows({ query: 'SELECT n FROM counter' });
    return [Number(rows?.c), Number(counter?.n)];
  };

  /** One step, killed, and tried again: both together had one effect. */
  async function once({ type, params }: Work, point: KillOrder['point'], time: number, killMs?: number): Promise<void> {
    const key = `kill-${type}-${point}-${seed}-${random()}`;
    const [rowsBefore, counterBefore] = await state();
    const ended = await run({ url: harness.url, type, params, key, point, time }, killMs);
    if (point !== 'never') assert.equal(ended, 'killed');
    const output = await harness.step(type, params, { key, attempt: 2 });
    assert.deepEqual(await harness.step(type, params, { key, attempt: 3 }), output);
    const [rows, counter] = await state();
    const where = `${type} at ${point} (${time}), seed ${seed}`;
    assert.equal(rows - rowsBefore, type === 'db_update' ? 0 : 50, where);
    assert.equal(counter - counterBefore, type === 'db_insert' ? 0 : 50, where);
  }

  test('at each point of a write', async () => {
    for (let round = 0; round < rounds; round += 1)
      for (const [index, point] of points.entries()) {
        // In the normal suite each point with one kind of write, all kinds over the points.
        const chosen =
          rounds > 1 ? works : [works[point === 'batch' ? (index % 2) * 2 : (index + round) % works.length]];
        for (const work of chosen)
          if (work !== undefined && (point !== 'batch' || work.batches > 0))
            await once(work, point, point === 'batch' ? 1 + Math.floor(random() * work.batches) : 1);
      }
  });

  test('at any time', async () => {
    for (let round = 0; round < rounds; round += 1)
      for (const work of rounds > 1 ? works : works.slice(0, 1))
        await once(work, 'never', 1, Math.floor(random() * 30));
  });
}

describe('PostgreSQL: killed', { skip: skipReason('postgres') }, () =>
  killed(() => freshDatabase('postgres'), 'id serial PRIMARY KEY'),
);
describe('MySQL or MariaDB: killed', { skip: skipReason('mysql') }, () =>
  killed(() => freshDatabase('mysql'), 'id INT AUTO_INCREMENT PRIMARY KEY'),
);
describe('SQLite: killed', () =>
  killed(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'jsonflow-sqlite-'));
    return { url: `sqlite:${folder}/test.db`, drop: () => rm(folder, { recursive: true }) };
  }, 'id INTEGER PRIMARY KEY'));
