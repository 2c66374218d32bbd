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

/** What a refusal says. */
const saying = async (
  egress: ReturnType<typeof createEgress>,
  host: string,
  reach: 'public' | 'operator' = 'public',
) => {
  try {
    await egress.addresses({ scheme: 'http', host, port: 8080 }, reach);
  } catch (thrown) {
    assert.ok(withCode('EGRESS_DENIED')(thrown));
    return String((thrown as Error).message);
  }
  assert.fail('it should have been refused');
};

test('a refusal names the rule that would allow it, and that rule does', async () => {
  for (const [host, address_, rule] of [
    ['127.0.0.1', '127.0.0.1', '127.0.0.1:8080'],
    ['db.internal', '10.0.0.7', 'db.internal:8080'],
    ['db.internal.', '10.0.0.7', 'db.internal:8080'],
    ['::1', '::1', '[::1]:8080'],
    ['169.254.169.254', '169.254.169.254', '169.254.169.254:8080'],
  ] as const) {
    const resolve = resolving([address_]);
    const message = await saying(createEgress({}, resolve), host);
    assert.equal(/--egress-allow '([^']+)'/.exec(message)?.[1], rule, message);
    await createEgress({ allow: [rule] }, resolve).addresses({ scheme: 'http', host, port: 8080 }, 'public');
  }
  const none = await saying(createEgress({ default: 'none' }, resolving(['8.8.8.8'])), 'name.example');
  assert.match(none, /no rule of this node allows it.*--egress-allow 'name\.example:8080'/);
});

test('a refusal promises nothing from a rule that would not help', async () => {
  const byName = await saying(createEgress({}, resolving(['169.254.169.254'])), 'metadata.example');
  assert.match(byName, /a rule about the address itself/);
  assert.doesNotMatch(byName, /169\.254|'metadata/, 'an inner address is not told');
  const odd = await saying(createEgress(), '127.1');
  assert.doesNotMatch(odd, /--egress-allow '/);
  const deny = createEgress({ deny: ['10.0.0.0/8'], allow: ['*'] }, resolving(['10.0.0.7']));
  const ruledOut = await saying(deny, 'db.internal', 'operator');
  assert.match(ruledOut, /the rule 10\.0\.0\.0\/8 of this node denies it.*take that rule away/);
  assert.doesNotMatch(ruledOut, /--egress-allow/);
  const path = createEgress({ default: 'none' });
  assert.throws(() => path.checkPath('sqlite', '/data/../x.db', 'operator'), /--egress-allow 'sqlite:\/x\.db'/);
});
