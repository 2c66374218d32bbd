import type { Append, Store } from '../src/ports/store.ts';
import type { RunEvent } from '../src/protocol/events.ts';
import { MemoryDisk, MemoryStore } from '../src/store/memory/memory-store.ts';
import type { ProcessClock } from './clock.ts';
import type { SeededRandom } from './random.ts';
import type { Reporter } from './report.ts';

export interface DiskEvents {
  /** A coordinator took this epoch. */
  epoch(epoch: number): void;
  /** These events are on the disk now. */
  durable(append: Append): void;
}

/** The disk of the coordinator, seen from outside: every append is shown once it is on it. */
export class SimDisk extends MemoryDisk {
  readonly #events: DiskEvents;
  /** Writes take this long, in ms. */
  writeMs: [number, number] = [0.2, 2];
  /** Reads and small writes take up to this long; with 0 they answer in the same turn, as a store in memory does. */
  readMsMax = 0;
  /** Until then nothing becomes durable. Virtual ms. */
  stalledUntil = 0;
  /** The next write fails. */
  failNext = false;

  constructor(events: DiskEvents) {
    super();
    this.#events = events;
  }

  override apply(pending: Parameters<MemoryDisk['apply']>[0]): ReturnType<MemoryDisk['apply']> {
    const error = super.apply(pending);
    if (error === undefined) this.#events.durable(pending.append);
    return error;
  }

  tookEpoch(epoch: number): void {
    this.#events.epoch(epoch);
  }

  eventsOf(runId: string): RunEvent[] {
    return (this.runs.get(runId)?.events ?? []).map((text) => JSON.parse(text) as RunEvent);
  }
}

/** The disk as one coordinator process uses it: the memory store, with the delays of a real one. */
export class SlowStore implements Store {
  readonly #inner: MemoryStore;
  readonly #disk: SimDisk;
  readonly #clock: ProcessClock;
  readonly #random: SeededRandom;
  /** Called while a group is under way: the moment at which a crash loses most. */
  onWriting: (events: number) => void = () => undefined;

  constructor(disk: SimDisk, clock: ProcessClock, random: SeededRandom, report: Reporter) {
    this.#disk = disk;
    this.#clock = clock;
    this.#random = random;
    this.#inner = new MemoryStore({
      disk,
      durable: async (group) => {
        const [least, most] = disk.writeMs;
        this.onWriting(group.length);
        await clock.sleep(Math.max(random.skewed(least, most), disk.stalledUntil - clock.now()));
        if (!disk.failNext) return;
        disk.failNext = false;
        report.log('disk: a write fails');
        throw new Error('no space left on device');
      },
    });
  }

  /** A power cut: of the group under way the first `survivors` appends had reached the disk. */
  crash(survivors: number): void {
    this.#inner.crash(survivors);
  }

  async acquireEpoch(): Promise<number> {
    await this.#delay();
    const epoch = await this.#inner.acquireEpoch();
    this.#disk.tookEpoch(epoch);
    return epoch;
  }

  // In order and at once: the store itself groups them.
  append(append: Append): Promise<void> {
    return this.#inner.append(append);
  }

  async read(...args: Parameters<Store['read']>): Promise<RunEvent[]> {
    await this.#delay();
    return this.#inner.read(...args);
  }

  async run(...args: Parameters<Store['run']>): ReturnType<Store['run']> {
    await this.#delay();
    return this.#inner.run(...args);
  }

  async runs(...args: Parameters<Store['runs']>): ReturnType<Store['runs']> {
    await this.#delay();
    return this.#inner.runs(...args);
  }

  async unfinished(): Promise<string[]> {
    await this.#delay();
    return this.#inner.unfinished();
  }

  async byIdempotencyKey(...args: Parameters<Store['byIdempotencyKey']>): ReturnType<Store['byIdempotencyKey']> {
    await this.#delay();
    return this.#inner.byIdempotencyKey(...args);
  }

  async claimed(...args: Parameters<Store['claimed']>): ReturnType<Store['claimed']> {
    await this.#delay();
    return this.#inner.claimed(...args);
  }

  async deploy(...args: Parameters<Store['deploy']>): Promise<void> {
    await this.#delay();
    return this.#inner.deploy(...args);
  }

  async undeploy(...args: Parameters<Store['undeploy']>): Promise<boolean> {
    await this.#delay();
    return this.#inner.undeploy(...args);
  }

  async deployments(): ReturnType<Store['deployments']> {
    await this.#delay();
    return this.#inner.deployments();
  }

  async putBlob(...args: Parameters<Store['putBlob']>): Promise<void> {
    await this.#delay();
    return this.#inner.putBlob(...args);
  }

  async getBlob(...args: Parameters<Store['getBlob']>): ReturnType<Store['getBlob']> {
    await this.#delay();
    return this.#inner.getBlob(...args);
  }

  async hasBlob(...args: Parameters<Store['hasBlob']>): Promise<boolean> {
    await this.#delay();
    return this.#inner.hasBlob(...args);
  }

  async enrol(...args: Parameters<Store['enrol']>): Promise<void> {
    await this.#delay();
    return this.#inner.enrol(...args);
  }

  async enrolled(): ReturnType<Store['enrolled']> {
    await this.#delay();
    return this.#inner.enrolled();
  }

  stats(): ReturnType<Store['stats']> {
    return this.#inner.stats();
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #delay(): Promise<void> {
    const { readMsMax } = this.#disk;
    if (readMsMax > 0) await this.#clock.sleep(this.#random.fraction() * readMsMax);
  }
}
