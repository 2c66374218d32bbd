import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JSONValue } from '../../../lib/json.ts';
import { commandsMax, parseCommands, storedValue } from './commands.ts';
import { type Raw, replyOf } from './replies.ts';
import { programArguments } from './script.ts';

const parse = (value: JSONValue) => parseCommands(value, 'commands', { write: true });
const bytes = fc.uint8Array({ maxLength: 20 }).map((array) => Buffer.from(array));

test('every argument arrives as its bytes', () => {
  const argument = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    bytes,
  );
  fc.assert(
    fc.property(fc.array(argument, { maxLength: 8 }), (list) => {
      const given = list.map((one) => (Buffer.isBuffer(one) ? { $bytes: one.toString('base64') } : one));
      const [command] = parse([['rpush', ...given]]);
      assert.equal(command?.name, 'RPUSH');
      const expected = list.map((one) => (Buffer.isBuffer(one) ? one : String(one)));
      assert.deepEqual(command?.args, expected);
    }),
  );
});

test('whatever is no list of commands is refused as such, and never thrown otherwise', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      try {
        parse(value as JSONValue);
      } catch (thrown) {
        assert.match((thrown as { code: string }).code, /^(INVALID_PARAMS|UNSUPPORTED)$/);
      }
    }),
  );
});

test('limits', () => {
  const long = Array.from({ length: commandsMax + 1 }, () => ['PING']);
  assert.throws(() => parse(long), { code: 'INVALID_PARAMS' });
  assert.throws(() => parse([['RPUSH', 'k', ...Array.from({ length: 4_000 }, () => 'x')]]), { code: 'INVALID_PARAMS' });
  const large = 'x'.repeat(33 * 1024 * 1024);
  assert.throws(
    () =>
      parse([
        ['SET', 'a', large],
        ['SET', 'b', large],
      ]),
    { code: 'INVALID_PARAMS' },
  );
});

test('replies become JSON, bytes that are no text included', () => {
  const scores = { name: 'ZRANGE', args: ['k', '0', '-1', 'withscores'] };
  const reply: Raw = [Buffer.from('m'), Buffer.from('1.5'), Buffer.from([255]), Buffer.from('inf')];
  assert.deepEqual(replyOf(scores, reply), [
    ['m', 1.5],
    [{ $bytes: '/w==' }, 'inf'],
  ]);
  assert.deepEqual(replyOf({ name: 'HGETALL', args: ['k'] }, [Buffer.from([255]), Buffer.from('v')]), [
    [{ $bytes: '/w==' }, 'v'],
  ]);
  assert.equal(replyOf({ name: 'INCR', args: ['k'] }, '9007199254740993'), '9007199254740993');
  fc.assert(
    fc.property(bytes, (value) => {
      const json = replyOf({ name: 'GET', args: ['k'] }, value);
      assert.deepEqual(Buffer.from(storedValue(json, 'test')), value);
    }),
  );
});

test('different writes have different digests', () => {
  const digest = (value: JSONValue): unknown => programArguments({ commands: parse(value) }, 'key')[2];
  const all = [
    [['SET', 'a', 'bc']],
    [['SET', 'ab', 'c']],
    [['SET', 'a', { $bytes: 'YmM=' }]],
    [['SET', 'a', 'bc', 'NX']],
    [['SET', 'a', 'bc'], ['PING']],
    [['RPUSH', 'a', 'b', 'c']],
    [
      ['RPUSH', 'a', 'b'],
      ['RPUSH', 'a', 'c'],
    ],
    [['APPEND', 'a', 'bc']],
  ].map(digest);
  assert.equal(new Set(all).size, all.length);
});
