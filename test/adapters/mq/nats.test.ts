import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, nkeys } from '@nats-io/transport-node';
import type { Batch, Broker, OutgoingMessage } from '../../../src/adapters/mq/broker.ts';
import { openNats } from '../../../src/adapters/mq/nats/nats.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { brokerCompliance } from '../../compliance/broker.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { describeWith, privateServer, privateSkipReason } from '../../support/services.ts';
import { tcpProxy } from '../../support/tcp-proxy.ts';
import { egress, openAt } from './brokers.ts';
import { natsServer } from './nats-server.ts';

const never = new AbortController().signal;
const newSubject = (): string => `jsonflow-nats-${randomBytes(6).toString('hex')}`;
const hasCode =
  (code: string, retryable?: boolean) =>
  (thrown: unknown): boolean => {
    const failure = thrown as { code?: string; retryable?: boolean; message: string };
    assert.equal(failure.code, code, String(thrown));
    assert.ok(!failure.message.includes('secret'), failure.message);
    if (retryable !== undefined) assert.equal(failure.retryable, retryable);
    return true;
  };
const messagesOf = (count: number, more: Partial<OutgoingMessage> = {}): OutgoingMessage[] =>
  Array.from({ length: count }, (_, index) => ({
    id: `run/step/${index}`,
    body: Buffer.from(String(index)),
    contentType: 'text/plain; charset=utf-8',
    headers: {},
    ...more,
  }));
const publish = (broker: Broker, params: JSONObject, messages: OutgoingMessage[], dedupe = true): Promise<JSONObject> =>
  broker.publish({ params, messages, idPrefix: 'run/step', firstIndex: 0, dedupe, signal: never, timeoutMs: 10_000 });
const consume = (broker: Broker, params: JSONObject, max = 1000, waitMs = 100): Promise<Batch> =>
  broker.consume({ params, max, waitMs, signal: never });
const textsOf = ({ deliveries }: Batch): string[] => deliveries.map(({ body }) => Buffer.from(body).toString());

describeWith('nats', 'NATS', (url) => {
  const open = () => openAt(openNats, url);
  const check = (title: string, body: (broker: Broker, subject: string) => Promise<void>): void => {
    test(title, async () => {
      const broker = await open();
      try {
        const subject = newSubject();
        await broker.createQueue({ subject }, never);
        await body(broker, subject);
      } finally {
        await broker.close();
      }
    });
  };

  brokerCompliance('NATS', {
    open,
    async openFragile() {
      const { hostname, port } = new URL(url);
      const proxy = await tcpProxy({ host: hostname, port: Number(port) });
      const broker = await openAt(openNats, url.replace(`${hostname}:${port}`, `127.0.0.1:${proxy.port}`));
      const close = broker.close.bind(broker);
      broker.close = async () => {
        await close();
        await proxy.close();
      };
      return { broker, lose: () => proxy.cut() };
    },
    extra: { consume: { ack_wait_ms: 1000 } },
    emptyMs: 100,
    dropsRepetitions: true,
    countsDeliveries: true,
    countsPurged: true,
  });

  describe('streams', () => {
    check('one that exists otherwise is a mismatch', async (broker, subject) => {
      const created = await broker.createQueue(
        { subject: `${subject}.a`, retention: 'workqueue', max_length: 10 },
        never,
      );
      assert.deepEqual(created, { created: true, stream: `${subject}_a`, subjects: [`${subject}.a`] });
      const again = { subject: `${subject}.a`, retention: 'workqueue' };
      assert.equal((await broker.createQueue(again, never)).created, false);
      for (const other of [
        { retention: 'limits' },
        { max_length: 11 },
        { duplicate_window_ms: 1000 },
        { subjects: [`${subject}.b`], stream: `${subject}_a` },
      ])
        await assert.rejects(
          broker.createQueue({ subject: `${subject}.a`, ...other }, never),
          hasCode('QUEUE_MISMATCH', false),
        );
      await assert.rejects(
        broker.createQueue({ subject, stream: `${subject}-other` }, never),
        hasCode('QUEUE_MISMATCH', false),
      );
    });

    check('of several subjects: each is read and purged for itself', async (broker) => {
      const base = newSubject();
      await broker.createQueue({ stream: base, subjects: [`${base}.>`] }, never);
      for (const name of ['a', 'b'])
        await publish(broker, { subject: `${base}.${name}` }, messagesOf(2, { id: name }), false);
      assert.equal(await broker.purge({ subject: `${base}.b` }, never), 2);
      const batch = await consume(broker, { subject: `${base}.a` });
      assert.deepEqual(textsOf(batch), ['0', '1']);
      await batch.ack();
      const all = await consume(broker, { stream: base, replay: true });
      assert.equal(all.deliveries.length, 2);
      assert.equal(await broker.purge({ stream: base }, never), 2);
    });
  });

  describe('publishing', () => {
    check('to a subject that no stream takes is an error, unless nobody need keep it', async (broker) => {
      const subject = newSubject();
      await assert.rejects(publish(broker, { subject }, messagesOf(1)), hasCode('UNROUTABLE', false));
      const listener = await connect({ servers: new URL(url).host });
      const subscription = listener.subscribe(subject, { max: 2 });
      await listener.flush();
      assert.deepEqual(await publish(broker, { subject, options: { jetstream: false } }, messagesOf(2)), {
        subject,
        jetstream: false,
      });
      const heard: string[] = [];
      for await (const message of subscription) heard.push(message.string());
      assert.deepEqual(heard, ['0', '1']);
      await listener.close();
    });

    check('tells where the messages are, and which it had', async (broker, subject) => {
      await publish(broker, { subject }, messagesOf(3));
      assert.deepEqual(await publish(broker, { subject }, messagesOf(5)), {
        subject,
        stream: subject,
        sequences: { first: 1, last: 5, count: 5 },
        duplicates: { count: 3 },
      });
      await publish(broker, { subject }, messagesOf(3), false);
      const { deliveries } = await consume(broker, { subject });
      assert.equal(deliveries.length, 8, 'with dedupe off nothing is left out');
      assert.equal(deliveries[7]?.id, 'run/step/2');
    });

    check('what NATS does not take is refused before anything is sent', async (broker, subject) => {
      const large = messagesOf(1, { body: Buffer.alloc(2 * 1024 * 1024) });
      await assert.rejects(publish(broker, { subject }, large), hasCode('MESSAGE_TOO_LARGE', false));
      const close = messagesOf(1, { body: Buffer.alloc(1024 * 1024 - 10) });
      await assert.rejects(publish(broker, { subject }, close), hasCode('MESSAGE_TOO_LARGE', false));
      for (const headers of [
        { 'Nats-Rollup': 'all' },
        { 'nats-expected-stream': 'x' },
        { 'a b': 'x' },
        { a: 'x\r\nNats-Rollup: all' },
      ] as Record<string, string>[])
        await assert.rejects(
          publish(broker, { subject }, messagesOf(1, { headers })),
          hasCode('INVALID_PARAMS', false),
        );
      for (const name of ['a b', 'a..b', 'x.>', '*'])
        await assert.rejects(publish(broker, { subject: name }, messagesOf(1)), hasCode('INVALID_PARAMS', false));
      await assert.rejects(
        publish(broker, { subject, stream: 'another' }, messagesOf(1)),
        hasCode('PUBLISH_FAILED', false),
      );
      assert.deepEqual((await consume(broker, { subject })).deliveries, []);
    });
  });

  describe('reading', () => {
    check('from the end, a time or a sequence, and again without a trace', async (broker, subject) => {
      await publish(broker, { subject }, messagesOf(4), false);
      assert.deepEqual(textsOf(await consume(broker, { subject, group: 'late', from: 'latest' })), []);
      await publish(broker, { subject }, messagesOf(2), false);
      assert.deepEqual(textsOf(await consume(broker, { subject, group: 'late' })), ['0', '1']);
      assert.deepEqual(textsOf(await consume(broker, { subject, group: 'third', from: 3 })), ['2', '3', '0', '1']);
      assert.equal(
        (await consume(broker, { subject, group: 'timed', from: '2020-01-01T00:00:00Z' })).deliveries.length,
        6,
      );
      for (const _ of [1, 2])
        assert.equal((await consume(broker, { subject, replay: true, from: { sequence: 2 } })).deliveries.length, 5);
      assert.equal((await consume(broker, { subject, replay: true, max: 2 }, 2)).deliveries.length, 2);
      await assert.rejects(
        consume(broker, { subject, group: 'x', from: 'yesterday' }),
        hasCode('INVALID_PARAMS', false),
      );
    });

    check('what is held longer than ack_wait stays with whoever holds it', async (broker, subject) => {
      const params = { subject, group: 'slow', ack_wait_ms: 500 };
      await publish(broker, { subject }, messagesOf(3));
      const held = await consume(broker, params);
      assert.equal(held.deliveries.length, 3);
      assert.deepEqual((await consume(broker, params, 10, 1500)).deliveries, []);
      await held.ack();
      assert.deepEqual((await consume(broker, params, 10, 700)).deliveries, []);
    });

    check('messages without an id: again the same, but never as in a stream before', async (broker, subject) => {
      const connection = await connect({ servers: new URL(url).host });
      const manager = await jetstreamManager(connection);
      const idsOf = ({ deliveries }: Batch): string[] => deliveries.map(({ id }) => id);
      const twice = async (texts: string[]): Promise<string[]> => {
        for (const text of texts) connection.publish(subject, text);
        await connection.flush();
        const first = await consume(broker, { subject }, texts.length, 5000);
        assert.deepEqual(textsOf(first), texts);
        await first.release();
        const again = await consume(broker, { subject }, texts.length, 5000);
        assert.equal(again.deliveries[0]?.deliveriesBefore, 1);
        assert.deepEqual(idsOf(again), idsOf(first));
        assert.deepEqual(idsOf(await consume(broker, { subject, replay: true })), idsOf(first));
        await again.reject(0, 'it is bad');
        await again.ack();
        return idsOf(first);
      };
      const before = await twice(['a', 'b']);
      await manager.streams.delete(subject);
      await broker.createQueue({ subject }, never);
      const after = await twice(['c', 'd', 'e']);
      await connection.close();
      assert.equal(new Set([...before, ...after]).size, 5);
      for (const ids of [before, after])
        for (const [index, id] of ids.entries()) assert.match(id, new RegExp(`^${subject}/${index + 1}/\\d{19}$`));
      const dead = await consume(broker, { subject: `${subject}.dead` });
      assert.deepEqual(textsOf(dead), ['a', 'c'], 'no dead letter is taken for one of the stream before');
      assert.deepEqual(idsOf(dead), [before[0], after[0]]);
    });

    check('a group reads one subject', async (broker, subject) => {
      await broker.createQueue({ stream: `${subject}-more`, subjects: [`${subject}.a`, `${subject}.b`] }, never);
      await consume(broker, { subject: `${subject}.a`, group: 'one' });
      await assert.rejects(
        consume(broker, { subject: `${subject}.b`, group: 'one' }),
        hasCode('QUEUE_MISMATCH', false),
      );
    });
  });

  test('addresses that are out of bounds are not connected to', async () => {
    const target = new URL(url);
    const strict = createEgress({ deny: ['127.0.0.0/8'] });
    await assert.rejects(
      openNats({ url: target, reach: 'operator', egress: strict }, never),
      hasCode('EGRESS_DENIED', false),
    );
    await assert.rejects(openNats({ url: target, reach: 'public', egress }, never), hasCode('EGRESS_DENIED', false));
    const creds = new URL(`${url}?creds=/etc/hostname`);
    const open = createEgress({ allow: ['127.0.0.0/8'] });
    await assert.rejects(
      openNats({ url: creds, reach: 'public', egress: open }, never),
      hasCode('EGRESS_DENIED', false),
    );
  });
});

describe('signing in to NATS', { skip: privateSkipReason('nats') }, () => {
  const works = async (url: string): Promise<void> => {
    const broker = await openAt(openNats, url);
    assert.equal((await broker.createQueue({ subject: newSubject() }, never)).created, true);
    await broker.close();
  };
  const refused = (url: string, code = 'AUTHENTICATION_FAILED') => assert.rejects(openAt(openNats, url), hasCode(code));

  test('by user and password, or a token', async () => {
    const server = await natsServer('authorization { user: "us er", password: "secret@1" }');
    await works(`nats://us%20er:secret%401@${server.host}`);
    await refused(`nats://us%20er:secret@${server.host}`);
    await refused(`nats://${server.host}`);
    await server.stop();
    const other = await natsServer('authorization { token: "secret-token" }');
    await works(`nats://secret-token@${other.host}`);
    await refused(`nats://secret-other@${other.host}`);
    await other.stop();
  });

  test('by an nkey', async () => {
    const key = nkeys.createUser();
    const seed = new TextDecoder().decode(key.getSeed());
    const server = await natsServer(`authorization { users: [ { nkey: ${key.getPublicKey()} } ] }`);
    await works(`nats://${server.host}?nkey=${seed}`);
    await refused(`nats://${server.host}?nkey=${new TextDecoder().decode(nkeys.createUser().getSeed())}`);
    await server.stop();
  });

  test('TLS is verified, and asked for', async () => {
    const { ca, otherCa, server: own, elsewhere } = makeCertificates();
    const files = (certificate: { cert: string; key: string }) => ({
      'ca.pem': ca.cert,
      'other.pem': otherCa.cert,
      'cert.pem': certificate.cert,
      'key.pem': certificate.key,
    });
    const config = 'tls { cert_file: "{dir}/cert.pem", key_file: "{dir}/key.pem" }';
    const server = await natsServer(config, files(own));
    await works(`tls://${server.host}?cacert=${server.dir}/ca.pem`);
    await refused(`tls://${server.host}?cacert=${server.dir}/other.pem`, 'CONNECTION_FAILED');
    await refused(`tls://${server.host}`, 'CONNECTION_FAILED');
    await refused(`nats://${server.host}`, 'CONNECTION_FAILED');
    await server.stop();
    const wrong = await natsServer(config, files(elsewhere));
    await refused(`tls://${wrong.host}?cacert=${wrong.dir}/ca.pem`, 'CONNECTION_FAILED');
    await wrong.stop();
    const plain = await natsServer('');
    await refused(`tls://${plain.host}`, 'CONNECTION_FAILED');
    await plain.stop();
  });
});

test('a NATS that is killed gives errors that may be tried again, and is used again once it is back', {
  skip: privateSkipReason('nats'),
}, async () => {
  const server = await privateServer('nats');
  const broker = await openAt(openNats, server.url);
  const idle = await openAt(openNats, server.url);
  try {
    const subject = newSubject();
    await broker.createQueue({ subject }, never);
    const quiet = newSubject();
    await broker.createQueue({ subject: quiet }, never);
    await publish(broker, { subject }, messagesOf(10));
    const held = await consume(broker, { subject }, 5);
    const { ended } = await broker.subscribe({
      params: { subject, group: 'sub' },
      prefetch: 2,
      signal: never,
      onMessage: () => undefined,
    });
    const lost = assert.rejects(ended, hasCode('CONNECTION_FAILED', true));
    const waiting = assert.rejects(consume(broker, { subject: quiet }, 1, 60_000), hasCode('CONNECTION_FAILED', true));
    const confirmed: string[] = [];
    const many = messagesOf(3000).map((one, index) => ({ ...one, id: `many/${index}` }));
    const publishing = assert.rejects(
      broker.publish({
        params: { subject },
        messages: many,
        idPrefix: 'many',
        firstIndex: 0,
        onConfirmed: ({ id }) => {
          confirmed.push(id);
          if (confirmed.length === 100) void server.kill();
        },
        dedupe: true,
        signal: never,
        timeoutMs: 20_000,
      }),
      (thrown: { retryable?: boolean }) => thrown.retryable === true,
    );
    await Promise.all([lost, waiting, publishing]);
    await assert.rejects(held.ack());
    await assert.rejects(broker.ping(), hasCode('CONNECTION_FAILED', true));
    await server.restart();
    await publish(broker, { subject }, many);
    const stored = (await consume(idle, { subject, replay: true }, 10_000)).deliveries.map(({ id }) => id);
    assert.equal(stored.length, 3010, 'each once');
    assert.equal(new Set(stored).size, 3010);
  } finally {
    await broker.close();
    await idle.close();
    await server.stop();
  }
});
