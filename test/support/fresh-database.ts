// What keeps test files apart that share a server: each gets a database, or names, of its own.
import { randomBytes } from 'node:crypto';
import { serviceUrl } from './services.ts';

/** A database that holds nothing yet. */
export interface FreshDatabase {
  url: string;
  /** Removes it with everything in it, whoever is connected. For `after`. */
  drop(): Promise<void>;
}

/** A name that no other test has: `orders` gives something like `orders-3f9c2a7be01d`. Fit for topics, subjects, queues and keys. */
export const uniqueName = (name = 'test'): string => `${name}-${randomBytes(6).toString('hex')}`;

const databaseName = (): string => uniqueName('jsonflow_test').replaceAll('-', '_');

const withDatabase = (url: string, database: string): string => {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
};

async function onPostgres(url: string, statement: string): Promise<void> {
  const { default: pg } = await import('pg');
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(statement).finally(() => client.end());
}

async function postgres(url: string): Promise<FreshDatabase> {
  const database = databaseName();
  await onPostgres(url, `create database ${database}`);
  const drop = (): Promise<void> => onPostgres(url, `drop database if exists ${database} with (force)`);
  return { url: withDatabase(url, database), drop };
}

async function onMysql(url: string, statement: string): Promise<void> {
  const { createConnection } = await import('mysql2/promise');
  const connection = await createConnection(url);
  await connection.query(statement).finally(() => connection.end());
}

async function mysql(url: string): Promise<FreshDatabase> {
  const database = databaseName();
  await onMysql(url, `create database ${database} character set utf8mb4`);
  return { url: withDatabase(url, database), drop: () => onMysql(url, `drop database if exists ${database}`) };
}

async function mongodb(url: string): Promise<FreshDatabase> {
  const { MongoClient } = await import('mongodb');
  const database = databaseName();
  const drop = async (): Promise<void> => {
    const client = await MongoClient.connect(url);
    await client
      .db(database)
      .dropDatabase()
      .finally(() => client.close());
  };
  return { url: withDatabase(url, database), drop };
}

/** Databases that test files have taken are noted in database 0, under this prefix. */
const CLAIM = 'jsonflow:test:claim:';
const CLAIM_SECONDS = 3600;

async function onRedis<T>(url: string, work: (client: RedisCommands) => Promise<T>): Promise<T> {
  const { createClient } = await import('redis');
  const client = createClient({ url });
  await client.connect();
  const send = (...command: string[]): Promise<unknown> => client.sendCommand(command);
  const databases = async (): Promise<number> => Number((await client.configGet('databases')).databases);
  return work({ send, databases }).finally(() => client.destroy());
}

interface RedisCommands {
  send(...command: string[]): Promise<unknown>;
  /** How many databases the server has. */
  databases(): Promise<number>;
}

/** The number of a database that was free; it is now taken. */
async function claimRedis({ send, databases }: RedisCommands): Promise<number> {
  const count = await databases();
  for (let number = 1; number < count; number++) {
    if ((await send('SET', `${CLAIM}${number}`, String(process.pid), 'NX', 'EX', String(CLAIM_SECONDS))) === 'OK')
      return number;
  }
  throw new Error(`All ${count} databases of the Redis server are taken by other test files.`);
}

async function redis(url: string): Promise<FreshDatabase> {
  const number = await onRedis(withDatabase(url, '0'), claimRedis);
  const own = withDatabase(url, String(number));
  // An earlier owner may have been killed.
  await onRedis(own, ({ send }) => send('FLUSHDB'));
  const drop = async (): Promise<void> => {
    await onRedis(own, ({ send }) => send('FLUSHDB'));
    await onRedis(withDatabase(url, '0'), ({ send }) => send('DEL', `${CLAIM}${number}`));
  };
  return { url: own, drop };
}

const makers = { postgres, mysql, mongodb, redis };

/** A new, empty database of the shared server. `const { url, drop } = await freshDatabase('postgres'); after(drop);` */
export const freshDatabase = (name: keyof typeof makers): Promise<FreshDatabase> => makers[name](serviceUrl(name));
