import type { DistributedEngine } from '../../src/compose/distributed-engine.ts';
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

const inFlight = 50;

async function once(engine: DistributedEngine, shape: Shape): Promise<void> {
  const { status } = await engine.execute(shape.workflow);
  if (status !== 'completed') throw new Error(`a run of ${shape.name} ended as ${status}`);
}

/** Latency of single runs, then throughput with 50 runs at once for about `seconds`. */
export const measure = (engine: DistributedEngine, shape: Shape, seconds: number): Promise<Speed> =>
  measureCalls(shape, seconds, () => once(engine, shape));

/** @param run one run, from its start to its end */
export async function measureCalls(shape: Shape, seconds: number, run: () => Promise<void>): Promise<Speed> {
  const until = (ms: number) => {
    const end = performance.now() + ms;
    return () => performance.now() < end;
  };
  const warm = until(1_000);
  while (warm()) await Promise.all(Array.from({ length: 8 }, () => run()));
  const times: number[] = [];
  const alone = until(seconds * 500);
  while (alone()) {
    const began = performance.now();
    await run();
    times.push(performance.now() - began);
  }
  times.sort((a, b) => a - b);
  let runs = 0;
  const crowded = until(seconds * 1_000);
  const start = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (crowded()) {
        await run();
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
