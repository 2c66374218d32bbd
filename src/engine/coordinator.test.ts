import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cluster, steps, until } from '../../test/support/cluster.ts';
import { verifyBundle } from '../core/receipt/verify.ts';
import { sha256 } from '../lib/hash.ts';
import type { Append } from '../ports/store.ts';
import { MemoryDisk, MemoryStore } from '../store/memory/memory-store.ts';

const kindsOf = (group: readonly Append[]): string[] => group.flatMap(({ events }) => events.map(({ kind }) => kind));

describe('persist, then act', () => {
  it('a step is sent, acknowledged and counted only once its event is durable', async () => {
    const gates: { kinds: string[]; open: () => void }[] = [];
    const store = new MemoryStore({
      durable: (group) => new Promise((open) => gates.push({ kinds: kindsOf(group), open })),
    });
    const cluster = await Cluster.start({ store });
    const pass = async (kind: string): Promise<void> => {
      await until(() => gates.length > 0);
      const gate = gates.shift();
      assert.deepEqual(gate?.kinds, [kind]);
      gate?.open();
    };
    const joining = cluster.joined('w');
    const worker = await joining;
    const submitted = cluster.submit({ steps: steps(1) });
    let known = false;
    void submitted.then(() => {
      known = true;
    });
    await until(() => gates.length > 0);
    assert.equal(known, false, 'no run is acknowledged before it is durable');
    await pass('run.started');
    const runId = await submitted;

    let sent = false;
    const assigned = worker.next('assign').then((message) => {
      sent = true;
      return message;
    });
    await until(() => gates.length > 0);
    assert.equal(sent, false, 'no step is sent before its assignment is durable');
    await pass('step.assigned');
    const { assignment } = await assigned;

    let acknowledged = false;
    let ended = false;
    const ack = worker.next('ack').then((message) => {
      acknowledged = true;
      return message;
    });
    const waiting = cluster.coordinator.wait(runId).then((result) => {
      ended = true;
      return result;
    });
    worker.send(await worker.result(assignment, 1));
    await until(() => gates.length > 0);
    assert.equal(acknowledged, false, 'no result is acknowledged before it is durable');
    await pass('step.succeeded');
    assert.equal((await ack).accepted, true);
    await until(() => gates.length > 0);
    assert.equal(ended, false, 'no run ends before its statement is durable');
    await pass('run.completed');
    assert.equal((await waiting).status, 'completed');
    await cluster.close();
  });

  it('a failing store stops the coordinator; what was acknowledged is there for the next', async () => {
    const disk = new MemoryDisk();
    let fail = false;
    const store = new MemoryStore({
      disk,
      durable: async () => {
        if (fail) throw new Error('no space left');
      },
    });
    const cluster = await Cluster.start({ store });
    const worker = await cluster.joined('w');
    const runId = await cluster.submit({ steps: steps(1) });
    const { assignment } = await worker.next('assign');
    const fatal = cluster.heard('fatal');
    const waiting = cluster.coordinator.wait(runId);
    const refused = assert.rejects(waiting, { code: 'STORE_FAILED' });
    fail = true;
    worker.send(await worker.result(assignment, 1));
    const [error] = await fatal;
    assert.match(error.message, /no space left/);
    await refused;
    await assert.rejects(cluster.submit({ steps: steps(1) }), { code: 'CLOSED' });
    assert.equal((await cluster.coordinator.health()).status, 'failed');
    await cluster.close();

    const next = await Cluster.start({ store: new MemoryStore({ disk }) });
    const back = await next.raw('w');
    // It still has the result: the new coordinator takes it, although its epoch is an older one.
    const { drop } = await back.join({ proof: { holding: [assignment] } });
    assert.deepEqual(drop, []);
    back.send(await back.result(assignment, 1));
    assert.equal((await back.next('ack')).accepted, true);
    const result = await next.coordinator.wait(runId);
    assert.equal(result.status, 'completed');
    assert.ok(verifyBundle(await next.coordinator.bundle(runId), { trust: await next.coordinator.trust() }).pinned);
    await next.close();
  });

  it('a coordinator that another one has replaced stops before it does anything', async () => {
    const disk = new MemoryDisk();
    const old = await Cluster.start({ store: new MemoryStore({ disk }) });
    const worker = await old.joined('w');
    const fatal = old.heard('fatal');
    await old.submit({ steps: steps(1) });
    const { assignment } = await worker.next('assign');
    const next = await Cluster.start({ store: new MemoryStore({ disk }) });
    worker.send(await worker.result(assignment, 1));
    assert.match((await fatal)[0].message, /epoch/);
    await assert.rejects(old.submit({ steps: steps(1) }), { code: 'CLOSED' });
    await old.close();
    await next.close();
  });
});

describe('the queue of runs', () => {
  it('starts a run whose turn comes while it is still being written', async () => {
    let submitSecond: (() => void) | undefined;
    const store = new MemoryStore({
      durable: async (group) => {
        if (kindsOf(group).includes('run.completed')) submitSecond?.();
        await new Promise((resolve) => setImmediate(resolve));
      },
    });
    const cluster = await Cluster.start({ store, config: { runsActiveMax: 1 } });
    cluster.coordinator.emitter.on('fatal', (error) => assert.fail(error));
    const worker = await cluster.joined('w');
    const second = Promise.withResolvers<string>();
    submitSecond = () => {
      submitSecond = undefined;
      cluster.submit({ steps: steps(1) }).then(second.resolve, second.reject);
    };
    const first = await cluster.submit({ steps: steps(1) });
    await worker.work();
    assert.equal((await cluster.coordinator.wait(first)).status, 'completed');
    const runId = await second.promise;
    await worker.work();
    assert.equal((await cluster.coordinator.wait(runId)).status, 'completed');
    await cluster.close();
  });

  it('is bounded, and a run in it can be cancelled', async () => {
    const cluster = await Cluster.start({ config: { runsActiveMax: 1, runsQueuedMax: 2 } });
    const worker = await cluster.joined('w');
    const first = await cluster.submit({ steps: steps(1) });
    const [second, third] = [await cluster.submit({ steps: steps(1) }), await cluster.submit({ steps: steps(1) })];
    await assert.rejects(cluster.submit({ steps: steps(1) }), { code: 'OVERLOADED', retriable: true });
    assert.equal(cluster.coordinator.stats().runs.queued, 2);
    assert.equal(await cluster.coordinator.cancel(second, 'not needed'), true);
    const cancelled = await cluster.coordinator.wait(second);
    assert.equal(cancelled.status, 'cancelled');
    assert.equal(cancelled.error?.message, 'not needed');
    await worker.work();
    await worker.work();
    for (const run of [first, third]) assert.equal((await cluster.coordinator.wait(run)).status, 'completed');
    assert.equal(await cluster.coordinator.cancel(first), false, 'a run that has ended stays as it ended');
    await assert.rejects(cluster.coordinator.cancel('no-such-run'), { code: 'NOT_FOUND' });
    await cluster.close();
  });
});

it('a node that goes and comes back while a large input is read gets the step with its room, or not at all', async () => {
  const store = new MemoryStore();
  const asked = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const get = store.getBlob.bind(store);
  let gets = 0;
  store.getBlob = async (digest) => {
    gets += 1;
    // The first is the check of the result, the second the input of the next step.
    if (gets === 2) {
      asked.resolve();
      await gate.promise;
    }
    return get(digest);
  };
  const cluster = await Cluster.start({ store });
  const worker = await cluster.joined('w');
  const runId = await cluster.submit({
    steps: [
      { id: 'a', type: 'raw_step' },
      { id: 'b', type: 'raw_step', params: { large: '$a' } },
    ],
  });
  const { assignment } = await worker.next('assign');
  // Larger than what is kept at hand.
  const bytes = Buffer.from(JSON.stringify('z'.repeat(33 * 1024 * 1024)));
  const digest = sha256(bytes);
  await store.putBlob(digest, bytes);
  const output = { digest, bytes: bytes.length };
  worker.send(
    await worker.result(assignment, null, {
      predicate: { output_digest: digest },
      message: { output, output_digest: digest },
    }),
  );
  await asked.promise;
  const left = cluster.heard('node:left');
  worker.send({ kind: 'goodbye', why: 'for a moment' });
  await left;
  const again = await cluster.joined('w');
  gate.resolve();
  const next = await again.next('assign');
  assert.deepEqual(cluster.coordinator.network().nodes[0]?.load, { running: 1, slots: 8 });
  again.send(await again.result(next.assignment, 1));
  assert.equal((await cluster.coordinator.wait(runId)).status, 'completed');
  assert.deepEqual(cluster.coordinator.network().nodes[0]?.load, { running: 0, slots: 8 });
  await cluster.close();
});

describe('submission', () => {
  it('by idempotency key starts one run, also when many come at once', async () => {
    const cluster = await Cluster.start();
    const worker = await cluster.joined('w');
    const workflow = { workflow: 'keyed', steps: steps(1) };
    const submit = (input: number) => cluster.coordinator.submit({ workflow, input, idempotencyKey: 'k' });
    const all = await Promise.all(Array.from({ length: 20 }, () => submit(1)));
    assert.equal(new Set(all.map(({ run_id }) => run_id)).size, 1);
    assert.equal(all.filter(({ created }) => created).length, 1);
    await assert.rejects(submit(2), { code: 'CONFLICT' });
    await worker.work();
    const [{ run_id } = { run_id: '' }] = all;
    await cluster.coordinator.wait(run_id);
    assert.deepEqual(await submit(1), { run_id, created: false });
    const other = await cluster.coordinator.submit({ workflow, input: 1, idempotencyKey: 'k', tenantId: 't' });
    assert.ok(other.created, "another tenant's keys are its own");
    await cluster.close();
  });

  it('refuses what this release can not keep, and a tenant that is not the caller', async () => {
    const cluster = await Cluster.start();
    const base = { workflow: 'w', steps: steps(1) };
    const submit = (workflow: unknown, tenantId?: string) =>
      cluster.coordinator.submit({ workflow, ...(tenantId === undefined ? {} : { tenantId }) });
    await assert.rejects(submit({ ...base, consensus: { required: true } }), { code: 'NOT_AVAILABLE_YET' });
    await assert.rejects(submit({ ...base, isolation: { network: 'vlan' } }), { code: 'NOT_AVAILABLE_YET' });
    await assert.rejects(submit({ ...base, steps: [{ ...base.steps[0], consensus_required: true }] }), {
      code: 'NOT_AVAILABLE_YET',
    });
    await assert.rejects(submit({ ...base, tenant_id: 'a' }, 'b'), { code: 'UNAUTHORIZED' });
    await assert.rejects(submit({ ...base, steps: [] }), { code: 'INVALID_WORKFLOW' });
    await assert.rejects(cluster.coordinator.submit({ workflow: base, input: Number.NaN }), { code: 'INVALID_INPUT' });
    await cluster.close();
  });
});
