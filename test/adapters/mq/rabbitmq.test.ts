import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { Link } from '../../../src/adapters/mq/rabbitmq/link.ts';
import { openRabbit } from '../../../src/adapters/mq/rabbitmq/rabbitmq.ts';
import { brokerCompliance } from '../../compliance/broker.ts';
import { describeWith } from '../../support/services.ts';
import { egress, openAt, openFragile } from './brokers.ts';
import { stepsOf } from './steps.ts';

describeWith('rabbitmq', 'RabbitMQ', (url) => {
  const suite = {
    open: () => openAt(openRabbit, url),
    openFragile: () => openFragile(openRabbit, url),
    emptyMs: 50,
    dropsRepetitions: false,
    countsDeliveries: true,
    countsPurged: true,
  };
  const args = { 'x-expires': 120_000 };
  brokerCompliance('quorum queues', { ...suite, extra: { create: { arguments: args } } });
  brokerCompliance('classic queues', { ...suite, extra: { create: { type: 'classic', arguments: args } } });

  test('a classic queue whose messages must all be counted first is not said to be empty', async () => {
    const steps = stepsOf();
    const queue = `jsonflow-test-${randomUUID()}`;
    const messages = Array.from({ length: 400 }, (_, n) => n);
    try {
      await steps.run('mq_create_queue', { broker: url, queue, type: 'classic', arguments: args });
      await steps.run('mq_publish', { broker: url, queue, messages });
      const consume = { broker: url, queue, max_messages: 400 };
      await steps.attempt('mq_consume', { ...consume, wait_ms: 5_000 }).then((held) => held.fail());
      // Each goes to the end of the queue, confirmed by the disk, before one of them comes with its count.
      const { output } = await steps.attempt('mq_consume', { ...consume, wait_ms: 20 });
      assert.notEqual(output.count, 0);
    } finally {
      await steps.close();
    }
  });

  test('nobody begins anything on a connection that is being closed', async () => {
    const link = new Link({ url: new URL(url), reach: 'operator', egress }, 'test');
    const { signal } = new AbortController();
    await link.channel(signal);
    const closing = link.close();
    await assert.rejects(link.channel(signal), { code: 'CONNECTION_FAILED', message: /has been closed/ });
    await assert.rejects(link.confirmChannel(signal), { code: 'CONNECTION_FAILED', message: /has been closed/ });
    await closing;
  });
});
