import type { StepTypeManifest } from '../src/protocol/messages.ts';
import { AdapterSite } from './adapter.ts';
import { Client } from './client.ts';
import { VirtualClock } from './clock.ts';
import { type Conditions, drawConditions, workerName } from './conditions.ts';
import { CoordinatorProcess, coordinatorName } from './coordinator-process.ts';
import { Keys } from './crypto.ts';
import { SimDisk } from './disk.ts';
import { Effects } from './effects.ts';
import { Faults } from './faults.ts';
import { type Capacity, JournalWatch } from './journal.ts';
import { fairWeather, SimNetwork } from './network.ts';
import { SeededRandom } from './random.ts';
import { Reporter } from './report.ts';
import { watchPackets } from './tap.ts';
import { WorkerProcess } from './worker-process.ts';
import { randomJob } from './workload.ts';

/** What seeds share: keys and compiled adapters, which are the same for all and dear to make. */
export class Lab {
  readonly keys = new Keys();
  readonly local = new AdapterSite();
  readonly #sites: AdapterSite[] = [];

  site(index: number): AdapterSite {
    const site = this.#sites[index] ?? new AdapterSite();
    this.#sites[index] = site;
    return site;
  }
}

/** Short periods, so that a few virtual seconds hold many of them. */
const periods = {
  heartbeatMs: 400,
  suspectAfterMs: 1_000,
  lostAfterMs: 2_400,
  reconnectGraceMs: 1_000,
  restartGraceMs: 1_500,
  expelMs: 500,
  unschedulableAfterMs: 120_000,
  cancelGraceMs: 1_200,
  timeoutGraceMs: 1_500,
  handshakesMax: 64,
  handshakeTimeoutMs: 2_000,
  runsQueuedMax: 1_000,
  resultBytesMax: 64 * 1024 * 1024,
};

interface Berth {
  process: WorkerProcess | undefined;
  name: string;
  lives: number;
}

/** One cluster with its network, disk and clients: all that a seed is about. */
export class World {
  readonly seed: number;
  readonly conditions: Conditions;
  readonly clock = new VirtualClock();
  readonly report = new Reporter(this.clock);
  readonly keys: Keys;
  readonly localSite: AdapterSite;
  readonly catalogue: ReadonlyMap<string, StepTypeManifest>;
  readonly network: SimNetwork;
  readonly disk: SimDisk;
  readonly journal: JournalWatch;
  readonly effects: Effects;
  readonly faults: Faults;
  readonly client: Client;
  coordinator: CoordinatorProcess | undefined;
  readonly #lab: Lab;
  readonly #random: SeededRandom;
  readonly #berths: Berth[];
  readonly #capacities = new Map<string, Capacity>();
  #coordinatorLives = 0;

  constructor(seed: number, lab: Lab) {
    this.seed = seed;
    this.#lab = lab;
    this.keys = lab.keys;
    this.localSite = lab.local;
    this.catalogue = lab.local.full.stepTypes();
    this.#random = new SeededRandom(seed, 'world');
    this.conditions = drawConditions(new SeededRandom(seed, 'conditions'));
    this.journal = new JournalWatch(this.report, (node) => this.#capacities.get(node));
    this.effects = new Effects(this.journal, this.report);
    this.disk = new SimDisk(this.journal);
    this.disk.readMsMax = this.conditions.readMsMax;
    this.network = new SimNetwork(this.clock, new SeededRandom(seed, 'network'), this.report);
    this.network.weather = this.conditions.weather;
    this.faults = new Faults(this, new SeededRandom(seed, 'faults'));
    this.network.onArrival = ({ worker }, message) => {
      if (message.kind === 'proof') this.journal.joins(worker, message.holding);
    };
    this.network.tap = watchPackets(this, new SeededRandom(seed, 'tap'));
    this.client = new Client(this, new SeededRandom(seed, 'client'));
    this.#berths = this.conditions.workers.map((_, index) => ({
      process: undefined,
      name: workerName(index),
      lives: 0,
    }));
    if (this.conditions.local !== undefined) this.#capacities.set(coordinatorName, this.conditions.local);
  }

  start(): void {
    this.#startCoordinator();
    for (const index of this.#berths.keys()) this.#startWorker(index);
    const { jobs, mix, faultsMs } = this.conditions;
    for (let index = 0; index < jobs; index++) {
      const job = randomJob(this.#random, `job-${index}`, mix);
      const cancelAfterMs = this.#random.chance(0.15) ? this.#random.int(0, 1_500) : undefined;
      const options = { cancelAfterMs, twice: this.#random.chance(0.3) };
      void this.client.submit(job, this.#random.skewed(0, faultsMs), options);
    }
    this.faults.start();
    this.clock.timer(faultsMs, () => this.faults.stop());
  }

  readonly workerNameAt = (index: number): string => this.#berths[index]?.name ?? '';

  /** Attempts and results that living workers hold. */
  get holding(): number {
    return this.#berths.reduce((sum, { process }) => sum + (process?.worker.holding ?? 0), 0);
  }

  crashWorker(index: number, silently: boolean, downMs: number): void {
    const berth = this.#berths[index];
    if (berth?.process?.alive !== true) return;
    this.report.log(`${berth.name} crashes${silently ? ' silently' : ''}`);
    berth.process.crash(silently);
    berth.process = undefined;
    this.clock.timer(downMs, () => this.#startWorker(index));
  }

  /** The machine is gone for good; another takes its place under a new name and key. */
  replaceWorker(index: number, silently: boolean, downMs: number): void {
    const berth = this.#berths[index];
    if (berth?.process?.alive !== true) return;
    this.crashWorker(index, silently, downMs);
    berth.name = `${workerName(index)}-${berth.lives}`;
  }

  leaveWorker(index: number, graceMs: number, downMs: number): void {
    const berth = this.#berths[index];
    const process = berth?.process;
    if (berth === undefined || process?.alive !== true) return;
    this.report.log(`${berth.name} shuts down`);
    void process.leave(graceMs).then(() => {
      berth.process = undefined;
      this.clock.timer(downMs, () => this.#startWorker(index));
    });
  }

  crashCoordinator(survivors: number, silently: boolean, downMs: number): void {
    const process = this.coordinator;
    if (process?.alive !== true) return;
    this.report.log(`coordinator ${process.life} crashes`);
    process.crash(survivors, silently);
    if (survivors > 0) this.journal.groupCut();
    this.clock.timer(downMs, () => this.#startCoordinator());
  }

  closeCoordinator(downMs: number): void {
    const process = this.coordinator;
    if (process?.ready !== true) return;
    this.report.log(`coordinator ${process.life} shuts down`);
    void process.api.close().then(() => {
      process.crash(0, false);
      this.clock.timer(downMs, () => this.#startCoordinator());
    });
  }

  /** Somebody starts another coordinator on the same disk, though the first still runs. */
  secondCoordinator(): void {
    const first = this.coordinator;
    if (first?.ready !== true) return;
    this.coordinator = undefined;
    this.#startCoordinator();
    this.clock.timer(10_000, () => first.crash(0, false));
  }

  /** A coordinator has given up: its supervisor starts it again, unless another is in its place. */
  coordinatorStopped(process: CoordinatorProcess, why: string): void {
    this.clock.timer(this.#random.int(1, 200), () => {
      process.crash(0, false);
      if (this.coordinator !== process) return;
      this.report.log(`coordinator ${process.life} is started again after: ${why}`);
      this.#startCoordinator();
    });
  }

  mendAll(): void {
    this.network.weather = fairWeather;
    this.disk.stalledUntil = 0;
    this.disk.failNext = false;
    for (const { name } of this.#berths) if (this.network.isCutOff(name)) this.network.heal(name);
  }

  #startCoordinator(): void {
    if (this.coordinator?.alive === true) return;
    this.#coordinatorLives += 1;
    const { localSteps, local, runsActiveMax } = this.conditions;
    const config = { ...periods, nodeId: coordinatorName, localSteps, runsActiveMax };
    const process = new CoordinatorProcess(this, this.#coordinatorLives, config, local);
    process.store.onWriting = (appends) => {
      if (this.coordinator === process) this.faults.atWrite(appends);
    };
    this.coordinator = process;
    void process.start();
  }

  #startWorker(index: number): void {
    const berth = this.#berths[index];
    const spec = this.conditions.workers[index];
    if (berth === undefined || spec === undefined || berth.process?.alive === true) return;
    berth.lives += 1;
    this.#capacities.set(berth.name, spec);
    this.report.log(`${berth.name} starts`);
    berth.process = new WorkerProcess(this, berth.name, spec, this.#lab.site(index), berth.lives);
    berth.process.connect();
  }
}
