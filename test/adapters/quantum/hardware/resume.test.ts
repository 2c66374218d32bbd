import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { bell } from '../../../../src/adapters/quantum/circuit/library.ts';
import { StepError } from '../../../../src/lib/errors.ts';
import type { JSONValue } from '../../../../src/lib/json.ts';
import { failsWith } from '../../network/support.ts';
import { contracts, runStep, submissions } from './support.ts';

/** A process that runs the step, until it says so much; then it is killed. @returns its checkpoints */
async function killedAfter(told: 'saved' | 'waiting', config: object): Promise<JSONValue[]> {
  const child = fork(new URL('kill-worker.ts', import.meta.url), { serialization: 'json' });
  const saved: JSONValue[] = [];
  child.send(config);
  for (;;) {
    const [message] = (await once(child, 'message')) as [{ saved?: JSONValue; waiting?: true }];
    if (message.saved !== undefined) saved.push(message.saved);
    if (told in message) break;
  }
  child.kill('SIGKILL');
  await once(child, 'exit');
  return saved;
}

for (const { name, open, config } of contracts) {
  test(`${name}: a node that is killed while the job waits: the next goes on with the job`, async () => {
    await using server = await open();
    server.plan = { ahead: 1_000_000, left: 0, ends: 'completed' };
    const saved = await killedAfter('waiting', config(server));
    assert.equal(saved.length, 1);
    for (const job of server.jobs) job.ahead = 0;
    const { outcome } = runStep(config(server), bell(), { last: saved[0] });
    const { counts, job, transpiled } = await outcome;
    assert.deepEqual(Object.keys(counts).sort(), ['00', '11']);
    assert.equal(job.id, server.jobs[0]?.id);
    assert.ok((transpiled?.facts.depth ?? 0) > 0, 'what the first attempt found out is kept');
    assert.equal(submissions(server), 1);
  });

  test(`${name}: the same without a checkpoint: the job is found by its name`, async () => {
    await using server = await open();
    // Other jobs of the same account, newer and older.
    await runStep(config(server), bell(), { key: 'other-1' }).outcome;
    server.plan = { ahead: 1_000_000, left: 0, ends: 'completed' };
    await killedAfter('saved', config(server));
    server.plan = { ahead: 0, left: 0, ends: 'completed' };
    for (const job of server.jobs) job.ahead = 0;
    for (const key of ['other-2', 'other-3']) await runStep(config(server), bell(), { key }).outcome;
    const before = submissions(server);
    const { job } = await runStep(config(server), bell()).outcome;
    assert.equal(job.id, server.jobs[1]?.id);
    assert.equal(submissions(server), before);
  });

  test(`${name}: a job that is cancelled with the attempt that submitted it is submitted again`, async () => {
    await using server = await open();
    server.plan = { ahead: 1_000_000, left: 0, ends: 'completed' };
    const stop = new AbortController();
    const first = runStep(config(server), bell(), { signal: stop.signal });
    while (first.saved.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const next = runStep(config(server), bell(), { last: first.saved[0] });
    while (next.notes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    server.plan = { ahead: 0, left: 0, ends: 'completed' };
    stop.abort(new StepError('STEP_CANCELLED', 'the coordinator no longer waits for this attempt'));
    await failsWith('STEP_CANCELLED', first.outcome);
    const { job } = await next.outcome;
    assert.deepEqual(
      server.jobs.map(({ id, state }) => [id === job.id, state]),
      [
        [false, 'cancelled'],
        [true, 'completed'],
      ],
    );
  });

  test(`${name}: a node that shuts down leaves the job to the next attempt`, async () => {
    await using server = await open();
    server.plan = { ahead: 1_000_000, left: 0, ends: 'completed' };
    const stop = new AbortController();
    const first = runStep(config(server), bell(), { signal: stop.signal });
    const failed = failsWith('CLOSED', first.outcome, true);
    while (first.notes.length === 0) await new Promise((resolve) => setImmediate(resolve));
    stop.abort(new StepError('CLOSED', 'the node shuts down', { retryable: true }));
    await failed;
    for (const job of server.jobs) job.ahead = 0;
    for (const last of [first.saved[0], undefined]) {
      const { job } = await runStep(config(server), bell(), { last }).outcome;
      assert.equal(job.id, server.jobs[0]?.id);
    }
    assert.equal(submissions(server), 1);
    assert.ok(!server.calls.some((call) => call.includes('cancel')), server.calls.join('\n'));
  });

  test(`${name}: so it does where it shuts down while it submits`, async () => {
    await using server = await open();
    const stop = new AbortController();
    const { outcome } = runStep(config(server), bell(), { signal: stop.signal });
    const failed = failsWith('CLOSED', outcome, true);
    while (!server.calls.includes('POST /jobs')) await new Promise((resolve) => setImmediate(resolve));
    stop.abort(new StepError('CLOSED', 'the node shuts down', { retryable: true }));
    await failed;
    while (server.jobs.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const { job } = await runStep(config(server), bell()).outcome;
    assert.equal(job.id, server.jobs[0]?.id);
    assert.equal(submissions(server), 1);
    assert.ok(!server.calls.some((call) => call.includes('cancel')), server.calls.join('\n'));
  });

  test(`${name}: a job that failed is not taken up again, nor one of another step`, async () => {
    await using server = await open();
    server.plan = { ahead: 0, left: 0, ends: 'failed' };
    const first = runStep(config(server), bell());
    await failsWith('QUANTUM_JOB_FAILED', first.outcome);
    server.plan.ends = 'completed';
    const { job } = await runStep(config(server), bell(), { last: first.saved[0] }).outcome;
    assert.equal(job.id, server.jobs[1]?.id);
    const other = await runStep(config(server), bell(), { last: first.saved[0], key: 'other' }).outcome;
    assert.equal(other.job.id, server.jobs[2]?.id);
  });
}
