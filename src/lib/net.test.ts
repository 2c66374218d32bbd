import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLoopback } from './net.ts';

test('loopback hosts', () => {
  for (const host of [
    '127.0.0.1',
    '127.255.0.9',
    '::1',
    '[::1]',
    'localhost',
    'LOCALHOST',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
  ])
    assert.equal(isLoopback(host), true, host);
});

test('hosts that others can reach, or that only look like loopback', () => {
  for (const host of [
    '0.0.0.0',
    '::',
    '[::]',
    '',
    '10.0.0.1',
    '128.0.0.1',
    '::2',
    '::ffff:10.0.0.1',
    'localhost.example.com',
    '127.0.0.1.example.com',
    'example.com',
    '127.1',
    '[127.0.0.1',
  ])
    assert.equal(isLoopback(host), false, host);
});
