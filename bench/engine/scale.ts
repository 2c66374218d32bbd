import { demandOf } from '../../src/core/scheduler/demand.ts';
import type { SchedulerNode } from '../../src/core/scheduler/node.ts';
import { Scheduler } from '../../src/core/scheduler/scheduler.ts';
import { startCluster } from './cluster.ts';
import { chain, layered } from './shapes.ts';

interface Row {
  what: string;
  size: number;
  'µs per step': number;
  'heap, MiB': number;
}

const heapMiB = (): number => {
  globalThis.gc?.();
  return Math.round(process.memoryUsage().heapUsed / 2 ** 20);
};
const micros = (ms: number, steps: number): number => Math.round((ms * 1_000) / steps);

/** Whether the cost of a step stays flat as workflows, waiting runs and nodes grow. */
export async function measureScale(): Promise<Row[]> {
  const rows: Row[] = [];
  for (const layers of [20, 200, 2_000]) rows.push(await oneDag(layers));
  for (const runs of [100, 1_000, 10_000]) rows.push(await manyRuns(runs));
  for (const nodes of [10, 100, 1_000]) rows.push(placements(nodes));
  return rows;
}

async function oneDag(layers: number): Promise<Row> {
  const { engine, close } = await startCluster(0);
  const { workflow, steps } = layered(layers, 5);
  await engine.execute(layered(20, 5).workflow);
  const start = performance.now();
  await engine.execute(workflow);
  const elapsed = performance.now() - start;
  const row = { what: 'steps of one DAG', size: steps, 'µs per step': micros(elapsed, steps), 'heap, MiB': heapMiB() };
  await close();
  return row;
}

async function manyRuns(runs: number): Promise<Row> {
  const { engine, close } = await startCluster(0);
  const { workflow, steps } = chain(3);
  await engine.execute(workflow);
  const start = performance.now();
  let heap = 0;
  const { api } = engine;
  const submitted = await Promise.all(Array.from({ length: runs }, () => api.submit({ workflow })));
  heap = heapMiB();
  await Promise.all(submitted.map(({ run_id }) => api.wait(run_id)));
  const elapsed = performance.now() - start;
  await close();
  return { what: 'runs at once', size: runs, 'µs per step': micros(elapsed, runs * steps), 'heap, MiB': heap };
}

/** The scheduler alone, with 10,000 waiting steps: placed, ended, placed again. */
function placements(count: number): Row {
  const scheduler = new Scheduler('never');
  for (let i = 0; i < count; i++) scheduler.setNode(simulatedNode(`node-${i}`));
  const step = { id: 's', type: 'work', resource_requirements: { ram_mb: 64 } };
  const demand = demandOf(step, { workflow: 'scale', steps: [step] });
  for (let i = 0; i < 10_000; i++) scheduler.enqueue({ run: `run-${i % 100}`, step: i, demand });
  const placed = 200_000;
  const running: string[] = [];
  const start = performance.now();
  for (let done = 0; done < placed; ) {
    for (let placement = scheduler.next(); placement !== undefined; placement = scheduler.next()) {
      running.push(placement.node);
      scheduler.enqueue(placement.ready);
      done += 1;
      if (done >= placed) break;
    }
    // Half of what runs ends, so that nodes are partly busy.
    for (const node of running.splice(0, Math.ceil(running.length / 2))) scheduler.release(node, demand);
  }
  const elapsed = performance.now() - start;
  return {
    what: 'nodes, scheduler alone',
    size: count,
    'µs per step': micros(elapsed, placed),
    'heap, MiB': heapMiB(),
  };
}

const simulatedNode = (id: string): SchedulerNode => ({
  id,
  local: false,
  adapters: new Set(['work']),
  stepTypes: new Set(['work']),
  labels: {},
  backends: [],
  total: { ram_mb: 4_096 },
  slots: 16,
  running: 0,
  used: {},
  latencyMs: 1,
  suspected: false,
});
