import assert from 'node:assert/strict';
import { it } from 'node:test';
import { failureOf } from './failure.ts';

const remains = { stop: 0, stderr: '' };

it('a text that is too long for the engine is no accident of the machine', () => {
  const tooLong = [() => Buffer.allocUnsafeSlow(2 ** 29).toString('latin1'), () => 'x'.repeat(2 ** 29)];
  for (const make of tooLong)
    assert.throws(make, (thrown) => {
      const { code, retryable } = failureOf(thrown, remains);
      assert.deepEqual([code, retryable], ['RESULT_TOO_LARGE', false]);
      return true;
    });
  // Another try may find room.
  const { code, retryable } = failureOf(new RangeError('Array buffer allocation failed'), remains);
  assert.deepEqual([code, retryable], ['SANDBOX_CRASHED', true]);
});
