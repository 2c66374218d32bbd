import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { createClient } from 'redis';
import type { Batch } from '../../../src/adapters/mq/broker.ts';
import { Link } from '../../../src/adapters/mq/redis/link.ts';
import { openRedisStreams } from '../../../src/adapters/mq/redis/redis.ts';
import { brokerCompliance } from '../../compliance/broker.ts';
import { describeWith } from '../../support/services.ts';
import { egress, openAt, openFragile } from './brokers.ts';

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

  test('a connection to wait on outlives the step that opened it', async () => {
    const link = new Link({ url: new URL(url), reach: 'operator', egress });
    try {
      const opener = new AbortController();
      const stream = `jsonflow-redis-${randomBytes(6).toString('hex')}`;
      await link.waitFor(stream, '$', 10, opener.signal);
      const waiting = link.waitFor(stream, '$', 100, new AbortController().signal);
      opener.abort(new Error('the step is over'));
      await waiting;
    } finally {
      await link.close();
    }
  });

  test('messages without an id: again the same, but never as in a stream before', async () => {
    const broker = await openAt(openRedisStreams, url);
    const client = await createClient({ url }).connect();
    const queue = `jsonflow-redis-${randomBytes(6).toString('hex')}`;
    const consume = (): Promise<Batch> =>
      broker.consume({ params: { queue }, max: 10, waitMs: 50, signal: new AbortController().signal });
    const idsOf = ({ deliveries }: Batch): string[] => deliveries.map(({ id }) => id);
    const twice = async (): Promise<string[]> => {
      const entries = [
        await client.xAdd(queue, '*', { body: 'a' }),
        await client.xAdd(queue, '*', { id: '', body: 'b' }),
        await client.xAdd(queue, '*', { other: 'c' }),
      ];
      const first = await consume();
      assert.deepEqual(
        idsOf(first),
        entries.map((entry) => `${queue}/${entry}`),
      );
      await first.release();
      const again = await consume();
      assert.equal(again.deliveries[0]?.deliveriesBefore, 1);
      assert.deepEqual(idsOf(again), idsOf(first));
      await again.ack();
      return idsOf(first);
    };
    try {
      const before = await twice();
      await client.del(queue);
      const after = await twice();
      assert.equal(new Set([...before, ...after]).size, 6);
    } finally {
      await client.del(queue);
      await client.close();
      await broker.close();
    }
  });
});
