import assert from 'node:assert/strict';
import { test } from 'node:test';
import { credentialsOf, serversOf, singleHostUrl } from './hosts.ts';

const serversIn = (text: string) => serversOf(new URL(singleHostUrl(text)), 9092);

test('a URL names one server or several', () => {
  assert.deepEqual(serversIn('kafka://localhost'), [{ host: 'localhost', port: 9092 }]);
  assert.deepEqual(serversIn('kafka://user:p%40ss@a:1,b:2,[::1]:3,c?sasl=plain'), [
    { host: 'a', port: 1 },
    { host: 'b', port: 2 },
    { host: '::1', port: 3 },
    { host: 'c', port: 9092 },
  ]);
  assert.deepEqual(
    serversIn('nats://a,b:4222').map(({ host }) => host),
    ['a', 'b'],
  );
  assert.deepEqual(
    serversIn('nats://a:1,b:2?servers=c:3').map(({ port }) => port),
    [1, 3, 2],
  );
  for (const text of ['kafka://a:1/x?sasl=plain', 'amqp://a:1,b:2']) assert.equal(singleHostUrl(text), text);
});

test('what is no server is refused without the URL', () => {
  for (const text of ['kafka://a:1,b:x', 'kafka://a:1,b:99999', 'kafka://secret:word@a:1,:2'])
    assert.throws(
      () => serversIn(text),
      (thrown: Error & { code?: string }) => thrown.code === 'INVALID_PARAMS' && !thrown.message.includes('secret'),
      text,
    );
});

test('credentials are decoded', () => {
  assert.deepEqual(credentialsOf(new URL('kafka://us%20er:p%40@h')), { username: 'us er', password: 'p@' });
  assert.equal(credentialsOf(new URL('kafka://h')), undefined);
  assert.throws(() => credentialsOf(new URL('kafka://%ff:x@h')), /percent-encoded/);
});
