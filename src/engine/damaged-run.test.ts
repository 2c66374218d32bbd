import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DistributedEngine } from '../compose/distributed-engine.ts';
import { limits } from '../protocol/limits.ts';

const workflow = (delay_ms: number) => ({
  workflow: 'waits',
  steps: [
    { id: 'wait', type: 'mock_compute', params: { input: 1, delay_ms } },
    { id: 'use', type: 'mock_compute', params: { input: '$input.text' }, parent_step_ids: ['wait'] },
  ],
});

test('a run whose input is lost is set aside, and the others go on', async (context) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jsonflow-damaged-'));
  context.after(() => rm(dataDir, { recursive: true, force: true }));
  const before = new DistributedEngine({ dataDir });
  await before.start();
  const damaged = await before.api.submit({
    workflow: workflow(60_000),
    input: { text: 'x'.repeat(limits.inlineBytesMax) },
  });
  const whole = await before.api.submit({ workflow: workflow(20), input: { text: 'short' } });
  await before.close();

  const blobs = join(dataDir, 'blobs');
  for (const name of await readdir(blobs, { recursive: true })) {
    const path = join(blobs, name);
    if ((await stat(path)).isFile()) await rm(path);
  }
  const after = new DistributedEngine({ dataDir });
  context.after(() => after.close());
  await after.start();
  assert.equal((await after.api.wait(whole.run_id)).status, 'completed');
  const health = await after.healthCheck();
  assert.equal(health.status, 'degraded');
  assert.match(
    health.checks.store?.message ?? '',
    new RegExp(`^run ${damaged.run_id} can't go on: blob .* is missing`),
  );
});

test('cancelling twice answers both once the wish is durable', async (context) => {
  const engine = new DistributedEngine({ dataDir: false });
  context.after(() => engine.close());
  await engine.start();
  const { run_id } = await engine.api.submit({ workflow: workflow(60_000), input: { text: 'a' } });
  assert.deepEqual(await Promise.all([engine.api.cancel(run_id, 'one'), engine.api.cancel(run_id, 'two')]), [
    true,
    true,
  ]);
  const result = await engine.api.wait(run_id);
  assert.equal(result.status, 'cancelled');
  assert.equal(result.error?.message, 'one');
  assert.equal(await engine.api.cancel(run_id), false);
});
