import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bug, bugs } from './bugs.ts';
import { sabotaged } from './plant.ts';
import { simulate } from './simulate.ts';

/** A bug that needs more seeds than this would slip through a short run. */
const seedsMax = 600;
const atOnce = 2;

// The simulator is only worth what it finds: each bug here must be found, by a broken promise and not by chance.
test('every planted bug is found', { concurrency: atOnce }, async (t) => {
  await Promise.all(bugs.map(({ name }) => t.test(name, (inner) => find(name, (line) => inner.diagnostic(line)))));
});

async function find(name: string, tell: (line: string) => void): Promise<void> {
  const { output, summary } = await simulate(['--once', '--seeds', String(seedsMax), '--bug', name]);
  const [failure] = summary?.failed ?? [];
  assert.ok(failure, `${name} was not found:\n${output}`);
  tell(`seed ${failure.seed}: ${failure.check}`);
}

test('every bug still has its place, once', () => {
  assert.ok(bugs.length >= 14);
  for (const bug of bugs) assert.notEqual(sabotaged(bug), '');
  const names = new Set(bugs.map(({ name }) => name));
  assert.equal(names.size, bugs.length);
});

test('a bug whose place is gone, or is there twice, is not passed over', () => {
  const bug: Bug = { name: 'x', file: 'sim/plant.ts', find: 'no such text', replace: '', why: '' };
  assert.throws(() => sabotaged(bug), /0 times/);
  assert.throws(() => sabotaged({ ...bug, find: 'import ' }), /times, not once/);
});
