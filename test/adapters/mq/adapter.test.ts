import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { createMqAdapter } from '../../../src/adapters/mq/adapter.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import { adapterCompliance, contextFor } from '../../compliance/adapter.ts';
import { describeWith, type ServiceName } from '../../support/services.ts';
import { egress } from './brokers.ts';
import { type Steps, stepsOf } from './steps.ts';

const fresh = (): string => `jsonflow-test-${randomUUID()}`;

/** What holds for every broker, of the adapter as a whole. */
function anyBroker(system: ServiceName, extra: JSONObject = {}): void {
  describeWith(system, `mq on ${system}`, (broker) => {
    const steps = stepsOf();
    after(() => steps.close());
    const consume = (queue: string, params: JSONObject = {}) =>
      steps.run('mq_consume', { broker, queue, wait_ms: 2_000, ...extra, ...params });

    /** A batch ends when nothing comes for a moment: what was released or delayed may take several. */
    const drain = async (
      queue: string,
      count: number,
    ): Promise<{ messages: JSONValue[]; deliveries: JSONObject[] }> => {
      const all = { messages: [] as JSONValue[], deliveries: [] as JSONObject[] };
      while (all.messages.length < count) {
        const taken = await consume(queue, { max_messages: count - all.messages.length });
        assert.ok(Number(taken.count) > 0, `${all.messages.length} of ${count} came`);
        all.messages.push(...(taken.messages as JSONValue[]));
        all.deliveries.push(...(taken.deliveries as JSONObject[]));
      }
      return all;
    };

    test('what is published is consumed, with the fields that users rely on', async () => {
      const queue = fresh();
      assert.equal((await steps.run('mq_create_queue', { broker, queue })).created, true);
      const key = `run/${queue}`;
      const messages = [{ a: 1 }, 'text', [1, 'ü'], null, 7, { $bytes: '/wA=' }];
      const published = await steps.run(
        'mq_publish',
        { broker, queue, messages, headers: { tenant: 'x', n: 3 } },
        { idempotency_key: key },
      );
      assert.equal(published.published, 6);
      assert.deepEqual(
        published.message_ids,
        messages.map((_, index) => `${key}/${index}`),
      );
      assert.equal(published.result, 6);
      const taken = await consume(queue, { max_messages: 6 });
      assert.deepEqual(taken.messages, messages);
      assert.deepEqual(taken.result, messages);
      assert.equal(taken.count, 6);
      assert.equal(taken.queue, queue);
      assert.equal(taken.dead_lettered, 0);
      const [first] = taken.deliveries as JSONObject[];
      assert.equal(first?.id, `${key}/0`);
      assert.deepEqual(first?.headers, { tenant: 'x', n: '3' });
      assert.equal(first?.redelivered, false);
      assert.equal((await consume(queue, { wait_ms: 100 })).count, 0);
      const one = await steps.run('mq_publish', { broker, queue, message: 'x' }, { idempotency_key: `${key}b` });
      assert.equal(one.message_id, `${key}b/0`);
      const purged = await steps.run('mq_purge', { broker, queue });
      // Streams keep what was acknowledged.
      const deleted = system === 'redis' ? 7 : 1;
      assert.deepEqual([purged.purged, purged.messages_deleted, purged.result], [true, deleted, deleted]);
    });

    test('messages of an attempt that does not count come again; those of one that does do not', async () => {
      const queue = fresh();
      await steps.run('mq_create_queue', { broker, queue });
      await steps.run('mq_publish', { broker, queue, messages: [1, 2, 3] }, { idempotency_key: queue });
      const failed = await steps.attempt('mq_consume', { broker, queue, ...extra });
      assert.deepEqual(failed.output.messages, [1, 2, 3]);
      await failed.fail();
      const again = await drain(queue, 3);
      assert.deepEqual([...again.messages].sort(), [1, 2, 3]);
      for (const delivery of again.deliveries) assert.equal(delivery.redelivered, true);
      assert.equal((await consume(queue, { wait_ms: 100 })).count, 0);
    });

    test('poison goes to the dead letters: JSON that is none, and what nobody acknowledges', async () => {
      const queue = fresh();
      await steps.run('mq_create_queue', { broker, queue });
      const options = { content_type: 'text/plain' };
      await steps.run('mq_publish', { broker, queue, message: '{bad', options }, { idempotency_key: `${queue}1` });
      await steps.run('mq_publish', { broker, queue, message: '"good"', options }, { idempotency_key: `${queue}2` });
      const json = { content_type: 'application/json' };
      const taken = await steps.attempt('mq_consume', { broker, queue, max_messages: 2, ...json, ...extra });
      assert.deepEqual([taken.output.messages, taken.output.dead_lettered], [['good'], 1]);
      await taken.fail();
      const again = await steps.attempt('mq_consume', { broker, queue, max_deliveries: 2, ...extra, ...json });
      assert.deepEqual(again.output.messages, ['good']);
      await again.fail();
      const tired = await consume(queue, { max_deliveries: 2 });
      assert.deepEqual([tired.messages, tired.dead_lettered], [[], 1]);
      const dead = await drain(`${queue}.dead`, 2);
      assert.deepEqual(dead.messages, ['{bad', '"good"']);
      const [first, second] = dead.deliveries as { id: string; headers: Record<string, string> }[];
      assert.equal(first?.id, `${queue}1/0`);
      assert.match(first?.headers['x-jsonflow-reason'] ?? '', /JSON/);
      assert.match(second?.headers['x-jsonflow-reason'] ?? '', /delivered 2 times/);
      assert.equal(second?.headers['x-jsonflow-queue'], queue);
    });

    test('a step that fails may have its messages delivered later', async () => {
      const queue = fresh();
      await steps.run('mq_create_queue', { broker, queue });
      await steps.run('mq_publish', { broker, queue, messages: ['a', 'b'] }, { idempotency_key: queue });
      const failed = await steps.attempt('mq_consume', {
        broker,
        queue,
        max_messages: 2,
        retry_delay_ms: 300,
        ...extra,
      });
      await failed.fail();
      assert.equal((await consume(queue, { wait_ms: 50 })).count, 0);
      assert.deepEqual((await drain(queue, 2)).messages.sort(), ['a', 'b']);
    });

    test('stored rows are published batch by batch', async () => {
      const queue = fresh();
      await steps.run('mq_create_queue', { broker, queue });
      const rows = Array.from({ length: 2_500 }, (_, n) => ({ n }));
      const chunks = [rows.slice(0, 1_200), rows.slice(1_200)];
      const context = contextFor({ id: 'x', type: 'x', params: {} });
      const stored = await Promise.all(
        chunks.map(async (chunk) => {
          const bytes = Buffer.from(`${chunk.map((row) => JSON.stringify(row)).join('\n')}\n`);
          return { digest: await context.blobs.put(bytes), bytes: bytes.length, rows: chunk.length };
        }),
      );
      const messages = { stored: 'ndjson', bytes: 1, row_count: rows.length, chunks: stored };
      const own = { idempotency_key: queue, blobs: context.blobs };
      assert.equal((await steps.run('mq_publish', { broker, queue, messages }, own)).published, 2_500);
      const taken = await drain(queue, 2_500);
      assert.deepEqual(
        (taken.messages as { n: number }[]).map(({ n }) => n),
        rows.map(({ n }) => n),
      );
    });

    test('a queue that is not there, and a broker that is not there, are errors with codes', async () => {
      await assert.rejects(consume(fresh(), { wait_ms: 10 }), { code: 'QUEUE_NOT_FOUND', retryable: false });
      const nobody = new URL(broker);
      nobody.host = '127.0.0.1:1';
      await assert.rejects(
        steps.run('mq_publish', { broker: nobody.href, queue: 'q', message: 1, options: { retry_attempts: 1 } }),
        { code: 'CONNECTION_FAILED', retryable: true },
      );
    });

    test('no secret of the URL is in an error', async () => {
      const wrong = new URL(broker);
      wrong.username = 'nobody';
      wrong.password = 'canary-Pa55';
      const options = { retry_attempts: 1 };
      const failed = await steps.run('mq_publish', { broker: wrong.href, queue: fresh(), message: 1, options }).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (failed === undefined) return assert.notEqual(system, 'rabbitmq', 'RabbitMQ asks for a password');
      assert.ok(failed instanceof StepError);
      assert.equal(failed.code, 'AUTHENTICATION_FAILED');
      assert.equal(failed.retryable, false);
      assert.doesNotMatch(failed.message, /canary/);
    });

    test('a tenant reaches no private address, and no file of the node', async () => {
      const tenant = { tenant_id: 'acme' };
      const step = { broker, queue: 'q', message: 1 };
      await assert.rejects(steps.run('mq_publish', step, tenant), { code: 'EGRESS_DENIED' });
    });
  });
}

anyBroker('rabbitmq');
anyBroker('redis', { claim_after_ms: 400 });

describeWith('rabbitmq', 'mq and the reference document', (url) => {
  const steps: Steps = stepsOf();
  after(() => steps.close());
  const { host, username, password } = new URL(url);
  const at = (scheme: string): string => `${scheme}://${username}:${password}@${host}`;

  test('its example publishes', async () => {
    const queue = fresh();
    const exchange = `events-${queue}`;
    await steps.run('mq_create_queue', { broker: at('amqp'), queue, exchange, bindings: ['user.*'] });
    const output = await steps.run('mq_publish', {
      broker: at('amqp'),
      exchange,
      routing_key: 'user.created',
      message: { user_id: 12345, email: 'user@example.com', timestamp: '2026-02-03T10:00:00Z' },
      options: { persistent: true, priority: 5, expiration: 3600000 },
    });
    assert.equal(output.published, 1);
    const { messages, deliveries } = await steps.run('mq_consume', {
      queue,
      broker: at('rabbitmq'),
      max_messages: 100,
    });
    assert.deepEqual(messages, [{ user_id: 12345, email: 'user@example.com', timestamp: '2026-02-03T10:00:00Z' }]);
    const [{ properties }] = deliveries as [{ properties: JSONObject }];
    assert.deepEqual([properties.exchange, properties.routing_key], [exchange, 'user.created']);
  });

  test('its alerts reach a fanout exchange without a routing key', async () => {
    const queue = fresh();
    const exchange = `alerts-${queue}`;
    const broker = at('rabbitmq');
    await steps.run('mq_create_queue', { broker, queue, exchange, exchange_type: 'fanout' });
    assert.equal((await steps.run('mq_publish', { exchange, broker, messages: [{ id: 1 }, { id: 2 }] })).published, 2);
    assert.deepEqual((await steps.run('mq_consume', { broker, queue })).messages, [{ id: 1 }, { id: 2 }]);
  });

  test('an exchange or queue that is not there is an error, and so is a message that reaches no queue', async () => {
    const broker = at('amqp');
    const exchange = fresh();
    await assert.rejects(steps.run('mq_publish', { broker, exchange, message: 1 }), (thrown) => {
      assert.ok(thrown instanceof StepError);
      assert.equal(thrown.code, 'QUEUE_NOT_FOUND');
      assert.match(thrown.message, /mq_create_queue/);
      return true;
    });
    await steps.run('mq_create_queue', { broker, exchange, exchange_type: 'direct', queue: fresh(), bindings: ['a'] });
    const publish = (messages: JSONObject[], options: JSONObject = {}) =>
      steps.run('mq_publish', { broker, exchange, messages, options: { key_field: 'k', ...options } });
    await assert.rejects(publish([{ k: 'a' }, { k: 'b' }, { k: 'b' }]), (thrown) => {
      assert.ok(thrown instanceof StepError && thrown.code === 'UNROUTABLE' && !thrown.retryable);
      assert.match(thrown.message, /message 1 reaches no queue.*2 of 3/);
      return true;
    });
    assert.equal((await publish([{ k: 'b' }], { mandatory: false })).published, 1);
    await assert.rejects(steps.run('mq_publish', { broker, queue: fresh(), message: 1 }), { code: 'UNROUTABLE' });
    // The same channel, or another: the errors before have broken nothing.
    assert.equal((await publish([{ k: 'a' }])).published, 1);
  });

  test('a queue that is there otherwise is a mismatch, which says what differs', async () => {
    const broker = at('amqp');
    const queue = fresh();
    await steps.run('mq_create_queue', { broker, queue, type: 'classic' });
    await assert.rejects(steps.run('mq_create_queue', { broker, queue }), (thrown) => {
      assert.ok(thrown instanceof StepError && thrown.code === 'QUEUE_MISMATCH');
      assert.match(thrown.message, /x-queue-type.*'classic'.*'quorum'/);
      return true;
    });
    const created = await steps.run('mq_create_queue', { broker, queue, type: 'classic' });
    assert.deepEqual([created.created, created.queue, created.result], [false, queue, queue]);
  });

  test('a full queue refuses messages, which is an error', async () => {
    const broker = at('amqp');
    const queue = fresh();
    await steps.run('mq_create_queue', {
      broker,
      queue,
      type: 'classic',
      arguments: { 'x-max-length': 1, 'x-overflow': 'reject-publish' },
    });
    const options = { retry_attempts: 1 };
    await assert.rejects(steps.run('mq_publish', { broker, queue, messages: [1, 2, 3, 4, 5], options }), {
      code: 'PUBLISH_FAILED',
      retryable: true,
    });
  });

  test('what expires in a queue with dead letters is found there', async () => {
    const broker = at('amqp');
    const queue = fresh();
    await steps.run('mq_create_queue', { broker, queue, dead_letter: `${queue}.late` });
    await steps.run('mq_publish', { broker, queue, message: 'x', options: { expiration: 1 } });
    const late = await steps.run('mq_consume', { broker, queue: `${queue}.late`, wait_ms: 5_000 });
    assert.deepEqual(late.messages, ['x']);
  });
});

test('the egress policy holds for brokers, by name and by address', async () => {
  const steps = stepsOf(createMqAdapter({ egress: createEgress({ deny: ['127.0.0.0/8', '[::1]'] }) }));
  try {
    for (const broker of [
      'amqp://127.1',
      'rabbitmq://localhost',
      'redis://2130706433',
      'rediss://0x7f000001',
      'amqps://[::1]',
    ])
      await assert.rejects(
        steps.run('mq_publish', { broker, queue: 'q', message: 1 }),
        { code: 'EGRESS_DENIED' },
        broker,
      );
    const file = 'amqps://8.8.8.8?cacert=/etc/passwd';
    const tenant = { tenant_id: 'acme' };
    await assert.rejects(steps.run('mq_publish', { broker: file, queue: 'q', message: 1 }, tenant), {
      code: 'EGRESS_DENIED',
    });
  } finally {
    await steps.close();
  }
});

test('params that contradict each other are refused', async () => {
  const steps = stepsOf();
  const broker = 'amqp://127.0.0.1:1';
  for (const [type, params] of [
    ['mq_publish', { broker, queue: 'q' }],
    ['mq_publish', { broker, queue: 'q', message: 1, messages: [] }],
    ['mq_publish', { broker, message: 1 }],
    ['mq_publish', { broker, queue: 'q', exchange: 'e', message: 1 }],
    ['mq_publish', { broker, queue: 'q', topic: 't', message: 1 }],
    ['mq_publish', { broker: 'ftp://127.0.0.1', queue: 'q', message: 1 }],
    ['mq_publish', { broker: 'not a url', queue: 'q', message: 1 }],
    ['mq_publish', { broker, queue: 'q', message: 1, headers: { 'a b': 'x' } }],
    ['mq_publish', { broker, queue: 'q', message: 1, headers: { a: 'x\r\ny' } }],
    ['mq_consume', { broker }],
    ['mq_consume', { broker, queue: 'q', unknown: 1 }],
    ['mq_purge', { broker }],
    ['mq_create_queue', { broker }],
  ] as const)
    await assert.rejects(steps.run(type, params as JSONObject), { code: 'INVALID_PARAMS' }, JSON.stringify(params));
  await steps.close();
});

describeWith('rabbitmq', 'mq as an adapter', (broker) => {
  const queue = fresh();
  adapterCompliance('mq', () => createMqAdapter({ egress }), [
    { type: 'mq_create_queue', params: { broker, queue }, badParams: { broker } },
    { type: 'mq_publish', params: { broker, queue, message: 1 }, badParams: { broker, queue } },
    { type: 'mq_purge', params: { broker, queue }, badParams: { broker: 'x' } },
    {
      type: 'mq_consume',
      params: { broker, queue, wait_ms: 50 },
      badParams: { broker, queue, max_messages: 0 },
      endlessParams: { broker, queue, wait_ms: 3_600_000, max_messages: 50_000 },
    },
  ]);
});
