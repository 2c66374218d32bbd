import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import amqp from 'amqplib';
import pg from 'pg';
import { createClient } from 'redis';
import { freshDatabase } from '../support/fresh-database.ts';
import { service, serviceUrl, skipReason } from '../support/services.ts';
import { Client } from './client.ts';
import { NodeProcess, seeded } from './processes.ts';

// JSONFLOW_LONG=1 for hundreds of kills; JSONFLOW_SEED=n for another schedule of them.
const long = process.env.JSONFLOW_LONG === '1';
const seed = Number(process.env.JSONFLOW_SEED ?? 7);
const messages = long ? 3_000 : 48;
const workers = ['w-1', 'w-2', 'w-3'];
const skip =
  (['rabbitmq', 'postgres', 'redis'] as const)
    .map((name) => service(name).unavailable !== undefined && skipReason(name))
    .find(Boolean) ?? false;

/** Every effect that there is: rows, a counter, messages. */
const workflowOn = (queue: string, stream: string) => ({
  workflow: 'payments',
  fault_tolerance: { retry_failed_steps: true, max_retries: 100, backoff_ms: 50, backoff_max_ms: 500 },
  triggers: [{ type: 'mq', params: { broker: 'vault://broker', queue }, max_concurrent_runs: 12 }],
  steps: [
    {
      id: 'row',
      type: 'db_insert',
      params: { connection: 'vault://db', table: 'payments', data: { message: '$input.message.n', amount: 1 } },
    },
    {
      id: 'total',
      type: 'db_update',
      params: {
        connection: 'vault://db',
        query: 'UPDATE totals SET count = count + 1 WHERE id = 1',
      },
    },
    {
      id: 'counter',
      type: 'db_update',
      params: { connection: 'vault://redis', commands: [['INCR', `${stream}:count`]] },
      parent_step_ids: ['row'],
    },
    {
      id: 'said',
      type: 'mq_publish',
      params: { broker: 'vault://redis', stream, message: { n: '$input.message.n' } },
      parent_step_ids: ['row', 'total'],
    },
  ],
});

it(`messages become effects exactly once while workers and the coordinator are killed (seed ${seed})`, {
  skip,
}, async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'jsonflow-data-kill-'));
  const database = await freshDatabase('postgres');
  const [queue, stream] = [`payments-${randomUUID()}`, `said-${randomUUID()}`];
  const sql = new pg.Client(database.url);
  await sql.connect();
  await sql.query('CREATE TABLE payments (message int, amount int)');
  await sql.query('CREATE TABLE totals (id int PRIMARY KEY, count int)');
  await sql.query('INSERT INTO totals VALUES (1, 0)');
  const redis = createClient({ url: serviceUrl('redis') });
  await redis.connect();
  const broker = await amqp.connect(serviceUrl('rabbitmq').replace(/^rabbitmq/, 'amqp'));
  const channel = await broker.createConfirmChannel();
  await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'quorum' } });

  process.env.JSONFLOW_VAULT_BROKER = serviceUrl('rabbitmq');
  process.env.JSONFLOW_VAULT_DB = database.url;
  process.env.JSONFLOW_VAULT_REDIS = serviceUrl('redis');
  const ledger = join(folder, 'ledger.txt');
  const coordinatorConfig = (port: number) => ({
    nodeId: 'coordinator',
    port,
    dataDir: join(folder, 'coordinator'),
    localSteps: 'never' as const,
    coordinator: { heartbeatMs: 200, suspectAfterMs: 600, lostAfterMs: 1_500, reconnectGraceMs: 1_000 },
    ledger,
  });
  let coordinator = new NodeProcess(coordinatorConfig(0));
  const { url = '', http = '' } = await coordinator.ready;
  const port = Number(new URL(http).port);
  const startWorker = (nodeId: string) =>
    new NodeProcess({ nodeId, role: 'worker', connect: url, dataDir: join(folder, nodeId), ledger });
  const nodes = new Map(workers.map((id) => [id, startWorker(id)]));
  for (const node of nodes.values()) await node.ready;
  const stop = new AbortController();
  const client = new Client(http, stop.signal);
  const deployed = await fetch(`${http}/api/v1/deployments`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ workflow: workflowOn(queue, stream) }),
  });
  assert.equal(deployed.status, 201, await deployed.text());

  // Each message twice under one id, as a publisher does that was killed between sending and noting it.
  for (let n = 0; n < messages; n += 1)
    for (let copy = 0; copy < (n % 4 === 0 ? 2 : 1); copy += 1)
      channel.sendToQueue(queue, Buffer.from(JSON.stringify({ n })), {
        contentType: 'application/json',
        messageId: `message-${n}`,
        persistent: true,
      });
  await channel.waitForConfirms();

  const counted = async (): Promise<number> => Number((await sql.query('SELECT count(*) FROM payments')).rows[0].count);
  const random = seeded(seed);
  let kills = { worker: 0, coordinator: 0 };
  try {
    for (let at = 0; at < messages - 10; at += 3 + Math.floor(random() * 8)) {
      while ((await counted()) < at) await delay(10, undefined, { signal: stop.signal });
      // The schedule of the faults, not a wait for anything.
      await delay(random() * 60);
      if (random() < 0.2) {
        assert.equal(coordinator.crashed, undefined);
        await coordinator.kill();
        coordinator = new NodeProcess(coordinatorConfig(port));
        await coordinator.ready;
        kills = { ...kills, coordinator: kills.coordinator + 1 };
      } else {
        const id = workers[Math.floor(random() * workers.length)] ?? '';
        assert.equal(nodes.get(id)?.crashed, undefined);
        await nodes.get(id)?.kill();
        nodes.set(id, startWorker(id));
        kills = { ...kills, worker: kills.worker + 1 };
      }
    }
    const ended = async (): Promise<boolean> => {
      const { runs } = await client.runs({ status: 'completed', limit: 500 });
      return (
        runs.length >= Math.min(500, messages) &&
        (await counted()) >= messages &&
        (await client.runs({ status: 'running', limit: 1 })).runs.length === 0
      );
    };
    while (!(await ended())) await delay(50, undefined, { signal: stop.signal });
    context.diagnostic(`${messages} messages, ${kills.worker} workers and ${kills.coordinator} coordinators killed`);
    assert.ok(kills.worker >= 3 && kills.coordinator >= 1, 'enough was killed for the test to mean anything');

    const rows = await sql.query(
      'SELECT message, count(*)::int AS times FROM payments GROUP BY message ORDER BY message',
    );
    assert.deepEqual(
      rows.rows,
      Array.from({ length: messages }, (_, message) => ({ message, times: 1 })),
      'PostgreSQL: each message has one row',
    );
    assert.equal(
      (await sql.query('SELECT count FROM totals')).rows[0].count,
      messages,
      'PostgreSQL: counted once each',
    );
    assert.equal(await redis.get(`${stream}:count`), String(messages), 'Redis: counted once each');
    assert.equal(await redis.xLen(stream), messages, 'Redis Streams: published once each');
    assert.equal((await client.runs({ status: 'failed', limit: 1 })).runs.length, 0);
    while ((await channel.checkQueue(queue)).messageCount > 0) await delay(20, undefined, { signal: stop.signal });
  } finally {
    stop.abort();
    for (const node of [coordinator, ...nodes.values()]) await node.kill();
    for (const name of [queue, `${queue}.dead`]) await channel.deleteQueue(name).catch(() => undefined);
    await broker.close().catch(() => undefined);
    await redis.del([stream, `${stream}:count`]);
    await redis.close();
    await sql.end();
    await database.drop();
    await rm(folder, { recursive: true, force: true });
  }
});
