import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { test } from 'node:test';
import { StepError } from '../lib/errors.ts';
import type { Address } from '../ports/egress.ts';
import { createEgress } from './egress.ts';

const address = (text: string): Address => ({ address: text, family: text.includes(':') ? 6 : 4 });
/** Answers with one list of addresses after the other. */
const resolving = (...answers: string[][]) => {
  let asked = 0;
  return async (): Promise<Address[]> => (answers[Math.min(asked++, answers.length - 1)] ?? []).map(address);
};
const to = (host: string, port = 80) => ({ scheme: 'http', host, port });
const withCode = (code: string) => (thrown: unknown) => thrown instanceof StepError && thrown.code === code;

test('of several addresses the allowed ones are given, and denied ones never', async () => {
  const egress = createEgress({}, resolving(['127.0.0.1', '8.8.8.8', '10.0.0.1', '2606:4700::1111']));
  assert.deepEqual(await egress.addresses(to('mixed.example'), 'public'), [
    address('8.8.8.8'),
    address('2606:4700::1111'),
  ]);
});

test('a denial says what and why, and not the address', async () => {
  const egress = createEgress({}, resolving(['10.1.2.3']));
  await assert.rejects(egress.addresses(to('inner.example', 8080), 'public'), (thrown) => {
    assert.ok(thrown instanceof StepError);
    assert.equal(thrown.code, 'EGRESS_DENIED');
    assert.equal(thrown.retryable, false);
    assert.match(thrown.message, /http:\/\/inner\.example:8080/);
    assert.doesNotMatch(thrown.message, /10\.1\.2\.3/);
    return true;
  });
});

test('a name without addresses is not found, which may pass', async () => {
  const egress = createEgress({}, resolving([]));
  await assert.rejects(egress.addresses(to('none.example'), 'public'), (thrown) => {
    assert.ok(thrown instanceof StepError && thrown.code === 'HOST_NOT_FOUND' && thrown.retryable);
    return true;
  });
  await assert.rejects(createEgress().addresses(to('no-such-name.invalid'), 'public'), withCode('HOST_NOT_FOUND'));
});

test('the system’s resolver reads odd notations, and what it makes of them is judged', async () => {
  const egress = createEgress();
  for (const host of ['127.1', '0x7f.0.0.1', '2130706433', '017700000001', 'localhost', '::ffff:127.0.0.1', '0'])
    await assert.rejects(egress.addresses(to(host), 'public'), withCode('EGRESS_DENIED'), host);
});

test('lookup resolves and judges anew for each connection: a name that changes its mind gains nothing', async () => {
  const server = createServer();
  let connections = 0;
  server.on('connection', () => (connections += 1));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const egress = createEgress({}, resolving(['8.8.8.8'], ['127.0.0.1']));
  await egress.addresses(to('rebind.example', port), 'public');
  const socket = connect({ host: 'rebind.example', port, lookup: egress.lookup({ scheme: 'http', port }, 'public') });
  const [thrown] = await once(socket, 'error');
  assert.ok(withCode('EGRESS_DENIED')(thrown));
  assert.equal(connections, 0);
  server.close();
});

test('lookup gives the family that is asked for, one address or all', async () => {
  const egress = createEgress({}, resolving(['8.8.8.8', '2606:4700::1111']));
  const lookup = egress.lookup({ scheme: 'http', port: 80 }, 'public');
  const asked = (options: object) =>
    new Promise((resolve, reject) => {
      lookup('name.example', options, (error, found, family) => (error ? reject(error) : resolve([found, family])));
    });
  assert.deepEqual(await asked({}), ['8.8.8.8', 4]);
  assert.deepEqual(await asked({ family: 6 }), ['2606:4700::1111', 6]);
  assert.deepEqual(await asked({ family: 'IPv4' }), ['8.8.8.8', 4]);
  assert.deepEqual(await asked({ all: true, family: 0 }), [
    [address('8.8.8.8'), address('2606:4700::1111')],
    undefined,
  ]);
  const only4 = createEgress({}, resolving(['8.8.8.8'])).lookup({ scheme: 'http', port: 80 }, 'public');
  await new Promise<void>((resolve) => {
    only4('name.example', { family: 6 }, (error) => {
      assert.ok(withCode('HOST_NOT_FOUND')(error));
      resolve();
    });
  });
});

test('a path is judged as what it leads to', () => {
  const egress = createEgress({ allow: ['sqlite:/data/*'] });
  egress.checkPath('sqlite', '/data/a.db', 'public');
  for (const path of ['/data/../etc/passwd', '/data/./../etc/a', '/etc/a'])
    assert.throws(() => egress.checkPath('sqlite', path, 'public'), withCode('EGRESS_DENIED'), path);
});
