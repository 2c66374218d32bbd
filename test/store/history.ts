import type { RunEvent } from '../../src/protocol/events.ts';
import { middle, started } from '../compliance/run-events.ts';

// The history that the writing process appends, so that the checking process knows each event and each append's length.

/** Runs that are written at the same time. */
export const RUNS = 8;
export const runId = (run: number): string => `run-${run}`;

/** About the size of a receipt. */
const PADDING = 'x'.repeat(1_500);

const eventAt = (run: number, seq: number): RunEvent =>
  seq === 0 ? started({ at: 1_000 + run, key: `key-${run}` }) : middle(run * 1_000_000 + seq, PADDING);

/** What one append at `seq` holds: one to three events. */
export const batchAt = (run: number, seq: number): RunEvent[] =>
  Array.from({ length: 1 + (seq % 3) }, (_, index) => eventAt(run, seq + index));

/** The first events of a run, and whether an append ends there. */
export function historyTo(run: number, length: number): { events: RunEvent[]; whole: boolean } {
  const events: RunEvent[] = [];
  while (events.length < length) events.push(...batchAt(run, events.length));
  return { events, whole: events.length === length };
}

/** mulberry32: numbers in [0, 1) that are the same for the same seed. */
export function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
