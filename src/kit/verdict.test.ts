import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StepError } from '../lib/errors.ts';
import { verdictOf } from './verdict.ts';

test('a check says what is wrong, or throws it; a bug is no verdict', () => {
  assert.deepEqual(
    verdictOf(() => undefined),
    { valid: true },
  );
  assert.deepEqual(
    verdictOf(() => 'no'),
    { valid: false, error: 'no' },
  );
  const refused = (): never => {
    throw new StepError('CIRCUIT_TOO_LARGE', 'too large');
  };
  assert.deepEqual(verdictOf(refused), { valid: false, error: 'too large', code: 'CIRCUIT_TOO_LARGE' });
  const bug = (): never => {
    throw new TypeError('a bug');
  };
  assert.throws(() => verdictOf(bug), TypeError);
});
