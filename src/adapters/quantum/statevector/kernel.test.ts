import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

test('the kernel that is committed is what its sources give', { timeout: 240_000 }, () => {
  const script = fileURLToPath(new URL('../../../../scripts/quantum-kernel.ts', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script, '--check'], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});
