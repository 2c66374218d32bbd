// `npm run bench` lists every benchmark, with the options that it takes.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const folder = join(import.meta.dirname, '../../bench');
const bench = (...args: string[]) =>
  spawnSync(process.execPath, [join(folder, 'bench.ts'), ...args], { encoding: 'utf8' });

test('each file is listed with what it measures, and with its options', () => {
  const { status, stdout } = bench('--help');
  assert.equal(status, 0);
  for (const file of readdirSync(folder).filter((name) => name.endsWith('.ts') && name !== 'bench.ts')) {
    const about = new RegExp(`^  ${file.slice(0, -3)} +[^ ].*(\\n {19}--.*)?`, 'm').exec(stdout);
    assert.ok(about !== null, `${file} begins with what it measures`);
    const [options] = /parseArgs\(\{\s*options: [\s\S]*?\}\);|parseArgs\(\{ options: .*/.exec(
      readFileSync(join(folder, file), 'utf8'),
    ) ?? [''];
    const taken = [...options.matchAll(/(\w+): \{ type:/g)].map(([, name]) => name).filter((name) => name !== 'serve');
    const told = [...about[0].matchAll(/--(\w+)/g)].map(([, name]) => name);
    assert.deepEqual(told.sort(), taken.sort(), file);
  }
});

test('a name that is none is refused, with the one that was meant', () => {
  const { status, stderr } = bench('quantun', 'engine');
  assert.equal(status, 2);
  assert.match(stderr, /no benchmark "quantun"; did you mean quantum\?/);
});
