import { type Answer, acceptCheckpoint, isCurrent, judgeAnswer, loseAttempt } from '../core/run/decide.ts';
import { clip } from '../lib/clip.ts';
import { EvidenceError, messageOf } from '../lib/errors.ts';
import type { Clock, Random } from '../ports/clock.ts';
import type { SignatureVerifier } from '../ports/signer.ts';
import type { Store } from '../ports/store.ts';
import type { Stored } from '../protocol/events.ts';
import { limits } from '../protocol/limits.ts';
import type { AttemptKey, Message, MessageOf } from '../protocol/messages.ts';
import { type ActiveRun, plannedAt } from './active-run.ts';
import { Checkpoints } from './checkpoints.ts';
import { parentReceipts } from './dispatcher.ts';
import { EndedAttempts } from './ended-attempts.ts';
import { type CheckedResult, checkResult } from './evidence.ts';
import type { Feeds } from './feeds.ts';
import type { Journal } from './journal.ts';
import type { Member, Members } from './members.ts';
import { assetsOf } from './pinned-assets.ts';
import type { Placed } from './placed.ts';
import { Refused } from './refused.ts';
import { StoredOutputs } from './stored-outputs.ts';

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

/** Characters of the reason of a refusal. */
const refusalLengthMax = 500;

/** What workers say about their attempts. */
export class Answers {
  readonly #deps: AnswersDeps;
  readonly #ended: EndedAttempts;
  readonly #outputs: StoredOutputs;
  readonly #checkpoints: Checkpoints;
  readonly #refused = new Refused();
  /** Attempts whose stored output is being looked at. */
  readonly #looking = new Set<string>();

  constructor(deps: AnswersDeps) {
    this.#deps = deps;
    this.#ended = new EndedAttempts(deps.store);
    this.#outputs = new StoredOutputs(deps.store);
    this.#checkpoints = new Checkpoints(deps.store, {
      isWanted: (run, member, key) => !run.concluding && acceptCheckpoint(run.state, keyFrom(member, key)),
      save: (run, member, message, state) => this.#saveCheckpoint(run, member, message, state),
      refuse: (run, member, message, thrown) => this.#refuseCheckpoint(run, member, message, thrown),
    });
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
  forgotten(holding: readonly AttemptKey[]): Promise<Set<AttemptKey>> {
    return this.#ended.notAccepted(holding.filter(({ run_id }) => !this.#deps.isUnfinished(run_id)));
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
    const { id } = plannedAt(run.state.plan, step).step;
    const event = loseAttempt(run.state, id, clip(why, limits.errorLengthMax), counts, this.#deps.clock.now());
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
    if (run === undefined)
      return this.#ended.ask(member.id, message, (accepted) =>
        this.#acknowledge(member, message, accepted, accepted ? undefined : 'the run is not under way'),
      );
    const planned = run.state.plan.byId.get(message.step_id);
    if (planned === undefined) return this.#acknowledge(member, message, false, 'the run has no such step');
    // This very process signed it, and nobody else can speak on this connection.
    if (member.connection?.local === true) return this.#judge(member, run, message, message.output);
    void this.#check(member, run, planned.index, message);
  }

  async #check(member: Member, run: ActiveRun, step: number, message: MessageOf<'result'>): Promise<void> {
    const planned = plannedAt(run.state.plan, step);
    const expected = {
      tenantId: run.state.started.tenant_id,
      workflowDigest: run.state.plan.digest,
      stepDigest: planned.digest,
      stepType: planned.step.type,
      parents: parentReceipts(run, step),
      assets: assetsOf(planned, run.state.started.assets),
    };
    let checked: CheckedResult;
    try {
      checked = await checkResult(message, member.key, expected, this.#deps.verifier);
      // What will be refused for being late is not worth the look. Nothing may come between this and the judgement.
      if ('digest' in checked.output && isCurrent(run.state, keyFrom(member, message)) !== undefined) {
        const name = `${message.run_id}/${message.step_id}#${message.attempt} ${member.id}`;
        // The same is being looked at already: one answer will do.
        if (this.#looking.has(name)) return;
        this.#looking.add(name);
        await this.#outputs.check(checked.output).finally(() => this.#looking.delete(name));
      }
    } catch (thrown) {
      if (thrown instanceof EvidenceError) return this.#refuse(member, run, step, message, messageOf(thrown), true);
      return this.#unchecked(member, run, step, message);
    }
    const { error, input_digest } = checked.receipt;
    this.#judge(member, run, error === undefined ? message : { ...message, error }, checked.output, input_digest);
  }

  #judge(member: Member, run: ActiveRun, message: MessageOf<'result'>, output: Stored, statedInput?: string): void {
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
      output,
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
      case 'refuse':
        return this.#refuse(member, run, step, message, verdict.why, false);
    }
  }

  /**
   * Keeps what was refused as evidence, unless the node sends a flood of it, and answers. The node may forget what was refused, so
   * an attempt that was still waited for is not any more.
   * @param bad whether it is no honest answer at all, rather than one that came too late
   */
  #refuse(
    member: Member,
    run: ActiveRun,
    step: number,
    message: MessageOf<'result'>,
    stated: string,
    bad: boolean,
  ): void {
    const why = clip(stated, refusalLengthMax);
    const current = isCurrent(run.state, keyFrom(member, message)) !== undefined;
    const event = this.#refused.event(run, member.id, message, why, this.#deps.clock.now());
    this.#deps.refused();
    if (current || (bad && event !== undefined)) this.#deps.misbehaved(member, why);
    const acknowledge = () => this.#acknowledge(member, message, false, why);
    if (event === undefined) acknowledge();
    else this.#deps.journal.emit(run, event, acknowledge);
    if (current) this.lose(run, step, `its receipt ${bad ? 'did not hold' : 'was refused'}: ${why}`, true);
  }

  /** The coordinator's own trouble, such as a store that fails: the attempt is over, and nobody is to blame for it. */
  #unchecked(member: Member, run: ActiveRun, step: number, message: MessageOf<'result'>): void {
    const why = 'the coordinator could not check the result';
    const current = isCurrent(run.state, keyFrom(member, message)) !== undefined;
    this.#acknowledge(member, message, false, why);
    if (current) this.lose(run, step, why, false);
  }

  #checkpoint(member: Member, message: MessageOf<'checkpoint'>): void {
    const run = this.#deps.run(message.run_id);
    const known = run !== undefined && !run.concluding && run.state.plan.byId.has(message.step_id);
    if (!known || !acceptCheckpoint(run.state, keyFrom(member, message)))
      // Its adapter may be waiting for an answer, and a wish to stop may have been lost with a connection.
      return this.#stop(member, message, 'nobody waits for this attempt any more');
    this.#checkpoints.take(run, member, message);
  }

  #saveCheckpoint(run: ActiveRun, member: Member, message: MessageOf<'checkpoint'>, state: Stored): void {
    const { run_id, step_id, attempt, epoch, save } = message;
    this.#deps.journal.emit(
      run,
      { kind: 'step.checkpoint', at: this.#deps.clock.now(), step: step_id, attempt, state },
      () => this.#deps.members.send(member.id, { kind: 'checkpoint.saved', run_id, step_id, attempt, epoch, save }),
    );
  }

  /** An adapter may wait for the answer, so an attempt whose state can't be kept does not go on. */
  #refuseCheckpoint(run: ActiveRun, member: Member, message: MessageOf<'checkpoint'>, thrown: unknown): void {
    const bad = thrown instanceof EvidenceError;
    const why = bad
      ? `its checkpoint did not hold: ${messageOf(thrown)}`
      : 'the coordinator could not keep a checkpoint';
    if (bad) this.#deps.misbehaved(member, clip(why, limits.errorLengthMax));
    this.#stop(member, message, clip(why, limits.errorLengthMax));
    const step = run.state.plan.byId.get(message.step_id)?.index;
    if (step !== undefined) this.lose(run, step, why, bad);
  }

  #stop(member: Member, { run_id, step_id, attempt, epoch }: AttemptKey, why: string): void {
    this.#deps.members.send(member.id, { kind: 'cancel', run_id, step_id, attempt, epoch, why });
  }

  #returned(member: Member, message: MessageOf<'return'>): void {
    const run = this.#deps.run(message.run_id);
    const planned = run?.state.plan.byId.get(message.step_id);
    if (run === undefined || planned === undefined) return;
    if (isCurrent(run.state, keyFrom(member, message)) === undefined) return;
    this.#deps.members.holdBack(member.id);
    this.lose(run, planned.index, `handed back: ${message.why}`, false);
  }

  #passing(member: Member, message: MessageOf<'progress'> | MessageOf<'log'>): void {
    const { run_id: runId, step_id: step, attempt } = message;
    const run = this.#deps.run(runId);
    if (run === undefined || !speaksFor(run, member, message)) return;
    const at = this.#deps.clock.now();
    if (message.kind === 'progress') {
      const note = clip(message.note, limits.logLineBytesMax);
      return this.#deps.feeds.pass(runId, {
        kind: 'step.progress',
        at,
        step,
        attempt,
        fraction: message.fraction,
        note,
      });
    }
    const text = clip(message.text, limits.logLineBytesMax);
    this.#deps.feeds.pass(runId, { kind: 'step.log', at, step, attempt, node: member.id, level: message.level, text });
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

const keyFrom = ({ id: node }: Member, { step_id: step, attempt, epoch }: AttemptKey) => ({
  step,
  attempt,
  epoch,
  node,
});

/** Whether the attempt is the one that is waited for, or has succeeded: what it does after its commit may be told too. */
function speaksFor(run: ActiveRun, member: Member, key: AttemptKey): boolean {
  const index = run.state.plan.byId.get(key.step_id)?.index;
  const state = index === undefined ? undefined : run.state.steps[index]?.state;
  if (state?.kind === 'succeeded') return state.node === member.id && state.attempt === key.attempt;
  return state?.kind === 'assigned' && isCurrent(run.state, keyFrom(member, key)) !== undefined;
}
