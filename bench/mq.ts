// mq_publish and mq_consume on RabbitMQ and Redis beside the bare drivers, in one run.
// Options: --messages N, --rounds N, --only TEXT (in the name of a case)
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { createMqAdapter } from '../src/adapters/mq/adapter.ts';
import { createEgress } from '../src/egress/egress.ts';
import type { JSONObject } from '../src/lib/json.ts';
import { bareContext } from '../test/support/bare-context.ts';
import { serviceUrl } from '../test/support/services.ts';

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '10000' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string', default: '' },
  },
});
const count = Number(values.messages);
const rounds = Number(values.rounds);
/** As the adapter: messages that may be unconfirmed, or unread. */
const windowSize = 1_000;
/** Messages of one step that consumes: each of them takes a consumer, and gives it up again. */
const batchSize = 5_000;
const messages = Array.from({ length: count }, (_, n) => ({ n, user: `user-${n}`, text: 'x'.repeat(150) }));

/** Both ways of each operation, in messages per second. */
interface Speeds {
  publish: number;
  consume: number;
}

const adapter = createMqAdapter({ egress: createEgress() });

async function step(type: string, params: JSONObject): Promise<JSONObject> {
  let commit: () => unknown = () => undefined;
  const context = bareContext({
    idempotency_key: randomUUID(),
    afterCommit: (fn) => {
      commit = fn;
    },
  });
  const output = (await adapter.execute({ id: 'step', type, params }, context)) as JSONObject;
  await commit();
  return output;
}

const perSecond = async (body: () => Promise<void>): Promise<number> => {
  const from = performance.now();
  await body();
  return Math.round((count / (performance.now() - from)) * 1_000);
};

async function ours(broker: string, create: JSONObject): Promise<Speeds> {
  const queue = `jsonflow-bench-${randomUUID()}`;
  await step('mq_create_queue', { broker, queue, ...create });
  const publish = await perSecond(async () => void (await step('mq_publish', { broker, queue, messages })));
  const consume = await perSecond(async () => {
    for (let taken = 0; taken < count; )
      taken += Number((await step('mq_consume', { broker, queue, max_messages: batchSize })).count);
  });
  return { publish, consume };
}

async function bareRabbit(broker: string, type: string): Promise<Speeds> {
  const { connect } = await import('amqplib');
  const connection = await connect(broker);
  const queue = `jsonflow-bench-${randomUUID()}`;
  const channel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': type } });
  const publish = await perSecond(async () => {
    for (const [index, message] of messages.entries()) {
      // As careful a publisher does: without an id no repetition is known.
      const options = {
        persistent: true,
        mandatory: true,
        messageId: `${queue}/${index}`,
        contentType: 'application/json',
      };
      channel.sendToQueue(queue, Buffer.from(JSON.stringify(message)), options);
      if (index % windowSize === windowSize - 1) await channel.waitForConfirms();
    }
    await channel.waitForConfirms();
  });
  const consume = await perSecond(async () => {
    await channel.prefetch(windowSize);
    const { promise, resolve } = Promise.withResolvers<void>();
    let taken = 0;
    const { consumerTag } = await channel.consume(queue, (message) => {
      if (message === null) return;
      JSON.parse(message.content.toString());
      taken += 1;
      if (taken % windowSize !== 0 && taken < count) return;
      channel.ack(message, true);
      if (taken === count) resolve();
    });
    await promise;
    await channel.cancel(consumerTag);
  });
  await channel.deleteQueue(queue);
  await connection.close();
  return { publish, consume };
}

async function bareRedis(broker: string): Promise<Speeds> {
  const { createClient } = await import('redis');
  const client = createClient({ url: broker });
  await client.connect();
  const stream = `jsonflow-bench-${randomUUID()}`;
  await client.xGroupCreate(stream, 'g', '0', { MKSTREAM: true });
  const publish = await perSecond(async () => {
    for (let index = 0; index < count; index += windowSize)
      await Promise.all(
        messages
          .slice(index, index + windowSize)
          .map((message) => client.xAdd(stream, '*', { body: JSON.stringify(message) })),
      );
  });
  const consume = await perSecond(async () => {
    for (let taken = 0; taken < count; ) {
      const reply = await client.sendCommand<[string, [string, string[]][]][]>([
        ...['XREADGROUP', 'GROUP', 'g', 'c', 'COUNT', String(windowSize), 'STREAMS', stream, '>'],
      ]);
      const entries = (Array.isArray(reply) ? reply[0]?.[1] : Object.values(reply)[0]) as [string, string[]][];
      for (const [, [, body]] of entries) JSON.parse(body ?? 'null');
      await client.xAck(
        stream,
        'g',
        entries.map(([id]) => id),
      );
      taken += entries.length;
    }
  });
  await client.del(stream);
  await client.close();
  return { publish, consume };
}

const median = (numbers: number[]): number => numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? 0;

const rabbit = serviceUrl('rabbitmq');
const redis = serviceUrl('redis');
const all = [
  { name: 'RabbitMQ, quorum', bare: () => bareRabbit(rabbit, 'quorum'), mine: () => ours(rabbit, {}) },
  {
    name: 'RabbitMQ, classic',
    bare: () => bareRabbit(rabbit, 'classic'),
    mine: () => ours(rabbit, { type: 'classic' }),
  },
  { name: 'Redis Streams', bare: () => bareRedis(redis), mine: () => ours(redis, {}) },
];
const cases = all.filter(({ name }) => name.includes(values.only));
const table = [];
for (const { name, bare, mine } of cases) {
  const results: { bare: Speeds; mine: Speeds }[] = [];
  // One after the other, so that both see the machine in the same state. The first round warms up.
  for (let round = 0; round <= rounds; round += 1) results.push({ bare: await bare(), mine: await mine() });
  results.shift();
  for (const operation of ['publish', 'consume'] as const) {
    const bareSpeed = median(results.map((one) => one.bare[operation]));
    const speed = median(results.map((one) => one.mine[operation]));
    const ratio = Math.round(median(results.map((one) => one.mine[operation] / one.bare[operation])) * 100) / 100;
    table.push({ broker: name, operation, 'bare driver/s': bareSpeed, 'adapter/s': speed, ratio });
  }
}
console.log(`${count} messages of 200 bytes, ${batchSize} by step where they are consumed; median of ${rounds} rounds`);
console.table(table);
await adapter.close?.();
