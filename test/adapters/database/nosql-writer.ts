// A process that does steps until it is killed: run by nosql-kill.test.ts, which counts the effects.
import { openMongo } from '../../../src/adapters/database/mongodb/mongodb.ts';
import { openRedis } from '../../../src/adapters/database/redis/redis.ts';
import { callOf, targetOf } from './nosql.ts';

const [url = '', prefix = '', from = '0', to = '0'] = process.argv.slice(2);
const redis = url.startsWith('redis');
const driver = await (redis ? openRedis : openMongo)(targetOf(url));

/** Three effects that a second time would show: a counter, a list or document that grows, and rows with keys of their own. */
async function step(number: number): Promise<void> {
  const key = (name: string) => `${prefix}/${number}/${name}`;
  const call = (name: string) => callOf({ key: key(name), batch_size: 2 });
  const ids = [0, 1, 2, 3, 4].map((index) => `${number}-${index}`);
  if (redis) {
    await driver.update(
      {
        commands: [
          ['INCR', `${prefix}:n`],
          ['RPUSH', `${prefix}:log`, number],
        ],
      },
      call('commands'),
    );
    const data = ids.map((id) => ({ id, number }));
    await driver.insert({ data, key_field: 'id', key_prefix: `${prefix}:row:` }, call('rows'));
    return;
  }
  const collection = prefix;
  await driver.insert({ collection, documents: ids.map((id) => ({ kind: 'own', _id: id })) }, call('own'));
  await driver.insert({ collection, documents: ids.map((id) => ({ kind: 'derived', id })) }, call('derived'));
  await driver.update(
    { collection: `${prefix}n`, filter: { kind: 'counter' }, update: { $inc: { n: 1 } } },
    call('counter'),
  );
  await driver.update({ collection: `${prefix}n`, filter: { kind: 'queue' }, delete: true, multi: false }, call('pop'));
}

process.stdout.write('ready\n');
for (let number = Number(from); number < Number(to); number += 1) {
  await step(number);
  process.stdout.write(`${number}\n`);
}
await driver.close();
