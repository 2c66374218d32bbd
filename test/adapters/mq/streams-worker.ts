// A process that publishes or consumes until it is killed: `node streams-worker.ts '<Work as JSON>'`. Prints a line for each step.
import { writeSync } from 'node:fs';
import type { Broker } from '../../../src/adapters/mq/broker.ts';
import { openKafka } from '../../../src/adapters/mq/kafka/kafka.ts';
import { openNats } from '../../../src/adapters/mq/nats/nats.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { JSONObject } from '../../../src/lib/json.ts';

export interface Work {
  system: 'kafka' | 'nats';
  url: string;
  params: JSONObject;
  role: 'publish' | 'consume';
  /** Steps of the publisher, and the first that is not known to be done. */
  steps: number;
  from: number;
  messagesPerStep: number;
}

/** Durable once it returns: the parent reads the pipe also after this process was killed. */
const say = (line: JSONObject): void => void writeSync(1, `${JSON.stringify(line)}\n`);

async function publish(broker: Broker, { params, steps, from, messagesPerStep }: Work): Promise<void> {
  const signal = new AbortController().signal;
  for (let step = from; step < steps; step += 1) {
    const idPrefix = `run/${step}`;
    const messages = Array.from({ length: messagesPerStep }, (_, index) => ({
      id: `${idPrefix}/${index}`,
      body: Buffer.from(JSON.stringify({ step, index })),
      contentType: 'application/json',
      headers: {},
    }));
    say({ begins: step });
    await broker.publish({ params, messages, idPrefix, firstIndex: 0, dedupe: true, signal, timeoutMs: 30_000 });
    say({ done: step });
  }
}

async function consume(broker: Broker, { params, messagesPerStep }: Work): Promise<void> {
  const signal = new AbortController().signal;
  for (;;) {
    const batch = await broker.consume({ params, max: messagesPerStep, waitMs: 200, signal });
    if (batch.deliveries.length === 0) say({ idle: true });
    else say({ recorded: batch.deliveries.map(({ id }) => id) });
    await batch.ack();
    say({ acknowledged: batch.deliveries.length });
  }
}

const work = JSON.parse(process.argv[2] ?? '') as Work;
const open = work.system === 'kafka' ? openKafka : openNats;
const target = { url: new URL(work.url), reach: 'operator', egress: createEgress() } as const;
const broker = await open(target, new AbortController().signal);
say({ ready: true });
await (work.role === 'publish' ? publish(broker, work) : consume(broker, work));
await broker.close();
