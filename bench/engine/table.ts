import { startCluster } from './cluster.ts';
import { chain, layered, parallel, type Shape } from './shapes.ts';

interface Row {
  workflow: string;
  'one node, s': number;
  'three nodes, s': number;
  speedup: number;
  /** What a schedule without any overhead would take. */
  'ideal, s': number;
  'of ideal': number;
}

const cases: readonly { shape: Shape; delayMs: number }[] = [
  { shape: chain(10, 250), delayMs: 250 },
  { shape: parallel(20, 400), delayMs: 400 },
  { shape: layered(10, 5, 300), delayMs: 300 },
];

/** The published table of the format: sleeping steps on one node and on three, one step at a time each. */
export async function measureTable(): Promise<Row[]> {
  const one = await times(1);
  const three = await times(3);
  const seconds = (ms: number): number => Math.round(ms) / 1_000;
  return cases.map(({ shape, delayMs }, index) => {
    const single = one[index] ?? Number.NaN;
    const triple = three[index] ?? Number.NaN;
    const ideal = idealRounds(shape, 3) * delayMs;
    return {
      workflow: shape.name,
      'one node, s': seconds(single),
      'three nodes, s': seconds(triple),
      speedup: Math.round((single / triple) * 100) / 100,
      'ideal, s': seconds(ideal),
      'of ideal': Math.round((ideal / triple) * 1_000) / 1_000,
    };
  });
}

async function times(workers: number): Promise<number[]> {
  const { engine, close } = await startCluster(workers, { slots: 1, engine: { localSteps: 'never' } });
  try {
    const measured: number[] = [];
    for (const { shape } of cases) {
      const start = performance.now();
      await engine.execute(shape.workflow);
      measured.push(performance.now() - start);
    }
    return measured;
  } finally {
    await close();
  }
}

/** Rounds that equal steps need on `slots` slots if every free slot takes the first ready step at once. */
function idealRounds({ workflow }: Shape, slots: number): number {
  const left = new Map(workflow.steps.map(({ id, parent_step_ids = [] }) => [id, new Set(parent_step_ids)]));
  let rounds = 0;
  while (left.size > 0) {
    const ready = [...left].filter(([, parents]) => parents.size === 0).slice(0, slots);
    for (const [id] of ready) left.delete(id);
    for (const parents of left.values()) for (const [id] of ready) parents.delete(id);
    rounds += 1;
  }
  return rounds;
}
