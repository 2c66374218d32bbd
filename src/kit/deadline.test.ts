import assert from 'node:assert/strict';
import { it } from 'node:test';
import { StepError } from '../lib/errors.ts';
import { deadlineOf } from './deadline.ts';

it('ends when its time is over, or when the step does', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const step = new AbortController();
  const own = deadlineOf({ signal: step.signal, deadline_ms: undefined }, 100, 'TOO_SLOW', 'the query');
  assert.equal(own.ms, 100);
  context.mock.timers.tick(99);
  assert.ok(!own.signal.aborted);
  context.mock.timers.tick(1);
  const { reason } = own.signal;
  assert.ok(reason instanceof StepError && reason.code === 'TOO_SLOW' && reason.retryable);
  const other = deadlineOf({ signal: step.signal, deadline_ms: undefined }, 100, 'TOO_SLOW', 'the query');
  const cancelled = new StepError('STEP_CANCELLED', 'no more');
  step.abort(cancelled);
  assert.equal(other.signal.reason, cancelled);
  assert.equal(deadlineOf({ signal: step.signal, deadline_ms: undefined }, 100, 'X', 'x').signal.reason, cancelled);
});

it('has what the step has left, where that is less', () => {
  const { signal } = new AbortController();
  assert.ok(deadlineOf({ signal, deadline_ms: Date.now() + 50 }, 10_000, 'X', 'x').ms <= 50);
  const none = deadlineOf({ signal, deadline_ms: undefined }, undefined, 'X', 'x');
  assert.equal(none.ms, Number.POSITIVE_INFINITY);
  assert.equal(none.signal, signal);
  const ended = deadlineOf({ signal, deadline_ms: undefined }, 5, 'X', 'x');
  ended.done();
  assert.ok(!ended.signal.aborted);
});
