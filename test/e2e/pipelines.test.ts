// Pipelines across real databases and brokers, as users write them.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import amqp from 'amqplib';
import { MongoClient } from 'mongodb';
import pg from 'pg';
import { DistributedEngine } from '../../src/compose/distributed-engine.ts';
import { verifyBundle } from '../../src/core/receipt/verify.ts';
import { JSONFlowError } from '../../src/lib/errors.ts';
import type { JSONObject, JSONValue } from '../../src/lib/json.ts';
import { freshDatabase } from '../support/fresh-database.ts';
import { type ServiceName, service, serviceUrl, skipReason } from '../support/services.ts';

/** Skipped, loudly, where one of the servers is missing. */
const needing = (names: ServiceName[]): { skip: string | false } => ({
  skip: names.map((name) => service(name).unavailable !== undefined && skipReason(name)).find(Boolean) ?? false,
});

/** An embedded engine whose secrets are those given. */
const engineWith = (secrets: Record<string, string>): DistributedEngine =>
  new DistributedEngine({
    dataDir: false,
    vault: {
      async resolve(name) {
        const secret = secrets[name];
        if (secret === undefined) throw new JSONFlowError('SECRET_NOT_FOUND', `there is no secret ${name}`);
        return secret;
      },
    },
  });

async function completed(engine: DistributedEngine, workflow: JSONObject, input: JSONValue = {}): Promise<JSONObject> {
  const result = await engine.execute(workflow, input);
  assert.equal(result.status, 'completed', JSON.stringify(result.error));
  const bundle = await engine.api.bundle(result.run_id);
  const report = verifyBundle(bundle, { trust: await engine.api.trust() });
  assert.ok(report.ok && report.pinned, JSON.stringify(report.problems));
  return result.outputs as JSONObject;
}

describe('real-time events: a queue, a look-up, alerts', needing(['rabbitmq', 'postgres']), () => {
  it('runs as the reference has it', async () => {
    const name = `events-${randomUUID()}`;
    const database = await freshDatabase('postgres');
    const broker = serviceUrl('rabbitmq');
    const client = new pg.Client(database.url);
    await client.connect();
    await client.query('CREATE TABLE users (id int PRIMARY KEY, name text, balance numeric(10,2))');
    await client.query("INSERT INTO users VALUES (1, 'Ada', 10.50), (2, 'Bo', 0), (3, 'Cy', 7)");
    const connection = await amqp.connect(broker.replace(/^rabbitmq/, 'amqp'));
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue(name, { durable: true, arguments: { 'x-queue-type': 'quorum' } });
    await channel.assertExchange(`${name}-alerts`, 'fanout', { durable: true });
    await channel.assertQueue(`${name}-seen`, { durable: true });
    await channel.bindQueue(`${name}-seen`, `${name}-alerts`, '');
    for (const event of [
      { priority: 'critical', user_ids: [1, 3] },
      { priority: 'low', user_ids: [2, 2] },
      { priority: 'critical', user_ids: [3, 9] },
    ])
      channel.sendToQueue(name, Buffer.from(JSON.stringify(event)), { contentType: 'application/json' });
    await channel.waitForConfirms();

    const engine = engineWith({ broker, users: database.url });
    const outputs = await completed(engine, {
      workflow: 'event_stream_processing',
      steps: [
        {
          id: 'consume_events',
          type: 'mq_consume',
          params: { queue: name, broker: 'vault://broker', max_messages: 100 },
        },
        {
          id: 'filter_critical',
          type: 'transform_filter',
          params: { input: '$consume_events.messages', key: 'priority', value: 'critical' },
          parent_step_ids: ['consume_events'],
        },
        {
          id: 'enrich_data',
          type: 'db_query',
          params: {
            connection: 'vault://users',
            query: 'SELECT * FROM users WHERE id = ANY($1) ORDER BY id',
            params: ['$filter_critical.result.user_ids'],
          },
          parent_step_ids: ['filter_critical'],
        },
        {
          id: 'publish_alerts',
          type: 'mq_publish',
          params: { exchange: `${name}-alerts`, broker: 'vault://broker', messages: '$enrich_data.result' },
          parent_step_ids: ['enrich_data'],
        },
      ],
    });
    assert.deepEqual((outputs.enrich_data as JSONObject).rows, [
      { id: 1, name: 'Ada', balance: '10.50' },
      { id: 3, name: 'Cy', balance: '7.00' },
    ]);
    assert.equal((outputs.publish_alerts as JSONObject).published, 2);
    // Closing waits for what follows the commits: afterwards nothing is left unacknowledged.
    await engine.close();
    const alerts: string[] = [];
    for (
      let message = await channel.get(`${name}-seen`);
      message !== false;
      message = await channel.get(`${name}-seen`)
    ) {
      alerts.push(JSON.parse(message.content.toString()).name);
      channel.ack(message);
    }
    assert.deepEqual(alerts, ['Ada', 'Cy']);
    assert.equal((await channel.checkQueue(name)).messageCount, 0);
    for (const queue of [name, `${name}-seen`, `${name}.dead`]) await channel.deleteQueue(queue);
    await channel.deleteExchange(`${name}-alerts`);
    await connection.close();
    await client.end();
    await database.drop();
  });
});

describe('ETL over four systems', needing(['postgres', 'mysql', 'mongodb', 'kafka']), () => {
  it('PostgreSQL and MySQL, joined, to MongoDB and Kafka', async () => {
    const [customers, orders, target] = await Promise.all([
      freshDatabase('postgres'),
      freshDatabase('mysql'),
      freshDatabase('mongodb'),
    ]);
    const topic = `etl-${randomUUID()}`;
    const kafka = serviceUrl('kafka');
    const engine = engineWith({ customers: customers.url, orders: orders.url, target: target.url, kafka });
    const schema = (id: string, sql: string) => ({ migrations: [{ id, sql }] });
    await completed(
      engine,
      {
        workflow: 'prepare',
        steps: [
          {
            id: 'customers',
            type: 'db_migrate',
            params: {
              connection: 'vault://customers',
              ...schema('1', 'CREATE TABLE customers (id bigint PRIMARY KEY, country text NOT NULL)'),
            },
          },
          {
            id: 'orders',
            type: 'db_migrate',
            params: {
              connection: 'vault://orders',
              ...schema(
                '1',
                'CREATE TABLE orders (id INT PRIMARY KEY, customer_id BIGINT, amount DECIMAL(10,2), at DATETIME)',
              ),
            },
          },
          {
            id: 'fill_customers',
            type: 'db_insert',
            params: { connection: 'vault://customers', table: 'customers', data: '$input.customers' },
            parent_step_ids: ['customers'],
          },
          {
            id: 'fill_orders',
            type: 'db_insert',
            params: { connection: 'vault://orders', table: 'orders', data: '$input.orders' },
            parent_step_ids: ['orders'],
          },
          { id: 'topic', type: 'mq_create_queue', params: { broker: 'vault://kafka', topic, partitions: 2 } },
        ],
      },
      {
        customers: [
          { id: 1, country: 'FR' },
          { id: 2, country: 'JP' },
        ],
        orders: [
          { id: 10, customer_id: 1, amount: '120.50', at: '2026-01-05T10:00:00' },
          { id: 11, customer_id: 2, amount: '9.99', at: '2026-01-06T11:30:00' },
          { id: 12, customer_id: 1, amount: '39.50', at: '2026-01-07T00:00:00' },
        ],
      },
    );
    const outputs = await completed(engine, {
      workflow: 'multi_database_etl',
      steps: [
        {
          id: 'customers',
          type: 'db_query',
          params: { connection: 'vault://customers', query: 'SELECT id, country FROM customers' },
        },
        {
          id: 'orders',
          type: 'db_query',
          params: {
            connection: 'vault://orders',
            query: 'SELECT * FROM orders WHERE at >= ? ORDER BY id',
            params: ['2026-01-01'],
          },
        },
        {
          id: 'countries',
          type: 'transform_reduce',
          params: {
            input: '$customers.rows',
            aggregates: { country: { operation: 'min', key: 'country' } },
            by: 'id',
            as: 'map',
          },
        },
        {
          id: 'joined',
          type: 'transform_map',
          params: {
            input: '$orders.rows',
            vars: { countries: '$countries.result' },
            expression:
              "{'order': item.id, 'country': vars.countries[item.customer_id].country, 'amount': item.amount, 'at': item.at}",
          },
        },
        {
          id: 'load',
          type: 'db_insert',
          params: { connection: 'vault://target', collection: 'sales', data: '$joined.result' },
        },
        {
          id: 'announce',
          type: 'mq_publish',
          params: { broker: 'vault://kafka', topic, messages: '$joined.result', options: { key_field: 'country' } },
          parent_step_ids: ['load'],
        },
        {
          id: 'heard',
          type: 'mq_consume',
          params: {
            broker: 'vault://kafka',
            topic,
            group: 'check',
            from: 'earliest',
            max_messages: 3,
            wait_ms: 10_000,
          },
          parent_step_ids: ['announce'],
        },
      ],
    });
    const sales = [
      { order: 10, country: 'FR', amount: '120.50' },
      { order: 11, country: 'JP', amount: '9.99' },
      { order: 12, country: 'FR', amount: '39.50' },
    ];
    assert.equal((outputs.load as JSONObject).inserted, 3);
    const orderOf = (one: unknown): number => Number((one as { order: number }).order);
    const heard = ((outputs.heard as JSONObject).messages as JSONObject[]).toSorted((a, b) => orderOf(a) - orderOf(b));
    assert.deepEqual(
      heard.map(({ at, ...rest }) => rest),
      sales,
    );
    const mongo = await MongoClient.connect(target.url);
    const found = await mongo
      .db()
      .collection('sales')
      .find({}, { projection: { _id: 0, at: 0 } })
      .sort({ order: 1 })
      .toArray();
    assert.deepEqual(
      found.map(({ _jsonflow, ...rest }) => rest),
      sales,
    );
    await mongo.close();
    await engine.close();
    await Promise.all([customers.drop(), orders.drop(), target.drop()]);
  });
});
