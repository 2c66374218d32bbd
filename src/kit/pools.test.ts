import assert from 'node:assert/strict';
import { it } from 'node:test';
import { StepError } from '../lib/errors.ts';
import { PoolCache } from './pools.ts';

class Pool {
  closed = 0;
  async close(): Promise<void> {
    this.closed += 1;
  }
}
const { signal } = new AbortController();

const opener = () => {
  const opened: Pool[] = [];
  const open = async (): Promise<Pool> => {
    const pool = new Pool();
    opened.push(pool);
    return pool;
  };
  return { opened, open };
};

it('opens a pool once, also for callers that come at once', async () => {
  const cache = new PoolCache<Pool>();
  const { opened, open } = opener();
  const used = await Promise.all([1, 2, 3].map(() => cache.use('a', open, async (pool) => pool, signal)));
  assert.equal(opened.length, 1);
  assert.ok(used.every((pool) => pool === opened[0]));
  await cache.use('b', open, async () => undefined, signal);
  assert.equal(opened.length, 2);
  await cache.close();
  assert.deepEqual(
    opened.map(({ closed }) => closed),
    [1, 1],
  );
  await assert.rejects(
    cache.use('a', open, async () => undefined, signal),
    { code: 'STEP_CANCELLED' },
  );
});

it('forgets a pool that could not be opened', async () => {
  const cache = new PoolCache<Pool>();
  const { opened, open } = opener();
  const failing = () => Promise.reject(new StepError('CONNECTION_FAILED', 'no'));
  await assert.rejects(
    cache.use('a', failing, async () => undefined, signal),
    { code: 'CONNECTION_FAILED' },
  );
  await cache.use('a', open, async () => undefined, signal);
  assert.equal(opened.length, 1);
  await cache.close();
});

it('closes the pool that is unused for longest to make room, and never one in use', async () => {
  const cache = new PoolCache<Pool>({ poolsMax: 2 });
  const { opened, open } = opener();
  await cache.use('old', open, async () => undefined, signal);
  await cache.use('new', open, async () => undefined, signal);
  await cache.use('old', open, async () => undefined, signal);
  await cache.use('third', open, async () => undefined, signal);
  assert.deepEqual(
    opened.map(({ closed }) => closed),
    [0, 1, 0],
  );
  const held = Promise.withResolvers<void>();
  const using = ['old', 'third'].map((key) => cache.use(key, open, () => held.promise, signal));
  await assert.rejects(
    cache.use('fourth', open, async () => undefined, signal),
    (thrown) => {
      assert.ok(thrown instanceof StepError && thrown.code === 'POOLS_EXHAUSTED' && thrown.retryable);
      assert.match(thrown.message, /all 2 /);
      return true;
    },
  );
  held.resolve();
  await Promise.all(using);
  await cache.use('fourth', open, async () => undefined, signal);
  await cache.close();
  assert.ok(opened.every(({ closed }) => closed === 1));
});

it('closes a pool that nobody has used for a while', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const cache = new PoolCache<Pool>({ idleMs: 1_000 });
  const { opened, open } = opener();
  await cache.use('a', open, async () => undefined, signal);
  context.mock.timers.tick(999);
  await cache.use('a', open, async () => undefined, signal);
  context.mock.timers.tick(999);
  assert.equal(opened[0]?.closed, 0);
  context.mock.timers.tick(1);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(opened[0]?.closed, 1);
  await cache.use('a', open, async () => undefined, signal);
  assert.equal(opened.length, 2);
  await cache.close();
});

it('waits for a pool that is being opened only as long as the caller may', async () => {
  const cache = new PoolCache<Pool>();
  const opening = Promise.withResolvers<Pool>();
  const stop = new AbortController();
  const reason = new StepError('TOO_SLOW', 'enough');
  const using = cache.use(
    'a',
    () => opening.promise,
    async () => 'never',
    stop.signal,
  );
  stop.abort(reason);
  await assert.rejects(using, (thrown) => thrown === reason);
  const pool = new Pool();
  opening.resolve(pool);
  assert.equal(
    await cache.use(
      'a',
      () => Promise.reject(reason),
      async (found) => found,
      signal,
    ),
    pool,
  );
  await cache.close();
  assert.equal(pool.closed, 1);
});

it('tells what is open without waiting for what is being opened, and ends that when it closes', async () => {
  const cache = new PoolCache<Pool>();
  const { opened, open } = opener();
  await cache.use('a', open, async () => undefined, signal);
  const silent = (closing: AbortSignal) =>
    new Promise<Pool>((_, reject) => closing.addEventListener('abort', () => reject(closing.reason)));
  const using = cache.use('b', silent, async () => undefined, signal);
  const refused = assert.rejects(using, { code: 'STEP_CANCELLED' });
  assert.deepEqual(await cache.opened(), opened);
  await cache.close();
  await refused;
  assert.equal(opened[0]?.closed, 1);
});
