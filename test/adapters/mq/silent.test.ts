// Brokers, and networks, that say nothing: closing and cancelling don't wait for them. The time-outs of the tests are below all of the adapter's.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { createMqSource } from '../../../src/adapters/mq/trigger.ts';
import { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { describeWith, type ServiceName } from '../../support/services.ts';
import { egress } from './brokers.ts';
import { type Frozen, frozenServer } from './frozen.ts';
import { stepsOf } from './steps.ts';

const timeout = 8_000;
const info = 'INFO {"server_id":"x","version":"2.10.0","max_payload":1048576,"headers":true,"jetstream":true}\r\n';

for (const [what, scheme, greeting] of [
  ['RabbitMQ', 'amqp://', ''],
  ['RabbitMQ with TLS', 'amqps://', ''],
  ['Kafka', 'kafka://', ''],
  ['Kafka with TLS', 'kafkas://', ''],
  ['NATS', 'nats://', ''],
  ['NATS that greets', 'nats://', info],
  ['Redis', 'redis://user:password@', ''],
  ['Redis with TLS', 'rediss://', ''],
] as const)
  test(`${what} that accepts and says nothing holds up neither closing nor cancelling`, { timeout }, async () => {
    const server = await frozenServer(undefined, greeting);
    const broker = `${scheme}127.0.0.1:${server.port}`;
    const steps = stepsOf();
    try {
      const stop = new AbortController();
      const cancelled = steps.run('mq_consume', { broker, queue: 'q' }, { signal: stop.signal });
      await server.connected;
      const reason = new StepError('STEP_CANCELLED', 'enough');
      stop.abort(reason);
      await assert.rejects(cancelled, reason);
      const waiting = assert.rejects(steps.run('mq_publish', { broker, queue: 'q', message: 1 }), StepError);
      await new Promise(setImmediate);
      await steps.close();
      await waiting;
      await server.left();
    } finally {
      await server.close();
    }
  });

function network(system: ServiceName): void {
  describeWith(system, `a network to ${system} that stops`, (text) => {
    const through = async (): Promise<{ server: Frozen; broker: string }> => {
      const url = new URL(text);
      const server = await frozenServer({ host: url.hostname, port: Number(url.port) });
      // The Kafka broker names its own address, which would lead round the network: only the first request goes through it.
      url.host = `127.0.0.1:${server.port}`;
      return { server, broker: url.href };
    };
    const queueWith = async (count: number): Promise<string> => {
      const queue = `jsonflow-silent-${randomUUID()}`;
      const steps = stepsOf();
      await steps.run('mq_create_queue', { broker: text, queue });
      if (count > 0) await steps.run('mq_publish', { broker: text, queue, messages: Array(count).fill('x') });
      await steps.close();
      return queue;
    };
    const attempts: [string, (queue: string) => [string, JSONObject]][] = [
      ['that waits for messages', (queue) => ['mq_consume', { queue, wait_ms: 600_000 }]],
      ['that publishes', (queue) => ['mq_publish', { queue, message: 1 }]],
      ['that begins to consume', (queue) => ['mq_consume', { queue }]],
    ];
    for (const [what, make] of attempts)
      test(`a step ${what} is cancelled at once, and the node closes`, { timeout }, async () => {
        const queue = await queueWith(0);
        const { server, broker } = await through();
        const steps = stepsOf();
        try {
          await steps.run('mq_publish', { broker, queue: await queueWith(0), message: 1 });
          const [type, params] = make(queue);
          const stop = new AbortController();
          const reason = new StepError('STEP_CANCELLED', 'enough');
          if (params.wait_ms === undefined) server.freeze();
          const running = steps.run(type, { broker, ...params }, { signal: stop.signal });
          await new Promise((resolve) => setTimeout(resolve, 100));
          server.freeze();
          stop.abort(reason);
          await assert.rejects(running, reason);
          await steps.close();
          await server.left();
        } finally {
          await server.close();
        }
      });

    test('a step that holds messages is given up, and the node closes', { timeout }, async () => {
      const queue = await queueWith(3);
      const { server, broker } = await through();
      const steps = stepsOf();
      try {
        const held = await steps.attempt('mq_consume', { broker, queue, max_messages: 3 });
        assert.equal(held.output.count, 3);
        server.freeze();
        const failed = held.fail();
        await steps.close();
        await failed;
        await server.left();
      } finally {
        await server.close();
      }
    });

    test('a trigger ends', { timeout: 2 * timeout }, async () => {
      const queue = await queueWith(3);
      const { server, broker } = await through();
      const source = createMqSource({ egress });
      try {
        const came = Promise.withResolvers<void>();
        const config = { params: { broker, queue }, tenantId: null, prefetch: 16, onState: () => undefined };
        const deliver = async () => {
          came.resolve();
          server.freeze();
          return 'ack' as const;
        };
        const ended = source.start(config, deliver, new AbortController().signal);
        await came.promise;
        await source.close();
        await ended;
        await server.left();
      } finally {
        await server.close();
      }
    });
  });
}

network('rabbitmq');
network('redis');
network('nats');
