import type { DistributedEngine } from '../src/compose/distributed-engine.ts';
import type { Shape } from './shapes.ts';

export interface Speed {
  shape: string;
  /** Ms of one run alone. */
  p50: number;
  p99: number;
  /** With many runs in flight. */
  stepsPerSecond: number;
}

const percentile = (sorted: readonly number[], p: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))] ?? Number.NaN;

async function once(engine: DistributedEngine, shape: Shape): Promise<number> {
  const start = performance.now();
  const { status } = await engine.execute(shape.workflow);
  if (status !== 'completed') throw new Error(`a run of ${shape.name} ended as ${status}`);
  return performance.now() - start;
}

/** Latency of single runs, then throughput with `inFlight` runs at once for about `seconds`. */
export async function measure(engine: DistributedEngine, shape: Shape, seconds: number, inFlight = 50): Promise<Speed> {
  const until = (ms: number) => {
    const end = performance.now() + ms;
    return () => performance.now() < end;
  };
  const warm = until(1_000);
  while (warm()) await Promise.all(Array.from({ length: 8 }, () => once(engine, shape)));
  const times: number[] = [];
  const alone = until(seconds * 500);
  while (alone()) times.push(await once(engine, shape));
  times.sort((a, b) => a - b);
  let runs = 0;
  const crowded = until(seconds * 1_000);
  const start = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (crowded()) {
        await once(engine, shape);
        runs += 1;
      }
    }),
  );
  const elapsed = (performance.now() - start) / 1_000;
  return {
    shape: shape.name,
    p50: percentile(times, 50),
    p99: percentile(times, 99),
    stepsPerSecond: (runs * shape.steps) / elapsed,
  };
}
