import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StepError } from '../../lib/errors.ts';
import { ConnectionPool } from './pool.ts';

class Connection {
  usable = true;
  works = true;
  ended = false;
}

function poolOf(sizeMax: number) {
  const made: Connection[] = [];
  const open = (): number => made.filter(({ ended }) => !ended).length;
  const pool = new ConnectionPool<Connection>(
    {
      open: async () => {
        const connection = new Connection();
        made.push(connection);
        assert.ok(open() <= sizeMax, 'never more than the pool may have');
        return connection;
      },
      check: async ({ works }) => {
        if (!works) throw new Error('it does not work');
      },
      end: async (connection) => {
        connection.ended = true;
      },
      destroy: (connection) => {
        connection.ended = true;
      },
      usable: ({ usable, ended }) => usable && !ended,
    },
    { sizeMax, name: 'a server' },
  );
  return { pool, made, open };
}

const { signal } = new AbortController();

test('a server that never lets anybody in is given up, and the pool goes on', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const asked: AbortSignal[] = [];
  const pool = new ConnectionPool<Connection>(
    {
      open: (signal) => {
        asked.push(signal);
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
      check: async () => undefined,
      end: async () => undefined,
      destroy: () => undefined,
      usable: () => true,
    },
    { sizeMax: 1, name: 'mysql://db:5432' },
  );
  for (const times of [1, 2]) {
    const waiting = assert.rejects(
      pool.use(signal, 1_000, async () => 'in'),
      (thrown) => {
        assert.ok(thrown instanceof StepError && thrown.code === 'CONNECTION_FAILED' && thrown.retryable);
        assert.match(thrown.message, /^mysql:\/\/db:5432 did not let anybody in within 15 s/);
        return true;
      },
    );
    await new Promise(setImmediate);
    assert.equal(asked.length, times);
    context.mock.timers.tick(15_000);
    await waiting;
  }
  assert.deepEqual(pool.stats(), { size: 0, idle: 0, waiting: 0 });
});

test('a pool reuses connections, and never has more than it may', async () => {
  const { pool, made } = poolOf(3);
  let running = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 30 }, () =>
      pool.use(signal, 1_000, async () => {
        running += 1;
        most = Math.max(most, running);
        await new Promise(setImmediate);
        running -= 1;
      }),
    ),
  );
  assert.equal(most, 3);
  assert.equal(made.length, 3);
  assert.deepEqual(pool.stats(), { size: 3, idle: 3, waiting: 0 });
  await pool.close();
});

test('who waits in vain is told the limit, and leaves the queue', async () => {
  const { pool } = poolOf(1);
  const { promise, resolve } = Promise.withResolvers<void>();
  const holder = pool.use(signal, 0, () => promise);
  const says = {
    code: 'POOL_EXHAUSTED',
    retryable: true,
    message: /all 1 connections \(options\.pool_size\) to a server/,
  };
  await assert.rejects(
    pool.use(signal, 1, async () => undefined),
    says,
  );
  const stop = new AbortController();
  const waiting = pool.use(stop.signal, 10_000, async () => undefined);
  assert.equal(pool.stats().waiting, 1);
  const reason = new StepError('STEP_CANCELLED', 'enough');
  stop.abort(reason);
  await assert.rejects(waiting, (thrown) => thrown === reason);
  assert.equal(pool.stats().waiting, 0);
  resolve();
  await holder;
  assert.equal(await pool.use(signal, 0, async () => 'free again'), 'free again');
  await pool.close();
});

test('once one connection broke, those that were idle must prove themselves', async () => {
  const { pool, made } = poolOf(3);
  await Promise.all([1, 2, 3].map(() => pool.use(signal, 1_000, () => new Promise(setImmediate))));
  await pool.use(signal, 0, async (connection) => {
    connection.usable = false;
  });
  for (const connection of made) connection.works = false;
  await pool.use(signal, 0, async (connection) => assert.ok(connection.works));
  assert.equal(made.length, 4);
  await pool.close();
});

test('a closed pool cuts off what runs and refuses what comes', async () => {
  const { pool, made, open } = poolOf(1);
  const { promise, resolve } = Promise.withResolvers<void>();
  const running = pool.use(signal, 0, () => promise);
  const waiting = pool.use(signal, 10_000, async () => undefined);
  await new Promise(setImmediate);
  await pool.close();
  await assert.rejects(waiting, { code: 'STEP_CANCELLED' });
  await assert.rejects(
    pool.use(signal, 0, async () => undefined),
    { code: 'STEP_CANCELLED' },
  );
  assert.ok(made[0]?.ended);
  resolve();
  await running;
  assert.equal(open(), 0);
});

test('whatever happens, every connection comes back or is gone', () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.constantFrom('work', 'fail', 'break'), { maxLength: 30 }),
      async (sizeMax, kinds) => {
        const { pool, open } = poolOf(sizeMax);
        await Promise.allSettled(
          kinds.map((kind) =>
            pool.use(signal, 10_000, async (connection) => {
              await new Promise(setImmediate);
              if (kind === 'break') connection.usable = false;
              if (kind !== 'work') throw new Error(kind);
            }),
          ),
        );
        const { size, idle, waiting } = pool.stats();
        assert.deepEqual({ size, waiting }, { size: idle, waiting: 0 });
        assert.equal(open(), idle);
        await pool.close();
        assert.equal(open(), 0);
      },
    ),
    { numRuns: 50 },
  ));
