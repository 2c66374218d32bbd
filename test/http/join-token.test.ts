import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DistributedEngine } from '../../src/compose/distributed-engine.ts';
import { JSONFlowError } from '../../src/lib/errors.ts';

const worker = (connect: string, nodeId: string, token?: string) =>
  new DistributedEngine({ role: 'worker', nodeId, connect, dataDir: false, ...(token === undefined ? {} : { token }) });

const isRefused = (thrown: unknown): boolean => thrown instanceof JSONFlowError && thrown.code === 'NODE_REFUSED';

test('a one-time token admits one worker, once', async (context) => {
  const coordinator = new DistributedEngine({ port: 0, dataDir: false, token: 'shared' });
  context.after(() => coordinator.close());
  await coordinator.start();
  const url = coordinator.url ?? '';
  const create = (body: string) =>
    fetch(`${coordinator.httpUrl}/api/v1/join-tokens`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });

  const answer = await create('{"ttl_ms":60000}');
  assert.equal(answer.status, 201);
  const { token, expires_at } = (await answer.json()) as { token: string; expires_at: string };
  assert.ok(Date.parse(expires_at) > Date.now());

  const first = worker(url, 'first', token);
  context.after(() => first.close());
  await first.start();
  assert.deepEqual(
    coordinator.getNetworkStatus().nodes.map(({ id }) => id),
    ['coordinator', 'first'],
  );

  for (const bad of [worker(url, 'again', token), worker(url, 'guess', 'wrong'), worker(url, 'none')]) {
    await assert.rejects(bad.start(), isRefused);
    await bad.close();
  }
  const shared = worker(url, 'shared', 'shared');
  context.after(() => shared.close());
  await shared.start();

  assert.equal((await create('{"ttl_ms":1}')).status, 400);
  assert.equal((await create('{"ttl_ms":600001}')).status, 400);
});
