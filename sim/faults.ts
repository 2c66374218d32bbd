import type { FaultMix } from './conditions.ts';
import type { SeededRandom } from './random.ts';
import type { World } from './world.ts';

/** Breaks things, at random moments and at chosen ones, until it is told to stop. */
export class Faults {
  readonly #world: World;
  readonly #random: SeededRandom;
  #active = true;

  constructor(world: World, random: SeededRandom) {
    this.#world = world;
    this.#random = random;
  }

  get active(): boolean {
    return this.#active;
  }

  start(): void {
    const wait = -Math.log(1 - this.#random.fraction()) * this.#world.conditions.faultEveryMs;
    this.#world.clock.timer(wait, () => {
      if (!this.#active) return;
      this.#one();
      this.start();
    });
  }

  /** From here on everything works, and what is down comes up. */
  stop(): void {
    this.#active = false;
    const { report } = this.#world;
    report.log('faults stop');
    this.#world.mendAll();
  }

  /** A message that matters is being sent: the connection may break now. */
  atMessage(breakLink: () => void): void {
    const { conditions, clock } = this.#world;
    if (this.#active && this.#random.chance(conditions.nasty)) clock.timer(this.#random.pick([0, 5, 30]), breakLink);
  }

  /** A group of `appends` is being written: the coordinator may die now. */
  atWrite(appends: number): void {
    const { conditions, clock } = this.#world;
    if (!this.#active || !this.#random.chance(conditions.nasty / 2)) return;
    const survivors = this.#random.int(0, appends);
    clock.timer(0.05, () => this.#world.crashCoordinator(survivors, this.#random.chance(0.3), this.#pause()));
  }

  #one(): void {
    const { conditions, report } = this.#world;
    const kinds = Object.entries(conditions.faults) as [keyof FaultMix, number][];
    let ticket = this.#random.fraction() * kinds.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [kind, weight] of kinds) {
      ticket -= weight;
      if (ticket >= 0 || weight === 0) continue;
      report.log(`fault: ${kind}`);
      return this[kind]();
    }
  }

  /** How long something stays down: mostly a moment, now and then for seconds. */
  #pause(): number {
    return this.#random.skewed(10, 4_000);
  }

  #someWorker(): number {
    return this.#random.int(0, this.#world.conditions.workers.length - 1);
  }

  crashWorker(): void {
    this.#world.crashWorker(this.#someWorker(), this.#random.chance(0.3), this.#pause());
  }

  replaceWorker(): void {
    this.#world.replaceWorker(this.#someWorker(), this.#random.chance(0.3), this.#pause());
  }

  leaveWorker(): void {
    this.#world.leaveWorker(this.#someWorker(), this.#random.int(0, 500), this.#pause());
  }

  crashCoordinator(): void {
    this.#world.crashCoordinator(this.#random.int(0, 3), this.#random.chance(0.3), this.#pause());
  }

  closeCoordinator(): void {
    this.#world.closeCoordinator(this.#pause());
  }

  secondCoordinator(): void {
    this.#world.secondCoordinator();
  }

  partition(): void {
    const { network, clock } = this.#world;
    const name = this.#world.workerNameAt(this.#someWorker());
    if (network.isCutOff(name)) return;
    network.partition(name);
    clock.timer(this.#pause() * 2, () => network.heal(name));
  }

  breakLink(): void {
    const links = [...this.#world.network.links];
    if (links.length > 0) this.#random.pick(links).break('a fault');
  }

  stallDisk(): void {
    const { disk, clock } = this.#world;
    disk.stalledUntil = clock.now() + this.#pause();
  }

  failDisk(): void {
    this.#world.disk.failNext = true;
  }
}
