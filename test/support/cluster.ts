import { once } from 'node:events';
import { systemRandom } from '../../src/compose/system.ts';
import { type CoordinatorConfig, coordinatorDefaults } from '../../src/engine/config.ts';
import { Coordinator, type CoordinatorDeps } from '../../src/engine/coordinator.ts';
import type { EngineEvents } from '../../src/engine/events.ts';
import { ephemeralIdentity, syncVerifier } from '../../src/identity/identity.ts';
import type { Clock } from '../../src/ports/clock.ts';
import type { Signer } from '../../src/ports/signer.ts';
import type { Store } from '../../src/ports/store.ts';
import type { Connection, Listener } from '../../src/ports/transport.ts';
import type { Workflow } from '../../src/protocol/workflow.ts';
import { MemoryDisk, MemoryStore } from '../../src/store/memory/memory-store.ts';
import { memoryTransport } from '../../src/transport/memory/memory-transport.ts';
import { chainVault } from '../../src/vault/chain.ts';
import { AdapterRegistry, type CustomAdapter } from '../../src/worker/registry.ts';
import { Worker, type WorkerConfig } from '../../src/worker/worker.ts';
import { ManualClock } from './manual-clock.ts';
import { type RawOffer, RawWorker, remote } from './raw-worker.ts';

export const identity = (seed: number): Signer => ephemeralIdentity(new Uint8Array(32).fill(seed));

/** Steps in a row of one type, each after the one before unless `parallel`. */
export const steps = (count: number, parallel = false, type = 'raw_step'): Workflow['steps'] =>
  Array.from({ length: count }, (_, index) => ({
    id: `s${index}`,
    type,
    ...(parallel || index === 0 ? {} : { parent_step_ids: [`s${index - 1}`] }),
  }));

const rawCatalogue = new Map([['raw_step', { type: 'raw_step' }]]);

export interface ClusterOptions {
  config?: Partial<CoordinatorConfig>;
  joinTokens?: readonly string[];
  store?: Store;
  clock?: Clock;
  channelBinding?: Uint8Array;
  sources?: CoordinatorDeps['sources'];
}

/** A real coordinator in this process; workers reach it over connections that it does not trust. Time is the test's own. */
export class Cluster {
  readonly manual = new ManualClock();
  readonly disk = new MemoryDisk();
  readonly signer = identity(1);
  readonly coordinator: Coordinator;
  readonly store: Store;
  readonly #transport = memoryTransport();
  readonly #options: ClusterOptions;
  #listener: Listener | undefined;

  private constructor(options: ClusterOptions) {
    this.#options = options;
    this.store = options.store ?? new MemoryStore({ disk: this.disk });
    this.coordinator = new Coordinator(
      { ...coordinatorDefaults, nodeId: 'c', localSteps: 'never', ...options.config },
      {
        store: this.store,
        signer: this.signer,
        verifier: syncVerifier(),
        clock: options.clock ?? this.manual,
        random: systemRandom,
        joinTokens: options.joinTokens ?? [],
        catalogue: () => rawCatalogue,
        ...(options.sources === undefined ? {} : { sources: options.sources }),
      },
    );
  }

  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const cluster = new Cluster(options);
    await cluster.coordinator.start();
    cluster.#listener = await cluster.#transport.listen((connection) => {
      void cluster.coordinator.accept(remote(connection, options.channelBinding));
    });
    return cluster;
  }

  /** A connection that has said nothing yet. */
  async connect(channelBinding = this.#options.channelBinding): Promise<Connection> {
    return remote(await this.#transport.connect(this.#listener?.url ?? ''), channelBinding);
  }

  async raw(id: string, signer: Signer = identity(id.charCodeAt(id.length - 1))): Promise<RawWorker> {
    return new RawWorker(id, signer, await this.connect());
  }

  async joined(id: string, offer: RawOffer = {}): Promise<RawWorker> {
    const worker = await this.raw(id);
    await worker.join(offer);
    return worker;
  }

  /** A real worker with the given adapters; `join` it over as many connections as a test needs. */
  worker(id: string, adapters: readonly CustomAdapter[], config: Partial<WorkerConfig> = {}): Worker {
    const registry = new AdapterRegistry();
    for (const adapter of adapters) registry.register(adapter);
    return new Worker(
      { slots: 4, resources: {}, labels: {}, backends: [], ...config },
      {
        nodeId: id,
        signer: identity(id.charCodeAt(id.length - 1)),
        clock: this.#options.clock ?? this.manual,
        vault: chainVault([]),
        registry,
        stopGraceMs: 1_000,
        verifier: syncVerifier(),
        random: systemRandom,
      },
    );
  }

  async submit(workflow: Omit<Workflow, 'workflow'>, input: null | object = null): Promise<string> {
    const { run_id } = await this.coordinator.submit({
      workflow: { workflow: 'test', ...workflow },
      ...(input === null ? {} : { input: input as never }),
    });
    return run_id;
  }

  heard<Name extends keyof EngineEvents>(name: Name): Promise<EngineEvents[Name]> {
    return once(this.coordinator.emitter, name) as unknown as Promise<EngineEvents[Name]>;
  }

  async close(): Promise<void> {
    await this.coordinator.close();
    await this.#listener?.close();
  }
}

/** Turns of the event loop after which what a test waits for is not going to come. */
const turnsMax = 200_000;

/** Lets everything else go on until `done` holds. */
export async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  for (let turns = 0; turns < turnsMax; turns++) {
    if (await done()) return;
    await new Promise((resolve) => setImmediate(resolve));
  }
  throw new Error(`what the test waits for did not come: ${done}`);
}

/** An adapter of one step type around a function. */
export const adapterOf = (
  execute: CustomAdapter['execute'],
  options: { type?: string; id?: string; deterministic?: boolean } = {},
): CustomAdapter => ({
  getManifest: () => ({
    adapter_id: options.id ?? 'raw',
    version: '1',
    step_types: [{ type: options.type ?? 'raw_step', deterministic: options.deterministic ?? false }],
  }),
  execute,
});
