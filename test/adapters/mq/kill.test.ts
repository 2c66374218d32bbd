// Processes that publish and consume are killed at points that a seed chooses; the sink counts the messages by their ids.
// JSONFLOW_KILLS=n for n kills of each kind per broker, JSONFLOW_SEED=n for other points.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { JSONObject } from '../../../src/lib/json.ts';
import { seeded } from '../../e2e/processes.ts';
import { privateServer, privateSkipReason, type ServiceName, serviceUrl, skipReason } from '../../support/services.ts';
import { perform, type Task } from './kill-worker.ts';
import { stepsOf } from './steps.ts';

const kills = Number(process.env.JSONFLOW_KILLS ?? 3);
const seed = Number(process.env.JSONFLOW_SEED ?? 42);
/** Kills of one step before it may end. */
const killsPerStep = 4;
const chunkCount = 4;
const perChunk = 300;
const compileCache = join(tmpdir(), `jsonflow-compile-cache-${process.pid}`);
const worker = fileURLToPath(new URL('kill-worker.ts', import.meta.url));

interface Under {
  system: ServiceName;
  create: JSONObject;
  consume: JSONObject;
  /** Whether a repetition of a message never reaches the queue. */
  single: boolean;
}

const brokers: Under[] = [
  { system: 'rabbitmq', create: {}, consume: {}, single: false },
  { system: 'rabbitmq', create: { type: 'classic' }, consume: {}, single: false },
  { system: 'redis', create: {}, consume: { claim_after_ms: 300 }, single: true },
];

describe(`publishers and consumers are killed (seed ${seed})`, { concurrency: 3 }, () => {
  for (const [index, under] of brokers.entries()) {
    const name = `${under.system} ${JSON.stringify(under.create)}`;
    test(`${name}: nothing is lost, nothing is doubled`, { skip: skipReason(under.system) }, async (context) => {
      const folder = await mkdtemp(join(tmpdir(), 'jsonflow-mq-kill-'));
      try {
        const random = seeded(seed + index);
        const counts = { kills: 0, messages: 0, doubled: 0 };
        while (counts.kills < 2 * kills) await round(under, join(folder, randomUUID()), random, counts);
        context.diagnostic(`${name}: ${JSON.stringify(counts)}`);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
});

after(() => rm(compileCache, { recursive: true, force: true }));

type Random = () => number;

/** One step that publishes, killed several times until it ends; then steps that consume, likewise. */
async function round(
  { system, create, consume, single }: Under,
  receipts: string,
  random: Random,
  counts: { kills: number; messages: number; doubled: number },
): Promise<void> {
  const broker = serviceUrl(system);
  const queue = `jsonflow-kill-${randomUUID()}`;
  await using(async (steps) => void (await steps.run('mq_create_queue', { broker, queue, ...create })));
  const { chunks, messages, ids } = messagesOf(queue);
  const publishing: Task = {
    kind: 'publish',
    params: { broker, queue, messages },
    key: queue,
    chunks,
    receipts: `${receipts}.published`,
    dieAt: null,
  };
  const publishPoints = [
    'before',
    ...Object.keys(chunks).map((digest) => `chunk ${digest}`),
    'done',
    'recorded',
    'ms',
    'ms',
  ];
  const times = Math.min(killsPerStep, Math.max(1, kills));
  for (let n = 0; n < times; n += 1)
    counts.kills += await killed({ ...publishing, dieAt: chosen(publishPoints, random) });
  await perform(publishing);

  await writeFile(receipts, '');
  const consuming: Task = {
    kind: 'consume',
    params: { broker, queue, max_messages: 500, wait_ms: 500, max_deliveries: 1_000, ...consume },
    key: queue,
    receipts,
    dieAt: null,
  };
  const consumePoints = ['before', 'done', 'recorded', 'committing', 'committed', 'ms', 'ms'];
  for (let n = 0; n < times; n += 1)
    counts.kills += await killed({ ...consuming, dieAt: chosen(consumePoints, random) });
  // What the last one held comes back when its connection, or its time, is over.
  for (let empty = 0; empty < 2; ) empty = (await perform(consuming)).count === 0 ? empty + 1 : 0;

  const received = (await readFile(receipts, 'utf8'))
    .trim()
    .split('\n')
    .flatMap((line) => JSON.parse(line || '[]') as string[]);
  assert.deepEqual(new Set(received), new Set(ids), 'each message is in a receipt, and none that was not published');
  const copies = await copiesOf(system, broker, queue);
  if (single) assert.equal(copies, ids.length, 'the stream holds each message once');
  counts.messages += ids.length;
  counts.doubled += received.length - ids.length;
}

/** Entries of a stream, which stay when they are acknowledged. */
async function copiesOf(system: ServiceName, broker: string, queue: string): Promise<number> {
  if (system !== 'redis') return 0;
  let found = 0;
  await using(async (steps) => {
    const again = { broker, queue, group: 'auditor', max_messages: 50_000, wait_ms: 100 };
    found = Number((await steps.run('mq_consume', again)).count);
  });
  return found;
}

function messagesOf(queue: string): { chunks: Record<string, string>; messages: JSONObject; ids: string[] } {
  const chunks: Record<string, string> = {};
  for (let chunk = 0; chunk < chunkCount; chunk += 1)
    chunks[`c${chunk}`] = Array.from({ length: perChunk }, (_, n) => `${JSON.stringify({ chunk, n })}\n`).join('');
  const list = Object.keys(chunks).map((digest) => ({ digest, bytes: 1, rows: perChunk }));
  return {
    chunks,
    messages: { stored: 'ndjson', bytes: 1, row_count: chunkCount * perChunk, chunks: list },
    ids: Array.from({ length: chunkCount * perChunk }, (_, n) => `${queue}/${n}`),
  };
}

function chosen(points: readonly string[], random: Random): string | number {
  const point = points[Math.floor(random() * points.length)] ?? 'done';
  return point === 'ms' ? Math.floor(random() * 120) : point;
}

/** @returns 1 if it was killed, 0 if it came to its end before */
async function killed(task: Task): Promise<number> {
  const child = spawn(process.execPath, [worker, JSON.stringify(task)], {
    stdio: ['ignore', 'ignore', 'pipe'],
    // Types are stripped once, and not for each process.
    env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
  });
  let said = '';
  child.stderr.on('data', (text) => {
    said += text;
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  assert.ok(signal === 'SIGKILL' || code === 0, `it ended by itself: ${said}`);
  return signal === 'SIGKILL' ? 1 : 0;
}

async function using(body: (steps: ReturnType<typeof stepsOf>) => Promise<void>): Promise<void> {
  const steps = stepsOf();
  try {
    await body(steps);
  } finally {
    await steps.close();
  }
}

describe('the server is killed and comes back', () => {
  // RabbitMQ takes longer to start than all the rest here.
  const systems = process.env.JSONFLOW_KILLS === undefined ? (['redis'] as const) : (['redis', 'rabbitmq'] as const);
  for (const system of systems)
    test(`${system}: what was confirmed is there, once it is deduplicated by id`, {
      skip: privateSkipReason(system),
    }, async () => {
      const server = await privateServer(system);
      const steps = stepsOf();
      try {
        const broker = server.url;
        const queue = `jsonflow-kill-${randomUUID()}`;
        await steps.run('mq_create_queue', { broker, queue });
        // RabbitMQ 3.10 writes the names of new quorum queues every 500 ms; a crash before that forgets the queue.
        if (system === 'rabbitmq') await delay(1_500);
        const messages = Array.from({ length: 6_000 }, (_, n) => ({ n }));
        const publish = () => steps.run('mq_publish', { broker, queue, messages }, { idempotency_key: queue });
        const first = publish().then(
          () => 'done',
          () => 'failed',
        );
        await delay(60);
        await server.kill();
        await first;
        const held = await server.restart().then(() => again(publish));
        assert.equal(held.published, messages.length);
        const ids: string[] = [];
        const take = async () => {
          const params = { broker, queue, max_messages: 3_000, wait_ms: 1_000 };
          const { output, commit } = await again(() => steps.attempt('mq_consume', params));
          ids.push(...(output.deliveries as { id: string }[]).map(({ id }) => id));
          await commit();
          return Number(output.count);
        };
        while ((await take()) > 0);
        assert.deepEqual(new Set(ids), new Set(messages.map((_, index) => `${queue}/${index}`)));
        if (system === 'redis') assert.equal(ids.length, messages.length);
      } finally {
        await steps.close();
        await server.stop();
      }
    });
});

/** As a run does with a step whose failure is retryable. */
async function again<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = 20; ; left -= 1)
    try {
      return await attempt();
    } catch (thrown) {
      const retryable = thrown instanceof Error && 'retryable' in thrown && thrown.retryable === true;
      if (!retryable || left === 0) throw thrown;
      await delay(250);
    }
}
