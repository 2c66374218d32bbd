// mq_publish and mq_consume on Kafka and NATS beside the bare clients, in one run.
// Options: --rounds N
import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';
import { Consumer, Producer } from '@platformatic/kafka';
import type { Broker, OutgoingMessage } from '../src/adapters/mq/broker.ts';
import { openKafka } from '../src/adapters/mq/kafka/kafka.ts';
import { openNats } from '../src/adapters/mq/nats/nats.ts';
import { createEgress } from '../src/egress/egress.ts';
import { serviceUrl } from '../test/support/services.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' } } });
const rounds = Number(values.rounds);
const count = 20_000;
const batch = 1000;
const body = Buffer.from(JSON.stringify({ text: 'x'.repeat(200) }));
const signal = new AbortController().signal;
const egress = createEgress();
const unique = (): string => randomBytes(5).toString('hex');

interface Side {
  name: string;
  run(): Promise<void>;
}

/** Both sides in turn, so that what else the machine does hits both; the median of the rounds. */
async function compare(what: string, bare: Side, adapter: Side): Promise<void> {
  const rates = new Map<Side, number[]>([
    [bare, []],
    [adapter, []],
  ]);
  for (let round = 0; round <= rounds; round += 1)
    for (const side of round % 2 === 0 ? [bare, adapter] : [adapter, bare]) {
      const start = performance.now();
      await side.run();
      // The first round warms up.
      if (round > 0) rates.get(side)?.push((count * 1000) / (performance.now() - start));
    }
  const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[Math.floor(list.length / 2)] ?? 0;
  const [one, other] = [median(rates.get(bare) ?? []), median(rates.get(adapter) ?? [])];
  console.log(
    `${what.padEnd(28)} ${bare.name} ${Math.round(one)}/s, adapter ${Math.round(other)}/s, ratio ${(other / one).toFixed(2)}`,
  );
}

const batchesOf = (prefix: string): OutgoingMessage[][] =>
  Array.from({ length: count / batch }, (_, number) =>
    Array.from({ length: batch }, (__, index) => ({
      id: `${prefix}/${number * batch + index}`,
      body,
      contentType: 'application/json',
      headers: {},
    })),
  );

async function publishAll(broker: Broker, queue: string): Promise<void> {
  const idPrefix = unique();
  for (const messages of batchesOf(idPrefix))
    await broker.publish({
      params: { queue },
      messages,
      idPrefix,
      firstIndex: 0,
      dedupe: true,
      signal,
      timeoutMs: 60_000,
    });
}

async function consumeAll(broker: Broker, queue: string, group: string): Promise<void> {
  for (let got = 0; got < count; ) {
    const held = await broker.consume({ params: { queue, group }, max: batch, waitMs: 5000, signal });
    got += held.deliveries.length;
    if (held.deliveries.length === 0) throw new Error(`${got} of ${count} messages came`);
    await held.ack();
  }
}

async function kafka(): Promise<void> {
  const url = new URL(serviceUrl('kafka'));
  const broker = await openKafka({ url, reach: 'operator', egress }, signal);
  const topic = `bench-${unique()}`;
  await broker.createQueue({ topic, partitions: 3 }, signal);
  const producer = new Producer({ clientId: 'bench', bootstrapBrokers: [url.host], idempotent: true });
  const bare = {
    name: 'client',
    async run() {
      for (const messages of batchesOf(unique()))
        await producer.send({
          messages: messages.map(({ id, body: value, contentType }, index) => ({
            topic,
            value: Buffer.from(value),
            partition: index % 3,
            headers: new Map([
              [Buffer.from('message-id'), Buffer.from(id)],
              [Buffer.from('content-type'), Buffer.from(contentType)],
            ]),
          })),
        });
    },
  };
  await compare('Kafka publish', bare, { name: 'adapter', run: () => publishAll(broker, topic) });
  await producer.close();
  await compare(
    'Kafka consume and commit',
    {
      name: 'client',
      async run() {
        const consumer = new Consumer({
          clientId: 'bench',
          bootstrapBrokers: [url.host],
          groupId: unique(),
          autocommit: false,
        });
        const stream = await consumer.consume({ topics: [topic], mode: 'earliest', maxWaitTime: 500 });
        let got = 0;
        const done = new Map<number, bigint>();
        for await (const message of stream) {
          done.set(message.partition, message.offset + 1n);
          got += 1;
          if (got % batch !== 0) continue;
          await consumer.commit({
            offsets: [...done].map(([partition, offset]) => ({ topic, partition, offset, leaderEpoch: -1 })),
          });
          if (got >= count) break;
        }
        await consumer.close(true);
      },
    },
    { name: 'adapter', run: () => consumeAll(broker, topic, unique()) },
  );
  await broker.close();
}

async function nats(): Promise<void> {
  const url = new URL(serviceUrl('nats'));
  const broker = await openNats({ url, reach: 'operator', egress }, signal);
  const subject = `bench-${unique()}`;
  await broker.createQueue({ subject }, signal);
  const connection = await connect({ servers: url.host });
  const client = jetstream(connection);
  const bare = {
    name: 'client',
    async run() {
      for (const messages of batchesOf(unique()))
        await Promise.all(
          messages.map((one) => {
            const own = headers();
            own.set('content-type', one.contentType);
            return client.publish(subject, one.body, { msgID: one.id, headers: own });
          }),
        );
    },
  };
  await compare('NATS publish', bare, { name: 'adapter', run: () => publishAll(broker, subject) });
  const manager = await jetstreamManager(connection);
  const consumeBare =
    (settle: (message: { ack(): void; ackAck(): Promise<boolean> }) => Promise<unknown> | undefined) => async () => {
      const name = unique();
      await manager.consumers.add(subject, {
        durable_name: name,
        ack_policy: AckPolicy.Explicit,
        max_ack_pending: 20_000,
      });
      const consumer = await client.consumers.get(subject, name);
      for (let got = 0; got < count; ) {
        const settled: unknown[] = [];
        for await (const message of await consumer.fetch({ max_messages: batch, expires: 5000 })) {
          got += 1;
          settled.push(settle(message));
        }
        await Promise.all(settled);
      }
      await connection.flush();
    };
  const adapter = { name: 'adapter', run: () => consumeAll(broker, subject, unique()) };
  await compare('NATS consume, acks confirmed', { name: 'client', run: consumeBare((one) => one.ackAck()) }, adapter);
  const unconfirmed = consumeBare((one) => {
    one.ack();
    return undefined;
  });
  await compare('NATS consume, acks not heard', { name: 'client', run: unconfirmed }, adapter);
  await manager.streams.delete(subject);
  await connection.close();
  await broker.close();
}

await kafka();
await nats();
