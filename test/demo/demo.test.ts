import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { verifyBundle } from '../../src/compose/offline.ts';

const script = fileURLToPath(new URL('../../examples/demo/demo.ts', import.meta.url));
const temporary = await mkdtemp(join(tmpdir(), 'demo-test-'));
after(() => rm(temporary, { recursive: true, force: true }));

interface Demo {
  child: ChildProcess;
  output(): string;
  ended: Promise<number | null>;
}

function start(...args: string[]): Demo {
  const child = spawn(process.execPath, [script, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: temporary, NO_COLOR: '1' },
  });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  child.stderr.resume();
  return { child, output: () => output, ended: new Promise((resolve) => child.on('close', resolve)) };
}

/** Which worker dies, in which of the slow steps and when, differs from run to run. */
const withoutChance = (line: string): string =>
  line
    .replaceAll(/worker-\d/g, 'WORKER')
    .replaceAll(/\w+_swarms/g, 'STEP')
    .replace(/attempt 2|\d+ of them/, 'N');

it('the demo shows what it promises, and leaves nothing behind', { timeout: 120_000 }, async () => {
  const kept = join(temporary, 'kept');
  const demo = start(kept);
  assert.equal(await demo.ended, 0, demo.output());
  const output = demo.output();
  assert.match(output, /✔ worker-\d was killed by SIGKILL while it ran \w+_swarms/);
  assert.match(output, /✔ \w+_swarms went from worker-\d \(attempt 1\) to worker-\d \(attempt 2\)/);
  assert.match(output, /White-tailed deer +33 +61 % +\$128,751/);
  assert.match(output, /✔ jsonflow verify .* exit code 0/);
  assert.match(output, /BAD_EVIDENCE outputs\["species_table"\]/);
  assert.match(output, /✔ the copy is refused → exit code 4/);
  assert.doesNotMatch(output, /^✘ (?!outputs)/m);
  const said = new Set(output.split('\n').map(withoutChance));
  const promised = (await readFile(new URL('../../README.md', import.meta.url), 'utf8')).match(/^✔ (?!\w+ {2}).*$/gm);
  assert.equal(promised?.length, 7);
  for (const line of promised) assert.ok(said.has(withoutChance(line)), line);
  const [bundle, trust] = await Promise.all(
    ['bundle.json', 'keys.json'].map(async (name) => JSON.parse(await readFile(join(kept, name), 'utf8'))),
  );
  assert.equal(verifyBundle(bundle, { trust }).ok, true);
  await rm(kept, { recursive: true });
  assert.deepEqual(await readdir(temporary), []);
});

it('an interrupt ends the processes of the demo and removes its files', { timeout: 60_000 }, async () => {
  const demo = start();
  const { stdout } = demo.child;
  assert.ok(stdout);
  await new Promise<void>((resolve) => {
    stdout.on('data', () => {
      if (demo.output().includes('2  A run')) resolve();
    });
    stdout.on('end', resolve);
  });
  const pids = [...demo.output().matchAll(/pid (\d+)/g)].map(([, pid]) => Number(pid));
  assert.equal(pids.length, 4);
  demo.child.kill('SIGINT');
  assert.equal(await demo.ended, 130);
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  assert.deepEqual(await readdir(temporary), []);
});
