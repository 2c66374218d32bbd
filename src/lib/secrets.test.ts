import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JSONFlowError } from './errors.ts';
import type { JSONObject } from './json.ts';
import { findPointers, parsePointer, redactJSON, redactor, resolvePointers } from './secrets.ts';

test('pointers', () => {
  assert.deepEqual(parsePointer('vault://db'), { name: 'db' });
  assert.deepEqual(parsePointer('vault://a/b_c.d-e#3'), { name: 'a/b_c.d-e', version: '3' });
  assert.deepEqual(parsePointer('vault://a/b@v3'), { name: 'a/b', version: 'v3' });
});

test('malformed pointers are refused, and their text is not repeated', () => {
  const bad = ['', 'vault:', 'vault://', 'vault:///a', 'vault://a//b', 'vault://a/', 'vault://a#', 'vault://a#1#2'];
  for (const text of [
    ...bad,
    'vault://a/../b',
    'vault://a b',
    ' vault://a',
    'vault://a\n',
    `vault://${'a'.repeat(600)}`,
  ])
    assert.throws(
      () => parsePointer(text),
      (thrown) => thrown instanceof JSONFlowError && thrown.code === 'INVALID_PARAMS' && !thrown.message.includes('//'),
      text,
    );
});

test('whole strings are resolved at any depth, each pointer once, and the params are left as they are', async () => {
  const params = JSON.parse(
    '{"a":"vault://x","b":[{"c":"vault://x#2"},"not vault://x","vault://x"],"vault://x":1,"__proto__":{"d":"vault://y"}}',
  ) as JSONObject;
  const before = JSON.stringify(params);
  const asked: string[] = [];
  const resolved = await resolvePointers(params, findPointers(params), async (name, version) => {
    asked.push(`${name}:${version ?? 'latest'}`);
    return `secret-${name}-${version ?? 'latest'}`;
  });
  assert.equal(
    JSON.stringify(resolved.params),
    '{"a":"secret-x-latest","b":[{"c":"secret-x-2"},"not vault://x","secret-x-latest"],"vault://x":1,"__proto__":{"d":"secret-y-latest"}}',
  );
  assert.deepEqual(asked, ['x:latest', 'x:2', 'y:latest']);
  assert.equal(JSON.stringify(params), before);
  assert.equal(resolved.secrets.length, 3);
  const none = { a: [1, 'text'] };
  const unasked = () => Promise.reject(new Error('not asked'));
  assert.equal((await resolvePointers(none, findPointers(none), unasked)).params, none);
});

test('only the pointers that the workflow states are resolved', async () => {
  const stated = { header: 'vault://key', body: '$earlier.result', name: 'vault://${input.name}' };
  const paths = findPointers(stated);
  assert.deepEqual(paths, [['header']]);
  const given = { header: 'vault://key', body: ['vault://key'], name: 'vault://other' };
  const { params } = await resolvePointers(given, paths, async () => 'the secret');
  assert.deepEqual(params, { ...given, header: 'the secret' });
});

test('a path that leads nowhere is an error, not a silent miss', async () => {
  for (const path of [['missing'], ['list', 7], ['list', 'length'], ['text', 0], []])
    await assert.rejects(
      resolvePointers({ list: ['a'], text: 'abc' }, [path], async () => 'x'),
      (thrown) => thrown instanceof JSONFlowError && thrown.code === 'INVALID_PARAMS',
    );
});

test('the password of a URL is found by itself', () => {
  const redact = redactor([{ pointer: 'vault://db', value: 'postgres://me:c4n%26ry-7f3a9d@localhost/shop' }]);
  for (const form of ['c4n%26ry-7f3a9d', 'c4n&ry-7f3a9d', 'postgres://me:c4n%26ry-7f3a9d@localhost/shop'])
    assert.equal(redact(`no ${form}!`), 'no vault://db!');
  assert.equal(redact('me at localhost, in shop'), 'me at localhost, in shop');
});

test('a canary is found in every form', () => {
  const secret = 'c4n&ry/+?"\\ü \n-7f3a9d';
  const redact = redactor([{ pointer: 'vault://canary', value: secret }]);
  const bytes = Buffer.from(secret);
  const forms = [
    secret,
    JSON.stringify(secret),
    JSON.stringify({ nested: secret }),
    bytes.toString('base64'),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    bytes.toString('hex').toUpperCase(),
    encodeURIComponent(secret),
    encodeURIComponent(secret).toLowerCase(),
    new URLSearchParams({ key: secret }).toString(),
    `Basic ${Buffer.from(`user:${secret}`).toString('base64')}`,
    `Basic ${Buffer.from(`me:${secret}:`).toString('base64')}`,
    Buffer.from(`xy${secret}z`).toString('base64url'),
  ];
  for (const form of forms) assert.match(redact(`before ${form} after`), /^before .*vault:\/\/canary.* after$/, form);
  assert.equal(redact(`${secret}${secret}`), 'vault://canaryvault://canary');
});

test('JSON is redacted in values and keys, other text stays', () => {
  const redact = redactor([
    { pointer: 'vault://long', value: 'correct horse battery' },
    { pointer: 'vault://part', value: 'horse' },
    { pointer: 'vault://short', value: 'abc' },
  ]);
  const value = JSON.parse('{"horse":["a correct horse battery.",7,null,{"__proto__":"abc"}]}');
  assert.equal(
    JSON.stringify(redactJSON(value, redact)),
    '{"vault://part":["a vault://long.",7,null,{"__proto__":"abc"}]}',
  );
  assert.equal(redactJSON(value, redactor([])), value);
});

test('no secret survives, whatever surrounds it', () => {
  fc.assert(
    fc.property(
      fc.string({ minLength: 8, unit: 'grapheme' }).filter((value) => !'vault://p'.includes(value)),
      fc.string(),
      fc.string(),
      (value, before, after) => {
        const redact = redactor([{ pointer: 'vault://p', value }]);
        assert.ok(!redact(before + value + after).includes(value));
        assert.ok(!redact(JSON.stringify([before, value, after])).includes(JSON.stringify(value).slice(1, -1)));
      },
    ),
    { seed: 7, numRuns: 500 },
  );
});
