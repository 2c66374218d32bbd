import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cluster, identity, steps } from '../../test/support/cluster.ts';
import { type RawOffer, RawWorker } from '../../test/support/raw-worker.ts';
import type { MessageOf } from '../protocol/messages.ts';
import { JoinTokens } from './join-tokens.ts';

/** What the coordinator answers a worker that should not get in. */
async function refusal(cluster: Cluster, offer: RawOffer, id = 'w', worker?: RawWorker): Promise<string> {
  const raw = worker ?? (await cluster.raw(id));
  const refused = raw.join(offer).then(
    () => assert.fail('it was welcomed'),
    (thrown: Error) => thrown.message,
  );
  const message = await refused;
  await raw.ended();
  assert.deepEqual(
    cluster.coordinator.network().nodes.map((node) => node.id),
    [],
  );
  return message;
}

/** Public keys of small order (RFC 8032 curve): one signature would fit almost any message. */
const smallOrder = (y: string): string =>
  `-----BEGIN PUBLIC KEY-----\n${Buffer.from(`302a300506032b6570032100${y}`, 'hex').toString('base64')}\n-----END PUBLIC KEY-----\n`;

describe('a worker is refused', () => {
  it('where it speaks no common version', async () => {
    const cluster = await Cluster.start();
    assert.match(await refusal(cluster, { versions: { min: 2, max: 9 } }), /^refused: PROTOCOL_VERSION/);
    assert.match(await refusal(cluster, { versions: { min: 0, max: 0 } }), /^refused: PROTOCOL_VERSION/);
    await cluster.joined('w', { versions: { min: 0, max: 9 } });
    await cluster.close();
  });

  it('without a token, or with a wrong, used up or old one', async () => {
    const cluster = await Cluster.start({ joinTokens: ['right', 'also right'] });
    for (const token of [undefined, '', 'wrong', 'right ', 'also'])
      assert.match(await refusal(cluster, token === undefined ? {} : { token }), /^refused: UNAUTHORIZED.*token/);
    const once = cluster.coordinator.createJoinToken(60_000).token;
    await cluster.joined('w', { token: once });
    const again = await cluster.raw('x');
    await assert.rejects(again.join({ token: once }), /UNAUTHORIZED/);
    const late = cluster.coordinator.createJoinToken(60_000).token;
    cluster.manual.advance(60_000);
    await assert.rejects((await cluster.raw('y')).join({ token: late }), /UNAUTHORIZED/);
    await cluster.joined('z', { token: 'also right' });
    await cluster.close();
  });

  it('where its key does not sign, is unsound, or belongs to another name', async () => {
    const cluster = await Cluster.start();
    const thief = new RawWorker('w', identity(99), await cluster.connect());
    assert.match(
      await refusal(cluster, { publicKey: identity(50).publicKey }, 'w', thief),
      /UNAUTHORIZED.*could not prove/,
    );
    for (const y of [`01${'00'.repeat(31)}`, '00'.repeat(32), `ec${'ff'.repeat(30)}7f`])
      assert.match(await refusal(cluster, { publicKey: smallOrder(y) }), /UNAUTHORIZED.*small order/);
    assert.match(await refusal(cluster, { publicKey: 'no key' }), /UNAUTHORIZED/);
    await cluster.joined('w');
    const other = new RawWorker('w', identity(99), await cluster.connect());
    await assert.rejects(other.join(), /CONFLICT.*another key/);
    const asCoordinator = new RawWorker('c', identity(98), await cluster.connect());
    await assert.rejects(asCoordinator.join(), /CONFLICT.*coordinator's own/);
    assert.deepEqual(
      (await cluster.coordinator.trust()).keys.map(({ node_id }) => node_id),
      ['c', 'w'],
    );
    await cluster.close();
  });

  it('where its proof covers anything else than this handshake', async () => {
    const cluster = await Cluster.start();
    const wrong = {
      version: 2,
      epoch: 99,
      workerId: 'x',
      workerKey: identity(5).publicKey,
      workerNonce: 'x',
      coordinatorId: 'x',
      coordinatorKey: identity(5).publicKey,
      coordinatorNonce: 'x',
      channelBinding: new Uint8Array(32),
    };
    for (const [field, value] of Object.entries(wrong))
      assert.match(await refusal(cluster, { facts: { [field]: value } }), /UNAUTHORIZED/, field);
    await cluster.close();
  });

  it('with a proof of an earlier handshake, even for the same nonce', async () => {
    const cluster = await Cluster.start();
    const honest = await cluster.raw('w');
    const nonce = Buffer.alloc(32, 7).toString('base64');
    const hello = honest.hello({ nonce });
    const proof = await honest.prove(hello, await honest.next('challenge'));
    await honest.next('welcome');
    const [suspected, left] = [cluster.heard('node:suspected'), cluster.heard('node:left')];
    honest.connection.close();
    await suspected;
    cluster.manual.advance(5_000);
    await left;
    const replay = await cluster.raw('w');
    replay.send(hello);
    await replay.next('challenge');
    replay.send(proof);
    await assert.rejects(replay.next('welcome'), /UNAUTHORIZED/);
    await cluster.close();
  });

  it('by way of someone between the nodes, who ends one TLS connection and begins another', async () => {
    const [front, back] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
    const cluster = await Cluster.start({ channelBinding: back });
    // The worker proves itself on its own connection; the man in the middle passes every message on unchanged.
    const relay = await cluster.raw('w');
    const hello = relay.hello();
    const challenge: MessageOf<'challenge'> = await relay.next('challenge');
    await relay.prove(hello, challenge, { channelBinding: front });
    await assert.rejects(relay.next('welcome'), /UNAUTHORIZED/);
    const direct = await cluster.raw('w');
    await direct.join({ channelBinding: back });
    await cluster.close();
  });

  it('where it says something else first, or nothing in time', async () => {
    const cluster = await Cluster.start();
    const rude = await cluster.raw('w');
    rude.send({ kind: 'pong', at: 0, running: 0, free: {} });
    await assert.rejects(rude.next('welcome'), /INVALID_MESSAGE.*expected hello/);
    const slow = await cluster.raw('w');
    slow.hello();
    await slow.next('challenge');
    cluster.manual.advance(10_000);
    await slow.ended();
    await cluster.close();
  });

  it('where too many join at once', async () => {
    const cluster = await Cluster.start({ config: { handshakesMax: 1 } });
    const first = await cluster.raw('w');
    const hello = first.hello();
    const second = await cluster.raw('x');
    await assert.rejects(second.join(), /OVERLOADED/);
    await first.prove(hello, await first.next('challenge'));
    await first.next('welcome');
    await cluster.close();
  });
});

it('a node that connects again takes its own place, and its older connection ends', async () => {
  const cluster = await Cluster.start();
  const first = await cluster.joined('w');
  const second = await cluster.joined('w');
  await first.ended();
  const runId = await cluster.submit({ steps: steps(1) });
  await second.work();
  assert.equal((await cluster.coordinator.wait(runId)).status, 'completed');
  assert.equal(cluster.coordinator.network().nodes.length, 1);
  await cluster.close();
});

it('one-time tokens are few, short-lived and used once', () => {
  const tokens = new JoinTokens(['shared']);
  const secret = (n: number) => Buffer.from(`secret ${n}`);
  const { token, expires_at } = tokens.create(secret(0), 1_000, 10 * 3_600_000);
  assert.equal(expires_at, 601_000, 'ten minutes at most');
  assert.ok(tokens.admit(token, 2_000));
  assert.ok(!tokens.admit(token, 2_000));
  const kept = tokens.create(secret(1), 0, 500);
  assert.ok(!tokens.admit(kept.token, 500));
  const old = tokens.create(secret(2), 0, 600_000).token;
  for (let n = 3; n < 1_003; n++) tokens.create(secret(n), 0, 600_000);
  assert.ok(!tokens.admit(old, 1), 'the oldest gave way');
  assert.ok(tokens.admit('shared', 1));
  assert.ok(tokens.admit('shared', 1), 'a shared one holds');
  assert.ok(new JoinTokens([]).admit(undefined, 0), 'none is needed where none is set');
});
