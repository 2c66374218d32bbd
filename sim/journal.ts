import { demandOf } from '../src/core/scheduler/demand.ts';
import type { Append } from '../src/ports/store.ts';
import type { RunEvent, RunEventOf, RunStarted } from '../src/protocol/events.ts';
import type { AttemptKey } from '../src/protocol/messages.ts';
import type { DiskEvents } from './disk.ts';
import type { Reporter } from './report.ts';

export interface AttemptRecord {
  node: string;
  epoch: number;
  /** The event that ended it. */
  end: RunEvent['kind'] | undefined;
  checkpoints: number[];
}

interface StepRecord {
  last: number;
  state: 'waiting' | 'assigned' | 'succeeded' | 'failed' | 'cancelled';
  retries: number;
  retryAt: number;
  attempts: Map<number, AttemptRecord>;
}

export interface RunRecord {
  started: RunStarted;
  events: RunEvent[];
  steps: Map<string, StepRecord>;
  parents: Map<string, string[]>;
  cancelling: boolean;
  failed: boolean;
  ended: RunEventOf<'run.completed'> | undefined;
}

export interface Capacity {
  slots: number;
  resources: Record<string, number>;
}

/**
 * Reads along what becomes durable, and holds it against the rules of a run, written down here once more: nothing of `core/run`
 * is used, so that a defect there can't hide itself.
 */
export class JournalWatch implements DiskEvents {
  readonly runs = new Map<string, RunRecord>();
  readonly #report: Reporter;
  readonly #capacityOf: (node: string) => Capacity | undefined;
  /** Attempts that the journal has on each node, by name, with what they take. */
  readonly #placed = new Map<string, Map<string, Record<string, number>>>();
  readonly #touched = new Set<string>();
  /** Nodes about which a crash left half of a group on the disk. */
  readonly #doubtful = new Set<string>();
  /** What each worker said that it holds when it last joined. */
  readonly #holdings = new Map<string, ReadonlySet<string>>();
  #epoch = 0;

  constructor(report: Reporter, capacityOf: (node: string) => Capacity | undefined) {
    this.#report = report;
    this.#capacityOf = capacityOf;
  }

  attempt(runId: string, step: string, attempt: number): AttemptRecord | undefined {
    return this.runs.get(runId)?.steps.get(step)?.attempts.get(attempt);
  }

  epoch(epoch: number): void {
    if (epoch <= this.#epoch) this.#broken('epochs increase', `epoch ${epoch} was taken after ${this.#epoch}`);
    this.#epoch = Math.max(epoch, this.#epoch);
    this.#report.log(`disk: epoch ${epoch}`);
  }

  durable({ run_id, seq, epoch, events }: Append): void {
    if (epoch < this.#epoch)
      this.#broken('one writer', `epoch ${epoch} wrote to ${run_id} after epoch ${this.#epoch} was taken`);
    const [first] = events;
    let run = this.runs.get(run_id);
    if (run === undefined && first?.kind === 'run.started') {
      run = newRun(first);
      this.runs.set(run_id, run);
    }
    if (run === undefined || run.events.length !== seq)
      return this.#broken('no gaps', `events of ${run_id} at ${seq}, after ${run?.events.length ?? 'nothing'}`);
    for (const event of events) {
      const step = 'step' in event ? ` ${event.step}` : '';
      const attempt = 'attempt' in event ? `#${event.attempt}` : '';
      const node = 'node' in event ? ` ${event.node}` : '';
      this.#report.log(`disk: ${run_id} ${event.kind}${step}${attempt}${node}`);
      if (run.ended !== undefined) this.#broken('the end is the end', `${event.kind} of ${run_id} after its end`);
      this.#take(run_id, run, event, epoch);
      run.events.push(event);
    }
  }

  /** What happened at one moment is on the disk: now room must add up. */
  turnEnded(): void {
    for (const node of this.#touched) {
      const placed = this.#placed.get(node);
      const capacity = this.#capacityOf(node);
      if (placed === undefined || capacity === undefined) continue;
      const over = overCommitment(placed, capacity);
      if (over === undefined) this.#doubtful.delete(node);
      else if (!this.#doubtful.has(node))
        this.#broken('nodes are never over-committed', `${node}: ${over}: ${[...placed.keys()].join(', ')}`);
    }
    this.#touched.clear();
  }

  /** A crash cut a group in two. */
  groupCut(): void {
    for (const node of this.#touched) this.#doubtful.add(node);
  }

  /** An observer was told of a success. */
  told(step: { runId: string; stepId: string; attempt: number }): void {
    if (this.attempt(step.runId, step.stepId, step.attempt)?.end !== 'step.succeeded')
      this.#broken(
        'persist, then tell',
        `${step.runId}/${step.stepId}#${step.attempt} was told to have succeeded, but it is not on the disk`,
      );
  }

  /** The coordinator sends a worker an attempt to run. */
  sentAssign(node: string, key: AttemptKey): void {
    const known = this.attempt(key.run_id, key.step_id, key.attempt);
    if (known?.node !== node || known.epoch !== key.epoch)
      this.#broken('persist, then send', `${nameOf(key)} was sent to ${node}, but the disk does not have it`);
  }

  sentAck(node: string, key: AttemptKey): void {
    const known = this.attempt(key.run_id, key.step_id, key.attempt);
    if (known?.end === undefined || known.node !== node)
      this.#broken('acknowledged means durable', `${node} was told that ${nameOf(key)} is durable, which it is not`);
  }

  /** A worker joins, and says what it holds. */
  joins(node: string, holding: readonly AttemptKey[]): void {
    this.#holdings.set(node, new Set(holding.map(nameOf)));
  }

  sentSaved(node: string, key: AttemptKey): void {
    if ((this.attempt(key.run_id, key.step_id, key.attempt)?.checkpoints.length ?? 0) === 0)
      this.#broken(
        'acknowledged means durable',
        `${node} was told that a checkpoint of ${nameOf(key)} is durable, which it is not`,
      );
  }

  #take(runId: string, run: RunRecord, event: RunEvent, epoch: number): void {
    switch (event.kind) {
      case 'step.assigned':
        return this.#assigned(runId, run, event, epoch);
      case 'step.checkpoint':
        return this.#checkpoint(runId, run, event);
      case 'step.succeeded':
      case 'step.retrying':
      case 'step.reassigned':
      case 'step.cancelled':
      case 'step.failed':
        return this.#ended(runId, run, event);
      case 'run.cancelling':
        run.cancelling = true;
        return;
      case 'run.completed':
        return this.#completed(runId, run, event);
      default:
        return;
    }
  }

  #assigned(runId: string, run: RunRecord, event: RunEventOf<'step.assigned'>, epoch: number): void {
    const name = `${runId}/${event.step}#${event.attempt}`;
    const step = stepOf(run, event.step);
    if (event.epoch !== epoch)
      this.#broken('epochs increase', `${name} carries epoch ${event.epoch} in epoch ${epoch}`);
    if (event.attempt !== step.last + 1) this.#broken('attempts increase', `${name} follows attempt ${step.last}`);
    if (step.state !== 'waiting')
      this.#broken('one attempt at a time', `${name} begins while the step is ${step.state}`);
    if (this.#isStopping(run)) this.#broken('a stopping run starts nothing', name);
    if (event.at < step.retryAt) this.#broken('back-off is kept', `${name} begins ${step.retryAt - event.at} ms early`);
    for (const parent of run.parents.get(event.step) ?? [])
      if (stepOf(run, parent).state !== 'succeeded')
        this.#broken('parents come first', `${name} begins before ${parent} succeeded`);
    step.last = event.attempt;
    step.state = 'assigned';
    step.attempts.set(event.attempt, { node: event.node, epoch: event.epoch, end: undefined, checkpoints: [] });
    const stated = run.started.workflow.steps.find(({ id }) => id === event.step);
    const placed = this.#placed.get(event.node) ?? new Map<string, Record<string, number>>();
    placed.set(name, stated === undefined ? {} : demandOf(stated, run.started.workflow).resources);
    this.#placed.set(event.node, placed);
    this.#touched.add(event.node);
  }

  #checkpoint(runId: string, run: RunRecord, event: RunEventOf<'step.checkpoint'>): void {
    const step = stepOf(run, event.step);
    if (step.state !== 'assigned' || step.last !== event.attempt)
      this.#broken('only the current attempt counts', `checkpoint of ${runId}/${event.step}#${event.attempt}`);
    step.attempts.get(event.attempt)?.checkpoints.push('value' in event.state ? Number(event.state.value) : 0);
  }

  #ended(
    runId: string,
    run: RunRecord,
    event: RunEventOf<'step.succeeded' | 'step.retrying' | 'step.reassigned' | 'step.cancelled' | 'step.failed'>,
  ): void {
    const name = `${runId}/${event.step}#${event.attempt}`;
    const step = stepOf(run, event.step);
    const record = step.attempts.get(event.attempt);
    const byCoordinator = event.kind === 'step.failed' && step.state === 'waiting' && event.attempt === step.last + 1;
    if (!byCoordinator && (step.state !== 'assigned' || event.attempt !== step.last || record?.node !== event.node))
      this.#broken(
        'an effect counts once',
        `${event.kind} of ${name} by ${event.node} while the step is ${step.state}`,
      );
    if (record !== undefined) {
      record.end = event.kind;
      this.#placed.get(record.node)?.delete(name);
    }
    step.last = Math.max(step.last, event.attempt);
    if (event.kind === 'step.succeeded') step.state = 'succeeded';
    if (event.kind === 'step.reassigned') {
      step.state = 'waiting';
      if (event.why === cameWithout && this.#holdings.get(event.node)?.has(name) === true)
        this.#broken(
          'work goes on over a broken connection',
          `${name} was taken from ${event.node}, which had brought it along`,
        );
    }
    if (event.kind === 'step.cancelled') {
      if (!this.#isStopping(run)) this.#broken('cancelled only when asked', name);
      step.state = 'cancelled';
    }
    if (event.kind === 'step.retrying') {
      step.state = 'waiting';
      step.retries += 1;
      step.retryAt = event.retry_at;
      if (step.retries > maxRetries(run))
        this.#broken('retries are limited', `${name}: retry ${step.retries} of ${maxRetries(run)}`);
    }
    if (event.kind === 'step.failed') {
      if (!byCoordinator && event.error.retryable && !this.#isStopping(run) && step.retries < maxRetries(run))
        this.#broken('retries are used', `${name} failed for good after ${step.retries} of ${maxRetries(run)} retries`);
      step.state = 'failed';
      run.failed = true;
    }
  }

  #completed(runId: string, run: RunRecord, event: RunEventOf<'run.completed'>): void {
    run.ended = event;
    const steps = [...run.steps].map(([id, { state }]) => ({ id, state }));
    const running = steps.find(({ state }) => state === 'assigned');
    if (running !== undefined) this.#broken('nothing runs after the end', `${runId} ends while ${running.id} runs`);
    const succeeded = steps.filter(({ state }) => state === 'succeeded').length;
    const all = succeeded === run.started.workflow.steps.length;
    const status = all ? 'completed' : run.failed ? 'failed' : 'cancelled';
    if (event.status !== status) this.#broken('the status is right', `${runId} is ${event.status}, not ${status}`);
    if (status === 'cancelled' && !run.cancelling) this.#broken('cancelled only when asked', runId);
  }

  #isStopping(run: RunRecord): boolean {
    return run.cancelling || (run.failed && run.started.workflow.fault_tolerance?.on_step_failure !== 'continue');
  }

  #broken(check: string, what: string): void {
    this.#report.violation(check, what);
  }
}

function newRun(started: RunStarted): RunRecord {
  const parents = new Map<string, string[]>();
  for (const { id, parent_step_ids } of started.workflow.steps) parents.set(id, parent_step_ids ?? []);
  return { started, events: [], steps: new Map(), parents, cancelling: false, failed: false, ended: undefined };
}

function stepOf(run: RunRecord, id: string): StepRecord {
  const known = run.steps.get(id);
  if (known !== undefined) return known;
  const step: StepRecord = { last: 0, state: 'waiting', retries: 0, retryAt: 0, attempts: new Map() };
  run.steps.set(id, step);
  return step;
}

function maxRetries({ started }: RunRecord): number {
  const { retry_failed_steps, max_retries = 3 } = started.workflow.fault_tolerance ?? {};
  return retry_failed_steps === true ? max_retries : 0;
}

/** What the coordinator says of an attempt that its node did not bring along. */
const cameWithout = 'the node came back without it';

const nameOf = ({ run_id, step_id, attempt }: AttemptKey): string => `${run_id}/${step_id}#${attempt}`;

function overCommitment(
  placed: Map<string, Record<string, number>>,
  { slots, resources }: Capacity,
): string | undefined {
  if (placed.size > slots) return `${placed.size} steps in ${slots} slots`;
  for (const [name, total] of Object.entries(resources)) {
    let used = 0;
    for (const demand of placed.values()) used += demand[name] ?? 0;
    if (used > total) return `${used} of ${total} ${name}`;
  }
  return undefined;
}
