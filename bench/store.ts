// What the stores cost: latency of one append at a time, throughput of many writers, main-thread time, and lists over many runs.
// Options: --runs N
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { JSONFlowError } from '../src/lib/errors.ts';
import type { Store } from '../src/ports/store.ts';
import type { RunEvent } from '../src/protocol/events.ts';
import { MemoryStore } from '../src/store/memory/memory-store.ts';
import { SqliteStore } from '../src/store/sqlite/sqlite-store.ts';
import { completed, middle, started } from '../test/compliance/run-events.ts';

/** About what a step leaves in the journal: its receipt, its output, the next assignment. */
const APPEND_BYTES = 2_000;

export interface StoreMeasure {
  store: string;
  /** Appends in flight. */
  writers: number;
  appends_per_s: number;
  p50_ms: number;
  p99_ms: number;
  /** CPU time of the main thread per append. */
  main_us: number;
  appends_per_commit: number;
}

/** Appends `count` times, each writer to its own run and in its own turn of the event loop, as answers of nodes arrive. */
export async function measureAppends(
  name: string,
  store: Store,
  writers: number,
  count: number,
): Promise<StoreMeasure> {
  const epoch = await store.acquireEpoch();
  const event = middle(0, 'x'.repeat(APPEND_BYTES - 100));
  const latencies: number[] = [];
  const before = store.stats();
  const cpu = process.threadCpuUsage();
  const start = performance.now();
  const write = async (writer: number): Promise<void> => {
    const run_id = `bench-${writers}-${String(writer).padStart(4, '0')}`;
    for (let seq = 0; latencies.length < count; seq++) {
      const events: RunEvent[] = [seq === 0 ? started() : event];
      const called = performance.now();
      await store.append({ run_id, seq, epoch, events });
      latencies.push(performance.now() - called);
      if (writers > 1) await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  const ms = performance.now() - start;
  const { user, system } = process.threadCpuUsage(cpu);
  const { appends, commits } = store.stats();
  const done = appends - before.appends;
  latencies.sort((a, b) => a - b);
  return {
    store: name,
    writers,
    appends_per_s: Math.round((done / ms) * 1_000),
    p50_ms: round(latencies[Math.floor(latencies.length * 0.5)]),
    p99_ms: round(latencies[Math.floor(latencies.length * 0.99)]),
    main_us: round((user + system) / done),
    appends_per_commit: round(done / (commits - before.commits)),
  };
}

export interface ListMeasure {
  runs: number;
  append_us: number;
  first_page_ms: number;
  deep_page_ms: number;
  failed_page_ms: number;
  unfinished_ms: number;
  by_key_ms: number;
}

/** Fills a store and times its lists at some sizes on the way: they must stay flat. 100 runs stay unfinished. */
export async function measureLists(store: Store, sizes: readonly number[]): Promise<ListMeasure[]> {
  const epoch = await store.acquireEpoch();
  const measures: ListMeasure[] = [];
  let run = 0;
  for (const size of sizes) {
    const [from, start] = [run, performance.now()];
    while (run < size) {
      const group: Promise<void>[] = [];
      for (; run < size && group.length < 1_000; run++) group.push(store.append(runAt(run, epoch)));
      await Promise.all(group);
    }
    const append_us = round(((performance.now() - start) * 1_000) / (size - from));
    const deep = Buffer.from(JSON.stringify([size / 2, ''])).toString('base64url');
    measures.push({
      runs: size,
      append_us,
      first_page_ms: await timed(() => store.runs({})),
      deep_page_ms: await timed(() => store.runs({ cursor: deep })),
      failed_page_ms: await timed(() => store.runs({ status: 'failed', cursor: deep })),
      unfinished_ms: await timed(() => store.unfinished()),
      by_key_ms: await timed(() => store.byIdempotencyKey('acme', `key-${size >> 1}`)),
    });
  }
  return measures;
}

const runAt = (run: number, epoch: number) => ({
  run_id: `run-${String(run).padStart(9, '0')}`,
  seq: 0,
  epoch,
  events: [
    started({ at: run, tenant: 'acme', key: `key-${run}` }),
    ...(run < 100 ? [] : [completed(run + 5, run % 10 === 0 ? 'failed' : 'completed')]),
  ],
});

/** Median ms of some calls. */
async function timed(call: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let index = 0; index < 25; index++) {
    const start = performance.now();
    await call();
    times.push(performance.now() - start);
  }
  return round(times.sort((a, b) => a - b)[12]);
}

const round = (value: number | undefined): number => Math.round((value ?? Number.NaN) * 1_000) / 1_000;

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { runs: { type: 'string' } } });
  const runs = Number(values.runs ?? 100_000);
  if (!Number.isSafeInteger(runs) || runs < 10_000)
    throw new JSONFlowError('INVALID_INPUT', '--runs takes a whole number from 10000 on');
  const directory = await mkdtemp(join(tmpdir(), 'jsonflow-bench-'));
  const drivers: [string, () => Promise<Store>][] = [
    ['sqlite full', () => SqliteStore.open(join(directory, 'full'))],
    ['sqlite normal', () => SqliteStore.open(join(directory, 'normal'), { synchronous: 'normal' })],
    ['memory', async () => new MemoryStore()],
  ];
  try {
    const appends: StoreMeasure[] = [];
    for (const [name, open] of drivers)
      for (const [writers, count] of [
        [1, 4_000],
        [50, 40_000],
      ] as const) {
        const store = await open();
        appends.push(await measureAppends(name, store, writers, count));
        await store.close();
      }
    console.table(appends);
    const store = await SqliteStore.open(join(directory, 'lists'), { synchronous: 'normal' });
    console.table(await measureLists(store, [1_000, Math.round(runs / 10), runs]));
    await store.close();
  } finally {
    await rm(directory, { recursive: true });
  }
}

if (import.meta.main) await main();
