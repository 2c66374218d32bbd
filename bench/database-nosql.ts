// MongoDB and Redis in the database adapter beside the bare drivers, turn by turn in one run, on the servers of `scripts/services`.
// Options: --rounds N, --only mongodb,redis
import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { MongoClient } from 'mongodb';
import { createClient } from 'redis';
import type { Driver } from '../src/adapters/database/driver.ts';
import { openMongo } from '../src/adapters/database/mongodb/mongodb.ts';
import { openRedis } from '../src/adapters/database/redis/redis.ts';
import type { JSONObject, JSONValue } from '../src/lib/json.ts';
import { callOf, targetOf } from '../test/adapters/database/nosql.ts';
import { freshDatabase } from '../test/support/fresh-database.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, only: { type: 'string', default: 'mongodb,redis' } },
});
const rounds = Number(values.rounds);
const count = 10_000;
const rows: JSONObject[] = Array.from({ length: count }, (_, n) => ({
  name: `name ${n}`,
  n,
  price: n / 4,
  note: 'some text of a usual length, as notes are',
}));

interface Case {
  name: string;
  bare(round: number): Promise<unknown>;
  ours(round: number): Promise<unknown>;
}

/** Best of all rounds: what the work takes where nothing else is in the way. */
async function measure({ name, bare, ours }: Case): Promise<Record<string, string | number>> {
  let bareMs = Number.POSITIVE_INFINITY;
  let oursMs = Number.POSITIVE_INFINITY;
  const timed = async (work: () => Promise<unknown>): Promise<number> => {
    const startMs = performance.now();
    await work();
    return performance.now() - startMs;
  };
  for (let round = 0; round < rounds; round += 1) {
    bareMs = Math.min(bareMs, await timed(() => bare(round)));
    oursMs = Math.min(oursMs, await timed(() => ours(round)));
  }
  const perSecond = (ms: number): number => Math.round((count / ms) * 1_000);
  return {
    case: name,
    'bare/s': perSecond(bareMs),
    'adapter/s': perSecond(oursMs),
    ratio: Math.round((bareMs / oursMs) * 100) / 100,
  };
}

async function mongodb(): Promise<Case[]> {
  const { url, drop } = await freshDatabase('mongodb');
  const client = await MongoClient.connect(url);
  const db = client.db();
  const driver = await openMongo(targetOf(url));
  ends.push(async () => {
    await driver.close();
    await client.close();
    await drop();
  });
  await db.collection('read').insertMany(structuredClone(rows));
  return [
    {
      name: 'MongoDB: insert 10,000 documents, 1,000 at a time',
      async bare(round) {
        for (let from = 0; from < count; from += 1_000)
          await db.collection(`bare${round}`).insertMany(rows.slice(from, from + 1_000).map((row) => ({ ...row })));
      },
      ours: (round) =>
        driver.insert({ collection: `ours${round}`, documents: rows }, callOf({ key: `insert ${round}` })),
    },
    {
      name: 'MongoDB: find 10,000 documents',
      bare: () => db.collection('read').find({}, { batchSize: 1_000 }).toArray(),
      ours: () => driver.query({ collection: 'read' }, callOf()),
    },
  ];
}

async function redis(): Promise<Case[]> {
  const { url, drop } = await freshDatabase('redis');
  const client = createClient({ url, RESP: 2 });
  await client.connect();
  const driver: Driver = await openRedis(targetOf(url));
  ends.push(async () => {
    await driver.close();
    client.destroy();
    await drop();
  });
  const command = (name: string, n: number): string[] => [name, `k:${n}`];
  const sets: JSONValue[] = rows.map(({ n, note }) => ['SET', `k:${n}`, String(note)]);
  const gets: JSONValue[] = rows.map(({ n }) => command('GET', Number(n)));
  const send = (commands: JSONValue[]): Promise<unknown> =>
    Promise.all(commands.map((one) => client.sendCommand(one as string[])));
  return [
    {
      name: 'Redis: 10,000 SET, pipelined',
      bare: () => send(sets),
      ours: (round) => driver.update({ commands: sets }, callOf({ key: `set ${round}` })),
    },
    {
      name: 'Redis: 10,000 GET, pipelined',
      bare: () => send(gets),
      ours: () => driver.query({ commands: gets }, callOf()),
    },
    {
      name: 'Redis: 10,000 hashes of 4 fields',
      bare: (round) =>
        send(rows.map((row) => ['HSET', `bare:${round}:${row.n}`, ...Object.entries(row).flat().map(String)])),
      ours: (round) =>
        driver.insert({ data: rows, key_field: 'n', key_prefix: `ours:${round}:` }, callOf({ key: `hash ${round}` })),
    },
  ];
}

const ends: (() => Promise<void>)[] = [];
const makers: Record<string, () => Promise<Case[]>> = { mongodb, redis };
const table: Record<string, string | number>[] = [];
try {
  for (const name of values.only.split(','))
    for (const one of (await makers[name]?.()) ?? []) table.push(await measure(one));
} finally {
  for (const end of ends) await end();
}
console.log(`${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1)}, Node ${process.version}`);
console.table(table);
