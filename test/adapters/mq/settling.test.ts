// A broker that answers nothing when messages are settled: a step, and the pool of connections, must not wait for it for ever.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Batch, Broker } from '../../../src/adapters/mq/broker.ts';
import type { Brokers } from '../../../src/adapters/mq/connect.ts';
import { consume } from '../../../src/adapters/mq/consume.ts';
import { contextFor } from '../../compliance/adapter.ts';

const forever = new Promise<never>(() => undefined);
const turn = (): Promise<void> => new Promise(setImmediate);

/** Takes one message from a broker that never settles it. */
function silentBroker() {
  const batch: Batch = {
    deliveries: [
      {
        id: '1',
        body: Buffer.from('1'),
        contentType: 'application/json',
        headers: {},
        properties: {},
        deliveriesBefore: 0,
      },
    ],
    ack: () => forever,
    release: () => forever,
    reject: () => forever,
    retryLater: () => forever,
  };
  const broker = { consume: async () => batch } as unknown as Broker;
  let held = 0;
  const brokers = {
    async use(_: unknown, body: (broker: Broker) => Promise<unknown>) {
      held += 1;
      await body(broker).finally(() => {
        held -= 1;
      });
    },
  } as unknown as Brokers;
  return { brokers, held: () => held };
}

const params = { broker: 'amqp://silent', queue: 'q' };

for (const [what, hook, more] of [
  ['acknowledged', 0, {}],
  ['given back', 1, {}],
  ['to be retried later', 1, { retry_delay_ms: 1_000 }],
] as const)
  test(`messages that are ${what}: after a minute the connections are let go, and the log says why`, async (context) => {
    const { brokers, held } = silentBroker();
    const hooks: (() => unknown)[] = [];
    const warnings: string[] = [];
    const nothing = (): undefined => undefined;
    const step = { id: 's', type: 'mq_consume', params: { ...params, ...more } };
    const own = contextFor(step, undefined, {
      afterCommit: (fn, otherwise) => void hooks.push(fn, otherwise ?? nothing),
      log: { debug: nothing, info: nothing, warn: (text) => void warnings.push(text), error: nothing },
    });
    await consume(brokers, step.params, own);
    context.mock.timers.enable({ apis: ['setTimeout'] });
    const settled = Promise.resolve(hooks[hook]?.());
    context.mock.timers.tick(59_999);
    await turn();
    assert.deepEqual([held(), warnings], [1, []]);
    context.mock.timers.tick(1);
    await settled;
    await turn();
    assert.equal(held(), 0);
    assert.match(warnings.join(), /the broker took longer than 60000 ms; the messages come again/);
  });

test('a step that is cancelled waits two seconds for its messages to go back, its connections a minute', async (context) => {
  const { brokers, held } = silentBroker();
  const stop = new AbortController();
  const step = { id: 's', type: 'mq_consume', params: { ...params, body: 'nonsense' } };
  const own = contextFor(step, stop.signal, {
    afterCommit() {
      throw stop.signal.reason;
    },
  });
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const failed = assert.rejects(consume(brokers, step.params, own), { name: 'AbortError' });
  stop.abort();
  await turn();
  context.mock.timers.tick(2_000);
  await failed;
  assert.equal(held(), 1);
  context.mock.timers.tick(58_000);
  await turn();
  assert.equal(held(), 0);
});
