import type { LocalSteps } from '../src/core/scheduler/scheduler.ts';
import type { NetworkWeather } from './network.ts';
import type { SeededRandom } from './random.ts';
import type { WorkerSpec } from './worker-process.ts';
import type { Mix } from './workload.ts';

/** Faults, with how often each is chosen. */
export interface FaultMix {
  crashWorker: number;
  replaceWorker: number;
  leaveWorker: number;
  crashCoordinator: number;
  closeCoordinator: number;
  secondCoordinator: number;
  partition: number;
  breakLink: number;
  stallDisk: number;
  failDisk: number;
}

/** Everything about a seed that is decided before it starts. */
export interface Conditions {
  workers: WorkerSpec[];
  /** What the coordinator's own process can run; undefined where it only coordinates. */
  local: WorkerSpec | undefined;
  localSteps: LocalSteps;
  jobs: number;
  mix: Mix;
  runsActiveMax: number;
  weather: NetworkWeather;
  cryptoMs: number;
  readMsMax: number;
  faults: FaultMix;
  /** Virtual ms during which faults happen, and the mean time between two. */
  faultsMs: number;
  faultEveryMs: number;
  /** How long the cluster stands idle at the end: nobody may fall out of it only because nothing happens. */
  idleMs: number;
  /** Chance that a connection breaks, or the coordinator dies, right at a message or write that matters. */
  nasty: number;
  /** Index of a worker that lies, and how often it does. */
  liar: number | undefined;
  lies: number;
}

export function drawConditions(random: SeededRandom): Conditions {
  const workers = Array.from({ length: random.int(1, 4) }, (_, index) => workerSpec(random, index));
  const local = random.chance(0.25) ? workerSpec(random, 0) : undefined;
  return {
    workers,
    local: local === undefined ? undefined : { ...local, skewMs: 0 },
    localSteps: random.pick(['auto', 'always', 'never'] as const),
    jobs: random.int(1, 5),
    mix: {
      dice: random.chance(0.5) ? 0.2 : 0,
      rare: random.chance(0.3) ? 0.2 : 0,
      fails: random.chance(0.5) ? 0.3 : 0,
      broken: random.chance(0.2) ? 0.1 : 0,
      stubborn: random.chance(0.3) ? 0.3 : 0,
      large: random.chance(0.04) ? 0.2 : 0,
      timeout: random.chance(0.3) ? 0.3 : 0,
      stepsMax: random.pick([3, 8, 12]),
      nodes: workers.map((_, index) => workerName(index)),
    },
    runsActiveMax: random.chance(0.2) ? random.int(1, 2) : 64,
    weather: {
      latencyMs: random.pick([
        [0.2, 1],
        [1, 20],
        [1, 400],
      ] as [number, number][]),
      connectLoss: random.pick([0, 0.1, 0.3]),
      hearsLate: random.pick([0, 0.2, 0.5]),
      hearsNever: random.pick([0, 0, 0.2]),
    },
    cryptoMs: random.pick([0, 0, 5, 40]),
    readMsMax: random.pick([0, 0, 5, 50]),
    faults: faultMix(random),
    faultsMs: random.int(1_500, 5_000),
    faultEveryMs: random.pick([100, 300, 800, 2_000]),
    idleMs: random.chance(0.1) ? 6_000 : 0,
    nasty: random.pick([0, 0, 0.01, 0.04]),
    liar: random.chance(0.2) ? random.int(0, workers.length - 1) : undefined,
    lies: random.pick([0.2, 0.6]),
  };
}

export const workerName = (index: number): string => `worker-${index}`;

function workerSpec(random: SeededRandom, index: number): WorkerSpec {
  // The first can do everything, so that no step is without hope.
  const able = index === 0;
  return {
    slots: random.int(1, 4),
    resources: {
      ...(able || random.chance(0.5) ? { cpu_cores: random.int(2, 4) } : {}),
      ...(able || random.chance(0.3) ? { gpu: 1 } : {}),
    },
    labels: able || random.chance(0.3) ? { zone: 'a' } : { zone: 'b' },
    rare: able || random.chance(0.3),
    skewMs: random.chance(0.3) ? random.int(-5_000, 5_000) : 0,
  };
}

/** Not every seed has every fault: a few at a time show what many at once would hide. */
function faultMix(random: SeededRandom): FaultMix {
  const often = (weight: number): number => (random.chance(0.5) ? weight : 0);
  return {
    crashWorker: often(3),
    replaceWorker: often(1),
    leaveWorker: often(1),
    crashCoordinator: often(3),
    closeCoordinator: often(1),
    secondCoordinator: often(1),
    partition: often(3),
    breakLink: often(4),
    stallDisk: often(2),
    failDisk: often(1),
  };
}
