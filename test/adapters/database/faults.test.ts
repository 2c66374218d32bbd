// Connections that break, servers that die and come back, and storms: nothing is lost, nothing doubled, and the pool recovers.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { WritePoint } from '../../../src/adapters/database/driver.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { describeWith, privateServer, privateSkipReason } from '../../support/services.ts';
import { type TcpProxy, tcpProxy } from '../../support/tcp-proxy.ts';
import { fails, Harness } from './harness.ts';

const servers = [
  { name: 'postgres', title: 'PostgreSQL', id: 'id serial PRIMARY KEY', port: 5432, slow: 'SELECT pg_sleep(0.02)' },
  {
    name: 'mysql',
    title: 'MySQL or MariaDB',
    id: 'id INT AUTO_INCREMENT PRIMARY KEY',
    port: 3306,
    slow: 'SELECT SLEEP(0.02)',
  },
] as const;

for (const { name, title, id, port, slow } of servers) {
  describeWith(name, `${title}: faults`, () => {
    let proxy: TcpProxy;
    let url: string;
    let drop: () => Promise<void>;
    let direct: Harness;
    let onPoint: (point: WritePoint) => void = () => undefined;
    let proxied: Harness;
    before(async () => {
      const fresh = await freshDatabase(name);
      drop = fresh.drop;
      direct = new Harness(fresh.url);
      await direct.ddl(`CREATE TABLE t (${id}, n INTEGER)`);
      const to = new URL(fresh.url);
      proxy = await tcpProxy({ host: to.hostname, port: Number(to.port || port) });
      to.hostname = '127.0.0.1';
      to.port = String(proxy.port);
      url = to.href;
      proxied = new Harness(url, { reached: (point) => onPoint(point) });
    });
    after(async () => {
      await proxied.close();
      await proxy.close();
      await direct.close();
      await drop();
    });

    test('idle connections that broke are replaced', async () => {
      await Promise.all(Array.from({ length: 5 }, () => proxied.query({ query: slow })));
      for (let round = 0; round < 3; round += 1) {
        proxy.cut();
        assert.equal((await proxied.query({ table: 't' })).row_count, 0);
        proxy.cut();
        assert.equal((await proxied.insert({ table: 't', data: { n: -1 } })).inserted, 1);
        await proxied.update({ table: 't', delete: true, all: true });
      }
    });

    test('a connection that breaks around COMMIT: one effect, one answer', async () => {
      for (let round = 0; round < 12; round += 1) {
        const key = `commit-${name}-${round}`;
        let cuts = 0;
        onPoint = (point) => {
          if (point !== 'before commit' || cuts > 1) return;
          cuts += 1;
          // Before, while and after the server commits.
          setTimeout(() => proxy.cut(), round % 6);
        };
        const options = { retry_attempts: 10 };
        const output = await proxied.insert({ table: 't', data: { n: round }, options }, { key });
        onPoint = () => undefined;
        assert.deepEqual(await direct.insert({ table: 't', data: { n: round }, options }, { key }), output);
        assert.equal(await direct.count('t', { n: round }), 1);
      }
    });

    test('without a key the outcome is unknown, and never twice', async () => {
      for (let round = 100; round < 106; round += 1) {
        onPoint = (point) => {
          if (point === 'before commit') setImmediate(() => proxy.cut());
        };
        const insert = proxied.insert({ table: 't', data: { n: round }, idempotency: 'off' });
        const { code } = await insert.then(
          () => ({ code: 'done' }),
          (thrown: { code: string }) => thrown,
        );
        onPoint = () => undefined;
        const count = await direct.count('t', { n: round });
        // It was cut off before COMMIT was sent, each time; or nobody can tell.
        assert.ok(
          code === 'CONNECTION_FAILED' ? count === 0 : code === 'OUTCOME_UNKNOWN' && count <= 1,
          `${code}, ${count}`,
        );
      }
    });

    test('a server that says nothing takes no more than the step has, and holds up nobody who closes', async () => {
      const to = new URL(url);
      const silent = await silentProxy(proxy.port);
      to.port = String(silent.port);
      const harness = new Harness(to.href);
      const options = { timeout: 600, pool_size: 3 };
      await Promise.all(Array.from({ length: 3 }, () => harness.query({ query: slow, options })));
      silent.silence();
      // The first that fails makes the pool ask the others whether they still work.
      for (let round = 0; round < 3; round += 1)
        await assert.rejects(harness.query({ query: slow, options }), fails('QUERY_TIMEOUT'));
      await harness.close();
      silent.close();
    });

    test('a time-out while the server commits, without a key: the outcome is unknown', async () => {
      const to = new URL(url);
      const silent = await silentProxy(proxy.port);
      to.port = String(silent.port);
      let last = false;
      const harness = new Harness(to.href, {
        reached(point) {
          if (last && point === 'before commit') silent.mute();
        },
      });
      const options = { timeout: 500 };
      // The statements are prepared, so that COMMIT is the next thing that is sent.
      await harness.insert({ table: 't', data: { n: 199 }, idempotency: 'off' });
      last = true;
      await assert.rejects(
        harness.insert({ table: 't', data: { n: 200 }, options, idempotency: 'off' }),
        (thrown: { retryable?: boolean }) => {
          assert.equal(thrown.retryable, false);
          return fails('OUTCOME_UNKNOWN')(thrown);
        },
      );
      assert.equal(await direct.count('t', { n: 200 }), 1);
      await harness.close();
      silent.close();
    });

    test('no server, a wrong password, and no such host', async () => {
      proxy.refuse = true;
      const harness = new Harness(url);
      const options = { retry_attempts: 1 };
      await assert.rejects(harness.query({ query: slow, options }), (thrown: { retryable?: boolean }) => {
        assert.equal(thrown.retryable, true);
        return fails('CONNECTION_FAILED')(thrown);
      });
      proxy.refuse = false;
      const wrong = new URL(url);
      wrong.password = 'canary-password';
      await assert.rejects(
        harness.query({ connection: wrong.href, query: slow, options }),
        fails('AUTHENTICATION_FAILED', { silent: ['canary-password'] }),
      );
      wrong.hostname = 'no-such-host.invalid';
      await assert.rejects(harness.query({ connection: wrong.href, query: slow, options }), fails('HOST_NOT_FOUND'));
      await assert.rejects(
        harness.query({ connection: `${wrong.protocol}//a:%@b/c`, query: slow }),
        fails('INVALID_PARAMS'),
      );
      await harness.close();
    });

    test('a storm uses no more connections than the pool has', async () => {
      const harness = new Harness(url);
      const options = { pool_size: 4 };
      const all = Array.from({ length: 200 }, () => harness.query({ query: slow, options }));
      await Promise.race(all);
      const { pools } = await harness.adapter.healthCheck();
      assert.equal((pools as JSONObject[])[0]?.size, 4);
      assert.equal((await Promise.all(all)).length, 200);
      await harness.close();
    });
  });

  describe(`${title}: a server that dies and comes back`, { skip: privateSkipReason(name) }, () => {
    test('within a write, which then has its effect once', async () => {
      const server = await privateServer(name);
      let back: Promise<void> | undefined;
      const harness = new Harness(server.url, {
        reached(point) {
          if (point === 'before commit' && back === undefined) back = server.restart();
        },
      });
      try {
        await harness.ddl(`CREATE TABLE t (${id}, n INTEGER)`);
        const options = { retry_attempts: 30, timeout: 60_000 };
        const output = await harness.insert({ table: 't', data: [{ n: 1 }, { n: 2 }], options }, { key: 'death' });
        assert.ok(back !== undefined);
        await back;
        assert.deepEqual(await harness.insert({ table: 't', data: [{ n: 1 }, { n: 2 }] }, { key: 'death' }), output);
        assert.equal(await harness.count('t'), 2);
      } finally {
        await harness.close();
        await server.stop();
      }
    });
  });
}

/** Passes everything on until it is told to lose it, without closing a connection, as a cable that is pulled does. */
async function silentProxy(port: number): Promise<{ port: number; silence(): void; mute(): void; close(): void }> {
  const open = new Set<Socket>();
  let silent = false;
  let mute = false;
  const server = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on('error', () => undefined);
    }
    near.on('data', (bytes) => silent || far.write(bytes));
    far.on('data', (bytes) => silent || mute || near.write(bytes));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    silence: () => {
      silent = true;
    },
    /** Only what the server says is lost. */
    mute: () => {
      mute = true;
    },
    close: () => {
      for (const socket of open) socket.destroy();
      server.close();
    },
  };
}
