import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Link } from '../../../src/adapters/mq/rabbitmq/link.ts';
import { openRabbit } from '../../../src/adapters/mq/rabbitmq/rabbitmq.ts';
import { brokerCompliance } from '../../compliance/broker.ts';
import { describeWith } from '../../support/services.ts';
import { egress, openAt, openFragile } from './brokers.ts';

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
