// Processes that publish and consume are killed by SIGKILL at seeded points; what counts is what is in the broker afterwards.
// JSONFLOW_KILLS says how often each, JSONFLOW_SEED where.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Admin } from '@platformatic/kafka';
import type { Broker } from '../../../src/adapters/mq/broker.ts';
import { openKafka } from '../../../src/adapters/mq/kafka/kafka.ts';
import { openNats } from '../../../src/adapters/mq/nats/nats.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { describeWith } from '../../support/services.ts';
import { openAt } from './brokers.ts';
import type { Work } from './streams-worker.ts';

const script = fileURLToPath(new URL('./streams-worker.ts', import.meta.url));
const kills = Number(process.env.JSONFLOW_KILLS ?? 2);
const seed = Number(process.env.JSONFLOW_SEED ?? randomInt(2 ** 31));
const never = new AbortController().signal;
const messagesPerStep = 20;
const group = 'killed';

/** Mulberry32: the same kills for the same seed, as far as processes are alike. */
function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Line = Record<string, unknown>;

/** Runs a worker until it ends, or is killed: so long after so many of its lines. */
async function run(
  work: Work,
  onLine: (line: Line) => boolean | undefined,
  kill?: { afterLines: number; ms: number },
): Promise<void> {
  const child = spawn(process.execPath, [script, JSON.stringify(work)], { stdio: ['ignore', 'pipe', 'pipe'] });
  let errors = '';
  child.stderr.on('data', (chunk) => {
    errors = (errors + chunk).slice(-4000);
  });
  let lines = 0;
  const closed = once(child, 'close');
  for await (const text of createInterface({ input: child.stdout })) {
    if (onLine(JSON.parse(text) as Line) === true) child.kill('SIGKILL');
    lines += 1;
    if (kill !== undefined && lines === kill.afterLines) void sleep(kill.ms).then(() => child.kill('SIGKILL'));
  }
  const [code, signal] = (await closed) as [number | null, string | null];
  assert.ok(code === 0 || signal === 'SIGKILL', `the worker ended with ${code}: ${errors}`);
}

/** All ids that are in the queue, as often as they are. */
async function idsIn(broker: Broker, params: JSONObject): Promise<string[]> {
  const batch = await broker.consume({
    params: { ...params, replay: true },
    max: 1_000_000,
    waitMs: 1000,
    signal: never,
  });
  return batch.deliveries.map(({ id }) => id);
}

const idsOf = (steps: number): string[] =>
  Array.from(
    { length: steps * messagesPerStep },
    (_, index) => `run/${Math.floor(index / messagesPerStep)}/${index % messagesPerStep}`,
  );

interface Under {
  system: Work['system'];
  open(): Promise<Broker>;
  create: JSONObject;
  consume: JSONObject;
  doubles: boolean;
  /** What time does otherwise: the dead consumer's messages go to others. */
  expire(): Promise<void>;
}

function killTests(url: string, { system, open, create, consume, doubles, expire }: Under): void {
  test(`publishers that are killed lose nothing (seed ${seed})`, async (t) => {
    const random = randomOf(seed);
    const queue = `kill-${randomBytes(5).toString('hex')}`;
    const broker = await open();
    try {
      await broker.createQueue({ queue, ...create }, never);
      const steps = 40 + kills * 20;
      let from = 0;
      const work = { system, url, params: { queue }, role: 'publish', steps, messagesPerStep } as const;
      const onLine = ({ done }: Line) => {
        if (typeof done === 'number') from = done + 1;
        return false;
      };
      for (let round = 0; round < kills && from < steps; round += 1)
        await run({ ...work, from }, onLine, { afterLines: 2 + Math.floor(random() * 30), ms: random() * 4 });
      await run({ ...work, from }, onLine);
      const found = await idsIn(broker, { queue });
      assert.deepEqual([...new Set(found)].sort(), idsOf(steps).sort(), 'none is lost, none is unknown');
      t.diagnostic(
        `${system}: ${steps * messagesPerStep} messages, ${kills} kills, ${found.length - new Set(found).size} doubled`,
      );
      if (!doubles) assert.equal(found.length, new Set(found).size, 'none is doubled');
    } finally {
      await broker.close();
    }
  });

  test(`consumers that are killed lose nothing (seed ${seed})`, async (t) => {
    const random = randomOf(seed + 1);
    const queue = `kill-${randomBytes(5).toString('hex')}`;
    const broker = await open();
    try {
      await broker.createQueue({ queue, ...create }, never);
      const steps = 20 + kills * 10;
      const messages = idsOf(steps).map((id) => ({
        id,
        body: Buffer.from('{}'),
        contentType: 'application/json',
        headers: {},
      }));
      const request = { messages, idPrefix: 'run', firstIndex: 0, dedupe: true, signal: never, timeoutMs: 30_000 };
      await broker.publish({ ...request, params: { queue } });
      const work = {
        system,
        url,
        params: { queue, group, ...consume },
        role: 'consume',
        steps,
        from: 0,
        messagesPerStep,
      } as const;
      const recorded: string[] = [];
      const expected = new Set(messages.map(({ id }) => id));
      const onLine = ({ recorded: ids, idle }: Line) => {
        if (Array.isArray(ids)) recorded.push(...(ids as string[]));
        // All were seen, and nothing is held any more.
        return idle === true && new Set(recorded).size >= expected.size;
      };
      for (let round = 0; round < kills; round += 1) {
        await run(work, onLine, { afterLines: 2 + Math.floor(random() * 12), ms: random() * 4 });
        await expire();
      }
      await run(work, onLine);
      assert.deepEqual(new Set(recorded), expected, 'none is lost');
      const again = recorded.length - expected.size;
      t.diagnostic(`${system}: ${expected.size} messages, ${kills} kills, ${again} came again`);
      assert.ok(again <= kills * messagesPerStep, `${again} came again: more than was held when a consumer was killed`);
      await expire();
      const rest = await broker.consume({ params: work.params, max: 1, waitMs: 100, signal: never });
      assert.deepEqual(rest.deliveries, [], 'all were acknowledged');
    } finally {
      await broker.close();
    }
  });
}

describeWith('nats', 'NATS under SIGKILL', (url) => {
  killTests(url, {
    system: 'nats',
    open: () => openAt(openNats, url),
    create: {},
    consume: { ack_wait_ms: 500 },
    doubles: false,
    expire: async () => undefined,
  });
});

describeWith('kafka', 'Kafka under SIGKILL', (url) => {
  killTests(url, {
    system: 'kafka',
    open: () => openAt(openKafka, url),
    create: { partitions: 2 },
    consume: { session_timeout_ms: 30_000 },
    doubles: true,
    async expire() {
      const admin = new Admin({ clientId: 'test', bootstrapBrokers: [new URL(url).host] });
      await admin.removeMembersFromConsumerGroup({ groupId: group, members: null }).catch(() => undefined);
      await admin.close();
    },
  });
});
