import assert from 'node:assert/strict';
import { test } from 'node:test';
import { retryAfterMs } from './retry-after.ts';

const now = Date.UTC(2026, 0, 1, 12);

test('seconds and dates are read, everything else asks for nothing', () => {
  assert.equal(retryAfterMs('0', now), 0);
  assert.equal(retryAfterMs(' 120 ', now), 120_000);
  assert.equal(retryAfterMs('Thu, 01 Jan 2026 12:00:30 GMT', now), 30_000);
  assert.equal(retryAfterMs('Thursday, 01-Jan-26 12:00:30 GMT', now), 30_000);
  assert.equal(retryAfterMs('Thu, 01 Jan 2026 11:00:00 GMT', now), 0);
  for (const other of ['', '-1', '1.5', '1e9', 'soon', '99999999999', 'Thu, 99 Foo', undefined, ['1']])
    assert.equal(retryAfterMs(other, now), 0, String(other));
});
