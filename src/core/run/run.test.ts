import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { RunEvent } from '../../protocol/events.ts';
import { limits } from '../../protocol/limits.ts';
import type { Envelope, StepFailure } from '../../protocol/receipt.ts';
import type { FaultTolerance, Workflow } from '../../protocol/workflow.ts';
import { planWorkflow } from '../workflow/plan.ts';
import {
  type Answer,
  acceptCheckpoint,
  assignStep,
  backoffMs,
  blameForLosses,
  isCurrent,
  judgeAnswer,
  loseAttempt,
} from './decide.ts';
import { applyEvent, startRun, wake } from './fold.ts';
import { finalStatus, isSettled, type RunState } from './state.ts';

const reason = { score: 0, text: 'because', parts: {}, candidates: 1 };
const broken: StepFailure = { code: 'BROKEN', message: 'it broke', retryable: true };
const digest = '0'.repeat(64);

/** Two branches that join: a → b → d, a → c → d; e stands alone. */
const diamond: Workflow['steps'] = [
  { id: 'a', type: 't' },
  { id: 'b', type: 't', parent_step_ids: ['a'] },
  { id: 'c', type: 't', parent_step_ids: ['a'] },
  { id: 'd', type: 't', parent_step_ids: ['b', 'c'] },
  { id: 'e', type: 't' },
];

let envelopes = 0;
const envelope = (): Envelope => ({
  payload: Buffer.from(`statement ${envelopes++}`).toString('base64'),
  payloadType: 'application/vnd.in-toto+json',
  signatures: [],
});

/** A run with its journal, so that every test can fold it again. */
class Story {
  readonly journal: RunEvent[];
  readonly state: RunState;
  readonly ready: string[] = [];
  at = 1_000;

  constructor(fault_tolerance?: FaultTolerance, steps = diamond) {
    const workflow: Workflow = { workflow: 'w', steps, ...(fault_tolerance === undefined ? {} : { fault_tolerance }) };
    const plan = planWorkflow(workflow);
    const started = {
      kind: 'run.started' as const,
      at: this.at,
      version: 1 as const,
      workflow,
      workflow_digest: plan.digest,
      input: { value: {} },
      input_digest: digest,
      tenant_id: null,
    };
    this.journal = [started];
    this.state = startRun('r', started, plan, this.#onReady);
  }

  readonly #onReady = (step: number): void =>
    void this.ready.push(this.state?.plan.steps[step]?.step.id ?? String(step));

  apply(event: RunEvent | undefined): void {
    assert.ok(event !== undefined);
    this.journal.push(event);
    applyEvent(this.state, event, this.#onReady);
  }

  stateOf = (id: string) => this.state.steps[this.state.plan.byId.get(id)?.index ?? -1]?.state;
  kindOf = (id: string): string | undefined => this.stateOf(id)?.kind;

  assign(step: string, node = 'n1', epoch = 1): void {
    this.apply(assignStep(this.state, step, { node, epoch, inputDigest: digest, reason }, this.at));
  }

  /** The honest answer to the attempt under way. */
  answer(step: string, change: Partial<Answer> = {}): Answer {
    const state = this.stateOf(step);
    const at = state?.kind === 'assigned' ? state : { attempt: 1, epoch: 1, node: 'n1' };
    return {
      step,
      attempt: at.attempt,
      epoch: at.epoch,
      node: at.node,
      envelope: envelope(),
      inputDigest: digest,
      outputDigest: digest,
      output: { value: 1 },
      latencyMs: 5,
      ...change,
    };
  }

  judge(answer: Answer, jitter = 0) {
    const verdict = judgeAnswer(this.state, answer, this.at, jitter);
    if (verdict.kind !== 'known' && verdict.event !== undefined) this.apply(verdict.event);
    return verdict;
  }

  succeed(...steps: string[]): void {
    for (const step of steps) {
      this.assign(step);
      assert.equal(this.judge(this.answer(step)).kind, 'accept');
    }
  }

  fail(step: string, error: StepFailure = broken): void {
    this.assign(step);
    assert.equal(this.judge(this.answer(step, { error })).kind, 'accept');
  }

  wake(step: string): void {
    wake(this.state, this.state.plan.byId.get(step)?.index ?? -1, this.#onReady);
  }

  /** The state that the journal alone gives. */
  refold(): RunState {
    const [started, ...rest] = this.journal;
    assert.ok(started?.kind === 'run.started');
    const again = startRun('r', started, this.state.plan, () => undefined);
    for (const event of rest) applyEvent(again, event, () => undefined);
    return again;
  }
}

/** Waking is a matter of time, not of the journal: a woken step and one that waits count as the same. */
function comparable(run: RunState): unknown {
  const steps = run.steps.map((step) => ({
    ...step,
    state: step.state.kind === 'ready' || step.state.kind === 'backoff' ? 'waiting' : step.state,
  }));
  const { ready, backoff, ...counts } = run.counts;
  return { ...run, steps, counts: { ...counts, waiting: ready + backoff } };
}

function assertSound(run: RunState): void {
  const counts = { blocked: 0, ready: 0, assigned: 0, backoff: 0, succeeded: 0, failed: 0, cancelled: 0 };
  for (const { state } of run.steps) counts[state.kind] += 1;
  assert.deepEqual(run.counts, counts, 'the counts are those of the steps');
  for (const [index, { state, receipt }] of run.steps.entries()) {
    const missing = run.plan.steps[index]?.parents.filter((parent) => run.steps[parent]?.state.kind !== 'succeeded');
    if (state.kind === 'blocked') assert.equal(state.missing, missing?.length);
    else assert.equal(missing?.length, 0, 'nothing starts before its parents have succeeded');
    const finals = run.receipts.filter(({ step, final }) => step === index && final).length;
    assert.equal(finals, state.kind === 'succeeded' || state.kind === 'failed' ? 1 : 0, 'a step counts once');
    if (receipt !== undefined) assert.equal(run.receipts[receipt]?.step, index);
  }
  assert.equal(run.timeline.filter(({ outcome }) => outcome === 'running').length, run.counts.assigned);
}

describe('the way of a step', () => {
  it('parents first, each once, and the run completes', () => {
    const story = new Story();
    assert.deepEqual(story.state.counts.ready, 2);
    assert.equal(story.kindOf('d'), 'blocked');
    story.succeed('a', 'b');
    assert.equal(story.kindOf('d'), 'blocked', 'one parent is missing');
    story.succeed('c', 'd');
    assert.ok(!isSettled(story.state), 'e has not run');
    story.succeed('e');
    assert.ok(isSettled(story.state));
    assert.equal(finalStatus(story.state), 'completed');
    assert.deepEqual(
      story.state.timeline.map(({ outcome }) => outcome),
      Array(5).fill('success'),
    );
    assert.deepEqual(comparable(story.refold()), comparable(story.state));
  });

  it('what has no place in it breaks an invariant', () => {
    const fresh = () => new Story();
    const refused: ((story: Story) => void)[] = [
      (story) => story.assign('d'),
      (story) => {
        story.assign('a');
        story.assign('a');
      },
      (story) => {
        story.succeed('a');
        story.assign('a');
      },
      (story) =>
        story.apply({
          ...assignStep(story.state, 'a', { node: 'n', epoch: 1, inputDigest: digest, reason }, 0),
          attempt: 7,
        }),
      (story) => {
        const event = (() => {
          const other = fresh();
          other.assign('a');
          const verdict = judgeAnswer(other.state, other.answer('a'), 0, 0);
          return verdict.kind === 'accept' ? verdict.event : undefined;
        })();
        story.apply(event);
      },
      (story) => story.assign('nobody'),
      (story) => story.apply(story.journal[0]),
      (story) =>
        story.apply({
          kind: 'step.failed',
          at: 0,
          step: 'd',
          attempt: 1,
          node: 'c',
          error: broken,
          envelope: envelope(),
        }),
      (story) => {
        story.apply({
          kind: 'run.completed',
          at: 0,
          status: 'failed',
          run_statement: envelope(),
          merkle_root: digest,
          result_root: digest,
        });
        story.assign('a');
      },
    ];
    for (const [index, act] of refused.entries())
      assert.throws(() => act(fresh()), { code: 'INTERNAL' }, `case ${index}`);
  });
});

describe('an answer', () => {
  it('of another attempt, epoch or node is refused and kept as evidence', () => {
    const story = new Story();
    story.assign('a', 'n1', 3);
    for (const change of [{ attempt: 2 }, { attempt: 0 }, { epoch: 2 }, { epoch: 4 }, { node: 'n2' }]) {
      const verdict = story.judge(story.answer('a', change));
      assert.equal(verdict.kind, 'refuse', JSON.stringify(change));
      assert.equal(story.journal.at(-1)?.kind, 'evidence.refused');
      assert.equal(story.kindOf('a'), 'assigned');
    }
    assert.equal(story.judge(story.answer('a')).kind, 'accept');
  });

  it('for another input is refused', () => {
    const story = new Story();
    story.assign('a');
    const verdict = story.judge(story.answer('a', { inputDigest: '1'.repeat(64) }));
    assert.ok(verdict.kind === 'refuse' && /another input/.test(verdict.why));
    assert.ok(isCurrent(story.state, { step: 'a', attempt: 1, epoch: 1, node: 'n1' }) !== undefined);
  });

  it('that was accepted before is known; another for the same attempt is not', () => {
    const story = new Story();
    story.assign('a');
    const answer = story.answer('a');
    assert.equal(story.judge(answer).kind, 'accept');
    assert.equal(story.judge(answer).kind, 'known');
    assert.equal(story.judge(answer).kind, 'known');
    const other = story.judge({ ...answer, envelope: envelope() });
    assert.ok(other.kind === 'refuse' && /is succeeded/.test(other.why));
    assert.equal(story.state.receipts.length, 1);
  });

  it('after the end of the run leaves nothing in the journal', () => {
    const story = new Story();
    story.assign('a');
    const late = story.answer('a');
    story.apply(loseAttempt(story.state, 'a', 'gone', true, 0));
    story.apply({
      kind: 'run.completed',
      at: 0,
      status: 'failed',
      run_statement: envelope(),
      merkle_root: digest,
      result_root: digest,
    });
    const verdict = judgeAnswer(story.state, late, 0, 0);
    assert.ok(verdict.kind === 'refuse' && verdict.event === undefined && /ended/.test(verdict.why));
  });

  it('of a lost attempt is superseded by the next', () => {
    const story = new Story();
    story.assign('a');
    const late = story.answer('a');
    story.apply(loseAttempt(story.state, 'a', 'gone', true, 0));
    assert.equal(story.judge(late).kind, 'refuse');
    story.assign('a', 'n2');
    const verdict = story.judge(late);
    assert.ok(verdict.kind === 'refuse' && /superseded by attempt 2 .* on n2/.test(verdict.why));
    assert.equal(story.judge(story.answer('a')).kind, 'accept');
  });
});

describe('a failed attempt', () => {
  it('is tried again only where that was asked for, and the failure may pass', () => {
    const never = new Story();
    never.fail('a');
    assert.equal(never.kindOf('a'), 'failed');
    const final = new Story({ retry_failed_steps: true });
    final.fail('a', { ...broken, retryable: false });
    assert.equal(final.kindOf('a'), 'failed');
    const again = new Story({ retry_failed_steps: true });
    again.fail('a');
    assert.equal(again.kindOf('a'), 'backoff');
    again.wake('e');
    assert.equal(again.kindOf('e'), 'ready', 'waking changes only what waits');
    again.wake('a');
    assert.equal(again.ready.at(-1), 'a');
    again.succeed('a');
    assert.deepEqual(
      again.state.timeline.map(({ outcome, attempt }) => [outcome, attempt]),
      [
        ['retrying', 1],
        ['success', 2],
      ],
    );
    assert.deepEqual(comparable(again.refold()), comparable(again.state));
  });

  it('as often as max_retries says, and no more', () => {
    for (const [max_retries, attempts] of [
      [0, 1],
      [1, 2],
      [undefined, 4],
      [7, 8],
    ] as const) {
      const story = new Story({ retry_failed_steps: true, ...(max_retries === undefined ? {} : { max_retries }) });
      let made = 0;
      while (story.kindOf('a') !== 'failed') {
        story.fail('a');
        made += 1;
        story.wake('a');
      }
      assert.equal(made, attempts);
      assert.equal(story.state.retries, attempts - 1);
      assert.equal(story.state.receipts.length, attempts, 'each attempt has its receipt');
      assert.deepEqual(story.state.failure, { ...broken, step_id: 'a' });
    }
  });

  it('waits twice as long each time, with jitter over the upper half, up to a limit', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 3_600_000 }),
        fc.integer({ min: 0, max: 86_400_000 }),
        fc.integer({ min: 0, max: limits.retriesMax - 1 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (backoff_ms, backoff_max_ms, failures, jitter) => {
          const { state } = new Story({
            retry_failed_steps: true,
            max_retries: limits.retriesMax,
            backoff_ms,
            backoff_max_ms,
          });
          const full = Math.min(backoff_max_ms, backoff_ms * 2 ** Math.min(failures, 30));
          const wait = backoffMs(state, failures, jitter) ?? -1;
          assert.ok(Number.isSafeInteger(wait) && wait >= Math.floor(full / 2) && wait <= full);
        },
      ),
      { seed: 11 },
    );
    const defaults = new Story({ retry_failed_steps: true, max_retries: 100 }).state;
    assert.equal(backoffMs(defaults, 0, 0), 100);
    assert.equal(backoffMs(defaults, 1, 0), 200);
    assert.equal(backoffMs(defaults, 99, 0.999_999), 30_000);
  });
});

describe('a lost node', () => {
  it('costs the step its place, and no retry', () => {
    const story = new Story();
    story.assign('a');
    story.apply(loseAttempt(story.state, 'a', 'gone', true, 9));
    assert.equal(story.kindOf('a'), 'ready');
    assert.equal(story.state.reassignments, 1);
    assert.equal(story.state.retries, 0);
    assert.equal(loseAttempt(story.state, 'a', 'gone', true, 9), undefined, 'nobody has it now');
  });

  it('counts against the step, unless it was handed back; the limit blames the step', () => {
    const story = new Story();
    for (let n = 0; n < 3 * limits.nodeLossesMax; n++) {
      story.assign('a');
      story.apply(loseAttempt(story.state, 'a', 'shuts down', false, 0));
    }
    assert.equal(blameForLosses(story.state, 'a'), undefined);
    for (let n = 0; n < limits.nodeLossesMax; n++) {
      assert.equal(blameForLosses(story.state, 'a'), undefined);
      story.assign('a');
      story.apply(loseAttempt(story.state, 'a', 'gone', true, 0));
    }
    const blame = blameForLosses(story.state, 'a');
    assert.equal(blame?.code, 'NODE_LOST');
    assert.equal(blame?.retryable, false);
    story.apply({
      kind: 'step.failed',
      at: 0,
      step: 'a',
      attempt: 21,
      node: 'c',
      error: blame ?? broken,
      envelope: envelope(),
    });
    assert.equal(story.kindOf('a'), 'failed');
  });
});

describe('a run that fails', () => {
  it('stops: what runs is cancelled, what waits is skipped', () => {
    const story = new Story();
    story.assign('e');
    story.fail('a');
    assert.deepEqual(story.state.stopping, { by: 'failure', why: 'step a failed' });
    assert.ok(!isSettled(story.state), 'e still runs');
    const stopped = { code: 'STEP_CANCELLED', message: 'told to stop', retryable: false };
    assert.equal(story.judge(story.answer('e', { error: stopped })).kind, 'accept');
    assert.equal(story.kindOf('e'), 'cancelled');
    assert.ok(isSettled(story.state));
    assert.equal(finalStatus(story.state), 'failed');
  });

  it('stops: a step that ends well all the same counts, one that fails is not tried again', () => {
    const steps: Workflow['steps'] = ['a', 'b', 'c'].map((id) => ({ id, type: 't' }));
    const story = new Story({ retry_failed_steps: true, max_retries: 1 }, steps);
    for (const step of ['a', 'b', 'c']) story.assign(step);
    story.judge(story.answer('a', { error: { ...broken, retryable: false } }));
    story.judge(story.answer('b'));
    story.judge(story.answer('c', { error: broken }));
    assert.deepEqual(['a', 'b', 'c'].map(story.kindOf), ['failed', 'succeeded', 'failed']);
    assert.equal(story.state.failure?.step_id, 'a', 'the first failure is the cause');
    assert.ok(isSettled(story.state));
  });

  it('continues where asked: independent branches end, what depends on the failure never starts', () => {
    const story = new Story({ on_step_failure: 'continue' });
    story.succeed('a');
    story.fail('b');
    assert.equal(story.state.stopping, undefined);
    assert.ok(!isSettled(story.state));
    story.succeed('c', 'e');
    assert.equal(story.kindOf('d'), 'blocked');
    assert.ok(isSettled(story.state));
    assert.equal(finalStatus(story.state), 'failed');
  });
});

describe('a cancelled run', () => {
  it('starts nothing more, and what runs ends as cancelled or as it ends', () => {
    const story = new Story();
    story.assign('a');
    story.assign('e');
    story.apply({ kind: 'run.cancelling', at: 0, why: 'enough' });
    story.apply({ kind: 'run.cancelling', at: 1, why: 'really' });
    assert.deepEqual(story.state.stopping, { by: 'cancel', why: 'enough' });
    assert.ok(!acceptCheckpoint(story.state, { step: 'a', attempt: 1, epoch: 1, node: 'n1' }));
    const lost = loseAttempt(story.state, 'a', 'no answer', true, 2);
    assert.equal(lost?.kind, 'step.cancelled');
    story.apply(lost);
    assert.equal(story.judge(story.answer('e')).kind, 'accept');
    assert.ok(isSettled(story.state));
    assert.equal(finalStatus(story.state), 'cancelled');
  });

  it('that had nothing left to do has completed', () => {
    const story = new Story(undefined, [{ id: 'a', type: 't' }]);
    story.assign('a');
    story.apply({ kind: 'run.cancelling', at: 0, why: 'enough' });
    story.judge(story.answer('a'));
    assert.equal(finalStatus(story.state), 'completed');
  });
});

it('checkpoints are taken from the attempt under way alone', () => {
  const story = new Story({ failover_strategy: 'checkpoint' });
  story.assign('a');
  const key = { step: 'a', attempt: 1, epoch: 1, node: 'n1' };
  assert.ok(acceptCheckpoint(story.state, key));
  for (const change of [{ attempt: 2 }, { epoch: 0 }, { node: 'n2' }, { step: 'b' }])
    assert.ok(!acceptCheckpoint(story.state, { ...key, ...change }));
  story.apply({ kind: 'step.checkpoint', at: 0, step: 'a', attempt: 1, state: { value: 7 } });
  story.apply(loseAttempt(story.state, 'a', 'gone', true, 0));
  assert.deepEqual(story.state.steps[0]?.checkpoint, { value: 7 }, 'it outlives its attempt');
});

it('whatever happens, the counts are right, and the journal alone gives the same state', () => {
  const command = fc.record({
    act: fc.constantFrom(
      'assign',
      'succeed',
      'fail',
      'crash',
      'lose',
      'return',
      'wake',
      'stale',
      'checkpoint',
      'cancel',
    ),
    pick: fc.nat(1_000),
    rare: fc.nat(30),
  });
  const policy = fc.record({
    retry_failed_steps: fc.boolean(),
    max_retries: fc.nat(3),
    on_step_failure: fc.constantFrom('stop' as const, 'continue' as const),
  });
  const shape = fc.array(fc.array(fc.nat(20), { maxLength: 3 }), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(shape, policy, fc.array(command, { maxLength: 120 }), (parents, fault_tolerance, commands) => {
      const steps = parents.map((of, index) => ({
        id: `s${index}`,
        type: 't',
        ...(index === 0 ? {} : { parent_step_ids: [...new Set(of.map((parent) => `s${parent % index}`))] }),
      }));
      const story = new Story(fault_tolerance, steps);
      const past: Answer[] = [];
      const pickOf = (kind: string, pick: number): string | undefined => {
        const ids = steps.map(({ id }) => id).filter((id) => story.kindOf(id) === kind);
        return ids[pick % Math.max(1, ids.length)];
      };
      for (const { act, pick, rare } of commands) {
        story.at += pick;
        if (act === 'cancel') {
          if (rare === 0) story.apply({ kind: 'run.cancelling', at: story.at, why: 'enough' });
        } else if (act === 'stale') {
          const answer = past[pick % Math.max(1, past.length)];
          if (answer !== undefined) assert.notEqual(story.judge(answer).kind, 'accept');
        } else if (act === 'assign') {
          const step = pickOf('ready', pick);
          if (step !== undefined && story.state.stopping === undefined)
            story.assign(step, `n${pick % 3}`, 1 + (pick % 2));
        } else if (act === 'wake') {
          const step = pickOf('backoff', pick);
          if (step !== undefined) story.wake(step);
        } else {
          const step = pickOf('assigned', pick);
          if (step === undefined) continue;
          const answer = story.answer(step);
          if (act === 'checkpoint') {
            const { attempt } = answer;
            story.apply({ kind: 'step.checkpoint', at: story.at, step, attempt, state: { value: pick } });
            continue;
          }
          if (act === 'lose' || act === 'return')
            story.apply(loseAttempt(story.state, step, 'gone', act === 'lose', story.at));
          else if (act === 'succeed') assert.equal(story.judge(answer).kind, 'accept');
          else
            assert.equal(
              story.judge({ ...answer, error: { ...broken, retryable: act === 'fail' } }, pick / 1_001).kind,
              'accept',
            );
          // The same words of another attempt are not the same answer.
          past.push({ ...answer, envelope: envelope() });
        }
        assertSound(story.state);
      }
      assert.deepEqual(comparable(story.refold()), comparable(story.state));
      assert.equal(story.state.seq, story.journal.length);
    }),
    { seed: 7, numRuns: 300 },
  );
});
