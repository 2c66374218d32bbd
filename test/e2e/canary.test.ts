// A password in a secret connection string shows up nowhere, whatever goes wrong with the connection.
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { DistributedEngine } from '../../src/compose/distributed-engine.ts';
import type { JSONObject } from '../../src/lib/json.ts';
import { type ServiceName, service } from '../support/services.ts';

const canary = 'cAnary-7f3k9Qz';

interface Case {
  service?: ServiceName;
  url: (given: string) => string;
  type: string;
  params: JSONObject;
}

const withPassword = (scheme: string) => (given: string) => {
  const { host, pathname } = new URL(given);
  return `${scheme}://someone:${canary}@${host}${pathname === '' ? '/' : pathname}`;
};
const query: JSONObject = { query: 'SELECT 1' };

const cases: Record<string, Case> = {
  'PostgreSQL refuses it': { service: 'postgres', url: withPassword('postgres'), type: 'db_query', params: query },
  'MariaDB refuses it': { service: 'mysql', url: withPassword('mysql'), type: 'db_query', params: query },
  'Redis refuses it': {
    service: 'redis',
    url: withPassword('redis'),
    type: 'db_query',
    params: { commands: [['GET', 'x']] },
  },
  'RabbitMQ refuses it': {
    service: 'rabbitmq',
    url: withPassword('amqp'),
    type: 'mq_publish',
    params: { queue: 'q', message: 1 },
  },
  'there is no such host': { url: () => `mysql://u:${canary}@nowhere.invalid/db`, type: 'db_query', params: query },
  'nothing listens': {
    url: () => `mongodb://u:${canary}@127.0.0.1:1/db?serverSelectionTimeoutMS=300`,
    type: 'db_query',
    params: { collection: 'c' },
  },
  'it is no URL': { url: () => `postgres://u:${canary}@[bad/db`, type: 'db_query', params: query },
  'there is no such scheme': { url: () => `oracle://u:${canary}@host/db`, type: 'db_query', params: query },
  'a file of that name': { url: () => `sqlite:/nowhere/${canary}/x.db`, type: 'db_query', params: query },
  'something else answers (PostgreSQL)': {
    url: () => `postgres://u:${canary}@127.0.0.1:PORT/db`,
    type: 'db_query',
    params: query,
  },
  'something else answers (NATS)': {
    url: () => `nats://u:${canary}@127.0.0.1:PORT`,
    type: 'mq_publish',
    params: { subject: 's', message: 1 },
  },
  'something else answers (Kafka)': {
    url: () => `kafka://u:${canary}@127.0.0.1:PORT`,
    type: 'mq_publish',
    params: { topic: 't', message: 1 },
  },
  'something else answers (HTTP)': {
    url: () => `http://u:${canary}@127.0.0.1:PORT/?k=${canary}`,
    type: 'network_request',
    params: {},
  },
  'something else answers (WebSocket)': {
    url: () => `ws://u:${canary}@127.0.0.1:PORT/?k=${canary}`,
    type: 'network_websocket',
    params: {},
  },
};

describe('a secret canary', () => {
  /** Says something that no protocol here understands, and repeats what it heard. */
  let parrot: Server;
  before(async () => {
    parrot = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (heard) => socket.end(Buffer.concat([Buffer.from('?? '), heard])));
    });
    await new Promise<void>((resolve) => parrot.listen(0, '127.0.0.1', resolve));
  });
  after(() => parrot.close());

  for (const [name, { service: needed, url, type, params }] of Object.entries(cases)) {
    const given = needed === undefined ? { url: '' } : service(needed);
    it(name, { skip: given.unavailable ?? false }, async () => {
      const { port } = parrot.address() as { port: number };
      const secret = url(given.url ?? '').replace('PORT', String(port));
      const engine = new DistributedEngine({
        dataDir: false,
        egress: { allow: ['127.0.0.0/8'] },
        vault: { resolve: async () => secret },
      });
      try {
        const target = type.startsWith('network_') ? 'url' : type.startsWith('mq_') ? 'broker' : 'connection';
        const options = { timeout: 3_000, ...(type.startsWith('db_') ? { retry_attempts: 0 } : {}) };
        const result = await engine.execute({
          workflow: 'canary',
          steps: [{ id: 'leak', type, params: { ...params, [target]: 'vault://target', options } }],
        });
        assert.equal(result.status, 'failed');
        const seen: unknown[] = [result, await engine.api.bundle(result.run_id), await engine.healthCheck()];
        for await (const event of engine.api.events(result.run_id)) seen.push(event);
        const text = JSON.stringify(seen);
        assert.ok(
          !text.includes(canary),
          text.slice(Math.max(0, text.indexOf(canary) - 300), text.indexOf(canary) + 100),
        );
        const { code, message } = result.error ?? { code: '', message: '' };
        assert.notEqual(code, 'ADAPTER_CRASHED', message);
        assert.ok(message.length > 10 && !message.includes('    at '), message);
      } finally {
        await engine.close();
      }
    });
  }
});
