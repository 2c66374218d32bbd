import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from './address.ts';
import { withDefaults } from './options.ts';

const settings = withDefaults({});
const code = (expected: string) => (error: unknown) => (error as { code?: string }).code === expected;

test('addresses of nodes', () => {
  const cases: [string, string, number][] = [
    ['localhost:8080', 'ws://localhost:8080/ws', 8080],
    ['ws://127.0.0.1:8080', 'ws://127.0.0.1:8080/ws', 8080],
    ['ws://127.0.0.1:8080/', 'ws://127.0.0.1:8080/ws', 8080],
    ['ws://[::1]:8080/nodes', 'ws://[::1]:8080/nodes', 8080],
    ['[::1]:8080', 'ws://[::1]:8080/ws', 8080],
    ['localhost', 'ws://localhost/ws', 80],
    ['wss://example.com', 'wss://example.com/ws', 443],
    ['WSS://Example.com:8443', 'wss://example.com:8443/ws', 8443],
  ];
  for (const [text, url, port] of cases) {
    const address = parseAddress(text, settings);
    assert.deepEqual([address.url, address.port, address.secure], [url, port, url.startsWith('wss')], text);
  }
  assert.equal(parseAddress('wss://[2001:db8::1]', settings).host, '2001:db8::1');
  assert.equal(parseAddress('localhost', withDefaults({ path: '/x' })).url, 'ws://localhost/x');
});

test('what cannot be read is NODE_UNREACHABLE', () => {
  for (const text of [
    '',
    ' ',
    'ws://',
    '://',
    'http://localhost',
    'file:///etc',
    'localhost:99999',
    'ws://a b',
    'ws://[::1',
  ])
    assert.throws(() => parseAddress(text, settings), code('NODE_UNREACHABLE'), text);
});

test('ws:// beyond this machine needs insecure', () => {
  for (const text of [
    'ws://192.0.2.1:8080',
    '192.0.2.1:8080',
    'ws://example.com',
    'ws://0.0.0.0:8080',
    'ws://[::]:1',
  ]) {
    assert.throws(() => parseAddress(text, settings), code('INVALID_CONFIG'), text);
    assert.equal(parseAddress(text, withDefaults({ insecure: true })).secure, false);
  }
  // The parser of URLs knows every way to write an address.
  for (const text of ['ws://127.1:80', 'ws://0x7f000001', 'ws://[::ffff:127.0.0.1]:80'])
    assert.equal(parseAddress(text, settings).secure, false, text);
});

test('an address with a secret in it is refused without repeating it', () => {
  for (const text of ['ws://user:hunter2@localhost:1', 'ws://localhost:1/ws?token=hunter2', 'ws://localhost/#hunter2'])
    assert.throws(
      () => parseAddress(text, settings),
      (error: Error) => code('NODE_UNREACHABLE')(error) && !error.message.includes('hunter2'),
    );
});
