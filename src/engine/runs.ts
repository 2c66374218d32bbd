import { startRun, wake } from '../core/run/fold.ts';
import type { RunState } from '../core/run/state.ts';
import type { Scheduler } from '../core/scheduler/scheduler.ts';
import type { Plan } from '../core/workflow/plan.ts';
import { clip } from '../lib/clip.ts';
import { asError, JSONFlowError } from '../lib/errors.ts';
import type { Clock, Random } from '../ports/clock.ts';
import type { SignatureVerifier, Signer } from '../ports/signer.ts';
import type { Store } from '../ports/store.ts';
import type { RunEvent, RunStarted } from '../protocol/events.ts';
import { limits } from '../protocol/limits.ts';
import type { StepTypeManifest } from '../protocol/messages.ts';
import type { DistributedResult } from '../protocol/result.ts';
import { type ActiveRun, activeRun, demandFor, plannedAt, setTimer } from './active-run.ts';
import { Announcements } from './announcements.ts';
import { Answers } from './answers.ts';
import type { CoordinatorStats } from './api.ts';
import type { CoordinatorConfig } from './config.ts';
import { Dispatcher, isWaiting } from './dispatcher.ts';
import type { Emit } from './events.ts';
import { Feeds } from './feeds.ts';
import { Journal } from './journal.ts';
import { Members } from './members.ts';
import { OwnReceipts } from './own-receipts.ts';
import { Placed } from './placed.ts';
import type { Records } from './records.ts';
import { RunEnd } from './run-end.ts';
import type { Plans } from './submission.ts';
import { UnschedulableWatch } from './unschedulable.ts';
import type { Values } from './values.ts';

interface RunsDeps {
  store: Store;
  signer: Signer;
  verifier: SignatureVerifier;
  clock: Clock;
  random: Random;
  catalogue?: () => ReadonlyMap<string, StepTypeManifest>;
  scheduler: Scheduler;
  values: Values;
  plans: Plans;
  records: Records;
  emit: Emit;
  failed(error: JSONFlowError): void;
}

/** Steps of one run whose reason to wait is shown. */
const waitingShownMax = 100;

/** The runs under way: begins, recovers, drives and concludes them. */
export class Runs {
  readonly epoch: number;
  readonly feeds: Feeds;
  readonly members: Members;
  readonly #config: CoordinatorConfig;
  readonly #deps: RunsDeps;
  readonly #journal: Journal;
  readonly #dispatcher: Dispatcher;
  readonly #answers: Answers;
  readonly #announcements: Announcements;
  readonly #end: RunEnd;
  readonly #unschedulable: UnschedulableWatch;
  readonly #placed = new Placed();
  readonly #active = new Map<string, ActiveRun>();
  /** Durable runs that wait for their turn, in order. */
  readonly #queued = new Set<string>();
  /** Runs whose first event is being written and that will wait then. */
  #arriving = 0;
  /** Runs whose turn has come and whose journal is being read. */
  readonly #reviving = new Map<string, Promise<void>>();
  readonly #endings = new Map<string, PromiseWithResolvers<DistributedResult>>();
  /** Cancellations that are being written. */
  readonly #wishes = new Map<string, PromiseWithResolvers<boolean>>();
  /** Unfinished runs whose journal or input can't be read: the others go on without them. */
  readonly #unreadable = new Map<string, JSONFlowError>();
  readonly #counters = { started: 0, completed: 0, failed: 0, cancelled: 0 };
  #knownTypes: { own: unknown; offered: unknown; all: ReadonlyMap<string, StepTypeManifest> } | undefined;
  #closed = false;

  constructor(config: CoordinatorConfig, epoch: number, deps: RunsDeps) {
    this.#config = config;
    this.#deps = deps;
    this.epoch = epoch;
    this.feeds = new Feeds(deps.store);
    this.#announcements = new Announcements(deps.emit);
    this.#unschedulable = new UnschedulableWatch(deps, config.unschedulableAfterMs, ({ run: runId, step, why }) => {
      const hopeless = this.#active.get(runId);
      if (hopeless === undefined) return;
      const message = `no node can run step ${plannedAt(hopeless.state.plan, step).step.id}: ${why}`;
      void this.#end.failStep(hopeless, step, { code: 'UNSCHEDULABLE', message, retryable: false });
    });
    this.#journal = new Journal(deps.store, epoch, {
      ready: (run, step) => this.#enqueue(run, step),
      turn: () => {
        this.#dispatcher.pump();
        this.#unschedulable.check();
      },
      durable: (run, events) => this.#durable(run, events),
      failed: (error) => this.#fatal(error),
    });
    const { store, clock, random, verifier, scheduler, values, emit } = deps;
    this.members = new Members(
      config,
      { scheduler, clock, store },
      {
        joined: ({ id }) => {
          emit('node:joined', { nodeId: id });
          // It was not there to hear of it.
          for (const { run: held, step } of this.#placed.on(id))
            if (held.state.stopping !== undefined) this.#end.tellToStop(held, step, held.state.stopping.why);
        },
        suspected: ({ id }, why) => emit('node:suspected', { nodeId: id, why }),
        left: ({ id }, why) => {
          for (const { run, step } of [...this.#placed.on(id)])
            this.#answers.lose(run, step, `node ${id} was lost: ${why}`, true);
          emit('node:left', { nodeId: id, why });
        },
        message: (member, message) => this.#answers.receive(member, message),
        forgotten: (holding) => this.#answers.forgotten(holding),
        review: (nodeId, holding, forgotten) => this.#answers.review(nodeId, holding, forgotten),
        reserve: (nodeId) => {
          for (const { run: held, step } of this.#placed.on(nodeId))
            scheduler.reserve(nodeId, demandFor(held.state.plan, step));
        },
        changed: () => this.#journal.schedule(),
      },
    );
    this.#end = new RunEnd(config.cancelGraceMs, {
      scheduler,
      members: this.members,
      clock,
      journal: this.#journal,
      own: new OwnReceipts(config.nodeId, epoch, deps),
      lose: (active, step, why, counts) => this.#answers.lose(active, step, why, counts),
      attemptEnded: (active, step, node) => this.#attemptEnded(active, step, node),
      ended: (active) => this.#ended(active),
      fatal: (error) => this.#fatal(error),
      isClosed: () => this.#closed,
    });
    const run = (runId: string) => this.#active.get(runId);
    this.#dispatcher = new Dispatcher(config, {
      scheduler,
      members: this.members,
      values,
      clock,
      journal: this.#journal,
      run,
      assigned: (active, step, node) => this.#placed.add(node, active, step),
      fail: (active, step, failure, inputDigest) => void this.#end.failStep(active, step, failure, inputDigest),
      hung: (active, step, attempt) => this.#hung(active, step, attempt),
    });
    this.#answers = new Answers({
      clock,
      random,
      verifier,
      store,
      journal: this.#journal,
      members: this.members,
      placed: this.#placed,
      feeds: this.feeds,
      run,
      isUnfinished: (runId) => this.#isUnfinished(runId),
      attemptEnded: (active, step, node) => this.#attemptEnded(active, step, node),
      misbehaved: ({ id }, why) => {
        this.members.misbehaved(id, why);
        emit('node:misbehaved', { nodeId: id, why });
      },
      refused: () => {
        this.#announcements.counters.refused += 1;
      },
    });
  }

  /** Goes on with every unfinished run. */
  async recover(): Promise<void> {
    this.members.start();
    const unfinished = await this.#deps.store.unfinished();
    for (const runId of unfinished) {
      // Steps of a run that has begun may be on nodes that will ask about them: it can't wait, however many there are.
      const begun = await this.#deps.store.read(runId, 1, 1).then(
        (events) => events.length > 0,
        // Damaged; taking it up says so.
        () => true,
      );
      if (begun || this.#hasTurn()) await this.#revive(runId);
      else this.#queued.add(runId);
    }
    this.#journal.schedule();
  }

  active(runId: string): ActiveRun | undefined {
    return this.#active.get(runId);
  }

  /** Why unfinished runs don't go on, by run id. */
  get unreadable(): ReadonlyMap<string, JSONFlowError> {
    return this.#unreadable;
  }

  get underWay(): number {
    return this.#active.size + this.#queued.size;
  }

  /** Step types that a workflow may name: the product's own, which no worker can redefine, and what nodes offer. The same map as long as nothing changed. */
  stepTypes(): ReadonlyMap<string, StepTypeManifest> {
    const own = this.#deps.catalogue?.() ?? new Map<string, StepTypeManifest>();
    const offered = this.members.stepTypes();
    if (this.#knownTypes?.own !== own || this.#knownTypes.offered !== offered)
      this.#knownTypes = { own, offered, all: new Map([...offered, ...own]) };
    return this.#knownTypes.all;
  }

  /** Makes a run durable and begins it. @throws JSONFlowError OVERLOADED, CONFLICT, STORE_FAILED, FENCED */
  async begin(started: RunStarted, plan: Plan, claims?: readonly string[]): Promise<string> {
    const waiting = this.#queued.size + this.#arriving;
    if (waiting >= this.#config.runsQueuedMax)
      throw new JSONFlowError('OVERLOADED', `${waiting} runs wait already`, {
        hint: 'Try again when some have ended.',
        retriable: true,
      });
    const runId = this.#deps.random.runId(started.at);
    const input = await this.#deps.values.load(started.input);
    // Its turn is taken, or not, before anything is awaited: a crowd must not overbook.
    const now = this.#hasTurn() && this.#queued.size === 0;
    this.#endings.set(runId, Promise.withResolvers());
    if (!now) this.#arriving += 1;
    const ready: number[] = [];
    const run = activeRun(
      startRun(runId, started, plan, (step) => ready.push(step)),
      input,
    );
    if (now) this.#active.set(runId, run);
    try {
      const append = { run_id: runId, seq: 0, epoch: this.epoch, events: [started] };
      await this.#deps.store.append(claims === undefined ? append : { ...append, claims });
    } catch (thrown) {
      this.#active.delete(runId);
      this.#endings.delete(runId);
      // The journal would find out at its next event; until then everything else would seem well.
      if (thrown instanceof JSONFlowError && (thrown.code === 'STORE_FAILED' || thrown.code === 'FENCED'))
        this.#fatal(thrown);
      throw thrown;
    } finally {
      if (!now) this.#arriving -= 1;
    }
    // Only now: its turn may come at once, and then its journal is read.
    if (!now) this.#queued.add(runId);
    this.#counters.started += 1;
    this.#deps.emit('workflow:started', started.workflow.workflow, { runId });
    if (now) {
      for (const step of ready) this.#enqueue(run, step);
    } else this.#startQueued();
    return runId;
  }

  /** Resolves when the run has ended; undefined where it is not under way. */
  ending(runId: string): Promise<DistributedResult> | undefined {
    if (!this.#isUnfinished(runId)) return undefined;
    const known = this.#endings.get(runId);
    if (known !== undefined) return known.promise;
    const ending = Promise.withResolvers<DistributedResult>();
    this.#endings.set(runId, ending);
    return ending.promise;
  }

  /** False where the run is not under way. Resolves when the wish is durable. @throws JSONFlowError why the coordinator stopped meanwhile */
  async cancel(runId: string, stated: string): Promise<boolean> {
    const why = clip(stated, limits.errorLengthMax);
    const known = this.#wishes.get(runId);
    if (known !== undefined) return known.promise;
    // A run that waits is told before anything of it starts.
    let wish: Promise<boolean> | undefined;
    const first = (run: ActiveRun): void => {
      wish = this.#wish(run, why);
    };
    await (this.#queued.has(runId) ? this.#revive(runId, first) : this.#reviving.get(runId));
    if (wish !== undefined) return wish;
    const run = this.#active.get(runId);
    if (run === undefined || run.concluding) return false;
    if (run.state.stopping?.by === 'cancel') return true;
    return this.#wish(run, why);
  }

  #wish(run: ActiveRun, why: string): Promise<boolean> {
    const { runId } = run.state;
    const wish = Promise.withResolvers<boolean>();
    this.#wishes.set(runId, wish);
    this.#journal.emit(run, { kind: 'run.cancelling', at: this.#deps.clock.now(), why }, () => {
      this.#wishes.delete(runId);
      wish.resolve(true);
    });
    return wish.promise;
  }

  #isUnfinished(runId: string): boolean {
    return this.#active.has(runId) || this.#queued.has(runId) || this.#reviving.has(runId);
  }

  #hasTurn(): boolean {
    return this.#active.size + this.#reviving.size < this.#config.runsActiveMax;
  }

  async resultSoFar(run: ActiveRun): Promise<DistributedResult> {
    const result = await this.#deps.records.resultOf(run.state);
    const waiting = Object.fromEntries(
      [...this.#deps.scheduler.waiting(run.state.runId, waitingShownMax)].map(({ step, why }) => [
        plannedAt(run.state.plan, step).step.id,
        why,
      ]),
    );
    return Object.keys(waiting).length === 0 || result.status !== 'running' ? result : { ...result, waiting };
  }

  stats(startedAt: number): CoordinatorStats {
    let running = 0;
    for (const run of this.#active.values()) running += run.state.counts.assigned;
    return {
      node_id: this.#config.nodeId,
      epoch: this.epoch,
      uptime_ms: this.#deps.clock.now() - startedAt,
      runs: { active: this.#active.size, queued: this.#queued.size, ...this.#counters },
      steps: { ready: this.#deps.scheduler.readyCount, running, ...this.#announcements.counters },
      nodes: this.members.counts(),
      journal: this.#deps.store.stats(),
    };
  }

  /** Nothing new starts, and nobody is given up; what runs may still end, and be journaled. */
  drain(): void {
    this.#dispatcher.stop();
    this.#unschedulable.stop();
    this.members.freeze();
  }

  async close(failed: boolean): Promise<void> {
    if (!failed) await this.#journal.settled();
    this.#stop(new JSONFlowError('CLOSED', 'the coordinator was closed; the run goes on when it starts again'));
  }

  /** Nothing can go on: the store failed, or a newer coordinator has taken over. */
  #fatal(error: JSONFlowError): void {
    this.#stop(error);
    this.#deps.failed(error);
  }

  #stop(error: JSONFlowError): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#journal.stop();
    this.#unschedulable.stop();
    this.members.close(error.message);
    for (const run of this.#active.values()) for (const stop of run.timers.values()) stop();
    for (const waiting of [...this.#endings.values(), ...this.#wishes.values()]) {
      waiting.promise.catch(() => undefined);
      waiting.reject(error);
    }
    this.#endings.clear();
    this.#wishes.clear();
    this.#active.clear();
  }

  #enqueue(run: ActiveRun, step: number): void {
    if (!isWaiting(run, step)) return;
    this.#deps.scheduler.enqueue({ run: run.state.runId, step, demand: demandFor(run.state.plan, step) });
    this.#journal.schedule();
  }

  /** Takes a run up from its journal: after a restart, or because its turn has come. `first` comes before its steps. */
  #revive(runId: string, first?: (run: ActiveRun) => void): Promise<void> {
    this.#queued.delete(runId);
    const revival = this.#takeUp(runId, first)
      .catch((thrown: unknown) => this.#setAside(runId, asError(thrown)))
      .finally(() => this.#reviving.delete(runId));
    this.#reviving.set(runId, revival);
    return revival;
  }

  /** One damaged run must not stop the rest. Anything but damage stops the coordinator. */
  #setAside(runId: string, error: JSONFlowError): void {
    if (error.code !== 'STORE_CORRUPT' && error.code !== 'NOT_FOUND') return this.#fatal(error);
    this.#unreadable.set(runId, error);
    const ending = this.#endings.get(runId);
    this.#endings.delete(runId);
    ending?.promise.catch(() => undefined);
    ending?.reject(error);
    this.#startQueued();
  }

  async #takeUp(runId: string, first: ((run: ActiveRun) => void) | undefined): Promise<void> {
    const state = await this.#deps.records.load(runId);
    const run = activeRun(state, await this.#deps.values.load(state.started.input));
    const enrolled = await this.#deps.store.enrolled();
    if (this.#closed || state.ended !== undefined || this.#active.has(runId)) return;
    this.#active.set(runId, run);
    first?.(run);
    const keys = new Map(enrolled.map((key) => [key.node_id, key]));
    const gone: number[] = [];
    for (const [step, { state: at }] of state.steps.entries()) {
      if (at.kind === 'ready') this.#enqueue(run, step);
      if (at.kind === 'backoff') this.#wakeAt(run, step, at.until);
      if (at.kind !== 'assigned') continue;
      this.#placed.add(at.node, run, step);
      this.#deps.scheduler.reserve(at.node, demandFor(state.plan, step));
      const key = keys.get(at.node);
      // What ran in this process before is gone with it; a node that has come back already was told to drop what nobody knew of.
      if (at.node === this.#config.nodeId || key === undefined || this.members.get(at.node)?.connection !== undefined) {
        gone.push(step);
        continue;
      }
      this.members.expect(key);
      this.#dispatcher.watch(run, step, at.attempt, at.at);
    }
    for (const step of gone)
      this.#answers.lose(run, step, 'the coordinator restarted, and nobody runs the step any more', true);
    if (state.stopping !== undefined) this.#end.stopSteps(run);
    this.#end.concludeIfSettled(run);
  }

  /** What follows from events once they are durable. */
  #durable(run: ActiveRun, events: readonly RunEvent[]): void {
    for (const event of events) {
      this.#announcements.announce(run, event);
      if (event.kind === 'step.retrying')
        this.#wakeAt(run, run.state.plan.byId.get(event.step)?.index ?? -1, event.retry_at);
    }
    this.feeds.grown(run.state.runId);
    if (run.state.stopping !== undefined) this.#end.stopSteps(run);
    this.#end.concludeIfSettled(run);
  }

  #wakeAt(run: ActiveRun, step: number, until: number): void {
    const wait = Math.max(0, until - this.#deps.clock.now());
    const stop = this.#deps.clock.timer(wait, () => {
      if (run.state.stopping === undefined) wake(run.state, step, (ready) => this.#enqueue(run, ready));
    });
    setTimer(run, `wake ${step}`, stop);
  }

  #attemptEnded(run: ActiveRun, step: number, node: string): void {
    this.#dispatcher.attemptEnded(run, step);
    this.#placed.delete(node, run, step);
    this.#deps.scheduler.release(node, demandFor(run.state.plan, step));
    this.#journal.schedule();
  }

  #hung(run: ActiveRun, step: number, attempt: number): void {
    const state = run.state.steps[step]?.state;
    if (state?.kind !== 'assigned' || state.attempt !== attempt) return;
    this.#end.tellToStop(run, step, 'the step ran into its time-out');
    this.#answers.lose(run, step, `node ${state.node} gave no answer within the step's time-out`, true);
  }

  #ended(run: ActiveRun): void {
    const { runId, ended } = run.state;
    for (const stop of run.timers.values()) stop();
    this.#deps.scheduler.dropRun(runId);
    this.#active.delete(runId);
    if (ended !== undefined) this.#counters[ended.status] += 1;
    void this.#tellEnding(run.state);
    this.#startQueued();
  }

  async #tellEnding(state: RunState): Promise<void> {
    const ending = this.#endings.get(state.runId);
    this.#endings.delete(state.runId);
    try {
      const result = await this.#deps.records.resultOf(state);
      ending?.resolve(result);
      this.#deps.emit(result.status === 'completed' ? 'workflow:completed' : 'workflow:failed', result);
    } catch (thrown) {
      ending?.promise.catch(() => undefined);
      ending?.reject(thrown);
    }
  }

  #startQueued(): void {
    const [next] = this.#queued;
    if (next === undefined || this.#closed || !this.#hasTurn()) return;
    void this.#revive(next);
  }
}
