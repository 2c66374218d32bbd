import { openRedisStreams } from '../../../src/adapters/mq/redis/redis.ts';
import { brokerCompliance } from '../../compliance/broker.ts';
import { describeWith } from '../../support/services.ts';
import { openAt, openFragile } from './brokers.ts';

describeWith('redis', 'Redis Streams', (url) => {
  brokerCompliance('Redis Streams', {
    open: () => openAt(openRedisStreams, url),
    openFragile: () => openFragile(openRedisStreams, url),
    extra: { consume: { claim_after_ms: 400 } },
    emptyMs: 50,
    dropsRepetitions: true,
    countsDeliveries: true,
    countsPurged: true,
  });
});
