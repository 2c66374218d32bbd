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

test('an @ behind the host is refused: what was taken for the host may be a part of the password', () => {
  for (const scheme of ['amqp', 'amqps', 'kafka', 'kafkas', 'nats', 'tls', 'redis', 'rediss'])
    for (const text of [
      `${scheme}://u:Secret@Tail99x/abc@host/x`,
      `${scheme}://u:1234/Tail99x@host:1`,
      `${scheme}://u:1234?Tail99x@host:1`,
      `${scheme}://u:1234#Tail99x@host:1`,
      `${scheme}://u:Secret@Tail99x:1,b@host:1/x@y`,
    ])
      assert.throws(
        () => checkedBroker(text),
        (thrown: Error & { code?: string }) =>
          thrown.code === 'INVALID_PARAMS' && /%40/.test(thrown.message) && !/Tail99x|Secret|1234/.test(thrown.message),
        text,
      );
  assert.equal(checkedBroker('amqp://u:p%40%2Fss@host/v%40host').host, 'host');
});
