// The SQLite store under real failures: killed processes, a full disk, a second process.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';
import { SqliteStore } from '../../src/store/sqlite/sqlite-store.ts';
import { historyTo, RUNS, runId, seeded } from './history.ts';

const seed = Number(process.env.JSONFLOW_SEED ?? 1);
const rounds = Number(process.env.JSONFLOW_KILLS ?? 30);
const writer = join(import.meta.dirname, 'writer.ts');

/** What a writer said, as far as it came. */
interface Acknowledged {
  events: number[];
  blobs: Set<string>;
  other: string[];
}

const nothing = (): Acknowledged => ({ events: Array.from({ length: RUNS }, () => 0), blobs: new Set(), other: [] });

/** Collects lines until the process ends; `act` sees the count after each. */
async function follow(child: ChildProcess, into: Acknowledged, act: (lines: number) => void): Promise<void> {
  assert.ok(child.stdout);
  const ended = once(child, 'close');
  let lines = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [kind, first = '', second] = line.split(' ');
    // A killed process may leave half a line: it has no second number then, or a smaller one.
    if (kind === 'run') into.events[Number(first)] = Math.max(into.events[Number(first)] ?? 0, Number(second ?? 0));
    else if (kind === 'blob' && first.length === 64) into.blobs.add(first);
    else into.other.push(line);
    act(++lines);
  });
  await ended;
}

async function checkHistory(store: SqliteStore, acknowledged: Acknowledged): Promise<void> {
  for (const [run, least] of acknowledged.events.entries()) {
    const events = await store.read(runId(run));
    assert.ok(events.length >= least, `run ${run}: ${least} events were acknowledged, ${events.length} are there`);
    const expected = historyTo(run, events.length);
    assert.ok(expected.whole, `run ${run}: half of an append is there`);
    assert.deepEqual(events, expected.events);
    assert.equal((await store.run(runId(run)))?.idempotency_key, events.length > 0 ? `key-${run}` : undefined);
  }
  for (const blob of acknowledged.blobs) assert.ok(await store.getBlob(blob), `blob ${blob} is lost`);
}

async function inDirectory(body: (directory: string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'jsonflow-store-'));
  try {
    await body(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

describe('SqliteStore and its process', { concurrency: false }, () => {
  test(`${rounds} kills lose nothing acknowledged and leave nothing half (JSONFLOW_SEED=${seed})`, () =>
    inDirectory(async (directory) => {
      const random = seeded(seed);
      const acknowledged = nothing();
      let epoch = 0;
      for (let round = 0; round < rounds; round++) {
        const child = spawn(process.execPath, [writer, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
        const last = 1 + Math.floor(random() ** 3 * 300);
        await follow(child, acknowledged, (lines) => {
          if (lines === last) child.kill('SIGKILL');
        });
        assert.equal(child.signalCode, 'SIGKILL', acknowledged.other.join('\n'));
        const store = await SqliteStore.open(directory);
        await checkHistory(store, acknowledged);
        const newer = await store.acquireEpoch();
        assert.ok(newer > epoch);
        epoch = newer;
        await store.close();
      }
      assert.ok(
        acknowledged.events.reduce((sum, count) => sum + count, 0) > rounds,
        'the writers wrote too little to show anything',
      );
    }));

  test(
    'a full disk stops the store for good and keeps what was acknowledged',
    {
      skip: process.platform === 'win32' && 'there is no ulimit',
    },
    () =>
      inDirectory(async (directory) => {
        // A limit on the size of a file fails the write as a full disk does.
        const command = `ulimit -f 4096; exec "${process.execPath}" "${writer}" "${directory}"`;
        const child = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'inherit'] });
        const acknowledged = nothing();
        await follow(child, acknowledged, () => {});
        assert.equal(child.exitCode, 0);
        const failures = acknowledged.other.filter((line) => line.startsWith('failed'));
        assert.deepEqual(failures, Array(RUNS).fill('failed STORE_FAILED'));
        assert.equal(acknowledged.other.at(-1), 'refused STORE_FAILED');
        assert.ok((acknowledged.events[0] ?? 0) > 10);
        const store = await SqliteStore.open(directory);
        await checkHistory(store, acknowledged);
        await store.close();
      }),
  );

  test('a second process takes over; the first is fenced and everything it was told holds', () =>
    inDirectory(async (directory) => {
      const child = spawn(process.execPath, [writer, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
      const acknowledged = nothing();
      let takeOver: Promise<SqliteStore> | undefined;
      await follow(child, acknowledged, (lines) => {
        if (lines !== 100) return;
        takeOver = SqliteStore.open(directory).then(async (store) => {
          await store.acquireEpoch();
          return store;
        });
      });
      assert.equal(child.exitCode, 0);
      const store = await takeOver;
      assert.ok(store);
      const failures = acknowledged.other.filter((line) => line.startsWith('failed'));
      assert.deepEqual(failures, Array(RUNS).fill('failed FENCED'));
      assert.equal(acknowledged.other.at(-1), 'refused FENCED');
      await checkHistory(store, acknowledged);
      await store.close();
    }));
});
