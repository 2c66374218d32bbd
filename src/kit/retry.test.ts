import assert from 'node:assert/strict';
import { it } from 'node:test';
import { StepError } from '../lib/errors.ts';
import { retrying } from './retry.ts';

const signal = new AbortController().signal;
const failing = (times: number) => {
  const attempts: number[] = [];
  const body = async (attempt: number): Promise<string> => {
    attempts.push(attempt);
    if (attempt <= times) throw new StepError('FLAKY', `try ${attempt}`);
    return 'done';
  };
  return { attempts, body };
};

it('tries until it succeeds', async () => {
  const { attempts, body } = failing(2);
  assert.equal(await retrying({ attempts: 5, baseMs: 0, signal, again: () => true }, body), 'done');
  assert.deepEqual(attempts, [1, 2, 3]);
});

it('throws what the last try threw, and no more tries than allowed', async () => {
  const { attempts, body } = failing(9);
  await assert.rejects(retrying({ attempts: 3, baseMs: 0, signal, again: () => true }, body), { message: 'try 3' });
  assert.deepEqual(attempts, [1, 2, 3]);
});

it('does not try again what will not get better', async () => {
  const { attempts, body } = failing(9);
  await assert.rejects(retrying({ attempts: 9, baseMs: 0, signal, again: (_, attempt) => attempt < 2 }, body), {
    message: 'try 2',
  });
  assert.deepEqual(attempts, [1, 2]);
});

it('says what failed before the time was over', async () => {
  const stop = new AbortController();
  const { body } = failing(9);
  const late = retrying(
    { attempts: 9, baseMs: 60_000, jitter: false, signal: stop.signal, again: () => true },
    async (attempt) => {
      setImmediate(() => stop.abort(new StepError('TOO_SLOW', 'it took too long', { retryable: true })));
      return body(attempt);
    },
  );
  await assert.rejects(late, { code: 'TOO_SLOW', retryable: true, message: 'it took too long; the try before: try 1' });
});

it('ends with the reason of the signal, during a wait too', async () => {
  const stop = new AbortController();
  const reason = new StepError('STEP_CANCELLED', 'enough');
  const waiting = retrying(
    { attempts: 2, baseMs: 60_000, jitter: false, signal: stop.signal, again: () => true },
    async () => {
      setImmediate(() => stop.abort(reason));
      throw new StepError('FLAKY', 'no');
    },
  );
  await assert.rejects(waiting, (thrown) => thrown === reason);
  await assert.rejects(
    retrying({ attempts: 2, signal: stop.signal, again: () => true }, async () => 'never'),
    (thrown) => thrown === reason,
  );
});
