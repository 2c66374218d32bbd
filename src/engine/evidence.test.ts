import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cluster, identity, steps } from '../../test/support/cluster.ts';
import type { RawWorker } from '../../test/support/raw-worker.ts';
import { verifyBundle } from '../core/receipt/verify.ts';
import { sha256 } from '../lib/hash.ts';
import type { Assignment, MessageOf } from '../protocol/messages.ts';
import type { ReceiptPredicate } from '../protocol/receipt.ts';

const other = 'f'.repeat(64);

type Lie = (worker: RawWorker, assignment: Assignment) => Promise<MessageOf<'result'>>;
const signedLie =
  (predicate: Partial<ReceiptPredicate>): Lie =>
  (worker, assignment) =>
    worker.result(assignment, 1, { predicate });
const toldLie =
  (message: Partial<MessageOf<'result'>>): Lie =>
  (worker, assignment) =>
    worker.result(assignment, 1, { message });

const error = { code: 'X', message: 'x', retryable: true };
/** Every field of a receipt and of its message that the coordinator can know better. */
const lies: Record<string, Lie> = {
  'another run': signedLie({ run_id: 'another' }),
  'another step': signedLie({ step_id: 's1' }),
  'another step type': signedLie({ step_type: 'mock_compute' }),
  'another attempt': signedLie({ attempt: 2 }),
  'another epoch': signedLie({ epoch: 7 }),
  'another tenant': signedLie({ tenant_id: 'them' }),
  'another workflow': signedLie({ workflow_digest: other }),
  'another definition of the step': signedLie({ step_digest: other }),
  'another input': signedLie({ input_digest: other }),
  'another output': signedLie({ output_digest: other }),
  'an invented parent': signedLie({ parents: [{ step_id: 's1', receipt_digest: other }] }),
  'another node': signedLie({ node: { id: 'v', key_id: identity('v'.charCodeAt(0)).keyId } }),
  'the key of another node': signedLie({ node: { id: 'w', key_id: identity(2).keyId } }),
  'a failure that the message does not tell': async (worker, assignment) => {
    const predicate = { status: 'failed' as const, error, output_digest: sha256('null') };
    const { error: _hidden, ...message } = await worker.result(assignment, 1, { predicate });
    return message;
  },
  'a failure without its cause': signedLie({ status: 'failed' }),
  'a success with a cause of failure': signedLie({ error }),
  'no time': signedLie({ started_at: 'yesterday' }),
  'a failure that the receipt does not tell': toldLie({ error }),
  'another output than it sends': toldLie({ output: { value: 2 } }),
  'another digest than it signs': toldLie({ output_digest: other }),
  'an output that it never stored': toldLie({ output: { digest: other, bytes: 9 }, output_digest: other }),
  'the signature of another': async (worker, assignment) => {
    const envelope = await worker.sign(worker.predicate(assignment, 1), identity(2));
    return worker.result(assignment, 1, { message: { envelope } });
  },
  'the signature of another under its own name': async (worker, assignment) => {
    const { envelope } = await worker.result(assignment, 1);
    const { sig } = (await worker.sign(worker.predicate(assignment, 1), identity(2))).signatures[0] ?? { sig: '' };
    return worker.result(assignment, 1, {
      message: { envelope: { ...envelope, signatures: [{ keyid: worker.signer.keyId, sig }] } },
    });
  },
  'no signature': async (worker, assignment) => {
    const { envelope } = await worker.result(assignment, 1);
    return worker.result(assignment, 1, { message: { envelope: { ...envelope, signatures: [] } } });
  },
  'two signatures': async (worker, assignment) => {
    const { envelope } = await worker.result(assignment, 1);
    const { signatures } = envelope;
    return worker.result(assignment, 1, {
      message: { envelope: { ...envelope, signatures: [...signatures, ...signatures] } },
    });
  },
  'one changed byte': async (worker, assignment) => {
    const { envelope } = await worker.result(assignment, 1);
    const payload = Buffer.from(Buffer.from(envelope.payload, 'base64').toString().replace('"raw"', '"rax"'));
    return worker.result(assignment, 1, {
      message: { envelope: { ...envelope, payload: payload.toString('base64') } },
    });
  },
  'a payload that is no statement': async (worker, assignment) => {
    const { envelope } = await worker.result(assignment, 1);
    const payload = Buffer.from('{"hello":"world"}').toString('base64');
    return worker.result(assignment, 1, { message: { envelope: { ...envelope, payload } } });
  },
};

describe('a receipt does not count, and its step goes to another node, where it states', () => {
  for (const [what, lie] of Object.entries(lies))
    it(what, async () => {
      const cluster = await Cluster.start();
      const liar = await cluster.joined('w');
      const runId = await cluster.submit({ steps: steps(2, true) });
      const misbehaved = cluster.heard('node:misbehaved');
      const { assignment } = await liar.next('assign');
      liar.send(await lie(liar, assignment));
      const ack = await liar.next('ack');
      assert.equal(ack.accepted, false, what);
      assert.ok((ack.why ?? '') !== '', 'it is told why');
      assert.equal((await misbehaved)[0].nodeId, 'w');
      const left = cluster.heard('node:left');
      liar.send({ kind: 'goodbye', why: 'caught' });
      await left;
      const honest = await cluster.joined('v');
      await honest.work();
      await honest.work();
      const result = await cluster.coordinator.wait(runId);
      assert.equal(result.status, 'completed');
      assert.equal(cluster.coordinator.stats().steps.refused, 1);
      const bundle = await cluster.coordinator.bundle(runId);
      assert.equal(bundle.receipts.length, 2, 'refused evidence is no receipt of the run');
      assert.ok(verifyBundle(bundle, { trust: await cluster.coordinator.trust() }).pinned);
      const kept = (await cluster.store.read(runId)).filter(({ kind }) => kind === 'evidence.refused');
      assert.equal(kept.length, 1, 'but it is kept');
      await cluster.close();
    });
});

it('an honest failure is accepted with the cause that was signed, whatever the message adds', async () => {
  const cluster = await Cluster.start();
  const worker = await cluster.joined('w');
  const runId = await cluster.submit({ steps: steps(1) });
  const { assignment } = await worker.next('assign');
  const signed = { code: 'DISK_FULL', message: 'the signed words', retryable: false };
  worker.send(
    await worker.result(assignment, null, {
      predicate: { status: 'failed', error: signed, output_digest: sha256('null') },
      message: { error: { ...signed, message: 'other words', retryable: true } },
    }),
  );
  assert.equal((await worker.next('ack')).accepted, true);
  const result = await cluster.coordinator.wait(runId);
  assert.deepEqual(result.error, { ...signed, step_id: 's0' });
  await cluster.close();
});

it('an answer is acknowledged again where only the acknowledgement was lost', async () => {
  const cluster = await Cluster.start();
  const worker = await cluster.joined('w');
  const runId = await cluster.submit({ steps: steps(2) });
  const { assignment } = await worker.next('assign');
  const result = await worker.result(assignment, 1);
  for (let times = 0; times < 3; times++) {
    worker.send(result);
    assert.equal((await worker.next('ack')).accepted, true);
  }
  await worker.next('assign').then(async ({ assignment: next }) => worker.send(await worker.result(next, 2)));
  await cluster.coordinator.wait(runId);
  worker.send(result);
  assert.equal((await worker.next('ack')).accepted, true);
  assert.equal((await cluster.coordinator.result(runId)).receipts.length, 2, 'each step counts once');
  await cluster.close();
});

it('an attempt that was given to another node is refused when it comes late, and kept', async () => {
  const cluster = await Cluster.start();
  const lost = await cluster.joined('w');
  const runId = await cluster.submit({ steps: steps(2) });
  const { assignment } = await lost.next('assign');
  const left = cluster.heard('node:left');
  // It is silent, but its connection stays: as a process that was stopped.
  for (let beats = 0; beats < 8; beats++) cluster.manual.advance(1_000);
  assert.match((await left)[0].why, /silent/);
  const honest = await cluster.joined('v');
  const next = await honest.next('assign');
  assert.equal(next.assignment.attempt, 2);
  const back = await cluster.raw('w');
  const { drop } = await back.join({ proof: { holding: [assignment] } });
  assert.deepEqual(
    drop.map(({ step_id, attempt }) => ({ step_id, attempt })),
    [{ step_id: 's0', attempt: 1 }],
  );
  back.send(await back.result(assignment, 'stale'));
  const ack = await back.next('ack');
  assert.equal(ack.accepted, false);
  assert.match(ack.why ?? '', /superseded by attempt 2/);
  honest.send(await honest.result(next.assignment, 'fresh'));
  await honest.next('ack');
  const goodbye = cluster.heard('node:left');
  back.send({ kind: 'goodbye', why: 'done' });
  await goodbye;
  await honest.work();
  const result = await cluster.coordinator.wait(runId);
  assert.equal(result.outputs.s0, 'fresh');
  assert.ok((await cluster.store.read(runId)).some(({ kind }) => kind === 'evidence.refused'));
  await cluster.close();
});
