// The commands of docs/verification.md, run as they stand there.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));
const docs = await readFile(join(root, 'docs', 'verification.md'), 'utf8');
const blocks = [...docs.matchAll(/^```sh\n(.*?)^```$/gms)].map((match) => match[1] ?? '');

let dir = '';
before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'jsonflow-docs-'));
  for (const name of ['bundle.json', 'trust.json'])
    await copyFile(join(root, 'test', 'vectors', 'receipt', name), join(dir, name));
  await mkdir(join(dir, 'bin'));
  await symlink(join(root, 'bin', 'jsonflow.js'), join(dir, 'bin', 'jsonflow'));
});
after(() => rm(dir, { recursive: true, force: true }));

function run(script: string): { status: number | null; output: string } {
  const path = [join(dir, 'bin'), join(process.execPath, '..'), process.env.PATH].join(delimiter);
  const { status, stdout, stderr } = spawnSync('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: dir,
    env: { ...process.env, PATH: path },
    encoding: 'utf8',
  });
  return { status, output: stdout + stderr };
}

const windows = process.platform === 'win32';

test('every command of the page succeeds', { skip: windows }, () => {
  assert.equal(blocks.length, 4);
  const outputs = blocks.map((block) => {
    const { status, output } = run(block);
    assert.equal(status, 0, `${block}\n${output}`);
    return output;
  });
  assert.match(outputs[1] ?? '', /Signature Verified Successfully/);
  assert.match(outputs[2] ?? '', /^merkle root [0-9a-f]{64}$/m);
  assert.match(outputs[3] ?? '', /^output of ages [0-9a-f]{64}$/m);
});

test('every command of the page fails on a bundle that was changed where it looks', { skip: windows }, async () => {
  const path = join(dir, 'bundle.json');
  const honest = await readFile(path, 'utf8');
  type Changeable = { receipts: { payload: string }[]; outputs: { ages: { value: { count: number } } } };
  const changes: ((bundle: Changeable) => void)[] = [
    (bundle) => bundle.receipts.pop(),
    ({ receipts: [first] }) => {
      assert.ok(first);
      const text = Buffer.from(first.payload, 'base64').toString().replace('"epoch":2', '"epoch":3');
      first.payload = Buffer.from(text).toString('base64');
    },
    (bundle) => bundle.receipts.pop(),
    (bundle) => {
      bundle.outputs.ages.value.count++;
    },
  ];
  for (const [index, block] of blocks.entries()) {
    const bundle = JSON.parse(honest) as Changeable;
    changes[index]?.(bundle);
    await writeFile(path, JSON.stringify(bundle));
    assert.notEqual(run(block).status, 0, block);
  }
  await writeFile(path, honest);
});
