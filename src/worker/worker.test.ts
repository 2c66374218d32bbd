import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { adapterOf, Cluster, identity, steps, until } from '../../test/support/cluster.ts';
import { StepError } from '../lib/errors.ts';
import type { JSONValue } from '../lib/json.ts';
import type { AdapterContext } from '../ports/adapter.ts';
import { limits } from '../protocol/limits.ts';
import type { Workflow } from '../protocol/workflow.ts';

const timed = (timeout_ms: number): Workflow['steps'] => [
  { id: 's0', type: 'raw_step', resource_requirements: { timeout_ms } },
];
const untilAborted = ({ signal }: AdapterContext): Promise<never> =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

describe('a time-out', () => {
  it('tells the adapter, and the attempt fails as such', async () => {
    const cluster = await Cluster.start();
    const began = Promise.withResolvers<number | undefined>();
    const adapter = adapterOf((_step, context) => {
      began.resolve(context.deadline_ms);
      return untilAborted(context);
    });
    await cluster.worker('w', [adapter]).join(await cluster.connect());
    const runId = await cluster.submit({ steps: timed(500) });
    assert.equal(await began.promise, cluster.manual.now() + 500);
    cluster.manual.advance(500);
    const result = await cluster.coordinator.wait(runId);
    assert.equal(result.error?.code, 'STEP_TIMEOUT');
    assert.equal(result.receipts.length, 1, 'with a receipt');
    await cluster.close();
  });

  it('abandons an adapter that takes no notice', async () => {
    const cluster = await Cluster.start();
    const began = Promise.withResolvers<void>();
    const late = Promise.withResolvers<unknown>();
    const adapter = adapterOf(() => {
      began.resolve();
      return late.promise;
    });
    const worker = cluster.worker('w', [adapter], { slots: 1 });
    await worker.join(await cluster.connect());
    const runId = await cluster.submit({ steps: timed(500) });
    await began.promise;
    cluster.manual.advance(500);
    assert.equal(worker.holding, 1, 'it has a moment to stop');
    cluster.manual.advance(1_000);
    const result = await cluster.coordinator.wait(runId);
    assert.equal(result.error?.code, 'STEP_TIMEOUT');
    late.resolve('too late');
    await until(() => worker.holding === 0);
    assert.equal((await cluster.coordinator.result(runId)).receipts.length, 1);
    await cluster.close();
  });

  it('takes the step from a node that does not answer at all, and after some such nodes blames the step', async () => {
    const cluster = await Cluster.start();
    const runId = await cluster.submit({ steps: timed(500) });
    const silent = await cluster.joined('x');
    for (let attempt = 1; attempt <= limits.nodeLossesMax; attempt++) {
      const { assignment } = await silent.next('assign');
      assert.equal(assignment.attempt, attempt);
      silent.send({ kind: 'pong', at: cluster.manual.now(), running: 1, free: {} });
      for (let slice = 0; slice < 11; slice++) {
        cluster.manual.advance(500);
        silent.send({ kind: 'pong', at: cluster.manual.now(), running: 1, free: {} });
        await until(() => silent.connection.bufferedBytes === 0);
      }
      await silent.next('cancel');
    }
    const result = await cluster.coordinator.wait(runId);
    assert.equal(result.error?.code, 'NODE_LOST');
    assert.match(result.error?.message ?? '', /may be what brings nodes down/);
    await cluster.close();
  });
});

describe('checkpoints', () => {
  const offered: JSONValue[] = [{ n: 1 }, { n: 1 }, { n: 2 }, { n: 2 }, { n: 1 }];

  async function kept(fault_tolerance: Workflow['fault_tolerance']): Promise<{ states: unknown[]; seen: unknown }> {
    const cluster = await Cluster.start();
    let seen: unknown;
    const adapter = adapterOf(async (_step, { checkpoint, last_checkpoint, attempt }) => {
      if (attempt > 1) {
        seen = last_checkpoint;
        return 'ended';
      }
      for (const state of offered) {
        await checkpoint(state);
        cluster.manual.advance(100);
      }
      throw new StepError('BUSY', 'again', { retryable: true });
    });
    await cluster.worker('w', [adapter]).join(await cluster.connect());
    const runId = await cluster.submit({
      fault_tolerance: { ...fault_tolerance, retry_failed_steps: true, backoff_ms: 0 },
      steps: steps(1),
    });
    let ended = false;
    const waiting = cluster.coordinator.wait(runId).then((result) => {
      ended = true;
      return result;
    });
    await until(() => {
      cluster.manual.advance(0);
      return ended;
    });
    assert.equal((await waiting).status, 'completed');
    const states = (await cluster.store.read(runId)).flatMap((event) =>
      event.kind === 'step.checkpoint' && 'value' in event.state ? [event.state.value] : [],
    );
    await cluster.close();
    return { states, seen };
  }

  it("are kept each, where 'per_step' says so or nothing does", async () => {
    for (const more of [{}, { checkpoint_frequency: 'per_step' as const }])
      assert.deepEqual(await kept({ failover_strategy: 'checkpoint', ...more }), { states: offered, seen: { n: 1 } });
  });

  it("are kept where they differ, by 'on_change'", async () => {
    const { states } = await kept({ failover_strategy: 'checkpoint', checkpoint_frequency: 'on_change' });
    assert.deepEqual(states, [{ n: 1 }, { n: 2 }, { n: 1 }]);
  });

  it('are kept so many ms apart, by a number', async () => {
    const { states } = await kept({ failover_strategy: 'checkpoint', checkpoint_frequency: 200 });
    assert.deepEqual(states, [{ n: 1 }, { n: 2 }, { n: 1 }]);
  });

  it('are not kept where a step starts afresh', async () => {
    assert.deepEqual(await kept({ failover_strategy: 'reassign' }), { states: [], seen: undefined });
    assert.deepEqual(await kept({}), { states: [], seen: undefined });
  });

  it('reach the node that goes on with the step', async () => {
    const cluster = await Cluster.start();
    const seen = Promise.withResolvers<unknown>();
    const first = adapterOf(async (_step, context) => {
      await context.checkpoint({ row: 7 });
      return untilAborted(context);
    });
    const second = adapterOf((_step, { last_checkpoint }) => {
      seen.resolve(last_checkpoint);
      return 'done';
    });
    const dying = await cluster.connect();
    await cluster.worker('w', [first]).join(dying);
    const runId = await cluster.submit({ fault_tolerance: { failover_strategy: 'checkpoint' }, steps: steps(1) });
    await until(async () => (await cluster.store.read(runId)).some(({ kind }) => kind === 'step.checkpoint'));
    const suspected = cluster.heard('node:suspected');
    dying.destroy();
    await suspected;
    cluster.manual.advance(10_000);
    await cluster.worker('v', [second]).join(await cluster.connect());
    assert.deepEqual(await seen.promise, { row: 7 });
    assert.equal((await cluster.coordinator.wait(runId)).status, 'completed');
    await cluster.close();
  });
});

it('logs and progress are bounded: so many lines, so long, so often', async () => {
  const cluster = await Cluster.start();
  const go = Promise.withResolvers<void>();
  const adapter = adapterOf(async (_step, { log, progress }) => {
    await go.promise;
    for (let n = 0; n < limits.logLinesPerStepMax + 50; n++) log.info(n === 0 ? 'x'.repeat(100_000) : `line ${n}`);
    for (let n = 0; n < 50; n++) progress(n / 50, 'p'.repeat(100_000));
    return null;
  });
  const raw = await cluster.connect();
  const said: { kind: string; text?: string; note?: string }[] = [];
  const { send } = raw;
  raw.send = (packet) => {
    said.push(packet.message as never);
    send(packet);
  };
  await cluster.worker('w', [adapter]).join(raw);
  const runId = await cluster.submit({ steps: steps(1) });
  go.resolve();
  await cluster.coordinator.wait(runId);
  const lines = said.filter(({ kind }) => kind === 'log');
  assert.equal(lines.length, limits.logLinesPerStepMax);
  assert.ok(lines.every(({ text }) => Buffer.byteLength(text ?? '') <= limits.logLineBytesMax + 100));
  assert.match(lines.at(-1)?.text ?? '', /further lines of this step are dropped/);
  const notes = said.filter(({ kind }) => kind === 'progress');
  assert.equal(notes.length, 1, 'time stood still');
  assert.ok((notes[0]?.note?.length ?? 0) <= limits.logLineBytesMax);
  await cluster.close();
});

describe('a connection that breaks', () => {
  it('does not end the attempt: its result is kept, and counts over the next one', async () => {
    const cluster = await Cluster.start();
    const began = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<string>();
    let calls = 0;
    let committed = 0;
    const adapter = adapterOf((_step, { afterCommit }) => {
      calls += 1;
      afterCommit(() => {
        committed += 1;
      });
      began.resolve();
      return finish.promise;
    });
    const worker = cluster.worker('w', [adapter]);
    const first = await cluster.connect();
    await worker.join(first);
    const runId = await cluster.submit({ steps: steps(1) });
    await began.promise;
    const suspected = cluster.heard('node:suspected');
    first.destroy();
    await suspected;
    finish.resolve('kept');
    await until(() => !worker.connected);
    assert.equal(worker.holding, 1);
    await worker.join(await cluster.connect());
    const result = await cluster.coordinator.wait(runId);
    assert.deepEqual(result.outputs, { s0: 'kept' });
    assert.deepEqual(
      result.execution_trace.timeline.map(({ attempt, outcome }) => [attempt, outcome]),
      [[1, 'success']],
    );
    await until(() => worker.holding === 0);
    assert.deepEqual([calls, committed], [1, 1]);
    await cluster.close();
  });

  it('for too long costs the attempt: it is told to stop when it comes back, and its effects are not committed', async () => {
    const cluster = await Cluster.start();
    const began = Promise.withResolvers<AbortSignal>();
    let committed = 0;
    let released = 0;
    const adapter = adapterOf((_step, context) => {
      context.afterCommit(
        () => {
          committed += 1;
        },
        () => {
          released += 1;
        },
      );
      began.resolve(context.signal);
      return untilAborted(context);
    });
    const worker = cluster.worker('w', [adapter]);
    const first = await cluster.connect();
    await worker.join(first);
    const runId = await cluster.submit({ steps: steps(1) });
    const signal = await began.promise;
    const [suspected, left] = [cluster.heard('node:suspected'), cluster.heard('node:left')];
    first.destroy();
    await suspected;
    cluster.manual.advance(10_000);
    await left;
    await cluster.worker('v', [adapterOf(() => 'other')]).join(await cluster.connect());
    assert.deepEqual((await cluster.coordinator.wait(runId)).outputs, { s0: 'other' });
    assert.ok(!signal.aborted);
    await worker.join(await cluster.connect());
    assert.ok(signal.aborted);
    assert.equal(worker.holding, 0);
    assert.deepEqual([committed, released], [0, 1]);
    await cluster.close();
  });
});

describe('what was left for after the commit', () => {
  const run = async (fails: boolean): Promise<string[]> => {
    const cluster = await Cluster.start();
    const done: string[] = [];
    const adapter = adapterOf((_step, { afterCommit }) => {
      const failing = () => Promise.reject(new Error('a failure there changes nothing'));
      afterCommit(
        () => void done.push('first'),
        () => void done.push('released'),
      );
      afterCommit(failing, failing);
      afterCommit(async () => void done.push('third'));
      if (fails) throw new StepError('NO', 'no');
      return 1;
    });
    const worker = cluster.worker('w', [adapter]);
    await worker.join(await cluster.connect());
    const { status } = await cluster.coordinator.wait(await cluster.submit({ steps: steps(1) }));
    assert.equal(status, fails ? 'failed' : 'completed');
    await until(() => worker.holding === 0);
    await until(() => done.length === (fails ? 1 : 2));
    await cluster.close();
    return done;
  };
  it('runs once the success is durable', async () => assert.deepEqual(await run(false), ['first', 'third']));
  it('does not run for a failure: what was held is given back', async () =>
    assert.deepEqual(await run(true), ['released']));
});

describe('a worker that closes', () => {
  it('lets its steps end, takes no more, and says goodbye', async () => {
    const cluster = await Cluster.start();
    const began = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<string>();
    const worker = cluster.worker('w', [
      adapterOf(() => {
        began.resolve();
        return finish.promise;
      }),
    ]);
    await worker.join(await cluster.connect());
    const runId = await cluster.submit({ steps: steps(2) });
    await began.promise;
    const left = cluster.heard('node:left');
    const closing = worker.close(5_000);
    finish.resolve('ended');
    await closing;
    assert.match((await left)[0].why, /goodbye/);
    const soFar = await cluster.coordinator.result(runId);
    assert.deepEqual(soFar.outputs, { s0: 'ended' });
    await cluster.worker('v', [adapterOf(() => 'next')]).join(await cluster.connect());
    const result = await cluster.coordinator.wait(runId);
    assert.deepEqual(result.outputs, { s0: 'ended', s1: 'next' });
    await cluster.close();
  });

  it('hands back what does not end in time, at no cost to the step', async () => {
    const cluster = await Cluster.start();
    const began = Promise.withResolvers<AbortSignal>();
    const worker = cluster.worker('w', [
      adapterOf((_step, context) => {
        began.resolve(context.signal);
        return untilAborted(context);
      }),
    ]);
    await worker.join(await cluster.connect());
    const runId = await cluster.submit({ steps: steps(1) });
    const signal = await began.promise;
    const left = cluster.heard('node:left');
    const closing = worker.close(5_000);
    cluster.manual.advance(5_000);
    await closing;
    // The adapter is told that the step goes on elsewhere.
    assert.equal(signal.reason.code, 'CLOSED');
    await left;
    const handedBack = async () => (await cluster.store.read(runId)).find((event) => event.kind === 'step.reassigned');
    await until(async () => (await handedBack()) !== undefined);
    assert.equal((await handedBack())?.counts, false);
    await cluster.close();
  });
});

describe('a worker trusts', () => {
  it('only the coordinator whose key was named, where one was', async () => {
    const cluster = await Cluster.start();
    const wrong = cluster.worker('w', [adapterOf(() => 1)], { coordinatorKeyId: identity(9).keyId });
    await assert.rejects(wrong.join(await cluster.connect()), { code: 'NOT_TRUSTED' });
    const right = cluster.worker('w', [adapterOf(() => 1)], { coordinatorKeyId: cluster.signer.keyId });
    await right.join(await cluster.connect());
    await cluster.close();
  });

  it('no coordinator at the far end of a connection that somebody relays', async () => {
    const cluster = await Cluster.start({ channelBinding: new Uint8Array(32).fill(2) });
    const relayed = await cluster.connect(new Uint8Array(32).fill(1));
    await assert.rejects(cluster.worker('w', [adapterOf(() => 1)]).join(relayed), {
      code: 'NOT_TRUSTED',
      message: /could not prove/,
    });
    await cluster.close();
  });
});
