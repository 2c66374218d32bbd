import { EventEmitter } from 'node:events';
import { mkdir } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createEgress } from '../egress/egress.ts';
import type { CoordinatorApi, CoordinatorHealth, CoordinatorStats } from '../engine/api.ts';
import { type CoordinatorConfig, coordinatorDefaults } from '../engine/config.ts';
import { Coordinator } from '../engine/coordinator.ts';
import { type EngineEvents, engineEventNames } from '../engine/events.ts';
import { createMetrics, type Metrics } from '../http/metrics.ts';
import { createHttpServer } from '../http/server.ts';
import { createVerifier, ephemeralIdentity, loadOrCreateIdentity } from '../identity/identity.ts';
import { JSONFlowError } from '../lib/errors.ts';
import type { JSONObject, JSONValue } from '../lib/json.ts';
import type { AdapterHealth } from '../ports/adapter.ts';
import type { Assets } from '../ports/assets.ts';
import type { Egress } from '../ports/egress.ts';
import type { SignatureVerifier, Signer } from '../ports/signer.ts';
import type { Store } from '../ports/store.ts';
import type { Listener } from '../ports/transport.ts';
import type { Vault } from '../ports/vault.ts';
import { limits } from '../protocol/limits.ts';
import type { StepTypeManifest } from '../protocol/messages.ts';
import type { Bundle, TrustFile } from '../protocol/receipt.ts';
import type { DistributedResult, NetworkStatus, Receipt } from '../protocol/result.ts';
import { MemoryStore } from '../store/memory/memory-store.ts';
import { SqliteStore } from '../store/sqlite/sqlite-store.ts';
import { memoryTransport } from '../transport/memory/memory-transport.ts';
import { wsTransport } from '../transport/ws/ws-transport.ts';
import { AdapterRegistry, type AdapterSource } from '../worker/registry.ts';
import { Uplink, type UplinkState } from '../worker/uplink.ts';
import { Worker } from '../worker/worker.ts';
import { builtInRequirements, chosenAdapters } from './adapters.ts';
import { AssetFolders, ownModules } from './asset-folders.ts';
import { type EngineConfig, type NodeSettings, settingsOf, workerName } from './config.ts';
import { gpuLabels } from './devices.ts';
import { ReceiptStore } from './receipt-store.ts';
import { type ReplayReport, replayBundle } from './replay.ts';
import { systemClock, systemRandom } from './system.ts';
import { sourcesFor } from './triggers.ts';
import { defaultVault } from './vault.ts';

export type { EngineConfig } from './config.ts';
export type { ReplayReport } from './replay.ts';

export interface ExecuteOptions {
  /** Aborting it cancels the run; the promise then still resolves, with the cancelled run's result. */
  signal?: AbortSignal;
  idempotencyKey?: string;
}

export interface EngineHealth extends CoordinatorHealth {
  role: 'coordinator' | 'worker';
  adapters: Record<string, AdapterHealth>;
}

type DistributedEngineEvents = EngineEvents & {
  /** A worker's connection to its coordinator. */
  connection: [state: UplinkState];
};

/** How long an adapter may take to stop once it is told to. */
const stopGraceMs = 2_000;
/** How long a closing node lets its steps end before it hands them back. */
const closeGraceMs = 5_000;
/** How long requests under way may still take when it has closed its doors. */
const requestGraceMs = 500;

/** What exists while the engine runs. */
interface Running {
  signer: Signer;
  verifier: SignatureVerifier;
  worker: Worker;
  vault: Vault;
  coordinator?: {
    api: Coordinator;
    store: Store;
    local: Listener | undefined;
    server: Server | undefined;
    listener: Listener | undefined;
  };
  uplink?: Uplink;
}

/**
 * A node: a coordinator, embedded or listening for workers, or a worker.
 *
 * @example
 * const engine = new DistributedEngine({ nodeId: 'coordinator-1', role: 'coordinator' });
 * const result = await engine.execute({ workflow: 'hello', steps: [{ id: 'a', type: 'mock_compute', params: { input: 42 } }] });
 * await engine.close();
 */
export class DistributedEngine extends EventEmitter<DistributedEngineEvents> {
  readonly #settings: NodeSettings;
  readonly #registry = new AdapterRegistry();
  readonly #egress: Egress;
  readonly #assets: Assets;
  /** Which run a list of receipts came from, so that `replay(result.receipts)` finds the rest of it. */
  readonly #runOfReceipts = new WeakMap<readonly Receipt[], string>();
  #catalogue: ReadonlyMap<string, StepTypeManifest>;
  #nodeId: string | undefined;
  #running: Running | undefined;
  #starting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #lastRunId: string | undefined;
  /** Holds the process while there is something to wait for: timers, such as that before a retry or a new try to connect, don't. */
  #hold: NodeJS.Timeout | undefined;

  /** @throws JSONFlowError INVALID_CONFIG */
  constructor(config: EngineConfig = {}) {
    super();
    this.#settings = settingsOf(config);
    this.#egress = createEgress(config.egress);
    this.#assets = new AssetFolders([...(config.assets ?? []), ownModules]);
    for (const adapter of chosenAdapters(config.capabilities?.adapters, {
      egress: this.#egress,
      assets: this.#assets,
      resources: config.capabilities?.resources,
    }))
      this.#registry.register(adapter, { builtIn: true });
    for (const adapter of config.adapters ?? []) this.#registry.register(adapter);
    this.#catalogue = this.#registry.stepTypes();
    this.#nodeId = this.#settings.nodeId;
    this.on('workflow:completed', ({ run_id }) => {
      this.#lastRunId = run_id;
    });
    this.on('workflow:failed', ({ run_id }) => {
      this.#lastRunId = run_id;
    });
  }

  /** The node's name. A worker that was given none has one once it has started. */
  get nodeId(): string {
    return this.#nodeId ?? 'worker';
  }

  /** Where workers connect to; undefined where the engine does not listen. */
  get url(): string | undefined {
    return this.#running?.coordinator?.listener?.url;
  }

  get httpUrl(): string | undefined {
    return this.url?.replace(/^ws/, 'http').replace(/\/ws$/, '');
  }

  /** What the HTTP API serves. @throws JSONFlowError CLOSED before `start`, INVALID_CONFIG on a worker */
  get api(): CoordinatorApi {
    return this.#coordinator();
  }

  /** Receipts of ended runs, by step. */
  get receiptStore(): ReceiptStore {
    const { verifier } = this.#started();
    return new ReceiptStore((runId = this.#lastRunId) => {
      if (runId === undefined)
        throw new JSONFlowError('NOT_FOUND', 'no run has ended here yet', { hint: 'Name a run.' });
      return this.#coordinator().bundle(runId);
    }, verifier);
  }

  /**
   * Starts the node: idempotent, and called by `execute` where it has not been. A worker resolves once its coordinator has welcomed
   * it; if the connection breaks later, it comes back by itself.
   * @throws JSONFlowError INVALID_CONFIG, STORE_FAILED, STORE_CORRUPT, NODE_REFUSED, NOT_TRUSTED
   */
  start(): Promise<void> {
    if (this.#closing !== undefined) return Promise.reject(new JSONFlowError('CLOSED', 'the engine is closed'));
    this.#starting ??= this.#start();
    return this.#starting;
  }

  /**
   * Closes the node: idempotent. Steps that run here get a few seconds to end and are then handed back; runs stay in the journal
   * and go on at the next start.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /**
   * Runs a workflow to its end. A run that fails resolves too, with `status: 'failed'` and the cause in `error`.
   * @param workflow an object, or JSON source
   * @param input the run's `$input`; default `{}`
   * @throws JSONFlowError INVALID_WORKFLOW (a ValidationError with all problems), INVALID_INPUT, CONFLICT, OVERLOADED,
   *   NOT_AVAILABLE_YET, CLOSED
   */
  async execute(workflow: unknown, input?: JSONValue, options: ExecuteOptions = {}): Promise<DistributedResult> {
    const { signal, idempotencyKey } = options;
    signal?.throwIfAborted();
    await this.start();
    const api = this.#coordinator();
    const { run_id } = await api.submit({
      workflow,
      ...(input === undefined ? {} : { input }),
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    });
    const onAbort = () => void api.cancel(run_id, 'cancelled by the caller').catch(() => undefined);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    try {
      const result = await api.wait(run_id);
      this.#runOfReceipts.set(result.receipts, run_id);
      return result;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Registers a custom adapter, before or after `start`. @throws JSONFlowError INVALID_CONFIG, CONFLICT */
  registerAdapter(adapter: AdapterSource): void {
    this.#registry.register(adapter);
    this.#catalogue = this.#registry.stepTypes();
    this.#running?.worker.announce();
  }

  /** Part of the market, which this release does not have yet. @throws JSONFlowError NOT_AVAILABLE_YET */
  advertise(_resources: Record<string, unknown>): void {
    throw notYet('advertise');
  }

  /** Part of the market, which this release does not have yet. @throws JSONFlowError NOT_AVAILABLE_YET */
  async bidForResources(_requirements: Record<string, unknown>): Promise<never> {
    throw notYet('bidForResources');
  }

  /** All nodes and what they offer. @throws JSONFlowError CLOSED, INVALID_CONFIG on a worker */
  getNetworkStatus(): NetworkStatus {
    return this.#coordinator().network();
  }

  /** @throws JSONFlowError CLOSED, INVALID_CONFIG on a worker */
  getStats(): CoordinatorStats {
    return this.#coordinator().stats();
  }

  async healthCheck(): Promise<EngineHealth> {
    const adapters = await this.#registry.health();
    const { role } = this.#settings;
    const running = this.#running;
    if (running?.coordinator !== undefined) return { ...(await running.coordinator.api.health()), role, adapters };
    const up = running?.worker.connected === true;
    return {
      status: up ? 'ok' : running === undefined ? 'failed' : 'degraded',
      timestamp: new Date().toISOString(),
      checks: {
        coordinator: up ? { status: 'ok' } : { status: 'failed', message: 'not connected' },
      },
      role,
      adapters,
    };
  }

  /**
   * Runs the deterministic steps of a run again and compares what comes out with the receipts.
   * @param source a bundle; or a result of this engine, or its `receipts`
   * @param options.trust keys of the signers to accept; without it, steps of a foreign bundle that need secrets are skipped
   * @throws JSONFlowError BAD_EVIDENCE, NOT_FOUND
   */
  async replay(
    source: Bundle | DistributedResult | readonly Receipt[],
    options: { trust?: TrustFile } = {},
  ): Promise<ReplayReport> {
    await this.start();
    const { coordinator, vault } = this.#started();
    const own = !('jsonflow_bundle' in source);
    return replayBundle(await this.#bundleFrom(source), {
      registry: this.#registry,
      vault,
      stopGraceMs,
      own,
      blob: async (digest) =>
        (await coordinator?.store.getBlob(digest)) ?? (await (await this.#assets.find(`sha256:${digest}`))?.read()),
      ...options,
    });
  }

  async #bundleFrom(source: Bundle | DistributedResult | readonly Receipt[]): Promise<Bundle> {
    if ('jsonflow_bundle' in source) return source;
    const runId = 'run_id' in source ? source.run_id : this.#runOfReceipts.get(source);
    if (typeof runId === 'string') return this.#coordinator().bundle(runId);
    throw new JSONFlowError('NOT_FOUND', 'these receipts do not tell which run they belong to', {
      hint: 'Pass the bundle of the run, its result, or the very receipts of a result that this engine gave.',
    });
  }

  /** Of a node that offers its GPUs. */
  #gpuLabels(): Record<string, string> {
    return this.#registry.lookup('gpu_compute') === undefined ? {} : gpuLabels();
  }

  async #start(): Promise<void> {
    const settings = this.#settings;
    const { dataDir } = settings;
    if (dataDir !== false) await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const signer = dataDir === false ? ephemeralIdentity() : await loadOrCreateIdentity(dataDir);
    this.#nodeId ??= workerName(signer.keyId);
    const vault = settings.vault ?? defaultVault(dataDir);
    const verifier = createVerifier();
    const { capabilities } = settings;
    const worker = new Worker(
      {
        slots: settings.slots,
        resources: capabilities?.resources ?? {},
        labels: { ...this.#gpuLabels(), ...capabilities?.labels },
        backends: capabilities?.backends ?? [],
        ...(settings.token === undefined ? {} : { token: settings.token }),
        ...(settings.coordinatorKeyId === undefined ? {} : { coordinatorKeyId: settings.coordinatorKeyId }),
      },
      {
        nodeId: this.#nodeId,
        signer,
        verifier,
        clock: systemClock,
        random: systemRandom,
        vault,
        registry: this.#registry,
        stopGraceMs,
      },
    );
    this.#running = { signer, verifier, vault, worker };
    try {
      if (settings.role === 'coordinator') await this.#startCoordinator(this.#running);
      else await this.#startWorker(this.#running, settings.connect ?? '');
    } catch (thrown) {
      await this.#release();
      throw thrown;
    }
  }

  async #startCoordinator(running: Running): Promise<void> {
    const settings = this.#settings;
    const { dataDir, synchronous = 'full' } = settings;
    const store = dataDir === false ? new MemoryStore() : await SqliteStore.open(dataDir, { synchronous });
    const api = new Coordinator(this.#coordinatorConfig(), {
      store,
      signer: running.signer,
      verifier: running.verifier,
      clock: systemClock,
      random: systemRandom,
      joinTokens: settings.token === undefined ? [] : [settings.token],
      catalogue: () => this.#catalogue,
      requirements: ({ id, type, params = {} }) => {
        const step = { id, type, params: params as JSONObject };
        return this.#registry.lookup(type) === undefined
          ? builtInRequirements(step)
          : this.#registry.requirements(step);
      },
      assets: this.#assets,
      sources: sourcesFor(settings.capabilities?.adapters, { egress: this.#egress, vault: running.vault }),
    });
    running.coordinator = { api, store, local: undefined, server: undefined, listener: undefined };
    for (const name of engineEventNames)
      api.emitter.on(name, (...args: unknown[]) => this.emit(name, ...(args as never)));
    const hold = () => {
      // The event of a run's end may come after all has been released: nobody would let go again.
      if (this.#closing !== undefined && this.#running === undefined) return;
      this.#holdProcess(api.underWay > 0 || this.#closing !== undefined);
    };
    for (const name of ['workflow:started', 'workflow:completed', 'workflow:failed'] as const)
      api.emitter.on(name, hold);
    const local = memoryTransport();
    const listener = await local.listen((connection) => void api.accept(connection));
    running.coordinator.local = listener;
    await api.start(async () => running.worker.join(await local.connect(listener.url)));
    hold();
    if (settings.port !== undefined) await this.#listen(running.coordinator, settings.port);
  }

  #coordinatorConfig(): CoordinatorConfig {
    const { capabilities, localSteps = 'auto', port, coordinator } = this.#settings;
    return {
      ...coordinatorDefaults,
      // Where nobody can join, nothing is to be waited for.
      ...(port === undefined ? { unschedulableAfterMs: 0 } : {}),
      ...(capabilities?.max_concurrent_workflows === undefined
        ? {}
        : { runsActiveMax: capabilities.max_concurrent_workflows }),
      ...coordinator,
      nodeId: this.nodeId,
      localSteps,
    };
  }

  async #listen(coordinator: NonNullable<Running['coordinator']>, port: number): Promise<void> {
    const { tls, apiTokens, apiTokensOnLoopback = false, host } = this.#settings;
    const { api } = coordinator;
    const metrics = createMetrics(api);
    this.#measure(api, metrics);
    const server = createHttpServer({
      api,
      metrics,
      ...(tls?.cert === undefined || tls.key === undefined
        ? {}
        : { tls: { cert: tls.cert, key: tls.key, ...(tls.ca === undefined ? {} : { ca: tls.ca }) } }),
      ...(apiTokens === undefined ? {} : { access: { tokens: apiTokens, tokenOnLoopback: apiTokensOnLoopback } }),
    }) as Server;
    coordinator.server = server;
    coordinator.listener = await wsTransport({ server, host }).listen((connection) => void api.accept(connection));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => reject(listenError(cause, host, port)));
      server.listen(port, host, resolve);
    });
  }

  #holdProcess(hold: boolean): void {
    if (hold) this.#hold ??= setInterval(() => undefined, 60_000);
    else {
      clearInterval(this.#hold);
      this.#hold = undefined;
    }
  }

  #measure({ emitter }: Coordinator, metrics: Metrics): void {
    emitter.on('step:completed', ({ latency }) => metrics.stepEnded('success', latency));
    emitter.on('step:failed', ({ final, latency }) => metrics.stepEnded(final ? 'failed' : 'retrying', latency));
    const ended = ({ status, stats }: DistributedResult): void => {
      if (status !== 'running') metrics.runEnded(status, stats.total_time_ms);
    };
    emitter.on('workflow:completed', ended);
    emitter.on('workflow:failed', ended);
  }

  async #startWorker(running: Running, url: string): Promise<void> {
    const { tls, insecure = false } = this.#settings;
    running.uplink = new Uplink(
      {
        url,
        handshakeTimeoutMs: limits.handshakeTimeoutMs,
        onState: (state) => this.emit('connection', state),
      },
      {
        worker: running.worker,
        transport: wsTransport({ insecure, ...(tls === undefined ? {} : { tls }) }),
        clock: systemClock,
        random: systemRandom,
      },
    );
    this.#holdProcess(true);
    await running.uplink.start();
  }

  async #close(): Promise<void> {
    // A worker that has not reached its coordinator yet tries on until it is told to stop.
    this.#running?.uplink?.close();
    await this.#starting?.catch(() => undefined);
    await this.#release();
    await this.#registry.close();
  }

  async #release(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#holdProcess(true);
    running.uplink?.close();
    const { coordinator } = running;
    // First nothing new, then what runs here ends or is handed back, then the doors are closed.
    coordinator?.api.drain();
    // Runs that are in memory alone end here.
    const isLast = coordinator !== undefined && this.#settings.dataDir === false;
    await running.worker.close(closeGraceMs, isLast ? 'STEP_CANCELLED' : 'CLOSED');
    await coordinator?.listener?.close();
    if (coordinator?.server?.listening === true) {
      const { server } = coordinator;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      // The connection of who has followed a run stays open after the stream has ended, for as long as the client likes.
      const cut = setTimeout(() => server.closeAllConnections(), requestGraceMs);
      await closed;
      clearTimeout(cut);
    }
    await coordinator?.api.close();
    await coordinator?.local?.close();
    await coordinator?.store.close();
    this.#running = undefined;
    this.#holdProcess(false);
  }

  #started(): Running {
    if (this.#running !== undefined) return this.#running;
    throw new JSONFlowError('CLOSED', `the engine is ${this.#closing === undefined ? 'not started yet' : 'closed'}`, {
      hint: 'Call start() first, and nothing after close().',
    });
  }

  #coordinator(): Coordinator {
    const { coordinator } = this.#started();
    if (coordinator !== undefined) return coordinator.api;
    throw new JSONFlowError('INVALID_CONFIG', 'this node is a worker; runs belong to its coordinator', {
      hint: 'Ask the coordinator.',
    });
  }
}

const notYet = (method: string): JSONFlowError =>
  new JSONFlowError(
    'NOT_AVAILABLE_YET',
    `${method}() belongs to the resource market, which this release does not have yet`,
  );

function listenError(cause: NodeJS.ErrnoException, host: string, port: number): JSONFlowError {
  const taken = cause.code === 'EADDRINUSE';
  return new JSONFlowError(
    'INVALID_CONFIG',
    `can't listen on ${host}:${port}: ${taken ? 'the port is taken' : cause.message}`,
    {
      hint: taken ? 'Choose another port, or 0 for any free one.' : 'Check host and port.',
      cause,
    },
  );
}
