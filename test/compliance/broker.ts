import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Batch, Broker, Delivery, Incoming, OutgoingMessage } from '../../src/adapters/mq/broker.ts';
import { headerNames } from '../../src/adapters/mq/headers.ts';
import { StepError } from '../../src/lib/errors.ts';
import type { JSONObject } from '../../src/lib/json.ts';

/** What the suite needs of a kind of broker. */
export interface BrokerUnderTest {
  /** A new connection of its own to the test server. */
  open(): Promise<Broker>;
  /** A connection that `lose` breaks as the network would, without a farewell; afterwards the test closes `broker`. */
  openFragile(): Promise<{ broker: Broker; lose(): void | Promise<void> }>;
  /** Params besides `queue`, if the broker needs any. */
  extra?: { create?: JSONObject; publish?: JSONObject; consume?: JSONObject };
  /** Ms within which a message that somebody held when he was lost is delivered to another. Default 10,000. */
  redeliveryMs?: number;
  /** Ms to wait to be sure that a queue is empty. Default 300. */
  emptyMs?: number;
  /** Whether the broker leaves out a message whose id it has. */
  dropsRepetitions: boolean;
  /** Whether `deliveriesBefore` counts. */
  countsDeliveries: boolean;
  /** Whether `purge` knows how many messages it deleted. */
  countsPurged: boolean;
}

const testTimeoutMs = 30_000;

/** The suite that every Broker passes, run against a real server. */
export function brokerCompliance(name: string, under: BrokerUnderTest): void {
  const { extra = {}, redeliveryMs = 10_000, emptyMs = 300 } = under;
  const never = new AbortController().signal;
  const consumeParams = (queue: string): JSONObject => ({ queue, ...extra.consume });

  const check = (title: string, body: (broker: Broker, queue: string) => Promise<void>): void => {
    test(title, { timeout: testTimeoutMs }, async () => {
      const broker = await under.open();
      try {
        await body(broker, `jsonflow-suite-${randomBytes(6).toString('hex')}`);
      } finally {
        await broker.close();
      }
    });
  };
  const create = (broker: Broker, queue: string): Promise<JSONObject> =>
    broker.createQueue({ queue, ...extra.create }, never);
  const publish = (
    broker: Broker,
    queue: string,
    messages: OutgoingMessage[],
    firstIndex = 0,
    step = 'step',
  ): Promise<JSONObject> =>
    broker.publish({
      params: { queue, ...extra.publish },
      messages,
      idPrefix: `${queue}/${step}`,
      firstIndex,
      dedupe: true,
      signal: never,
      timeoutMs: 10_000,
    });
  const messagesOf = (queue: string, count: number, from = 0): OutgoingMessage[] =>
    Array.from({ length: count }, (_, index) => message(`${queue}/step/${from + index}`, `{"n":${from + index}}`));
  const consume = (broker: Broker, queue: string, max: number, waitMs = redeliveryMs): Promise<Batch> =>
    broker.consume({ params: consumeParams(queue), max, waitMs, signal: never });
  /** Consumes until so many have come; brokers may give them in several batches. Acknowledges all. */
  const drain = async (broker: Broker, queue: string, count: number): Promise<Delivery[]> => {
    const all: Delivery[] = [];
    while (all.length < count) {
      const batch = await consume(broker, queue, count - all.length);
      assert.ok(batch.deliveries.length > 0, `${all.length} of ${count} messages came`);
      all.push(...batch.deliveries);
      await batch.ack();
    }
    return all;
  };
  const isEmpty = async (broker: Broker, queue: string): Promise<void> => {
    const batch = await consume(broker, queue, 1, emptyMs);
    await batch.release();
    assert.deepEqual(batch.deliveries.map(textOf), []);
  };

  describe(name, () => {
    check('what is published is consumed once, in order, with its id, headers and type', async (broker, queue) => {
      await create(broker, queue);
      const messages = messagesOf(queue, 20).map((one, index) => ({
        ...one,
        headers: { tenant: `t${index}`, 'x-text': 'größer' },
      }));
      await publish(broker, queue, messages);
      const deliveries = await drain(broker, queue, messages.length);
      assert.deepEqual(deliveries.map(textOf), messages.map(textOf));
      assert.deepEqual(
        deliveries.map(({ id }) => id),
        messages.map(({ id }) => id),
      );
      for (const [index, delivery] of deliveries.entries()) {
        assert.equal(delivery.contentType, 'application/json');
        assert.equal(delivery.headers.tenant, `t${index}`);
        assert.equal(delivery.headers['x-text'], 'größer');
        assert.equal(delivery.deliveriesBefore, 0);
        assert.deepEqual(JSON.parse(JSON.stringify(delivery.properties)), delivery.properties, 'properties are JSON');
      }
      await isEmpty(broker, queue);
    });

    check('bodies are bytes: empty ones, and those that are not text', async (broker, queue) => {
      await create(broker, queue);
      const bodies = [new Uint8Array(0), Uint8Array.from([0, 255, 254, 10, 13]), randomBytes(100_000)];
      const messages = bodies.map((body, index) => ({
        id: `${queue}/step/${index}`,
        body,
        contentType: 'application/octet-stream',
        headers: {},
      }));
      await publish(broker, queue, messages);
      const deliveries = await drain(broker, queue, bodies.length);
      assert.deepEqual(
        deliveries.map(({ body }) => Buffer.from(body).toString('base64')),
        bodies.map((body) => Buffer.from(body).toString('base64')),
      );
    });

    check('a batch holds no more than was asked for; the rest stays for others', async (broker, queue) => {
      await create(broker, queue);
      await publish(broker, queue, messagesOf(queue, 12));
      const first = await consume(broker, queue, 5);
      assert.ok(first.deliveries.length <= 5 && first.deliveries.length > 0);
      await first.ack();
      const rest = await drain(broker, queue, 12 - first.deliveries.length);
      assert.deepEqual([...first.deliveries, ...rest].map(textOf), messagesOf(queue, 12).map(textOf));
      await isEmpty(broker, queue);
    });

    check(
      'a batch ends at its bytes, headers included; the rest stays in the queue, untouched',
      async (broker, queue) => {
        await create(broker, queue);
        const messages = messagesOf(queue, 100).map((one, index) =>
          index % 2 === 0
            ? { ...one, body: Buffer.alloc(1_000, 'x') }
            : { ...one, headers: { long: 'x'.repeat(1_000) } },
        );
        await publish(broker, queue, messages);
        const params = { ...consumeParams(queue), max_bytes: 10_000 };
        const taken: Delivery[] = [];
        while (taken.length < 100) {
          const batch = await broker.consume({ params, max: 100, waitMs: redeliveryMs, signal: never });
          assert.ok(batch.deliveries.length > 0, 'what was left is there at once');
          assert.ok(batch.deliveries.length <= 50, `${batch.deliveries.length} at once`);
          await batch.ack();
          taken.push(...batch.deliveries);
        }
        for (const { id, deliveriesBefore } of taken) assert.equal(deliveriesBefore, 0, id);
        assert.deepEqual(new Set(taken.map(({ id }) => id)), new Set(messages.map(({ id }) => id)));
      },
    );

    check('one message that is larger than the bytes of a batch is a batch', async (broker, queue) => {
      await create(broker, queue);
      await publish(broker, queue, [{ ...message(`${queue}/step/0`, ''), body: Buffer.alloc(50_000, 'x') }]);
      const params = { ...consumeParams(queue), max_bytes: 100 };
      const batch = await broker.consume({ params, max: 10, waitMs: redeliveryMs, signal: never });
      assert.deepEqual(
        batch.deliveries.map(({ body }) => body.length),
        [50_000],
      );
      await batch.ack();
    });

    check(
      'a batch ends when nothing more comes for a moment, and also where more keeps coming',
      async (broker, queue) => {
        await create(broker, queue);
        await publish(broker, queue, messagesOf(queue, 1));
        await (await consume(broker, queue, 10, 600_000)).ack();
        const taken = consume(broker, queue, 50_000, redeliveryMs);
        const stop = new AbortController();
        void taken.finally(() => stop.abort()).catch(() => undefined);
        for (let n = 1; !stop.signal.aborted; n += 1) {
          await publish(broker, queue, messagesOf(queue, 1, n), n);
          await delay(20);
        }
        const batch = await taken;
        assert.ok(batch.deliveries.length > 0);
        await batch.ack();
      },
    );

    check('an empty queue gives an empty batch, which can be settled', async (broker, queue) => {
      await create(broker, queue);
      const batch = await consume(broker, queue, 10, 100);
      assert.deepEqual(batch.deliveries, []);
      await batch.ack();
    });

    check('what is released is delivered again', async (broker, queue) => {
      await create(broker, queue);
      await publish(broker, queue, messagesOf(queue, 3));
      const first = await consume(broker, queue, 3);
      await first.release();
      const again = await drain(broker, queue, 3);
      assert.deepEqual(again.map(textOf).sort(), messagesOf(queue, 3).map(textOf).sort());
      assert.deepEqual(again.map(({ id }) => id).sort(), [0, 1, 2].map((n) => `${queue}/step/${n}`).sort());
      const released = new Set(first.deliveries.map(({ id }) => id));
      if (under.countsDeliveries)
        for (const { id, deliveriesBefore } of again) assert.equal(deliveriesBefore, released.has(id) ? 1 : 0, id);
      await isEmpty(broker, queue);
    });

    check('what a lost connection held is delivered again', async (broker, queue) => {
      await create(broker, queue);
      await publish(broker, queue, messagesOf(queue, 3));
      const fragile = await under.openFragile();
      try {
        const held = await consume(fragile.broker, queue, 3);
        assert.ok(held.deliveries.length > 0);
        await fragile.lose();
        const again = await drain(broker, queue, 3);
        assert.deepEqual(again.map(textOf).sort(), messagesOf(queue, 3).map(textOf).sort());
        await held.release().catch(() => undefined);
      } finally {
        await fragile.broker.close().catch(() => undefined);
      }
    });

    check('what was rejected lies in the dead letter queue with the reason, and only there', async (broker, queue) => {
      await create(broker, queue);
      await publish(broker, queue, [{ ...message(`${queue}/step/0`, 'bad'), headers: { own: 'kept' } }]);
      const bad = await consume(broker, queue, 1);
      await bad.reject(0, 'it is not JSON');
      await bad.ack();
      await isEmpty(broker, queue);
      const [dead] = await drain(broker, `${queue}.dead`, 1);
      assert.ok(dead !== undefined);
      assert.equal(textOf(dead), 'bad');
      assert.equal(dead.id, `${queue}/step/0`);
      assert.equal(dead.headers.own, 'kept');
      assert.equal(dead.headers[headerNames.reason], 'it is not JSON');
      assert.equal(dead.headers[headerNames.queue], queue);
      assert.equal(dead.headers[headerNames.deliveries], '1');
      assert.ok(!Number.isNaN(Date.parse(dead.headers[headerNames.time] ?? '')));
    });

    check('one of several is rejected, the others are acknowledged or released', async (broker, queue) => {
      await create(broker, queue);
      await publish(broker, queue, messagesOf(queue, 3));
      const batch = await consume(broker, queue, 3);
      await batch.reject(0, 'unwanted');
      await batch.release();
      const rest = await drain(broker, queue, 2);
      assert.deepEqual(rest.map(textOf).sort(), ['{"n":1}', '{"n":2}']);
      await isEmpty(broker, queue);
      const [dead] = await drain(broker, `${queue}.dead`, 1);
      assert.equal(dead && textOf(dead), '{"n":0}');
    });

    check('what is retried later comes again, though not at once', async (broker, queue) => {
      await create(broker, queue);
      await publish(broker, queue, messagesOf(queue, 2));
      const batch = await consume(broker, queue, 1);
      const at = Date.now();
      await batch.retryLater(0, 1_000);
      await batch.ack();
      const others = await drain(broker, queue, 2);
      assert.ok(Date.now() - at >= 900, 'the delay was kept');
      const again = others.find((one) => textOf(one) === '{"n":0}');
      assert.ok(again !== undefined, 'the message came again');
      assert.equal(again.id, `${queue}/step/0`);
      if (under.countsDeliveries) assert.equal(again.deliveriesBefore, 1);
      await isEmpty(broker, queue);
    });

    if (under.dropsRepetitions)
      check('a repetition of messages is left out', async (broker, queue) => {
        await create(broker, queue);
        await publish(broker, queue, messagesOf(queue, 4));
        await publish(broker, queue, messagesOf(queue, 4));
        await publish(broker, queue, messagesOf(queue, 3, 4), 4);
        const deliveries = await drain(broker, queue, 7);
        assert.deepEqual(deliveries.map(textOf), messagesOf(queue, 7).map(textOf));
        await isEmpty(broker, queue);
      });

    check('a queue is created once, and creating it again changes nothing', async (broker, queue) => {
      assert.equal((await create(broker, queue)).created, true);
      await publish(broker, queue, messagesOf(queue, 1));
      assert.equal((await create(broker, queue)).created, false);
      assert.equal((await drain(broker, queue, 1)).length, 1);
    });

    check('purging leaves nothing to consume, and the queue usable', async (broker, queue) => {
      await create(broker, queue);
      await publish(broker, queue, messagesOf(queue, 5));
      const deleted = await broker.purge(consumeParams(queue), never);
      if (under.countsPurged) assert.equal(deleted, 5);
      await isEmpty(broker, queue);
      await publish(broker, queue, [message(`${queue}/other/0`, 'after')], 0, 'other');
      assert.deepEqual((await drain(broker, queue, 1)).map(textOf), ['after']);
    });

    check('consuming from a queue that does not exist is an error with a code', async (broker, queue) => {
      await assert.rejects(consume(broker, queue, 1, 200), (thrown) => {
        assert.ok(thrown instanceof StepError, String(thrown));
        assert.equal(thrown.code, 'QUEUE_NOT_FOUND');
        assert.equal(thrown.retryable, false);
        return true;
      });
    });

    check('the broker answers a ping, and what was cancelled does not begin', async (broker, queue) => {
      await broker.ping();
      await create(broker, queue);
      const reason = new StepError('STEP_CANCELLED', 'cancelled');
      const signal = AbortSignal.abort(reason);
      await assert.rejects(broker.consume({ params: consumeParams(queue), max: 1, waitMs: 60_000, signal }), reason);
      const request = { idPrefix: `${queue}/step`, firstIndex: 0, dedupe: true, timeoutMs: 10_000 };
      await assert.rejects(
        broker.publish({
          params: { queue, ...extra.publish },
          messages: messagesOf(queue, 1),
          signal,
          ...request,
        }),
        reason,
      );
      await isEmpty(broker, queue);
    });

    check('cancelling ends a consumer that waits, and locks nothing', async (broker, queue) => {
      await create(broker, queue);
      const stop = new AbortController();
      const reason = new StepError('STEP_CANCELLED', 'cancelled while it waits');
      const waiting = broker.consume({
        params: consumeParams(queue),
        max: 1,
        waitMs: 600_000,
        signal: stop.signal,
      });
      setTimeout(() => stop.abort(reason), 100);
      await assert.rejects(waiting, reason);
      await publish(broker, queue, messagesOf(queue, 1));
      assert.equal((await drain(broker, queue, 1)).length, 1);
    });

    check('a subscription holds no more than its prefetch, and goes on as they are settled', async (broker, queue) => {
      await create(broker, queue);
      await publish(broker, queue, messagesOf(queue, 30));
      const open: Incoming[] = [];
      let arrived = (): void => undefined;
      const seen = new Set<string>();
      const subscription = await broker.subscribe({
        params: consumeParams(queue),
        prefetch: 4,
        signal: never,
        onMessage(incoming) {
          open.push(incoming);
          assert.ok(open.length <= 4, `${open.length} unsettled`);
          arrived();
        },
      });
      while (seen.size < 30) {
        if (open.length === 0) await new Promise<void>((resolve) => (arrived = resolve));
        const next = open.shift();
        if (next === undefined) continue;
        seen.add(textOf(next.delivery));
        await next.ack();
      }
      assert.equal(seen.size, 30);
      await subscription.close();
      await subscription.ended;
      await isEmpty(broker, queue);
    });

    check('a subscription holds no more than its bytes, and goes on as they are settled', async (broker, queue) => {
      await create(broker, queue);
      const messages = messagesOf(queue, 200).map((one) => ({ ...one, body: Buffer.alloc(10_000, 'x') }));
      messages.push({ ...message(`${queue}/step/200`, ''), body: Buffer.alloc(200_000, 'x') });
      await publish(broker, queue, messages);
      const open: Incoming[] = [];
      let arrived = (): void => undefined;
      const seen = new Set<string>();
      const subscription = await broker.subscribe({
        params: { ...consumeParams(queue), max_bytes: 100_000 },
        prefetch: 150,
        signal: never,
        onMessage(incoming) {
          open.push(incoming);
          assert.ok(open.length <= 45, `${open.length} unsettled`);
          arrived();
        },
      });
      const some = (): Promise<void> => new Promise((resolve) => (arrived = resolve));
      if (open.length === 0) await some();
      // What might come too much comes now.
      await delay(emptyMs);
      while (seen.size < messages.length) {
        if (open.length === 0) await some();
        const next = open.shift();
        if (next === undefined) continue;
        seen.add(next.delivery.id);
        assert.equal(next.delivery.deliveriesBefore, 0, next.delivery.id);
        await next.ack();
      }
      await subscription.close();
      await isEmpty(broker, queue);
    });

    check('a subscription of small messages reaches its prefetch', async (broker, queue) => {
      await create(broker, queue);
      await publish(broker, queue, messagesOf(queue, 300));
      const open: Incoming[] = [];
      const full = Promise.withResolvers<void>();
      const all = Promise.withResolvers<void>();
      const seen = new Set<string>();
      const settle = (incoming: Incoming): void => {
        seen.add(incoming.delivery.id);
        incoming.ack().then(() => void (seen.size === 300 && all.resolve()), all.reject);
      };
      const subscription = await broker.subscribe({
        params: consumeParams(queue),
        prefetch: 200,
        signal: never,
        onMessage(incoming) {
          if (seen.size > 0) return settle(incoming);
          open.push(incoming);
          assert.ok(open.length <= 200, `${open.length} unsettled`);
          if (open.length === 200) full.resolve();
        },
      });
      await full.promise;
      for (const one of open) settle(one);
      await all.promise;
      await subscription.close();
      await isEmpty(broker, queue);
    });

    check('a subscription that closes gives back what it holds', async (broker, queue) => {
      await create(broker, queue);
      await publish(broker, queue, messagesOf(queue, 2));
      const first = Promise.withResolvers<Incoming>();
      const subscription = await broker.subscribe({
        params: consumeParams(queue),
        prefetch: 2,
        signal: never,
        onMessage: (incoming) => first.resolve(incoming),
      });
      await first.promise;
      await subscription.close();
      await subscription.ended;
      const again = await drain(broker, queue, 2);
      assert.deepEqual(again.map(textOf).sort(), messagesOf(queue, 2).map(textOf));
    });

    check("a subscription ends with its signal; what it rejects or retries isn't lost", async (broker, queue) => {
      await create(broker, queue);
      await publish(broker, queue, messagesOf(queue, 2));
      const stop = new AbortController();
      const texts: string[] = [];
      const done = Promise.withResolvers<void>();
      const subscription = await broker.subscribe({
        params: consumeParams(queue),
        prefetch: 1,
        signal: stop.signal,
        onMessage(incoming) {
          const text = textOf(incoming.delivery);
          texts.push(text);
          const again = texts.filter((one) => one === text).length > 1;
          const settled =
            text === '{"n":0}' ? incoming.reject('unwanted') : again ? incoming.ack() : incoming.retryLater(200);
          settled.then(() => {
            if (again) done.resolve();
          }, done.reject);
        },
      });
      await done.promise;
      stop.abort(new StepError('STEP_CANCELLED', 'the trigger ends'));
      await subscription.ended;
      assert.deepEqual(texts, ['{"n":0}', '{"n":1}', '{"n":1}']);
      assert.deepEqual((await drain(broker, `${queue}.dead`, 1)).map(textOf), ['{"n":0}']);
      await isEmpty(broker, queue);
    });

    test('a subscription whose connection is lost says so', { timeout: testTimeoutMs }, async () => {
      const { broker, lose } = await under.openFragile();
      const queue = `jsonflow-suite-${randomBytes(6).toString('hex')}`;
      try {
        await create(broker, queue);
        const subscription = await broker.subscribe({
          params: consumeParams(queue),
          prefetch: 1,
          signal: never,
          onMessage: () => undefined,
        });
        const ended = assert.rejects(subscription.ended, (thrown) => thrown instanceof StepError && thrown.retryable);
        await lose();
        await ended;
      } finally {
        await broker.close().catch(() => undefined);
      }
    });

    test('a broker that was closed leaves no work undone and answers with an error', async () => {
      const broker = await under.open();
      await broker.ping();
      await broker.close();
      await broker.close();
      await assert.rejects(broker.ping(), StepError);
    });
  });
}

function message(id: string, text: string): OutgoingMessage {
  return { id, body: Buffer.from(text), contentType: 'application/json', headers: {} };
}

const textOf = ({ body }: { body: Uint8Array }): string => Buffer.from(body).toString();
