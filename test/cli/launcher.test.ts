import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { productVersion } from '../../src/protocol/version.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const launcher = join(root, 'bin', 'jsonflow.js');
const run = promisify(execFile);

/** An older Node of this machine, where there is one. */
async function olderNode(): Promise<string | undefined> {
  for (const file of ['/usr/bin/node', '/usr/local/bin/node', '/opt/homebrew/bin/node']) {
    if (!existsSync(file)) continue;
    const { stdout } = await run(file, ['-p', 'parseInt(process.versions.node)']);
    if (Number(stdout) < 24) return file;
  }
  return undefined;
}
const older = await olderNode();
const skip = older === undefined ? 'this machine has no older Node' : false;
const nodes: [name: string, file: string, skip: string | false][] = [
  ['this Node', process.execPath, false],
  ['an older Node', older ?? '', skip],
];

for (const [name, file, skipped] of nodes)
  describe(`the launcher on ${name}`, { skip: skipped }, () => {
    it('prints the version', async () => {
      const { stdout, stderr } = await run(file, [launcher, '--version']);
      assert.equal(stdout, `${productVersion}\n`);
      assert.equal(stderr, '');
    });

    it('keeps arguments and exit code', async () => {
      const failed = await run(file, [launcher, 'rum', 'a b']).catch((error) => error);
      assert.equal(failed.code, 2);
      assert.match(failed.stderr, /Did you mean "jsonflow run"\?/);
    });

    it('hands standard input through', async () => {
      const child = spawn(file, [launcher, 'validate', '-'], { stdio: ['pipe', 'pipe', 'pipe'] });
      child.stdin.end('{');
      const [code] = await once(child, 'exit');
      assert.equal(code, 2);
    });

    it('runs nodes through distributed-node.js', async () => {
      const { stdout } = await run(file, [join(root, 'distributed-node.js'), '--help']);
      assert.match(stdout, /Usage: jsonflow node/);
    });
  });

describe('the doors', () => {
  it('give DistributedEngine to require and import', async () => {
    const file = join(root, 'distributed-engine.js');
    const required = createRequire(import.meta.url)(file);
    const imported = await import(file);
    assert.equal(typeof required.DistributedEngine, 'function');
    assert.equal(required.DistributedEngine, imported.DistributedEngine);
  });
});
