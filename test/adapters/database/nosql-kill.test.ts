import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Db, MongoClient } from 'mongodb';
import { createClient } from 'redis';
import type { Driver, OpenDriver } from '../../../src/adapters/database/driver.ts';
import { openMongo } from '../../../src/adapters/database/mongodb/mongodb.ts';
import { openRedis } from '../../../src/adapters/database/redis/redis.ts';
import { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { describeWith, privateServer, privateSkipReason } from '../../support/services.ts';
import { callOf, targetOf } from './nosql.ts';

/** Kills of the process per system. */
const kills = Number(process.env.JSONFLOW_KILLS ?? 2);
const steps = 10 * kills;

interface Cutter {
  url: string;
  /** Whether the connection was cut. */
  cut: boolean;
  /** Aborted then: like a process that has ended, the attempt does nothing more. */
  ended: AbortSignal;
  close(): void;
}

/**
 * Passes requests on, up to the one with this number: its answer gets lost with the connection. For the server that is the same as an
 * end before the next request.
 */
async function cutter(url: string, request: number): Promise<Cutter> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  let seen = 0;
  const end = new AbortController();
  const result: Cutter = {
    url: '',
    cut: false,
    ended: end.signal,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  const cut = (): void => {
    result.cut = true;
    end.abort(new StepError('CONNECTION_FAILED', 'cut', { retryable: true }));
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((near) => {
    if (result.cut) return void near.destroy();
    const far = connect(Number(port), hostname);
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => near.destroy() && far.destroy());
    }
    near.on('data', (bytes) => {
      if (result.cut) return;
      seen += 1;
      if (seen !== request) return void far.write(bytes);
      // The server has answered, so it has done what it was asked; the answer gets lost.
      far.removeAllListeners('data');
      far.on('data', cut);
      far.write(bytes);
    });
    far.on('data', (bytes) => near.write(bytes));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const through = new URL(url);
  through.port = String(typeof address === 'object' && address !== null ? address.port : 0);
  result.url = through.href;
  return result;
}

interface Scenario {
  operation: 'insert' | 'update' | 'transaction';
  params(name: string): JSONObject;
  prepare(name: string): Promise<void>;
  /** What the effects look like, without what differs between names. */
  state(name: string): Promise<unknown>;
  /** Fields of the output that an attempt after a cut can't know. */
  unsure?: string[];
}

/**
 * Cuts at each request of the operation in turn; then another attempt, which must find one effect and the same answer.
 * @param first request after those that open a connection
 */
async function cutEverywhere(
  first: number,
  open: OpenDriver,
  url: string,
  direct: Driver,
  scenarios: Record<string, Scenario>,
): Promise<number> {
  let cuts = 0;
  const closing: Promise<void>[] = [];
  for (const [title, { operation, params, prepare, state, unsure = [] }] of Object.entries(scenarios)) {
    const known = (output: JSONObject): JSONObject =>
      Object.fromEntries(Object.entries(output).filter(([name]) => !unsure.includes(name)));
    const clean = `${title}x0`;
    await prepare(clean);
    const call = (name: string, signal?: AbortSignal) =>
      callOf({ key: `kill/${name}`, batch_size: 2, retry_attempts: 0, ...(signal && { signal }) });
    const expected = known(await direct[operation](params(clean), call(clean)));
    const effects = await state(clean);
    for (let request = first, cut = true; cut; request += 1) {
      const name = `${title}x${request}`;
      await prepare(name);
      const proxy = await cutter(url, request);
      const driver = await open(targetOf(proxy.url));
      const failed = await driver[operation](params(name), call(name, proxy.ended)).then(
        () => undefined,
        (thrown) => thrown,
      );
      ({ cut } = proxy);
      proxy.close();
      closing.push(driver.close());
      if (cut) cuts += 1;
      if (failed !== undefined) assert.ok(failed instanceof StepError && failed.retryable, `${name}: ${failed}`);
      const answer = known(await direct[operation](params(name), call(name)));
      const normal = (value: unknown): string =>
        JSON.stringify(value)
          .replaceAll(name, clean)
          .replaceAll(/[0-9a-f]{24}/g, 'id');
      assert.equal(normal(answer), normal(expected), name);
      assert.deepEqual(await state(name), effects, name);
    }
  }
  await Promise.all(closing);
  return cuts;
}

/** Runs the writer until all steps are done, killing it again and again. */
async function killUntilDone(url: string, prefix: string): Promise<number> {
  const writer = fileURLToPath(new URL('nosql-writer.ts', import.meta.url));
  let done = 0;
  let killed = 0;
  while (done < steps) {
    const child = spawn(process.execPath, [writer, url, prefix, String(done), String(steps)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // A moment that nothing in the writer is aligned to: within one of its first steps.
    let left = Math.floor(Math.random() * 4);
    for await (const line of createInterface({ input: child.stdout })) {
      if (line !== 'ready') done = Number(line) + 1;
      if (left === 0 && killed < kills) setTimeout(() => child.kill('SIGKILL'), Math.random() * 4);
      left -= 1;
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    if (child.signalCode === 'SIGKILL') killed += 1;
    else assert.equal(child.exitCode, 0);
  }
  return killed;
}

describeWith('mongodb', 'MongoDB writes once, whatever is cut or killed', () => {
  let url: string;
  let drop: () => Promise<void>;
  let client: MongoClient;
  let db: Db;
  let driver: Driver;
  before(async () => {
    ({ url, drop } = await freshDatabase('mongodb'));
    client = await MongoClient.connect(url);
    db = client.db();
    driver = await openMongo(targetOf(url));
  });
  after(async () => {
    await driver?.close();
    await client?.close();
    await drop?.();
  });
  const contents = async (name: string): Promise<unknown> => {
    const found = await db
      .collection(name)
      .find({}, { projection: { _jsonflow: 0 } })
      .toArray();
    return found.map((one) => JSON.stringify({ ...one, _id: typeof one._id === 'object' ? 'id' : one._id })).sort();
  };
  const fill = async (name: string): Promise<void> => {
    const documents = [1, 2, 3].map((n) => ({ _id: n as never, kind: 'old', n }));
    await db.collection(name).insertMany(documents);
  };
  const three = [1, 2, 4];
  const nothing = async (): Promise<void> => undefined;

  test('a cut at each request', async () => {
    const on = (action: string) => ({ on_conflict: { columns: ['_id'], action } });
    const cuts = await cutEverywhere(3, openMongo, url, driver, {
      derived: {
        operation: 'insert',
        prepare: nothing,
        params: (collection) => ({ collection, documents: three.map((n) => ({ n })) }),
        state: contents,
      },
      own: {
        operation: 'insert',
        prepare: nothing,
        params: (collection) => ({ collection, documents: three.map((n) => ({ _id: n, n })) }),
        state: contents,
      },
      ignore: {
        operation: 'insert',
        prepare: fill,
        params: (collection) => ({ collection, documents: three.map((n) => ({ _id: n, n: 'new' })), ...on('ignore') }),
        state: contents,
      },
      replace: {
        operation: 'insert',
        prepare: fill,
        params: (collection) => ({ collection, documents: three.map((n) => ({ _id: n, n: 'new' })), ...on('update') }),
        state: contents,
      },
      many: {
        operation: 'update',
        prepare: fill,
        params: (collection) => ({ collection, filter: { kind: 'old' }, update: { $inc: { n: 10 } } }),
        state: contents,
      },
      leaving: {
        operation: 'update',
        prepare: fill,
        params: (collection) => ({
          collection,
          filter: { kind: 'old' },
          update: { $set: { kind: 'new' }, $inc: { n: 10 } },
        }),
        state: contents,
      },
      one: {
        operation: 'update',
        prepare: fill,
        params: (collection) => ({
          collection,
          filter: { kind: 'old' },
          update: { $set: { kind: 'new' } },
          multi: false,
        }),
        state: async (name) => db.collection(name).countDocuments({ kind: 'new' }),
      },
      upsert: {
        operation: 'update',
        prepare: nothing,
        params: (collection) => ({ collection, filter: { kind: 'none' }, update: { $inc: { n: 1 } }, upsert: true }),
        state: contents,
      },
      pop: {
        operation: 'update',
        prepare: fill,
        params: (collection) => ({ collection, filter: { kind: 'old' }, delete: true, multi: false }),
        state: async (name) => db.collection(name).countDocuments(),
      },
      clear: {
        operation: 'update',
        prepare: fill,
        params: (collection) => ({ collection, filter: { kind: 'old' }, delete: true }),
        state: contents,
        unsure: ['updated', 'affected_rows', 'deleted'],
      },
    });
    assert.ok(cuts > 30, `${cuts} cuts`);
  });

  test(`SIGKILL of the process, ${kills} times`, async () => {
    await db.collection('killn').insertOne({ kind: 'counter', n: 0 });
    await db.collection('killn').insertMany(Array.from({ length: steps + 5 }, () => ({ kind: 'queue' })));
    const killed = await killUntilDone(url, 'kill');
    assert.ok(killed > 0);
    assert.equal(await db.collection('kill').countDocuments({ kind: 'own' }), 5 * steps);
    assert.equal(await db.collection('kill').countDocuments({ kind: 'derived' }), 5 * steps);
    assert.equal((await db.collection('killn').findOne({ kind: 'counter' }))?.n, steps);
    assert.equal(await db.collection('killn').countDocuments({ kind: 'queue' }), 5);
  });
});

describeWith('redis', 'Redis writes once, whatever is cut or killed', () => {
  let url: string;
  let drop: () => Promise<void>;
  let bare: ReturnType<typeof createClient>;
  let driver: Driver;
  before(async () => {
    ({ url, drop } = await freshDatabase('redis'));
    bare = createClient({ url });
    await bare.connect();
    driver = await openRedis(targetOf(url));
  });
  after(async () => {
    await driver?.close();
    bare?.destroy();
    await drop?.();
  });

  test('a cut at each request', async () => {
    const prepare = async (name: string): Promise<void> => void (await bare.set(`${name}:old`, '1'));
    const keys = async (name: string): Promise<unknown> => {
      const found = (await bare.keys(`${name}:*`)).sort();
      return Promise.all(
        found.map(async (key) => [
          key.slice(name.length),
          (await bare.type(key)) === 'string' ? await bare.get(key) : await bare.dump(key),
        ]),
      );
    };
    const commands = (name: string): JSONObject => ({
      commands: [
        ['INCR', `${name}:n`],
        ['APPEND', `${name}:log`, 'x'],
        ['RPUSH', `${name}:list`, 1, 2],
      ],
    });
    const cuts = await cutEverywhere(2, openRedis, url, driver, {
      commands: { operation: 'update', prepare, params: commands, state: keys },
      transaction: {
        operation: 'transaction',
        prepare,
        params: (name) => ({
          operations: [
            { id: 'n', command: ['INCR', `${name}:n`] },
            { command: ['RPUSH', `${name}:l`, { $result: 'n' }] },
          ],
        }),
        state: keys,
      },
      rows: {
        operation: 'insert',
        prepare,
        params: (name) => ({ data: five(), key_field: 'id', key_prefix: `${name}:` }),
        state: keys,
      },
      pop: { operation: 'update', prepare, params: (name) => ({ keys: [`${name}:old`], delete: true }), state: keys },
    });
    assert.ok(cuts >= 4, `${cuts} cuts`);
  });

  test(`SIGKILL of the process, ${kills} times`, async () => {
    const killed = await killUntilDone(url, 'kill');
    assert.ok(killed > 0);
    assert.equal(await bare.get('kill:n'), String(steps));
    assert.deepEqual(
      await bare.lRange('kill:log', 0, -1),
      Array.from({ length: steps }, (_, number) => String(number)),
    );
    assert.equal((await bare.keys('kill:row:*')).length, 5 * steps);
  });
});

const five = (): JSONObject[] => [1, 2, 3, 4, 5].map((id) => ({ id, name: `n${id}` }));

for (const system of ['redis', 'mongodb'] as const)
  describe(`${system}: SIGKILL of the server`, { skip: privateSkipReason(system) }, () => {
    test('while steps run: each has its effect once', async () => {
      const server = await privateServer(system);
      const url = new URL(server.url);
      if (system === 'mongodb') {
        url.pathname = '/kill';
        // A server that is gone shall be noticed soon.
        url.searchParams.set('serverSelectionTimeoutMS', '100');
      }
      const driver = await (system === 'redis' ? openRedis : openMongo)(targetOf(url.href));
      const add = (number: number): Promise<JSONObject> => {
        const call = callOf({ key: `step/${number}`, retry_attempts: 1_000 });
        return system === 'redis'
          ? driver.update(
              {
                commands: [
                  ['INCR', 'n'],
                  ['RPUSH', 'log', number],
                ],
              },
              call,
            )
          : // FerretDB 1.24 loses concurrent changes of one document, whoever makes them: each step has its own.
            driver.update({ collection: 'c', filter: { number }, update: { $inc: { n: 1 } }, upsert: true }, call);
      };
      try {
        await add(0);
        const count = 20 * Math.max(1, Math.round(kills / 2));
        let next = 1;
        const worker = async (): Promise<void> => {
          while (next < count) {
            const number = next;
            next += 1;
            await add(number);
            if (number % 15 === 0) {
              await server.kill();
              await server.restart();
            }
          }
        };
        await Promise.all([worker(), worker()]);
        if (system === 'redis') {
          const commands = [
            ['GET', 'n'],
            ['LLEN', 'log'],
          ];
          assert.deepEqual((await driver.query({ commands }, callOf())).rows, [String(count), count]);
        } else {
          const { rows } = await driver.query(
            { collection: 'c', sort: { number: 1 }, projection: { _id: 0 } },
            callOf(),
          );
          assert.deepEqual(
            rows,
            Array.from({ length: count }, (_, number) => ({ number, n: 1 })),
          );
        }
      } finally {
        await driver.close();
        await server.stop();
      }
    });
  });
