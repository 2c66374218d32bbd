import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, test } from 'node:test';
import { createMqSource } from '../../../src/adapters/mq/trigger.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import type { Disposition, SourceMessage, SourceState } from '../../../src/ports/message-source.ts';
import { describeWith, type ServiceName } from '../../support/services.ts';
import { tcpProxy } from '../../support/tcp-proxy.ts';
import { egress } from './brokers.ts';
import { stepsOf } from './steps.ts';

/** A trigger that runs, what it delivered, and how to wait for it. */
function started(
  params: JSONObject,
  deliver: (incoming: SourceMessage) => Promise<Disposition> | Disposition,
  prefetch = 16,
) {
  const source = createMqSource({ egress });
  const stop = new AbortController();
  const states: SourceState[] = [];
  const seen: JSONValue[] = [];
  let check = (): void => undefined;
  const config = {
    params,
    tenantId: null,
    prefetch,
    onState: (state: SourceState) => {
      states.push(state);
      check();
    },
  };
  const ended = source.start(
    config,
    async (incoming) => {
      const disposition = await deliver(incoming);
      seen.push(incoming.message);
      check();
      return disposition;
    },
    stop.signal,
  );
  const until = (condition: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      check = () => {
        if (condition()) resolve();
      };
      check();
    });
  return {
    seen,
    states,
    until,
    ended,
    async end() {
      stop.abort();
      await ended;
      await source.close();
    },
  };
}

function anyBroker(system: ServiceName, extra: JSONObject = {}): void {
  describeWith(system, `triggers on ${system}`, (broker) => {
    const steps = stepsOf();
    after(() => steps.close());
    const create = async (): Promise<string> => {
      const queue = `jsonflow-trigger-${randomUUID()}`;
      await steps.run('mq_create_queue', { broker, queue });
      return queue;
    };
    const publish = (queue: string, messages: JSONValue[], step = 'a', options: JSONObject = {}) =>
      steps.run('mq_publish', { broker, queue, messages, options }, { idempotency_key: `${queue}/${step}` });
    const left = async (queue: string): Promise<JSONValue> =>
      (await steps.run('mq_consume', { broker, queue, wait_ms: 100, ...extra })).messages ?? [];

    test('each message is delivered, and taken over once it is acknowledged', { timeout: 30_000 }, async () => {
      const queue = await create();
      await publish(queue, [1, 2, 3]);
      const ids: string[] = [];
      const trigger = started({ broker, queue, ...extra }, ({ delivery }) => {
        ids.push(delivery.id);
        return 'ack';
      });
      await trigger.until(() => trigger.seen.length === 3);
      await publish(queue, [4], 'b');
      await trigger.until(() => trigger.seen.length === 4);
      await trigger.end();
      assert.deepEqual(trigger.seen, [1, 2, 3, 4]);
      assert.deepEqual(ids, [0, 1, 2].map((n) => `${queue}/a/${n}`).concat(`${queue}/b/0`));
      assert.deepEqual(trigger.states, [{ kind: 'connected' }]);
      assert.deepEqual(await left(queue), []);
    });

    test('no more than the prefetch is in work at once', { timeout: 30_000 }, async () => {
      const queue = await create();
      await publish(
        queue,
        Array.from({ length: 40 }, (_, n) => n),
      );
      let inWork = 0;
      let most = 0;
      const trigger = started(
        { broker, queue, ...extra },
        async (): Promise<Disposition> => {
          inWork += 1;
          most = Math.max(most, inWork);
          await new Promise(setImmediate);
          inWork -= 1;
          return 'ack';
        },
        3,
      );
      await trigger.until(() => trigger.seen.length === 40);
      await trigger.end();
      assert.ok(most <= 3, `${most} at once`);
      assert.deepEqual(await left(queue), []);
    });

    test('what is released comes again; what is rejected, or is poison, does not', { timeout: 30_000 }, async () => {
      const queue = await create();
      await publish(queue, ['"retry"', '"reject"', '{bad', '"throws"'], 'a', { content_type: 'text/plain' });
      // However often it comes: a trigger puts nothing aside for that.
      const tries = new Map<JSONValue, number>();
      const params = { broker, queue, content_type: 'application/json', max_deliveries: 1, ...extra };
      const trigger = started(params, ({ message }) => {
        const before = tries.get(message) ?? 0;
        tries.set(message, before + 1);
        if (message === 'reject') return { reject: 'nobody wants it' };
        if (before > 0) return 'ack';
        if (message === 'throws') throw new Error('the store is down');
        return 'release';
      });
      await trigger.until(() => tries.get('retry') === 2 && tries.get('throws') === 2 && trigger.seen.length >= 4);
      await trigger.end();
      assert.deepEqual(Object.fromEntries(tries), { retry: 2, reject: 1, throws: 2 });
      const dead: string[] = [];
      const letters = { broker, queue: `${queue}.dead`, wait_ms: 2_000, max_messages: 2, ...extra };
      for (let more = 1; more > 0 && dead.length < 2; ) {
        const { messages } = await steps.run('mq_consume', letters);
        more = (messages as string[]).length;
        dead.push(...(messages as string[]));
      }
      assert.deepEqual(dead.sort(), ['"reject"', '{bad']);
      assert.deepEqual(await left(queue), []);
    });

    test('a lost connection is made again, and nothing is lost by it', { timeout: 60_000 }, async () => {
      const queue = await create();
      const url = new URL(broker);
      const proxy = await tcpProxy({ host: url.hostname, port: Number(url.port) });
      url.host = `127.0.0.1:${proxy.port}`;
      try {
        await publish(queue, [1, 2]);
        const trigger = started({ broker: url.href, queue, ...extra }, () => 'ack');
        await trigger.until(() => new Set(trigger.seen).size === 2);
        proxy.refuse = true;
        proxy.cut();
        await trigger.until(() => trigger.states.at(-1)?.kind === 'disconnected');
        await publish(queue, [3, 4], 'b');
        proxy.refuse = false;
        await trigger.until(() => new Set(trigger.seen).size === 4);
        await trigger.end();
        assert.equal(trigger.states.at(-1)?.kind, 'connected');
        // An acknowledgement that the cut met on its way makes its message come once more.
        for (const message of (await left(queue)) as number[]) assert.ok(message <= 2, `${message} is left`);
      } finally {
        await proxy.close();
      }
    });

    test('a queue that is made later is waited for', { timeout: 30_000 }, async () => {
      const queue = `jsonflow-trigger-${randomUUID()}`;
      const trigger = started({ broker, queue, ...extra }, () => 'ack');
      await trigger.until(() => trigger.states.length > 0);
      const [first] = trigger.states;
      assert.ok(first?.kind === 'disconnected' && /mq_create_queue/.test(first.why), JSON.stringify(first));
      await steps.run('mq_create_queue', { broker, queue });
      await publish(queue, ['late']);
      await trigger.until(() => trigger.seen.length === 1);
      await trigger.end();
    });
  });
}

anyBroker('rabbitmq');
anyBroker('redis', { claim_after_ms: 400 });

test('what trying again can not mend ends the trigger with an error', async () => {
  const params = { broker: 'amqp://169.254.169.254', queue: 'q' };
  await assert.rejects(started(params, () => 'ack').ended, { code: 'EGRESS_DENIED' });
  await assert.rejects(started({ broker: 'ftp://x', queue: 'q' }, () => 'ack').ended, { code: 'INVALID_PARAMS' });
});
