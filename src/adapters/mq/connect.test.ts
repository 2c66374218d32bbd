import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkedBroker } from './connect.ts';

test('a broker may be a cluster of several hosts, each with its port', () => {
  for (const text of [
    'kafka://user:p%40ss@a:1,b:2',
    'kafkas://a:1,b:2,c:3?sasl=plain',
    'nats://a:1,b:2',
    'tls://a:1,b',
  ]) {
    const url = checkedBroker(text);
    assert.equal(url.host, 'a:1');
    assert.match(url.searchParams.get('servers') ?? '', /^b/);
  }
});

test('what is no broker is refused without its text', () => {
  for (const text of ['secret', 'http://secret@a', 'amqp://secret@a:1,b:2', 'redis://secret@a:1,b:2'])
    assert.throws(
      () => checkedBroker(text),
      (thrown: Error & { code?: string }) => thrown.code === 'INVALID_PARAMS' && !thrown.message.includes('secret'),
      text,
    );
});
