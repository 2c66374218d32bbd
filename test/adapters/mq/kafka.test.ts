import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { Admin, Producer } from '@platformatic/kafka';
import type { Batch, Broker, OutgoingMessage } from '../../../src/adapters/mq/broker.ts';
import { openKafka } from '../../../src/adapters/mq/kafka/kafka.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import type { Egress } from '../../../src/ports/egress.ts';
import { brokerCompliance } from '../../compliance/broker.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { describeWith, privateServer, privateSkipReason } from '../../support/services.ts';
import { egress, openAt } from './brokers.ts';
import { elsewhere, kafkaProxy } from './kafka-proxy.ts';

/** What keeps the tests short: the least that brokers allow by default. */
const sessionMs = 6000;
const never = new AbortController().signal;
/** Leads to the proxy, whatever address is advertised. */
const detour: Egress = { ...egress, addresses: async () => [{ address: elsewhere, family: 4 }] };
const newTopic = (): string => `jsonflow-kafka-${randomBytes(6).toString('hex')}`;
const hasCode =
  (code: string, retryable?: boolean) =>
  (thrown: unknown): boolean => {
    const failure = thrown as { code?: string; retryable?: boolean };
    assert.equal(failure.code, code, String(thrown));
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
const publish = (broker: Broker, params: JSONObject, messages: OutgoingMessage[]): Promise<JSONObject> =>
  broker.publish({
    params,
    messages,
    idPrefix: 'run/step',
    firstIndex: 0,
    dedupe: true,
    signal: never,
    timeoutMs: 20_000,
  });
const consume = (broker: Broker, params: JSONObject, max = 1000, waitMs = 300): Promise<Batch> =>
  broker.consume({ params, max, waitMs, signal: never });
const textsOf = ({ deliveries }: Batch): string[] => deliveries.map(({ body }) => Buffer.from(body).toString());

describeWith('kafka', 'Kafka', (text) => {
  const url = new URL(text);
  const open = () => openAt(openKafka, text);
  const check = (title: string, body: (broker: Broker, topic: string) => Promise<void>): void => {
    test(title, async () => {
      const broker = await open();
      try {
        const topic = newTopic();
        await broker.createQueue({ topic, partitions: 1 }, never);
        await body(broker, topic);
      } finally {
        await broker.close();
      }
    });
  };

  brokerCompliance('Kafka', {
    open,
    async openFragile() {
      const proxy = await kafkaProxy(url);
      const broker = await openKafka({ url, reach: 'operator', egress: detour }, never);
      const close = broker.close.bind(broker);
      broker.close = async () => {
        await close();
        await proxy.close();
      };
      return { broker, lose: () => proxy.lose() };
    },
    extra: { create: { partitions: 1 }, consume: { session_timeout_ms: sessionMs } },
    redeliveryMs: 15_000,
    emptyMs: 100,
    dropsRepetitions: false,
    countsDeliveries: true,
    countsPurged: true,
  });

  describe('topics', () => {
    check('one that exists otherwise is a mismatch', async (broker) => {
      const topic = newTopic();
      const config = { 'retention.ms': 3_600_000 };
      const made = await broker.createQueue({ topic, partitions: 3, config }, never);
      assert.deepEqual(made, { created: true, topic, partitions: 3, replicas: 1 });
      assert.equal((await broker.createQueue({ topic, partitions: 3, config }, never)).created, false);
      assert.equal((await broker.createQueue({ topic }, never)).created, false);
      for (const other of [{ partitions: 4 }, { replicas: 2 }, { config: { 'retention.ms': 1 } }])
        await assert.rejects(broker.createQueue({ topic, ...other }, never), hasCode('QUEUE_MISMATCH', false));
    });

    check('nonsense is refused with what is wrong', async (broker) => {
      const topic = newTopic();
      for (const params of [{ topic: 'a b' }, { topic, replicas: 99 }, { topic, config: { 'no.such.setting': 1 } }])
        await assert.rejects(broker.createQueue(params, never), hasCode('INVALID_PARAMS', false));
    });

    check('none comes into being by publishing or consuming', async (broker) => {
      const topic = newTopic();
      await assert.rejects(publish(broker, { topic }, messagesOf(1)), hasCode('QUEUE_NOT_FOUND', false));
      await assert.rejects(consume(broker, { topic }), hasCode('QUEUE_NOT_FOUND', false));
      await assert.rejects(broker.purge({ topic }, never), hasCode('QUEUE_NOT_FOUND', false));
      assert.equal((await broker.createQueue({ topic }, never)).created, true);
    });

    check('records of a compacted topic are not deleted', async (broker) => {
      const topic = newTopic();
      await broker.createQueue({ topic, partitions: 1, config: { 'cleanup.policy': 'compact' } }, never);
      await assert.rejects(broker.purge({ topic }, never), hasCode('UNSUPPORTED', false));
    });
  });

  describe('publishing', () => {
    check('a key goes where other clients of Kafka put it', async (broker) => {
      const topic = newTopic();
      await broker.createQueue({ topic, partitions: 7 }, never);
      // murmur2("21"), ("foobar") and ("a-little-bit-long-string") of Kafka's own tests.
      for (const [key, hash] of [
        ['21', -973_932_308],
        ['foobar', -790_332_482],
        ['a-little-bit-long-string', -985_981_536],
      ] as const) {
        const { offsets } = await publish(broker, { topic }, messagesOf(1, { key }));
        assert.deepEqual(Object.keys(offsets as JSONObject), [String((hash & 0x7fffffff) % 7)], key);
      }
      const batch = await consume(broker, { topic, replay: true });
      assert.deepEqual(batch.deliveries.map(({ properties }) => properties.key).sort(), [
        '21',
        'a-little-bit-long-string',
        'foobar',
      ]);
    });

    check('a repetition goes to the same partition as its original', async (broker) => {
      const topic = newTopic();
      await broker.createQueue({ topic, partitions: 5 }, never);
      await publish(broker, { topic }, messagesOf(40));
      await publish(broker, { topic }, messagesOf(40));
      const places = new Map<string, Set<unknown>>();
      for (const { id, properties } of (await consume(broker, { topic, replay: true })).deliveries)
        places.set(id, (places.get(id) ?? new Set()).add(properties.partition));
      assert.equal(places.size, 40);
      for (const partitions of places.values()) assert.equal(partitions.size, 1);
    });

    check('to a partition of choice, and its offsets', async (broker) => {
      const topic = newTopic();
      await broker.createQueue({ topic, partitions: 3 }, never);
      await publish(broker, { topic, options: { partition: 2 } }, messagesOf(4));
      assert.deepEqual((await publish(broker, { topic, partition: 2 }, messagesOf(3))).offsets, {
        2: { first: 4, count: 3 },
      });
      await assert.rejects(publish(broker, { topic, partition: 3 }, messagesOf(1)), hasCode('INVALID_PARAMS', false));
    });

    check('compressed by each algorithm', async (broker, topic) => {
      const algorithms = ['gzip', 'snappy', 'lz4', 'zstd'];
      const supported: string[] = [];
      for (const compression of algorithms)
        await publish(broker, { topic, compression }, messagesOf(10)).then(
          () => supported.push(compression),
          hasCode('UNSUPPORTED', false),
        );
      assert.ok(supported.includes('gzip') && supported.includes('zstd'));
      const batch = await consume(broker, { topic, replay: true });
      assert.equal(batch.deliveries.length, supported.length * 10);
    });

    check('what the topic does not take is too large; many that are small enough are sent apart', async (broker) => {
      const topic = newTopic();
      await broker.createQueue({ topic, partitions: 1, config: { 'max.message.bytes': 20_000 } }, never);
      const tooLarge = messagesOf(1, { body: Buffer.alloc(30_000) });
      await assert.rejects(publish(broker, { topic }, tooLarge), hasCode('MESSAGE_TOO_LARGE', false));
      const confirmed: string[] = [];
      await broker.publish({
        params: { topic },
        messages: messagesOf(50, { body: Buffer.alloc(3000) }),
        idPrefix: 'run/step',
        firstIndex: 0,
        onConfirmed: ({ id }) => confirmed.push(id),
        dedupe: true,
        signal: never,
        timeoutMs: 20_000,
      });
      const ids = (await consume(broker, { topic, replay: true })).deliveries.map(({ id }) => id);
      assert.deepEqual(
        ids,
        messagesOf(50).map(({ id }) => id),
      );
      assert.deepEqual(confirmed, ids);
    });
  });

  describe('reading', () => {
    check('from the end, a time or an offset, and again without a trace', async (broker, topic) => {
      await publish(broker, { topic }, messagesOf(3));
      assert.deepEqual(textsOf(await consume(broker, { topic, group: 'late', from: 'latest' })), []);
      const { timestamp } =
        (await consume(broker, { topic, replay: true, from: { 0: 2 } })).deliveries[0]?.properties ?? {};
      await publish(broker, { topic }, messagesOf(2));
      assert.deepEqual(textsOf(await consume(broker, { topic, group: 'late', from: 'latest' })), ['0', '1']);
      assert.equal(
        (await consume(broker, { topic, group: 'timed', from: '2020-01-01T00:00:00Z' }, 1000)).deliveries.length,
        5,
      );
      assert.deepEqual(textsOf(await consume(broker, { topic, group: 'future', from: '2200-01-01' })), []);
      assert.ok((await consume(broker, { topic, replay: true, from: String(timestamp) })).deliveries.length >= 3);
      assert.deepEqual(textsOf(await consume(broker, { topic, group: 'set', from: { 0: 4 } })), ['1']);
      await assert.rejects(consume(broker, { topic, from: 'yesterday' }), hasCode('INVALID_PARAMS', false));
      await assert.rejects(
        consume(broker, { topic, replay: true, from: { 0: 99_999 } }).then((b) => b.reject(0, 'x')),
        hasCode('UNSUPPORTED'),
      );
    });

    check('messages of transactions that were aborted are not delivered', async (broker, topic) => {
      const producer = new Producer({
        clientId: 't',
        bootstrapBrokers: [url.host],
        idempotent: true,
        transactionalId: topic,
      });
      for (const [value, commit] of [
        ['bad', false],
        ['good', true],
        ['worse', false],
      ] as const) {
        const transaction = await producer.beginTransaction();
        await transaction.send({ messages: [{ topic, partition: 0, value: Buffer.from(value) }] });
        await (commit ? transaction.commit() : transaction.abort());
      }
      await producer.close();
      const batch = await consume(broker, { topic });
      assert.deepEqual(textsOf(batch), ['good']);
      await batch.ack();
      assert.equal((await consume(broker, { topic }, 10, 100)).deliveries.length, 0);
    });
  });

  describe('messages without an id', () => {
    const idsOf = ({ deliveries }: Batch): string[] => deliveries.map(({ id }) => id);

    check('are named by their place: again the same, but never as in a topic before', async (broker, topic) => {
      const admin = new Admin({ clientId: 't', bootstrapBrokers: [url.host] });
      const params = { topic, group: topic };
      const twice = async (values: string[]): Promise<string[]> => {
        const producer = new Producer({ clientId: 't', bootstrapBrokers: [url.host] });
        // An id that is empty is none.
        const headers = new Map([[Buffer.from('message-id'), Buffer.alloc(0)]]);
        const messages = values.map((value) => ({ topic, partition: 0, value: Buffer.from(value), headers }));
        await producer.send({ messages });
        await producer.close();
        const first = await consume(broker, params, values.length, 5000);
        assert.deepEqual(textsOf(first), values);
        await first.release();
        const again = await consume(broker, params, values.length, 5000);
        assert.equal(again.deliveries[0]?.deliveriesBefore, 1);
        assert.deepEqual(idsOf(again), idsOf(first));
        assert.deepEqual(idsOf(await consume(broker, { topic, replay: true })), idsOf(first));
        await again.ack();
        return idsOf(first);
      };
      const before = await twice(['a', 'b']);
      await admin.deleteTopics({ topics: [topic] });
      await admin.close();
      await broker.createQueue({ topic, partitions: 1 }, never);
      const after = await twice(['c', 'd', 'e', 'f']);
      assert.equal(new Set([...before, ...after]).size, 6);
      for (const ids of [before, after])
        for (const [offset, id] of ids.entries()) assert.ok(id.startsWith(`${topic}/0/${offset}/`), id);
    });
  });

  describe('groups', () => {
    check(
      'share partitions; what is held when another joins is settled first, and nothing comes twice',
      async (broker) => {
        const topic = newTopic();
        const other = await open();
        try {
          await broker.createQueue({ topic, partitions: 4 }, never);
          await publish(broker, { topic }, messagesOf(100));
          const held = await consume(broker, { topic }, 10);
          const joining = consume(other, { topic }, 100, 1500);
          const all = textsOf(held);
          await held.ack();
          const theirs = await joining;
          for (let batch = theirs; all.length < 100; batch = await consume(broker, { topic }, 100, 1000)) {
            all.push(...textsOf(batch));
            await batch.ack();
          }
          assert.deepEqual(
            all.map(Number).sort((one, another) => one - another),
            Array.from({ length: 100 }, (_, index) => index),
          );
          assert.ok(theirs.deliveries.length > 0, 'the one who joined got a part');
        } finally {
          await other.close();
        }
      },
    );

    check(
      'whoever was put out of the group can acknowledge no more, and the messages come again',
      async (broker, topic) => {
        await publish(broker, { topic }, messagesOf(5));
        const held = await consume(broker, { topic, group: 'fenced' });
        const admin = new Admin({ clientId: 't', bootstrapBrokers: [url.host] });
        await admin.removeMembersFromConsumerGroup({ groupId: 'fenced', members: null });
        await admin.close();
        await assert.rejects(held.ack(), hasCode('CONSUME_FAILED', true));
        const again = await consume(broker, { topic, group: 'fenced' });
        assert.deepEqual(
          again.deliveries.map(({ deliveriesBefore }) => deliveriesBefore),
          [1, 1, 1, 1, 1],
        );
        await again.ack();
      },
    );

    check('deliveries and delays are known to the next process', async (broker, topic) => {
      await publish(broker, { topic }, messagesOf(3));
      const first = await consume(broker, { topic });
      await first.retryLater(0, 3_600_000);
      await broker.close();
      const next = await open();
      const batch = await consume(next, { topic });
      assert.deepEqual(textsOf(batch), ['1', '2']);
      assert.deepEqual(
        batch.deliveries.map(({ deliveriesBefore }) => deliveriesBefore),
        [1, 1],
      );
      await next.close();
    });
  });

  describe('connections', () => {
    check('an advertised address that is out of bounds is not connected to', async () => {
      const proxy = await kafkaProxy(url);
      try {
        const strict = createEgress({ deny: [`${url.hostname}/32`] });
        const target = new URL(`kafka://${elsewhere}:${url.port}`);
        const broker = await openKafka({ url: target, reach: 'operator', egress: strict }, never);
        const topic = newTopic();
        await assert.rejects(broker.createQueue({ topic }, never), hasCode('EGRESS_DENIED', false));
        await broker.close();
        await assert.rejects(
          openKafka({ url, reach: 'operator', egress: strict }, never),
          hasCode('EGRESS_DENIED', false),
        );
        await assert.rejects(openKafka({ url, reach: 'public', egress }, never), hasCode('EGRESS_DENIED', false));
      } finally {
        await proxy.close();
      }
    });

    check('TLS is verified against the name that a broker advertises', async () => {
      const { ca, otherCa, server, elsewhere: stranger } = makeCertificates();
      const dir = mkdtempSync(join(tmpdir(), 'jsonflow-kafka-'));
      const at = (query: string) => new URL(`kafkas://localhost:${url.port}${query}`);
      writeFileSync(join(dir, 'ca.pem'), ca.cert);
      writeFileSync(join(dir, 'other.pem'), otherCa.cert);
      let proxy = await kafkaProxy(url, server);
      try {
        const trusted = { url: at(`?cacert=${join(dir, 'ca.pem')}`), reach: 'operator', egress: detour } as const;
        const broker = await openKafka(trusted, never);
        assert.equal((await broker.createQueue({ topic: newTopic() }, never)).created, true);
        await broker.close();
        for (const query of ['', `?cacert=${join(dir, 'other.pem')}`])
          await assert.rejects(
            openKafka({ url: at(query), reach: 'operator', egress: detour }, never),
            hasCode('CONNECTION_FAILED'),
          );
        await proxy.close();
        proxy = await kafkaProxy(url, stranger);
        const target = { url: at(`?cacert=${join(dir, 'ca.pem')}`), reach: 'operator', egress: detour } as const;
        await assert.rejects(openKafka(target, never), hasCode('CONNECTION_FAILED'));
      } finally {
        await proxy.close();
        rmSync(dir, { recursive: true });
      }
    });
  });
});

test('a Kafka that is killed gives errors that may be tried again, and ends nothing else', {
  skip: privateSkipReason('kafka'),
}, async () => {
  const server = await privateServer('kafka');
  const broker = await openAt(openKafka, server.url);
  try {
    const topic = newTopic();
    await broker.createQueue({ topic, partitions: 2 }, never);
    await publish(broker, { topic }, messagesOf(10));
    const held = await consume(broker, { topic }, 5);
    const request = { params: { topic, group: 'sub' }, prefetch: 2, signal: never, onMessage: () => undefined };
    const { ended } = await broker.subscribe(request);
    const publishing = publish(broker, { topic }, messagesOf(2000, { body: Buffer.alloc(2000) }));
    const lost = assert.rejects(ended, hasCode('CONNECTION_FAILED', true));
    const failed = publishing.then(
      () => undefined,
      (thrown) => assert.equal(thrown.retryable, true, String(thrown)),
    );
    await server.kill();
    await Promise.all([lost, failed]);
    await assert.rejects(broker.ping(), hasCode('CONNECTION_FAILED', true));
    await assert.rejects(held.ack());
  } finally {
    await broker.close();
    await server.stop();
  }
});
