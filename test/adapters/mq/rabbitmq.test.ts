import { openRabbit } from '../../../src/adapters/mq/rabbitmq/rabbitmq.ts';
import { brokerCompliance } from '../../compliance/broker.ts';
import { describeWith } from '../../support/services.ts';
import { openAt, openFragile } from './brokers.ts';

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
});
