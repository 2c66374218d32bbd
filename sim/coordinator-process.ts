import type { CoordinatorConfig } from '../src/engine/config.ts';
import { Coordinator } from '../src/engine/coordinator.ts';
import { JSONFlowError, messageOf } from '../src/lib/errors.ts';
import { memoryTransport } from '../src/transport/memory/memory-transport.ts';
import { ProcessClock } from './clock.ts';
import { slowSigner, slowVerifier } from './crypto.ts';
import { SlowStore } from './disk.ts';
import { SeededRandom } from './random.ts';
import { WorkerProcess, type WorkerSpec } from './worker-process.ts';
import type { World } from './world.ts';

export const coordinatorName = 'coordinator';

/** One life of the coordinator process. */
export class CoordinatorProcess {
  readonly clock: ProcessClock;
  readonly store: SlowStore;
  readonly api: Coordinator;
  readonly life: number;
  /** Rejects when the process has died; calls race with it. */
  readonly death: PromiseWithResolvers<never> = Promise.withResolvers();
  /** The worker within this very process, once it has joined. */
  own: WorkerProcess | undefined;
  readonly #world: World;
  /** What the process itself can run. */
  readonly #local: WorkerSpec | undefined;
  #ready = false;

  constructor(world: World, life: number, config: CoordinatorConfig, local: WorkerSpec | undefined) {
    this.#world = world;
    this.#local = local;
    this.life = life;
    this.death.promise.catch(() => undefined);
    this.clock = new ProcessClock(world.clock);
    const random = new SeededRandom(world.seed, `${coordinatorName} ${life}`);
    this.store = new SlowStore(world.disk, this.clock, random, world.report);
    const { cryptoMs } = world.conditions;
    this.api = new Coordinator(config, {
      store: this.store,
      signer: slowSigner(world.keys.signer(coordinatorName), this.clock, random, cryptoMs),
      verifier: slowVerifier(world.keys.verifier, this.clock, random, cryptoMs),
      clock: this.clock,
      random,
      catalogue: () => world.catalogue,
    });
    this.api.emitter.on('fatal', (error) => {
      this.#ready = false;
      world.report.log(`coordinator ${life} stops: ${error.message}`);
      world.coordinatorStopped(this, messageOf(error));
    });
    this.api.emitter.on('node:misbehaved', ({ nodeId, why }) =>
      world.report.log(`coordinator ${life}: ${nodeId} misbehaves: ${why}`),
    );
    this.api.emitter.on('step:completed', (step) => world.journal.told(step));
    this.api.emitter.on('node:left', ({ nodeId, why }) =>
      world.report.log(`coordinator ${life}: ${nodeId} left: ${why}`),
    );
  }

  get alive(): boolean {
    return !this.clock.dead;
  }

  /** Whether clients can call it. */
  get ready(): boolean {
    return this.#ready && this.alive;
  }

  async start(): Promise<void> {
    const { report, network } = this.#world;
    try {
      await this.api.start();
    } catch (thrown) {
      if (!(thrown instanceof JSONFlowError) || thrown.code === 'INTERNAL')
        report.violation('no exception', `coordinator ${this.life} can't start: ${messageOf(thrown)}`);
      report.log(`coordinator ${this.life} can't start: ${messageOf(thrown)}`);
      this.#world.coordinatorStopped(this, messageOf(thrown));
      return;
    }
    report.log(`coordinator ${this.life} is up`);
    const accept = this.api.accept.bind(this.api);
    await network.transportFor(coordinatorName, this.clock).listen((connection) => void accept(connection));
    this.#ready = true;
    if (this.#local === undefined) return;
    const local = memoryTransport();
    const listener = await local.listen((connection) => void accept(connection));
    const own = new WorkerProcess(this.#world, coordinatorName, this.#local, this.#world.localSite, this.life);
    this.death.promise.catch(() => own.crash(false));
    await own.joinLocally(await local.connect(listener.url));
    this.own = own;
  }

  /** A call of a client: rejects where the process dies before it answers. */
  call<T>(ask: (api: Coordinator) => Promise<T>): Promise<T> {
    return Promise.race([ask(this.api), this.death.promise]);
  }

  crash(survivors: number, silently: boolean): void {
    if (this.clock.dead) return;
    this.clock.kill();
    this.store.crash(survivors);
    this.#world.network.cutProcess(this.clock, silently);
    this.death.reject(new Error('the coordinator died'));
  }
}
