import { EventEmitter } from 'node:events';
import { summaryOf } from '../core/run/result.ts';
import { Scheduler } from '../core/scheduler/scheduler.ts';
import { JSONFlowError } from '../lib/errors.ts';
import { isoTime } from '../lib/time.ts';
import type { Assets } from '../ports/assets.ts';
import type { Clock, Random } from '../ports/clock.ts';
import type { SignatureVerifier, Signer } from '../ports/signer.ts';
import type { RunRow, Store } from '../ports/store.ts';
import type { Connection } from '../ports/transport.ts';
import type { StepTypeManifest } from '../protocol/messages.ts';
import type { Bundle, PublicKeyEntry, TrustFile } from '../protocol/receipt.ts';
import type { DistributedResult, NetworkStatus, RunSummary } from '../protocol/result.ts';
import { Admission } from './admission.ts';
import type {
  CoordinatorApi,
  CoordinatorHealth,
  CoordinatorStats,
  DeploymentStatus,
  RunsQuery,
  StreamEvent,
  SubmitRequest,
} from './api.ts';
import type { CoordinatorConfig } from './config.ts';
import { Deployments, type DeploymentsDeps } from './deployments.ts';
import type { Emit, EngineEvents } from './events.ts';
import { JoinTokens } from './join-tokens.ts';
import { noSuchRun } from './no-such-run.ts';
import { pinAssets } from './pinned-assets.ts';
import { Records } from './records.ts';
import { Runs } from './runs.ts';
import { checkStartable, Plans, type Requirements, startEvent } from './submission.ts';
import { Values } from './values.ts';

export interface CoordinatorDeps {
  store: Store;
  signer: Signer;
  verifier: SignatureVerifier;
  clock: Clock;
  random: Random;
  /** Shared join tokens; with none, any worker that can connect may join. */
  joinTokens?: readonly string[];
  /** Step types of the product itself, which a workflow may name before a node that offers them has joined. */
  catalogue?: () => ReadonlyMap<string, StepTypeManifest>;
  /** What adapters say that a step needs of a node. Default nothing. */
  requirements?: Requirements;
  /** Files that steps may name. Default none. */
  assets?: Assets | undefined;
  /** Where triggers get their messages from, by type. Default none. */
  sources?: DeploymentsDeps['sources'];
}

type Phase = 'new' | 'running' | 'closing' | 'closed' | 'failed';

/**
 * The coordinator of a cluster: plans and journals runs, gives their steps to nodes, checks the receipts, and concludes. The rules
 * are those of `core/`; here they meet the world.
 */
export class Coordinator implements CoordinatorApi {
  readonly emitter = new EventEmitter<EngineEvents>();
  readonly #config: CoordinatorConfig;
  readonly #deps: CoordinatorDeps;
  readonly #scheduler: Scheduler;
  readonly #values: Values;
  readonly #plans: Plans;
  readonly #tokens: JoinTokens;
  readonly #admission: Admission;
  readonly #self: PublicKeyEntry;
  #records: Records | undefined;
  #runs: Runs | undefined;
  #deployments: Deployments | undefined;
  #phase: Phase = 'new';
  #failure: JSONFlowError | undefined;
  #startedAt = 0;
  #closed: Promise<void> | undefined;

  constructor(config: CoordinatorConfig, deps: CoordinatorDeps) {
    this.#config = config;
    this.#deps = deps;
    this.#scheduler = new Scheduler(config.localSteps);
    this.#values = new Values(deps.store);
    this.#plans = new Plans(deps.requirements);
    this.#tokens = new JoinTokens(deps.joinTokens ?? []);
    this.#admission = new Admission(config, {
      ...deps,
      tokens: this.#tokens,
      isBanned: (nodeId) => this.#runs?.members.isBanned(nodeId) ?? false,
    });
    const { keyId, publicKey } = deps.signer;
    this.#self = { node_id: config.nodeId, key_id: keyId, public_key: publicKey };
  }

  /**
   * Takes a new epoch and goes on with every unfinished run.
   * @param join lets the coordinator's own worker join before the runs go on, so that none finds itself without any node
   * @throws JSONFlowError STORE_FAILED, STORE_CORRUPT, CONFLICT
   */
  async start(join?: () => Promise<void>): Promise<void> {
    const { store, clock } = this.#deps;
    this.#startedAt = clock.now();
    const epoch = await store.acquireEpoch();
    await store.enrol(this.#self);
    this.#records = new Records(this.#config, { store, values: this.#values, plans: this.#plans, clock });
    this.#runs = new Runs(this.#config, epoch, {
      ...this.#deps,
      scheduler: this.#scheduler,
      values: this.#values,
      plans: this.#plans,
      records: this.#records,
      emit: this.#emit,
      failed: (error) => this.#fail(error),
    });
    this.#phase = 'running';
    await join?.();
    await this.#runs.recover();
    // It may have failed meanwhile: another coordinator has taken over, and its triggers with it.
    this.#running();
    this.#deployments = new Deployments({
      store,
      clock,
      sources: this.#deps.sources ?? {},
      submit: (request) => this.submit(request),
      ending: (runId) => this.#runs?.ending(runId),
    });
    await this.#deployments.recover();
  }

  /** A worker has connected. */
  async accept(connection: Connection): Promise<void> {
    if (this.#phase !== 'running') return connection.destroy();
    const runs = this.#running();
    const admitted = await this.#admission.admit(connection, runs.epoch);
    if (admitted === undefined) return;
    if (this.#phase !== 'running') return connection.destroy();
    await runs.members.welcome(admitted, runs.epoch);
  }

  async submit(request: SubmitRequest): Promise<{ run_id: string; created: boolean }> {
    const runs = this.#running();
    const plan = await this.#plans.prepared(this.#plans.checked(request.workflow, runs.stepTypes()));
    const { assets, clock, store } = this.#deps;
    const shared = request.tenantId === undefined && plan.workflow.tenant_id === undefined;
    const pinned = () => pinAssets(plan, runs.stepTypes(), { assets, store, shared });
    const started = await startEvent(request, plan, this.#values, clock.now(), pinned);
    const { idempotency_key: key, tenant_id: tenantId } = started;
    if (key !== undefined) {
      const earlier = await this.#deps.store.byIdempotencyKey(tenantId, key);
      if (earlier !== undefined) return this.#earlierRun(earlier, plan.digest, started.input_digest);
    }
    try {
      return { run_id: await runs.begin(started, plan, request.claims), created: true };
    } catch (thrown) {
      // Another submission with the same key was a moment faster.
      const earlier = key === undefined ? undefined : await this.#deps.store.byIdempotencyKey(tenantId, key);
      if (earlier === undefined) throw thrown;
      return this.#earlierRun(earlier, plan.digest, started.input_digest);
    }
  }

  async #earlierRun(
    earlier: RunRow,
    digest: string,
    inputDigest: string,
  ): Promise<{ run_id: string; created: boolean }> {
    const [started] = await this.#deps.store.read(earlier.run_id, 0, 1);
    const same =
      started?.kind === 'run.started' && started.workflow_digest === digest && started.input_digest === inputDigest;
    if (same) return { run_id: earlier.run_id, created: false };
    throw new JSONFlowError(
      'CONFLICT',
      `the idempotency key belongs to run ${earlier.run_id} of another workflow or input`,
      {
        hint: 'Use a new key for a new run.',
      },
    );
  }

  async deploy(workflow: unknown): Promise<DeploymentStatus> {
    const plan = this.#plans.checked(workflow, this.#running().stepTypes());
    checkStartable(plan);
    return this.#triggering().deploy({
      tenant_id: plan.workflow.tenant_id ?? null,
      name: plan.workflow.workflow,
      workflow: plan.workflow,
      workflow_digest: plan.digest,
      deployed_at: this.#deps.clock.now(),
    });
  }

  async undeploy(name: string, tenantId?: string): Promise<void> {
    if (await this.#triggering().undeploy(tenantId ?? null, name)) return;
    throw new JSONFlowError('NOT_FOUND', `no workflow ${name} is deployed here`, {
      hint: 'See jsonflow deployments for those that are, and their tenants.',
    });
  }

  async deployments(): Promise<DeploymentStatus[]> {
    return this.#triggering().list();
  }

  async cancel(runId: string, why = 'cancelled by request'): Promise<boolean> {
    const cancelled = await this.#running().cancel(runId, why);
    if (cancelled) return true;
    await this.#known(runId);
    return false;
  }

  async result(runId: string): Promise<DistributedResult> {
    const live = this.#running().active(runId);
    if (live !== undefined) return this.#running().resultSoFar(live);
    return this.#history().result(runId);
  }

  async wait(runId: string, signal?: AbortSignal): Promise<DistributedResult> {
    const runs = this.#running();
    signal?.throwIfAborted();
    const ending = runs.ending(runId);
    if (ending === undefined) {
      await this.#known(runId);
      const result = await this.#history().result(runId);
      if (result.status !== 'running') return result;
      // It ended, or began, between the two looks.
      return runs.ending(runId) === undefined ? this.#history().result(runId) : this.wait(runId, signal);
    }
    if (signal === undefined) return ending;
    const aborted = Promise.withResolvers<never>();
    const onAbort = () => aborted.reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([ending, aborted.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async runs(query: RunsQuery): Promise<{ runs: RunSummary[]; cursor?: string }> {
    const runs = this.#running();
    const { rows, cursor } = await this.#deps.store.runs(query);
    const summaries = rows.map((row) => {
      const live = runs.active(row.run_id);
      return live === undefined ? summaryOfRow(row) : summaryOf(live.state);
    });
    return cursor === undefined ? { runs: summaries } : { runs: summaries, cursor };
  }

  async *events(runId: string, options: { fromSeq?: number; signal?: AbortSignal } = {}): AsyncGenerator<StreamEvent> {
    await this.#known(runId);
    yield* this.#running().feeds.read(runId, options.fromSeq ?? 0, options.signal);
  }

  async bundle(runId: string): Promise<Bundle> {
    const live = this.#running().active(runId);
    if (live !== undefined) throw this.#unfinished(runId);
    return this.#history().bundle(runId);
  }

  network(): NetworkStatus {
    const runs = this.#running();
    return { coordinator: this.#config.nodeId, epoch: runs.epoch, nodes: runs.members.status() };
  }

  async trust(): Promise<TrustFile> {
    const keys = await this.#deps.store.enrolled();
    return {
      jsonflow_trust: 1,
      keys: keys.map((key) => ({
        ...key,
        roles: key.key_id === this.#self.key_id ? ['coordinator', 'worker'] : ['worker'],
      })),
    };
  }

  createJoinToken(ttlMs: number = Number.POSITIVE_INFINITY): { token: string; expires_at: string } {
    this.#running();
    const { random, clock } = this.#deps;
    const { token, expires_at } = this.#tokens.create(random.bytes(32), clock.now(), ttlMs);
    return { token, expires_at: isoTime(expires_at) };
  }

  async health(): Promise<CoordinatorHealth> {
    const timestamp = isoTime(this.#deps.clock.now());
    if (this.#phase !== 'running' || this.#runs === undefined) {
      const message = this.#failure?.message ?? `the coordinator is ${this.#phase}`;
      return { status: 'failed', timestamp, checks: { coordinator: { status: 'failed', message } } };
    }
    const { connected, suspected } = this.#runs.members.counts();
    const nodes: CoordinatorHealth['checks'][string] =
      suspected === 0
        ? { status: 'ok', message: `${connected} connected` }
        : { status: 'degraded', message: `${suspected} of ${connected + suspected} nodes do not answer` };
    const lost = this.#deployments?.unreadable;
    const [damaged] = this.#runs.unreadable;
    const store: CoordinatorHealth['checks'][string] =
      damaged === undefined
        ? { status: 'ok' }
        : { status: 'degraded', message: `run ${damaged[0]} can't go on: ${damaged[1].message}` };
    const deployments: CoordinatorHealth['checks'][string] =
      lost === undefined ? { status: 'ok' } : { status: 'degraded', message: `no trigger runs: ${lost.message}` };
    const checks = { coordinator: { status: 'ok' as const }, store, nodes, deployments };
    const status = [nodes, store, deployments].every((check) => check.status === 'ok') ? 'ok' : 'degraded';
    return { status, timestamp, checks };
  }

  /** Runs that go on or wait for their turn. */
  get underWay(): number {
    return this.#phase === 'running' ? (this.#runs?.underWay ?? 0) : 0;
  }

  stats(): CoordinatorStats {
    return this.#running().stats(this.#startedAt);
  }

  /**
   * The first half of closing: accepts nothing more, places nothing more, gives up nobody. Nodes may still hand in what they have.
   */
  drain(): void {
    if (this.#phase !== 'running') return;
    this.#phase = 'closing';
    void this.#deployments?.close();
    this.#runs?.drain();
  }

  /**
   * Stops without losing anything: nothing new starts, what is under way on other nodes goes on there, and the journal is
   * written. The next start goes on from here. Idempotent.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.drain();
    await this.#deployments?.close();
    await this.#runs?.close(this.#phase === 'failed');
    this.#phase = 'closed';
  }

  #fail(error: JSONFlowError): void {
    if (this.#phase !== 'running') return;
    this.#phase = 'failed';
    this.#failure = error;
    void this.#deployments?.close();
    this.#emit('fatal', error);
  }

  /** A listener that throws is its owner's affair: it surfaces as an uncaught error, not in the middle of a run. */
  readonly #emit: Emit = (name, ...args) => {
    try {
      this.emitter.emit(name, ...(args as never));
    } catch (thrown) {
      queueMicrotask(() => {
        throw thrown;
      });
    }
  };

  #running(): Runs {
    if (this.#phase === 'running' && this.#runs !== undefined) return this.#runs;
    if (this.#failure !== undefined)
      throw new JSONFlowError('CLOSED', `the coordinator has stopped: ${this.#failure.message}`, {
        hint: 'Mend the cause and start it again; nothing acknowledged is lost.',
        cause: this.#failure,
      });
    throw new JSONFlowError('CLOSED', `the coordinator is ${this.#phase === 'new' ? 'not started yet' : 'closed'}`, {
      hint: 'Call start() first, and nothing after close().',
    });
  }

  #triggering(): Deployments {
    this.#running();
    if (this.#deployments === undefined) throw new JSONFlowError('CLOSED', 'the coordinator is not started yet');
    return this.#deployments;
  }

  #history(): Records {
    this.#running();
    if (this.#records === undefined) throw new JSONFlowError('CLOSED', 'the coordinator is not started yet');
    return this.#records;
  }

  async #known(runId: string): Promise<RunRow> {
    const row = await this.#deps.store.run(runId);
    if (row === undefined) throw noSuchRun(runId);
    return row;
  }

  #unfinished(runId: string): JSONFlowError {
    return new JSONFlowError('CONFLICT', `run ${runId} has not ended yet`, {
      hint: 'Wait until it has, then ask for its bundle.',
      retriable: true,
    });
  }
}

const summaryOfRow = (row: RunRow): RunSummary => ({
  run_id: row.run_id,
  workflow: row.workflow,
  status: row.status,
  tenant_id: row.tenant_id,
  started_at: isoTime(row.started_at),
  finished_at: row.finished_at === null ? null : isoTime(row.finished_at),
  steps_total: row.steps_total,
  steps_done: row.status === 'completed' ? row.steps_total : null,
});
