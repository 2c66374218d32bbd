import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cluster, steps, until } from '../../test/support/cluster.ts';
import type { RawWorker } from '../../test/support/raw-worker.ts';
import { verifyBundle } from '../core/receipt/verify.ts';
import { digestOf } from '../lib/canonical.ts';
import { JSONFlowError } from '../lib/errors.ts';
import { sha256 } from '../lib/hash.ts';
import type { RunEvent, Stored } from '../protocol/events.ts';
import { limits } from '../protocol/limits.ts';
import type { Assignment, AttemptKey, MessageOf } from '../protocol/messages.ts';
import { MemoryDisk, MemoryStore } from '../store/memory/memory-store.ts';
import type { StreamEvent } from './api.ts';

/** A real store that fails where a test says so, or takes its time. */
class TroubledStore extends MemoryStore {
  failing = new Set<'getBlob' | 'hasBlob' | 'read'>();
  reads = 0;
  slow: { digest: string; until: Promise<void> } | undefined;

  constructor() {
    super({ disk: new MemoryDisk() });
  }

  override async getBlob(digest: string): Promise<Uint8Array | undefined> {
    this.#fail('getBlob');
    return super.getBlob(digest);
  }

  override async hasBlob(digest: string): Promise<boolean> {
    this.#fail('hasBlob');
    if (this.slow?.digest === digest) await this.slow.until;
    return super.hasBlob(digest);
  }

  override async read(runId: string, fromSeq?: number, limit?: number): Promise<RunEvent[]> {
    this.reads += 1;
    this.#fail('read');
    return super.read(runId, fromSeq, limit);
  }

  #fail(call: 'getBlob' | 'hasBlob' | 'read'): void {
    if (this.failing.has(call)) throw new JSONFlowError('STORE_FAILED', 'the disk does not answer');
  }
}

const kinds = async (cluster: Cluster, runId: string, kind: RunEvent['kind']) =>
  (await cluster.store.read(runId)).filter((event) => event.kind === kind);

const keyOf = ({ run_id, step_id, attempt, epoch }: AttemptKey): AttemptKey => ({ run_id, step_id, attempt, epoch });

/** An honest receipt for a digest, with whatever output goes along. */
const resultOf = (worker: RawWorker, assignment: Assignment, digest: string, output: unknown) =>
  worker.result(assignment, 1, {
    predicate: { output_digest: digest },
    message: { output: output as Stored, output_digest: digest },
  });

describe('an output that can be read in two ways, or not at all, does not count', () => {
  const text = '{"n":1}';
  const stored = (content: string | Uint8Array, bytes?: number) => ({
    content,
    output: { digest: sha256(content), bytes: bytes ?? Buffer.byteLength(content) },
  });
  const deep = `${'['.repeat(65)}${']'.repeat(65)}`;
  const large = 'x'.repeat(limits.inlineBytesMax);
  const outputs: Record<string, { content?: string | Uint8Array; output: unknown; digest?: string }> = {
    'a value and a digest': { content: text, output: { value: { n: 666 }, digest: sha256(text), bytes: 7 } },
    'a value with a size': { output: { value: 1, bytes: 1 }, digest: digestOf(1) },
    'neither form': { output: {}, digest: digestOf(null) },
    'a blob that is not canonical': stored('{"n": 1}'),
    'a blob with unsorted keys': stored('{"b":1,"a":2}'),
    'a blob with a duplicate key': stored('{"a":1,"a":1}'),
    'a blob that is no JSON': stored('not json'),
    'a blob that is empty': stored(''),
    'a blob that is not UTF-8': stored(Buffer.from([0x22, 0xff, 0x22])),
    'a blob that is nested too deep': stored(deep),
    'a blob with a number beyond reach': stored('12345678901234567890'),
    'a blob with a lone surrogate': stored('"\\ud800"'),
    'a blob smaller than said': stored(text, 999_999_999),
    'a blob larger than said': stored(text, 3),
    'a blob that nobody stored': { output: { digest: sha256('gone'), bytes: 4 }, digest: sha256('gone') },
    'a value in line that had to be stored': { output: { value: large }, digest: digestOf(large) },
    'a value in line that is not I-JSON': { output: { value: 2 ** 60 }, digest: sha256('1152921504606846976') },
  };
  for (const [what, { content, output, digest }] of Object.entries(outputs))
    it(what, async () => {
      const cluster = await Cluster.start();
      const worker = await cluster.joined('w');
      const runId = await cluster.submit({ steps: steps(1) });
      if (content !== undefined) await cluster.store.putBlob(sha256(content), Buffer.from(content));
      const misbehaved = cluster.heard('node:misbehaved');
      const { assignment } = await worker.next('assign');
      worker.send(await resultOf(worker, assignment, digest ?? sha256(content ?? ''), output));
      const ack = await worker.next('ack');
      assert.equal(ack.accepted, false);
      assert.equal((await misbehaved)[0].nodeId, 'w');
      assert.equal((await kinds(cluster, runId, 'step.succeeded')).length, 0);
      assert.equal((await kinds(cluster, runId, 'step.reassigned')).length, 1, 'the step goes on elsewhere');
      await cluster.close();
    });

  it('a blob that is canonical does, also when it is sent again', async () => {
    const cluster = await Cluster.start();
    const worker = await cluster.joined('w');
    const runId = await cluster.submit({ steps: [{ id: 's0', type: 'raw_step' }, ...steps(2).slice(1)] });
    const value = { text: 'é😀'.repeat(100_000), n: [1.5, -0.1, 1e21] };
    const canonical = `{"n":[1.5,-0.1,1e+21],"text":"${value.text}"}`;
    const digest = digestOf(value);
    assert.equal(sha256(canonical), digest);
    await cluster.store.putBlob(digest, Buffer.from(canonical));
    const { assignment } = await worker.next('assign');
    const result = await resultOf(worker, assignment, digest, { digest, bytes: Buffer.byteLength(canonical) });
    for (let times = 0; times < 2; times++) {
      worker.send(result);
      assert.equal((await worker.next('ack')).accepted, true);
    }
    await worker.work();
    assert.deepEqual((await cluster.coordinator.wait(runId)).outputs.s0, value);
    assert.deepEqual(verifyBundle(await cluster.coordinator.bundle(runId)).problems, []);
    await cluster.close();
  });
});

it('refused evidence is kept up to a number and a size, and counted beyond', async () => {
  const cluster = await Cluster.start();
  const [worker, flooder] = [await cluster.joined('w'), await cluster.joined('f', { proof: { slots: 0 } })];
  const runId = await cluster.submit({ steps: steps(1) });
  const { assignment } = await worker.next('assign');
  // Late, since it is not its attempt; large, though within what a receipt may be.
  const late = (version: string) => flooder.result(assignment, 1, { predicate: { adapter: { id: 'raw', version } } });
  const error = { code: 'Y', message: '', retryable: false };
  const lies = [
    await flooder.result(assignment, 1, {
      predicate: { status: 'failed', output_digest: sha256('null'), error: { ...error, code: 'X'.repeat(10_000) } },
      message: { error },
    }),
    await flooder.result(assignment, 1, { predicate: { adapter: { id: 'raw', version: 'x'.repeat(1_000_000) } } }),
  ];
  const large = await late('x'.repeat(20_000));
  for (let sent = 0; sent < 60; sent++) {
    const result = lies[sent] ?? (sent === 2 ? large : await late('1'));
    flooder.send(result);
    const { accepted, why = '' } = await flooder.next('ack');
    assert.equal(accepted, false);
    assert.ok(why.length <= 500);
  }
  const kept = (await kinds(cluster, runId, 'evidence.refused')) as (RunEvent & { kind: 'evidence.refused' })[];
  assert.equal(kept.length, 20);
  assert.equal(cluster.coordinator.stats().steps.refused, 60);
  assert.match(kept[1]?.why ?? '', /larger than a receipt can be/);
  for (const index of [1, 2]) assert.equal(kept[index]?.envelope, undefined, 'a large envelope is left out');
  assert.ok(kept[3]?.envelope !== undefined);
  for (const event of kept) {
    assert.ok(event.why.length <= 500);
    assert.ok(JSON.stringify(event).length < 20_000);
  }
  worker.send(await worker.result(assignment, 'honest'));
  assert.equal((await worker.next('ack')).accepted, true, 'the honest answer is not affected');
  assert.equal((await cluster.coordinator.wait(runId)).outputs.s0, 'honest');
  await cluster.close();
});

describe('an answer to a run that has ended', () => {
  it('is acknowledged as it was, from one reading of the journal', async () => {
    const store = new TroubledStore();
    const cluster = await Cluster.start({ store });
    const [worker, other] = [await cluster.joined('w'), await cluster.joined('v', { proof: { slots: 0 } })];
    const runId = await cluster.submit({ steps: steps(1) });
    const { assignment } = await worker.next('assign');
    const result = await worker.result(assignment, 1);
    worker.send(result);
    await worker.next('ack');
    await cluster.coordinator.wait(runId);
    store.reads = 0;
    for (let times = 0; times < 500; times++) worker.send(result);
    for (let times = 0; times < 500; times++) assert.equal((await worker.next('ack')).accepted, true);
    for (let times = 0; times < 50; times++) worker.send({ ...result, attempt: 7 });
    for (let times = 0; times < 50; times++) assert.equal((await worker.next('ack')).accepted, false);
    assert.ok(store.reads <= 4, `${store.reads} readings`);
    other.send({ ...(await other.result(assignment, 1)) });
    assert.equal((await other.next('ack')).accepted, false, 'it was the answer of another node');
    await cluster.close();
  });

  it('gets no wrong answer while the journal can not be read, nor when its node joins meanwhile', async () => {
    const store = new TroubledStore();
    const cluster = await Cluster.start({ store });
    const worker = await cluster.joined('w');
    const runId = await cluster.submit({ steps: steps(1) });
    const { assignment } = await worker.next('assign');
    const result = await worker.result(assignment, 1);
    worker.send(result);
    await worker.next('ack');
    await cluster.coordinator.wait(runId);
    store.failing.add('read');
    store.reads = 0;
    worker.send(result);
    await until(() => store.reads === 1);
    const again = await cluster.raw('w');
    const { drop } = await again.join({ proof: { holding: [keyOf(assignment)] } });
    assert.deepEqual(drop, [], 'it may still have something to do after the commit');
    store.failing.clear();
    again.send(result);
    assert.equal((await again.next('ack')).accepted, true, 'and the first question was not answered');
    await cluster.close();
  });

  it('a joining node that holds attempts of very many runs costs a bounded number of readings', async () => {
    const store = new TroubledStore();
    const cluster = await Cluster.start({ store });
    const holding = Array.from({ length: 5_000 }, (_, index) => ({
      run_id: `run-${index}`,
      step_id: 's0',
      attempt: 1,
      epoch: 1,
    }));
    const { drop } = await (await cluster.raw('w')).join({ proof: { holding } });
    assert.equal(store.reads, 100);
    assert.equal(drop.length, 100, 'the others are answered when their results come');
    await cluster.close();
  });
});

describe('a store that fails is not the node’s doing', () => {
  it('while a result is checked', async () => {
    const store = new TroubledStore();
    const cluster = await Cluster.start({ store });
    let blamed = 0;
    cluster.coordinator.emitter.on('node:misbehaved', () => {
      blamed += 1;
    });
    const worker = await cluster.joined('w');
    const runId = await cluster.submit({ steps: steps(1) });
    await store.putBlob(sha256('{"n":1}'), Buffer.from('{"n":1}'));
    store.failing.add('getBlob');
    const { assignment } = await worker.next('assign');
    worker.send(await resultOf(worker, assignment, sha256('{"n":1}'), { digest: sha256('{"n":1}'), bytes: 7 }));
    const { accepted, why } = await worker.next('ack');
    assert.equal(accepted, false);
    assert.equal(why, 'the coordinator could not check the result');
    await until(async () => (await kinds(cluster, runId, 'step.reassigned')).length === 1);
    const [lost] = (await kinds(cluster, runId, 'step.reassigned')) as (RunEvent & { kind: 'step.reassigned' })[];
    assert.equal(lost?.counts, false);
    store.failing.clear();
    await worker.work();
    assert.equal((await cluster.coordinator.wait(runId)).status, 'completed');
    assert.equal(blamed, 0);
    await cluster.close();
  });

  it('while a checkpoint is looked for', async () => {
    const store = new TroubledStore();
    const cluster = await Cluster.start({ store });
    let blamed = 0;
    cluster.coordinator.emitter.on('node:misbehaved', () => {
      blamed += 1;
    });
    const worker = await cluster.joined('w');
    const runId = await cluster.submit({ steps: steps(1), fault_tolerance: { failover_strategy: 'checkpoint' } });
    store.failing.add('hasBlob');
    const { assignment } = await worker.next('assign');
    worker.send({ kind: 'checkpoint', ...keyOf(assignment), save: 1, state: { digest: sha256('1'), bytes: 1 } });
    assert.equal((await worker.next('cancel')).attempt, 1);
    await worker.work();
    assert.equal((await cluster.coordinator.wait(runId)).status, 'completed');
    assert.equal(blamed, 0);
    await cluster.close();
  });
});

describe('a checkpoint', () => {
  const large = 'x'.repeat(limits.inlineBytesMax);
  const states: Record<string, unknown> = {
    'that is not stored': { digest: sha256('gone'), bytes: 4 },
    'in both forms': { value: 1, digest: sha256('1'), bytes: 1 },
    'in line that had to be stored': { value: large },
    'that is not I-JSON': { value: 2 ** 60 },
  };
  for (const [what, state] of Object.entries(states))
    it(`${what} is not journaled, and ends its attempt`, async () => {
      const cluster = await Cluster.start();
      const worker = await cluster.joined('w');
      const runId = await cluster.submit({ steps: steps(1), fault_tolerance: { failover_strategy: 'checkpoint' } });
      const misbehaved = cluster.heard('node:misbehaved');
      const { assignment } = await worker.next('assign');
      worker.send({ kind: 'checkpoint', ...keyOf(assignment), save: 1, state: state as Stored });
      assert.match((await worker.next('cancel')).why, /checkpoint did not hold/);
      assert.match((await misbehaved)[0].why, /checkpoint/);
      assert.equal((await kinds(cluster, runId, 'step.checkpoint')).length, 0);
      await until(async () => (await kinds(cluster, runId, 'step.reassigned')).length === 1);
      await cluster.close();
    });

  it('that came later is not overtaken by one that took longer to look for', async () => {
    const store = new TroubledStore();
    const cluster = await Cluster.start({ store });
    const worker = await cluster.joined('w');
    const runId = await cluster.submit({ steps: steps(1), fault_tolerance: { failover_strategy: 'checkpoint' } });
    const { assignment } = await worker.next('assign');
    await store.putBlob(sha256('"old"'), Buffer.from('"old"'));
    const found = Promise.withResolvers<void>();
    store.slow = { digest: sha256('"old"'), until: found.promise };
    const key = keyOf(assignment);
    worker.send({ kind: 'checkpoint', ...key, save: 1, state: { digest: sha256('"old"'), bytes: 5 } });
    worker.send({ kind: 'checkpoint', ...key, save: 2, state: { value: 'newer' } });
    worker.send({ kind: 'checkpoint', ...key, save: 3, state: { value: 'newest' } });
    worker.send({ kind: 'log', ...key, level: 'info', text: 'sent', at: 0 });
    await new Promise((resolve) => setImmediate(resolve));
    found.resolve();
    assert.equal((await worker.next('checkpoint.saved')).save, 3);
    worker.send({ kind: 'return', ...key, why: 'enough' });
    await until(async () => (await kinds(cluster, runId, 'step.reassigned')).length === 1);
    // Who hands back a step is not given another at once.
    cluster.manual.advance(1_000);
    const next = await worker.next('assign');
    assert.deepEqual(next.assignment.checkpoint, { value: 'newest' });
    assert.equal((await kinds(cluster, runId, 'step.checkpoint')).length, 1);
    await cluster.close();
  });
});

it('progress and logs pass only from the attempt that counts, and within a line', async () => {
  const cluster = await Cluster.start();
  const [worker, other] = [await cluster.joined('w'), await cluster.joined('v', { proof: { slots: 0 } })];
  const runId = await cluster.submit({ steps: steps(2) });
  const stop = new AbortController();
  const heard: StreamEvent[] = [];
  const reading = (async () => {
    for await (const event of cluster.coordinator.events(runId, { signal: stop.signal })) heard.push(event);
  })();
  const { assignment } = await worker.next('assign');
  const key = keyOf(assignment);
  await until(() => heard.some(({ event }) => event.kind === 'step.assigned'));
  const log = (by: RawWorker, change: Partial<MessageOf<'log'>>) =>
    by.send({ kind: 'log', ...key, level: 'info', text: 'foreign', at: 0, ...change });
  log(other, {});
  log(worker, { attempt: 2 });
  log(worker, { epoch: key.epoch + 1 });
  log(worker, { step_id: 's1' });
  log(worker, { step_id: 'unheard-of' });
  log(worker, { run_id: 'unheard-of' });
  other.send({ kind: 'progress', ...key, fraction: 0.5, note: 'foreign' });
  log(worker, { text: `${'😀'.repeat(limits.logLineBytesMax)}` });
  worker.send({ kind: 'progress', ...key, fraction: 0.5, note: `a${'😀'.repeat(limits.logLineBytesMax)}` });
  worker.send(await worker.result(assignment, 1));
  await worker.next('ack');
  log(worker, { text: 'after the commit' });
  await until(() => heard.some(({ event }) => event.kind === 'step.log' && event.text === 'after the commit'));
  const texts = heard.flatMap(({ event }) =>
    event.kind === 'step.log' ? [event.text] : event.kind === 'step.progress' ? [event.note] : [],
  );
  assert.equal(texts.length, 3);
  for (const text of texts) assert.ok(text.length <= limits.logLineBytesMax && text.isWellFormed());
  stop.abort();
  await reading;
  await cluster.close();
});
