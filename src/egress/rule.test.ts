import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JSONFlowError } from '../lib/errors.ts';
import type { Destination } from '../ports/egress.ts';
import { parseRule, plainAddress } from './rule.ts';

const to = (text: string): Destination => {
  const url = new URL(text);
  return { scheme: url.protocol.slice(0, -1), host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) };
};
const matches = (rule: string, destination: string, address = '203.0.113.7'): boolean =>
  parseRule(rule).matches(to(destination), address);

test('a rule names a host, in any case and with or without the final dot, and nothing like it', () => {
  assert.ok(matches('db.example.com', 'postgres://db.example.com:5432'));
  assert.ok(matches('DB.example.com', 'postgres://db.EXAMPLE.com.:5432'));
  for (const other of ['xdb.example.com', 'db.example.com.evil.org', 'example.com', 'db-example.com'])
    assert.equal(matches('db.example.com', `postgres://${other}:5432`), false, other);
});

test('*.name is what is below the name, not the name itself, nor what only ends like it', () => {
  assert.ok(matches('*.example.com', 'x://a.example.com:1'));
  assert.ok(matches('*.example.com', 'x://a.b.example.com:1'));
  assert.equal(matches('*.example.com', 'x://example.com:1'), false);
  assert.equal(matches('*.example.com', 'x://badexample.com:1'), false);
});

test('scheme and port narrow a rule', () => {
  assert.ok(matches('redis://cache:6379', 'redis://cache:6379'));
  assert.equal(matches('redis://cache:6379', 'redis://cache:6380'), false);
  assert.equal(matches('redis://cache:6379', 'amqp://cache:6379'), false);
  assert.ok(matches('cache:6000-7000', 'amqp://cache:7000'));
  assert.equal(matches('cache:6000-7000', 'amqp://cache:7001'), false);
  assert.ok(matches('*:5432', 'postgres://anything:5432'));
});

test('addresses and blocks are those that a name resolved to, in every notation', () => {
  assert.ok(matches('10.0.0.0/8', 'x://name:1', '10.200.3.4'));
  assert.ok(matches('10.0.0.0/8', 'x://name:1', '::ffff:10.200.3.4'));
  assert.ok(matches('10.0.0.0/8', 'x://name:1', '64:ff9b::10.200.3.4'), 'a NAT64 gateway connects there');
  assert.ok(matches('[::ffff:10.0.0.0]/104', 'x://name:1', '10.200.3.4'));
  assert.ok(matches('[64:ff9b::]/96', 'x://name:1', '64:ff9b::8.8.8.8'));
  assert.ok(matches('[fd00::]/8', 'x://name:1', 'fdab::1'));
  assert.ok(matches('[fd00::]/8:80-90', 'x://name:85', 'fdab::1'));
  assert.ok(matches('[fd00::]/8', 'x://name:1', 'fdab::1%eth0'));
  assert.equal(matches('10.0.0.0/8', 'x://10.0.0.1:1', '11.0.0.1'), false, 'the address counts, not the name');
  assert.ok(matches('[::1]:5432', 'x://localhost:5432', '0:0:0:0:0:0:0:1'));
});

test('only a rule about addresses says so', () => {
  assert.deepEqual(
    ['*', 'a.example', '*.example', '10.0.0.1', '10.0.0.0/8', '[::1]'].map((text) => parseRule(text).byAddress),
    [false, false, false, true, true, true],
  );
});

test('paths match as a whole, or by their beginning with a *', () => {
  const path = (rule: string, scheme: string, given: string) => parseRule(rule).matchesPath(scheme, given);
  assert.ok(path('sqlite:/data/a.db', 'sqlite', '/data/a.db'));
  assert.equal(path('sqlite:/data/a.db', 'sqlite', '/data/a.db2'), false);
  assert.ok(path('sqlite:/data/*', 'sqlite', '/data/x/y.db'));
  assert.equal(path('sqlite:/data/*', 'redis', '/data/x'), false);
  assert.equal(parseRule('sqlite:/data/*').matches(to('sqlite://data:1'), '127.0.0.1'), false);
});

test('what is no rule is refused, and not read as another one', () => {
  for (const text of [
    ...['', ' ', 'a b', 'http://', '127.1', '0x7f.0.0.1', '10.0.0.0/33', 'a/8', 'host:99999', 'host:20-10', 'host:x'],
    ...[
      'http://a/path',
      'a.example.',
      '-',
      '**.example',
      '*.',
      'ex*mple',
      'http://user@host',
      '[::1',
      'fd00::/129',
      '1.2.3.4.5/8',
    ],
  ])
    assert.throws(
      () => parseRule(text),
      (thrown) => thrown instanceof JSONFlowError && thrown.code === 'INVALID_CONFIG',
      text,
    );
});

test('an address stays the same however IPv6 wraps it', () => {
  fc.assert(
    fc.property(fc.ipV4(), (address) => {
      assert.equal(plainAddress(`::ffff:${address}`).toString(), address);
      assert.equal(plainAddress(`64:ff9b::${address}`).toString(), address);
      assert.ok(parseRule(`${address}/32`).matches(to('x://name:1'), `64:ff9b::${address}`));
    }),
  );
});
