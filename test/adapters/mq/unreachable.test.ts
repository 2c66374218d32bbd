// What a broker's URL gets wrong, and brokers that can't be reached: the error names the parameter, or the server and the reason.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { test } from 'node:test';
import { freePorts } from '../../../scripts/servers/ports.ts';
import { StepError } from '../../../src/lib/errors.ts';
import { stepsOf } from './steps.ts';

async function failureOf(broker: string): Promise<StepError> {
  const steps = stepsOf();
  try {
    await steps.run('mq_publish', { broker, queue: 'q', message: 1 });
  } catch (thrown) {
    assert.ok(thrown instanceof StepError, String(thrown));
    return thrown;
  } finally {
    await steps.close();
  }
  assert.fail('it should have failed');
}

for (const scheme of ['amqps', 'kafkas', 'tls', 'rediss'])
  test(`${scheme}: a parameter that nobody reads is refused, with the one that is meant`, async () => {
    const { code, message, retryable } = await failureOf(`${scheme}://127.0.0.1:1/?cacrt=/etc/ca.pem`);
    assert.deepEqual([code, retryable], ['INVALID_PARAMS', false]);
    assert.match(message, /cacrt is unknown; did you mean cacert\?/);
    assert.doesNotMatch(message, /ca\.pem/);
  });

for (const scheme of ['amqp', 'kafka', 'nats', 'redis'])
  test(`${scheme}: where nothing listens, the error names host, port and reason`, async () => {
    const [port] = await freePorts(1);
    const { code, message, retryable } = await failureOf(`${scheme}://user:Canary77@127.0.0.1:${port}`);
    assert.deepEqual([code, retryable], ['CONNECTION_FAILED', true], message);
    assert.match(message, new RegExp(`127\\.0\\.0\\.1:${port}: .*nothing listens there \\(ECONNREFUSED\\)`));
    assert.doesNotMatch(message, /Canary77/);
  });

for (const [scheme, greeting] of [
  ['amqps', 'AMQP\0\0\x09\x01'],
  ['kafkas', 'nothing of TLS'],
  ['rediss', '-ERR unknown command\r\n'],
  ['tls', 'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"headers":true}\r\n'],
  ['tls-first', 'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"headers":true}\r\n'],
] as const)
  test(`${scheme}: a port for plain text is told from a certificate that is not trusted`, async () => {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.write(greeting);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    try {
      const { code, message, retryable } = await failureOf(
        scheme === 'tls-first' ? `tls://127.0.0.1:${port}?tls_first=true` : `${scheme}://127.0.0.1:${port}`,
      );
      assert.deepEqual([code, retryable], ['CONNECTION_FAILED', false], message);
      assert.match(message, new RegExp(`127\\.0\\.0\\.1:${port}: .*speaks no TLS`));
    } finally {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });
