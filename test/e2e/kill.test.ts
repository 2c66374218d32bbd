import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { decodeReceipt } from '../../src/core/receipt/statement.ts';
import { verifyBundle } from '../../src/core/receipt/verify.ts';
import { Client } from './client.ts';
import { NodeProcess, seeded } from './processes.ts';

// JSONFLOW_LONG=1 for minutes instead of seconds; JSONFLOW_SEED=n for another schedule of kills.
const long = process.env.JSONFLOW_LONG === '1';
const seed = Number(process.env.JSONFLOW_SEED ?? 42);
const runsTotal = long ? 2_000 : 200;
const inFlight = 24;
const workers = ['w-1', 'w-2', 'w-3'];

/** Four values in parallel, their sum, and one that follows: six effects a run. */
const workflow = {
  workflow: 'ledger',
  fault_tolerance: { retry_failed_steps: true },
  steps: [
    ...[1, 2, 3, 4].map((n) => ({ id: `v${n}`, type: 'ledger_write', params: { value: n, delay_ms: 10 * n } })),
    {
      id: 'sum',
      type: 'ledger_write',
      params: { value: '$input.base', add: ['$v1.result', '$v2.result', '$v3.result', '$v4.result'] },
    },
    { id: 'last', type: 'ledger_write', params: { value: '$sum.result', delay_ms: 5 } },
  ],
};

let folder = '';
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'jsonflow-kill-'));
});
after(() => rm(folder, { recursive: true, force: true }));

it(`nothing is lost and nothing counts twice while processes are killed (seed ${seed})`, async (context) => {
  const ledger = join(folder, 'ledger.txt');
  const coordinatorConfig = (port: number) => ({
    nodeId: 'coordinator',
    port,
    dataDir: join(folder, 'coordinator'),
    localSteps: 'never' as const,
    coordinator: { heartbeatMs: 200, suspectAfterMs: 600, lostAfterMs: 1_500, reconnectGraceMs: 1_000 },
    ledger,
  });
  let coordinator = new NodeProcess(coordinatorConfig(0));
  const { url = '', http = '' } = await coordinator.ready;
  const port = Number(new URL(http).port);
  const startWorker = (nodeId: string) =>
    new NodeProcess({ nodeId, role: 'worker', connect: url, dataDir: join(folder, nodeId), ledger });
  const nodes = new Map(workers.map((id) => [id, startWorker(id)]));
  for (const node of nodes.values()) await node.ready;

  const stop = new AbortController();
  const client = new Client(http, stop.signal);
  const runIds = new Map<number, string>();
  let next = 0;
  let completed = 0;
  let progress = Promise.withResolvers<void>();
  const submitter = async (): Promise<void> => {
    for (let n = next++; n < runsTotal; n = next++) {
      const runId = await client.submit(workflow, { base: n }, `order-${n}`);
      // As after a crash of the client itself: the same order, sent again, is the same run.
      if (n % 5 === 0) assert.equal(await client.submit(workflow, { base: n }, `order-${n}`), runId);
      runIds.set(n, runId);
      const result = await client.ended(runId);
      assert.equal(result.status, 'completed', JSON.stringify(result.error));
      assert.deepEqual(result.outputs.last, { result: n + 10 });
      completed += 1;
      progress.resolve();
      progress = Promise.withResolvers();
    }
  };

  const random = seeded(seed);
  let kills = { worker: 0, coordinator: 0 };
  const kill = async (node: NodeProcess | undefined): Promise<void> => {
    assert.equal(node?.crashed, undefined, 'a process ended only because it was killed');
    await node?.kill();
  };
  /** One kill after every few runs, so that a slow machine sees no more of them than a fast one. */
  const chaos = async (): Promise<void> => {
    for (let at = 0; at < runsTotal - 10; at += 2 + Math.floor(random() * 10)) {
      while (completed < at) await progress.promise;
      // The schedule of the faults, not a wait for anything.
      await delay(random() * 60, undefined, { signal: stop.signal });
      if (random() < 0.25) {
        await kill(coordinator);
        stop.signal.throwIfAborted();
        coordinator = new NodeProcess(coordinatorConfig(port));
        kills = { ...kills, coordinator: kills.coordinator + 1 };
        await coordinator.ready;
      } else {
        const id = workers[Math.floor(random() * workers.length)] ?? '';
        await kill(nodes.get(id));
        stop.signal.throwIfAborted();
        nodes.set(id, startWorker(id));
        kills = { ...kills, worker: kills.worker + 1 };
      }
    }
  };
  try {
    await Promise.all([chaos(), ...Array.from({ length: inFlight }, submitter)]).catch((thrown: unknown) => {
      stop.abort(thrown);
      throw thrown;
    });
    context.diagnostic(`${runsTotal} runs, ${kills.worker} workers and ${kills.coordinator} coordinators killed`);
    assert.ok(kills.worker >= 3 && kills.coordinator >= 2, 'enough was killed for the test to mean anything');

    const trust = await client.trust();
    const effects = new Map<string, number>();
    for (const line of (await readFile(ledger, 'utf8')).trim().split('\n')) {
      const [key = ''] = line.split(' ');
      effects.set(key, (effects.get(key) ?? 0) + 1);
    }
    assert.equal(new Set(runIds.values()).size, runsTotal, 'each order is one run');
    for (const runId of runIds.values()) {
      const bundle = await client.bundle(runId);
      const report = verifyBundle(bundle, { trust });
      assert.ok(report.ok && report.pinned, JSON.stringify(report.problems));
      const counted = bundle.receipts
        .map((envelope) => decodeReceipt(envelope).predicate)
        .filter(({ status }) => status === 'success')
        .map(({ step_id }) => step_id);
      assert.deepEqual([...counted].sort(), workflow.steps.map(({ id }) => id).sort(), 'each step counts once');
      for (const { id } of workflow.steps) {
        assert.ok((effects.get(`${runId}/${id}`) ?? 0) >= 1, `the effect of ${id} is there`);
        effects.delete(`${runId}/${id}`);
      }
    }
    assert.deepEqual([...effects.keys()], [], 'no effect belongs to a run that nobody was told of');
  } finally {
    stop.abort();
    for (const node of [coordinator, ...nodes.values()]) await node.kill();
  }
});
