import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { middle, started } from '../../../test/compliance/run-events.ts';
import { storeCompliance } from '../../../test/compliance/store.ts';
import type { Append } from '../../ports/store.ts';
import { MemoryDisk, MemoryStore } from './memory-store.ts';

storeCompliance('MemoryStore', async () => {
  const disk = new MemoryDisk();
  return { open: async () => new MemoryStore({ disk }), remove: async () => {} };
});

describe('MemoryStore under faults', () => {
  const gate = () => {
    const groups: { appends: readonly Append[]; resolve: () => void; reject: (error: Error) => void }[] = [];
    const durable = (appends: readonly Append[]) =>
      new Promise<void>((resolve, reject) => groups.push({ appends, resolve, reject }));
    return { groups, durable };
  };
  const turn = () => new Promise((resolve) => setImmediate(resolve));

  test('nothing counts before it is durable; what arrives meanwhile is the next group', async () => {
    const { groups, durable } = gate();
    const store = new MemoryStore({ durable });
    const epoch = await store.acquireEpoch();
    let done = 0;
    const first = store.append({ run_id: 'r', seq: 0, epoch, events: [started()] }).then(() => done++);
    await turn();
    const rest = [1, 2].map((seq) =>
      store.append({ run_id: 'r', seq, epoch, events: [middle(seq)] }).then(() => done++),
    );
    await turn();
    assert.deepEqual([groups.length, done, await store.read('r')], [1, 0, []]);
    groups[0]?.resolve();
    await first;
    await turn();
    assert.deepEqual([groups.length, done, (await store.read('r')).length], [2, 1, 1]);
    assert.equal(groups[1]?.appends.length, 2);
    groups[1]?.resolve();
    await Promise.all(rest);
    assert.deepEqual(store.stats(), { appends: 3, events: 3, commits: 2 });
    await store.close();
  });

  for (const survivors of [0, 1, 2])
    test(`a crash keeps what was durable, and ${survivors} of the appends under way`, async () => {
      const { groups, durable } = gate();
      const store = new MemoryStore({ durable });
      const epoch = await store.acquireEpoch();
      const acknowledged = store.append({ run_id: 'r', seq: 0, epoch, events: [started()] });
      await turn();
      groups[0]?.resolve();
      await acknowledged;
      let settled = false;
      for (const seq of [1, 2])
        store.append({ run_id: 'r', seq, epoch, events: [middle(seq)] }).finally(() => {
          settled = true;
        });
      await turn();
      const again = store.crash(survivors);
      groups[1]?.resolve();
      await turn();
      assert.equal(settled, false);
      assert.deepEqual(await again.read('r'), [started(), middle(1), middle(2)].slice(0, 1 + survivors));
      await assert.rejects(store.read('r'), { code: 'CLOSED' });
      assert.equal(await again.acquireEpoch(), epoch + 1);
    });

  test('a failed disk fails every waiter, and the store for good', async () => {
    const { groups, durable } = gate();
    const store = new MemoryStore({ durable });
    const epoch = await store.acquireEpoch();
    const first = store.append({ run_id: 'r', seq: 0, epoch, events: [started()] });
    await turn();
    const second = store.append({ run_id: 's', seq: 0, epoch, events: [started()] });
    groups[0]?.reject(new Error('broken platter'));
    await assert.rejects(first, { code: 'STORE_FAILED', message: /broken platter/ });
    await assert.rejects(second, { code: 'STORE_FAILED' });
    await assert.rejects(store.append({ run_id: 't', seq: 0, epoch, events: [started()] }), { code: 'STORE_FAILED' });
    await assert.rejects(store.read('r'), { code: 'STORE_FAILED' });
    await store.close();
    assert.deepEqual(await store.crash().read('r'), []);
  });

  test('a group under way when a newer epoch starts is fenced', async () => {
    const { groups, durable } = gate();
    const disk = new MemoryDisk();
    const store = new MemoryStore({ disk, durable });
    const epoch = await store.acquireEpoch();
    const late = store.append({ run_id: 'r', seq: 0, epoch, events: [started()] });
    await turn();
    await new MemoryStore({ disk }).acquireEpoch();
    groups[0]?.resolve();
    await assert.rejects(late, { code: 'FENCED' });
    await store.close();
  });
});
