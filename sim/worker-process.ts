import { messageOf } from '../src/lib/errors.ts';
import type { AdapterContext } from '../src/ports/adapter.ts';
import type { Connection } from '../src/ports/transport.ts';
import { Uplink } from '../src/worker/uplink.ts';
import { Worker } from '../src/worker/worker.ts';
import type { AdapterHost, AdapterSite } from './adapter.ts';
import { ProcessClock } from './clock.ts';
import { slowSigner, slowVerifier } from './crypto.ts';
import { SeededRandom } from './random.ts';
import type { World } from './world.ts';

export interface WorkerSpec {
  slots: number;
  resources: Record<string, number>;
  labels: Record<string, string>;
  rare: boolean;
  skewMs: number;
}

/** A value that no secret is behind: simulated steps have none. */
const emptyVault = { resolve: async (): Promise<string> => '' };
const stopGraceMs = 300;

/** One life of a worker process, from its start to its crash or shutdown. */
export class WorkerProcess {
  readonly name: string;
  readonly clock: ProcessClock;
  readonly worker: Worker;
  readonly #world: World;
  readonly #random: SeededRandom;
  #uplink: Uplink | undefined;
  #leaving = false;

  constructor(world: World, name: string, spec: WorkerSpec, site: AdapterSite, life: number) {
    this.#world = world;
    this.name = name;
    this.clock = new ProcessClock(world.clock, spec.skewMs);
    this.#random = new SeededRandom(world.seed, `${name} ${life}`);
    const host: AdapterHost = {
      node: name,
      clock: this.clock,
      random: this.#random,
      started: (context: AdapterContext) => world.effects.started(name, context, () => this.alive),
      checkpointed: (context, phase) => world.effects.checkpointed(name, context, phase),
      committed: (context) => world.effects.committed(name, context),
    };
    site.host = host;
    const { cryptoMs } = world.conditions;
    this.worker = new Worker(
      { slots: spec.slots, resources: spec.resources, labels: spec.labels, backends: [] },
      {
        nodeId: name,
        signer: slowSigner(world.keys.signer(name), this.clock, this.#random, cryptoMs),
        verifier: slowVerifier(world.keys.verifier, this.clock, this.#random, cryptoMs),
        clock: this.clock,
        random: this.#random,
        vault: emptyVault,
        registry: spec.rare ? site.full : site.basic,
        stopGraceMs,
      },
    );
  }

  get alive(): boolean {
    return !this.clock.dead && !this.#leaving;
  }

  /** Connects over the network, and goes on connecting. */
  connect(): void {
    const { network, report } = this.#world;
    this.#uplink = new Uplink(
      {
        url: network.url,
        backoffMs: 100,
        backoffMaxMs: 1_000,
        handshakeTimeoutMs: 2_000,
        onState: (state) => {
          if (state.kind === 'refused')
            report.violation('no worker is turned away', `${this.name} gave up: ${state.error.message}`);
        },
      },
      {
        worker: this.worker,
        transport: network.transportFor(this.name, this.clock),
        clock: this.clock,
        random: this.#random,
      },
    );
    this.#uplink.start().catch(() => undefined);
  }

  /** Joins a coordinator within the same process. */
  async joinLocally(connection: Connection): Promise<void> {
    try {
      await this.worker.join(connection);
    } catch (thrown) {
      this.#world.report.log(`${this.name} could not join its own coordinator: ${messageOf(thrown)}`);
    }
  }

  crash(silently: boolean): void {
    this.clock.kill();
    this.#world.network.cutProcess(this.clock, silently);
  }

  /** Shuts down in order. */
  async leave(graceMs: number): Promise<void> {
    this.#leaving = true;
    this.#uplink?.close();
    await this.worker.close(graceMs);
    await this.clock.sleep(1_000);
    this.crash(false);
  }
}
