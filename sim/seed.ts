import { messageOf } from '../src/lib/errors.ts';
import type { Violation } from './report.ts';
import { checkOutcome, describeUnfinished, isQuiet } from './settle.ts';
import { type Lab, World } from './world.ts';

export interface SeedResult {
  seed: number;
  violations: Violation[];
  lines: string[];
  /** SHA-256 of the log. */
  hash: string;
  /** Events on the disk at the end, and virtual ms that passed. */
  events: number;
  elapsed: number;
}

/** Virtual ms after the last fault within which everything must have ended. */
const livenessMs = 240_000;
const eventsMax = 200_000;

/** Runs one seed to its end, or to the first violation. */
export async function runSeed(seed: number, lab: Lab): Promise<SeedResult> {
  const world = new World(seed, lab);
  const { report, clock, journal } = world;
  // Whatever nobody catches is a defect of the code under test.
  const uncaught = (thrown: unknown) => report.violation('no exception', messageOf(thrown));
  process.on('uncaughtException', uncaught);
  process.on('unhandledRejection', uncaught);
  try {
    const deadline = clock.now() + world.conditions.faultsMs + livenessMs;
    world.start();
    await drain();
    for (let count = 0; report.violations.length === 0; count++) {
      if ((!world.faults.active && isQuiet(world)) || count > eventsMax || !clock.step(deadline)) break;
      await drain();
      journal.turnEnded();
    }
    if (report.violations.length === 0) await conclude(world);
  } finally {
    process.off('uncaughtException', uncaught);
    process.off('unhandledRejection', uncaught);
  }
  const events = [...journal.runs.values()].reduce((sum, run) => sum + run.events.length, 0);
  const { violations, lines } = report;
  return { seed, violations, lines, hash: report.hash(), events, elapsed: report.elapsed };
}

async function conclude(world: World): Promise<void> {
  const { report, clock, coordinator } = world;
  const idleUntil = clock.now() + world.conditions.idleMs;
  while (clock.step(idleUntil)) await drain();
  if (world.faults.active || !isQuiet(world)) return report.violation('everything ends', describeUnfinished(world));
  if (coordinator === undefined) return report.violation('everything ends', 'there is no coordinator');
  let over = false;
  const outcome = checkOutcome(world, coordinator).then(
    () => {
      over = true;
    },
    (thrown: unknown) => {
      over = true;
      report.violation('what ended can be read', messageOf(thrown));
    },
  );
  const deadline = clock.now() + livenessMs;
  await drain();
  while (!over && clock.step(deadline)) await drain();
  if (!over) return report.violation('what ended can be read', 'no answer to a question about a run that has ended');
  await outcome;
}

/** Lets everything happen that needs no time: microtasks first, then what waits for the next turn. */
const drain = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
