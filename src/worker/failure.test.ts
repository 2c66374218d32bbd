import assert from 'node:assert/strict';
import { test } from 'node:test';
import { secretNotFound } from '../vault/not-found.ts';
import { failureOf } from './failure.ts';

test('a secret that is missing: the receipt says where, and what to do', () => {
  const { code, message, retryable } = failureOf(secretNotFound('db/password', '3'), (text) => text);
  assert.equal(code, 'SECRET_NOT_FOUND');
  assert.equal(retryable, false);
  assert.match(
    message,
    /vault:\/\/db\/password#3 on the node that ran this attempt\. Store it with "jsonflow vault set"/,
  );
});
