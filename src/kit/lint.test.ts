import assert from 'node:assert/strict';
import { it } from 'node:test';
import { insertedWarnings, passwordWarnings } from './lint.ts';

it('warns of what a run puts into a text, and of nothing that stays as it is', () => {
  const found = (text: unknown) => insertedWarnings(text, ['query'], 'SQL', 'Use a placeholder.').length;
  for (const text of ["SELECT '${input.name}'", '${a.sql}', 'x ${rows["a b"]}', '$${literal} and ${input.x}'])
    assert.equal(found(text), 1, text);
  for (const text of ['SELECT $1', '$a.sql', 'SELECT $${input.name}', '${1}', '$ {input.x}', undefined, 1, null])
    assert.equal(found(text), 0, String(text));
  const [warning] = insertedWarnings('${a.b}', ['query'], 'SQL', 'Use a placeholder.');
  assert.deepEqual([warning?.path, warning?.suggestion], [['query'], 'Use a placeholder.']);
});

it('warns of a secret in a URL, without quoting it', () => {
  for (const url of [
    'postgres://user:Canary77@db:5432/shop',
    'redis://:Canary77@db',
    'kafka://u:Canary77@a:1,b:2',
    'nats://Canary77@db',
    'postgres://user:${input.password}@db',
  ]) {
    const warnings = passwordWarnings(url, ['connection']);
    assert.equal(warnings.length, 1, url);
    assert.doesNotMatch(JSON.stringify(warnings), /anary77/);
    assert.match(warnings[0]?.suggestion ?? '', /vault:\/\/NAME/);
  }
  for (const url of [
    'vault://db/password',
    '$input.url',
    'postgres://user@db/shop',
    'postgres://user:@db/shop',
    'sqlite:a@b.db',
    'sqlite:///data/a:b@c.db',
    'nats://db',
    'http://host:80/a@b',
    'postgres://db/${input.name}@x',
    undefined,
    7,
  ])
    assert.deepEqual(passwordWarnings(url, []), [], String(url));
});
