import { type Answer, acceptCheckpoint, isCurrent, judgeAnswer, loseAttempt } from '../core/run/decide.ts';
import { EvidenceError, JSONFlowError, messageOf } from '../lib/errors.ts';
import type { Clock, Random } from '../ports/clock.ts';
import type { SignatureVerifier } from '../ports/signer.ts';
import type { Store } from '../ports/store.ts';
import type { AttemptKey, Message, MessageOf } from '../protocol/messages.ts';
import { type ActiveRun, plannedAt } from './active-run.ts';
import { parentReceipts } from './dispatcher.ts';
import { checkResult } from './evidence.ts';
import type { Feeds } from './feeds.ts';
import type { Journal } from './journal.ts';
import type { Member, Members } from './members.ts';
import type { Placed } from './placed.ts';

export interface AnswersDeps {
  clock: Clock;
  random: Pick<Random, 'fraction'>;
  verifier: SignatureVerifier;
  store: Store;
  journal: Journal;
  members: Members;
  placed: Placed;
  feeds: Feeds;
  run(runId: string): ActiveRun | undefined;
  /** Whether the run is under way or waits for its turn. */
  isUnfinished(runId: string): boolean;
  /** An attempt ended, in whatever way: its room is free. */
  attemptEnded(run: ActiveRun, step: number, node: string): void;
  /** A node sent evidence that doesn't hold. */
  misbehaved(member: Member, why: string): void;
  refused(): void;
}

/** What workers say about their attempts. */
export class Answers {
  readonly #deps: AnswersDeps;

  constructor(deps: AnswersDeps) {
    this.#deps = deps;
  }

  receive(member: Member, message: Exclude<Message, { kind: `blob.${string}` }>): void {
    switch (message.kind) {
      case 'result':
        return this.#result(member, message);
      case 'checkpoint':
        return this.#checkpoint(member, message);
      case 'return':
        return this.#returned(member, message);
      case 'progress':
      case 'log':
        return this.#passing(member, message);
      default:
        // Messages that only coordinators send, or of a later release.
        return;
    }
  }

  /** Those of the attempts that no run under way or waiting knows, and that no journal has as accepted either. */
  async forgotten(holding: readonly AttemptKey[]): Promise<Set<AttemptKey>> {
    const forgotten = new Set<AttemptKey>();
    for (const key of holding)
      if (!this.#deps.isUnfinished(key.run_id) && !(await this.#wasAccepted(key))) forgotten.add(key);
    return forgotten;
  }

  /**
   * Which attempts that a joining node holds it shall drop: all that nobody waits for any more. What the journal has on this node,
   * but the node has not, is lost: the assignment never arrived, or the node's memory is gone.
   */
  review(nodeId: string, holding: readonly AttemptKey[], forgotten: ReadonlySet<AttemptKey>): AttemptKey[] {
    const kept = new Set<string>();
    const drop = holding.filter((key) => {
      const verdict = forgotten.has(key) ? 'drop' : this.#judgeHeld(nodeId, key);
      if (verdict === 'current') kept.add(`${key.run_id}/${key.step_id}`);
      return verdict === 'drop';
    });
    for (const { run, step } of [...this.#deps.placed.on(nodeId)]) {
      const { id } = plannedAt(run.state.plan, step).step;
      if (!kept.has(`${run.state.runId}/${id}`)) this.lose(run, step, 'the node came back without it', true);
    }
    return drop;
  }

  /** Takes an attempt from its node. */
  lose(run: ActiveRun, step: number, why: string, counts: boolean): void {
    const { state } = run.state.steps[step] ?? {};
    if (state?.kind !== 'assigned' || run.concluding) return;
    const event = loseAttempt(run.state, plannedAt(run.state.plan, step).step.id, why, counts, this.#deps.clock.now());
    if (event === undefined) return;
    // Its room is free before the step looks for a new place.
    this.#deps.attemptEnded(run, step, state.node);
    this.#deps.journal.emit(run, event);
  }

  #judgeHeld(nodeId: string, key: AttemptKey): 'current' | 'known' | 'drop' {
    const run = this.#deps.run(key.run_id);
    // It waits, or ended a moment ago: its result will come and be answered.
    if (run === undefined) return 'known';
    const planned = run.state.plan.byId.get(key.step_id);
    if (planned === undefined) return 'drop';
    if (isCurrent(run.state, { step: key.step_id, node: nodeId, ...key }) !== undefined) return 'current';
    const state = run.state.steps[planned.index]?.state;
    return state?.kind === 'succeeded' && state.attempt === key.attempt ? 'known' : 'drop';
  }

  #result(member: Member, message: MessageOf<'result'>): void {
    const run = this.#deps.run(message.run_id);
    const planned = run?.state.plan.byId.get(message.step_id);
    if (run === undefined || planned === undefined) {
      void this.#wasAccepted(message).then((accepted) =>
        this.#acknowledge(member, message, accepted, accepted ? undefined : 'the run is not under way'),
      );
      return;
    }
    // This very process signed it, and nobody else can speak on this connection.
    if (member.connection?.local === true) return this.#judge(member, run, message);
    const expected = {
      tenantId: run.state.started.tenant_id,
      workflowDigest: run.state.plan.digest,
      stepDigest: planned.digest,
      stepType: planned.step.type,
      parents: parentReceipts(run, planned.index),
    };
    checkResult(message, member.key, expected, this.#deps).then(
      ({ input_digest, error }) =>
        this.#judge(member, run, error === undefined ? message : { ...message, error }, input_digest),
      (thrown: unknown) => this.#badEvidence(member, run, message, thrown),
    );
  }

  #judge(member: Member, run: ActiveRun, message: MessageOf<'result'>, statedInput?: string): void {
    const { clock, random, journal } = this.#deps;
    const step = run.state.plan.byId.get(message.step_id)?.index ?? -1;
    const state = run.state.steps[step]?.state;
    if (state === undefined) return;
    const now = clock.now();
    const answer: Answer = {
      step: message.step_id,
      attempt: message.attempt,
      epoch: message.epoch,
      node: member.id,
      envelope: message.envelope,
      inputDigest: statedInput ?? (state.kind === 'assigned' ? state.inputDigest : ''),
      outputDigest: message.output_digest,
      output: message.output,
      latencyMs: state.kind === 'assigned' ? Math.max(0, now - state.at) : 0,
    };
    if (message.error !== undefined) answer.error = message.error;
    const verdict = judgeAnswer(run.state, answer, now, random.fraction());
    // What was accepted before stays accepted; anything else comes too late for the run statement.
    if (run.concluding && verdict.kind !== 'known')
      return this.#acknowledge(member, message, false, 'the run is being concluded');
    switch (verdict.kind) {
      case 'accept':
        this.#deps.attemptEnded(run, step, member.id);
        return journal.emit(run, verdict.event, () => this.#acknowledge(member, message, true));
      case 'known':
        // Durable before the answer, as the first time.
        void journal.settled().then(() => this.#acknowledge(member, message, true));
        return;
      case 'refuse': {
        this.#deps.refused();
        const acknowledge = () => this.#acknowledge(member, message, false, verdict.why);
        if (verdict.event === undefined) return acknowledge();
        journal.emit(run, verdict.event, acknowledge);
        // The node may forget what was refused, so an attempt that was still waited for is not any more.
        if (isCurrent(run.state, answer) !== undefined) {
          this.#deps.misbehaved(member, verdict.why);
          this.lose(run, step, `its receipt was refused: ${verdict.why}`, true);
        }
        return;
      }
    }
  }

  #badEvidence(member: Member, run: ActiveRun, message: MessageOf<'result'>, thrown: unknown): void {
    const why = messageOf(thrown);
    if (!(thrown instanceof EvidenceError) && thrown instanceof JSONFlowError && thrown.code === 'STORE_FAILED') return;
    this.#deps.refused();
    this.#deps.misbehaved(member, why);
    const step = run.state.plan.byId.get(message.step_id)?.index ?? -1;
    const current = isCurrent(run.state, { ...message, step: message.step_id, node: member.id });
    if (!run.concluding && run.state.ended === undefined) {
      const { clock, journal } = this.#deps;
      const { step_id, attempt, envelope } = message;
      journal.emit(
        run,
        { kind: 'evidence.refused', at: clock.now(), step: step_id, attempt, node: member.id, why, envelope },
        () => this.#acknowledge(member, message, false, why),
      );
    } else this.#acknowledge(member, message, false, why);
    if (current !== undefined) this.lose(run, step, `its receipt did not hold: ${why}`, true);
  }

  #checkpoint(member: Member, message: MessageOf<'checkpoint'>): void {
    const run = this.#deps.run(message.run_id);
    const key = { ...message, step: message.step_id, node: member.id };
    const { run_id, step_id, attempt, epoch, save, state } = message;
    const known = run !== undefined && !run.concluding && run.state.plan.byId.has(step_id);
    if (!known || !acceptCheckpoint(run.state, key)) {
      // Its adapter may be waiting for an answer, and a wish to stop may have been lost with a connection.
      const why = 'nobody waits for this attempt any more';
      this.#deps.members.send(member.id, { kind: 'cancel', run_id, step_id, attempt, epoch, why });
      return;
    }
    this.#deps.journal.emit(
      run,
      { kind: 'step.checkpoint', at: this.#deps.clock.now(), step: step_id, attempt, state },
      () => this.#deps.members.send(member.id, { kind: 'checkpoint.saved', run_id, step_id, attempt, epoch, save }),
    );
  }

  #returned(member: Member, message: MessageOf<'return'>): void {
    const run = this.#deps.run(message.run_id);
    const planned = run?.state.plan.byId.get(message.step_id);
    if (run === undefined || planned === undefined) return;
    if (isCurrent(run.state, { ...message, step: message.step_id, node: member.id }) === undefined) return;
    this.#deps.members.holdBack(member.id);
    this.lose(run, planned.index, `handed back: ${message.why}`, false);
  }

  #passing(member: Member, message: MessageOf<'progress'> | MessageOf<'log'>): void {
    const { run_id: runId, step_id: step, attempt } = message;
    if (this.#deps.run(runId) === undefined) return;
    const at = this.#deps.clock.now();
    if (message.kind === 'progress')
      this.#deps.feeds.pass(runId, {
        kind: 'step.progress',
        at,
        step,
        attempt,
        fraction: message.fraction,
        note: message.note,
      });
    else
      this.#deps.feeds.pass(runId, {
        kind: 'step.log',
        at,
        step,
        attempt,
        node: member.id,
        level: message.level,
        text: message.text,
      });
  }

  /** Whether the journal of a run that is not under way has this attempt as an answered one. */
  async #wasAccepted({ run_id, step_id, attempt }: AttemptKey): Promise<boolean> {
    const events = await this.#deps.store.read(run_id).catch(() => []);
    return events.some(
      (event) =>
        (event.kind === 'step.succeeded' || event.kind === 'step.retrying' || event.kind === 'step.failed') &&
        event.step === step_id &&
        event.attempt === attempt,
    );
  }

  #acknowledge(member: Member, message: AttemptKey, accepted: boolean, why?: string): void {
    const { run_id, step_id, attempt, epoch } = message;
    this.#deps.members.send(member.id, {
      kind: 'ack',
      run_id,
      step_id,
      attempt,
      epoch,
      accepted,
      ...(why === undefined ? {} : { why }),
    });
  }
}
