import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { limits } from '../protocol/limits.ts';
import { UsageError } from './exit.ts';
import { inputOf, integerOf, listOf, numbersOf, pairsOf, readJSON } from './input.ts';
import type { Terminal } from './terminal.ts';

const terminal = (input?: string): Terminal => ({
  out() {},
  err() {},
  readInput: async () => Buffer.from(input ?? ''),
  env: {},
  interactive: false,
  inputIsTerminal: input === undefined,
  size: () => ({ columns: 80, rows: 24 }),
  onResize: () => () => {},
  onReaderGone: () => () => {},
  onInterrupt: () => () => {},
});

describe('--input', () => {
  let folder = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'jsonflow-input-'));
    await writeFile(join(folder, 'object.json'), '{"a":1,"b":2}');
    await writeFile(join(folder, 'list.json'), '[1,2]');
    await writeFile(join(folder, 'broken.json'), '{');
  });
  after(() => rm(folder, { recursive: true }));

  const table: [given: (dir: string) => string[], expected: unknown][] = [
    [() => [], {}],
    [() => ['n=1', 't=yes', 'b=true', 's="1"', 'e='], { n: 1, t: 'yes', b: true, s: '1', e: '' }],
    [() => ['url=http://x/?a=b'], { url: 'http://x/?a=b' }],
    [() => ['big=12345678901234567890'], { big: '12345678901234567890' }],
    [(dir) => [`@${dir}/object.json`, 'b=3'], { a: 1, b: 3 }],
    [(dir) => ['b=3', `@${dir}/object.json`], { a: 1, b: 2 }],
    [(dir) => [`rows=@${dir}/list.json`], { rows: [1, 2] }],
    [(dir) => [`@${dir}/list.json`], [1, 2]],
    [() => ['-'], { piped: true }],
    [() => ['__proto__={"x":1}'], JSON.parse('{"__proto__":{"x":1}}')],
  ];
  for (const [given, expected] of table)
    it(JSON.stringify(given('DIR')), async () =>
      assert.deepEqual(await inputOf(given(folder), terminal('{"piped":true}')), expected),
    );

  const refused: ((dir: string) => string[])[] = [
    () => ['x'],
    () => ['=1'],
    (dir) => [`@${dir}/broken.json`],
    (dir) => [`@${dir}/list.json`, 'a=1'],
    () => ['a=@/no/such/file'],
  ];
  for (const given of refused)
    it(`refuses ${JSON.stringify(given('DIR'))}`, () => assert.rejects(inputOf(given(folder), terminal()), UsageError));
});

describe('lists and pairs', () => {
  it('are split at commas', () => {
    assert.deepEqual(listOf(' a, b,,c '), ['a', 'b', 'c']);
    assert.deepEqual(pairsOf('zone=eu,url=a=b', '--labels'), { zone: 'eu', url: 'a=b' });
    assert.deepEqual(numbersOf('ram_mb=1.5,gpu=0', '--resources'), { ram_mb: 1.5, gpu: 0 });
  });
  it('refuse what is none', () => {
    for (const text of ['a', '=1', 'a=-1', 'a=', 'a=Infinity'])
      assert.throws(() => numbersOf(text, '--resources'), UsageError, text);
    for (const text of ['-1', '1.5', '', '1e3', '10000000000'])
      assert.throws(() => integerOf(text, '--n', 0, 100_000), UsageError, text);
  });
});

it('a file may be as deep as a value, and a bundle deeper by what wraps its values', async () => {
  const nested = (levels: number): Terminal => terminal('['.repeat(levels) + ']'.repeat(levels));
  await readJSON('-', nested(limits.jsonDepthMax));
  await assert.rejects(readJSON('-', nested(limits.jsonDepthMax + 1)), UsageError);
  await readJSON('-', nested(limits.bundleDepthMax), limits.bundleDepthMax);
  await assert.rejects(readJSON('-', nested(limits.bundleDepthMax + 1), limits.bundleDepthMax), UsageError);
});
