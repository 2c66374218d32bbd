// The examples of docs/adapters/database-mongodb.md and database-redis.md do what they say.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { openMongo } from '../../../src/adapters/database/mongodb/mongodb.ts';
import { openRedis } from '../../../src/adapters/database/redis/redis.ts';
import type { JSONObject } from '../../../src/lib/json.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { describeWith } from '../../support/services.ts';
import { callOf, targetOf } from './nosql.ts';

const methods = {
  db_query: 'query',
  db_insert: 'insert',
  db_update: 'update',
  db_transaction: 'transaction',
  db_migrate: 'migrate',
} as const;

for (const [system, open] of [
  ['mongodb', openMongo],
  ['redis', openRedis],
] as const)
  describeWith(system, `docs/adapters/database-${system}.md`, () => {
    test('steps and their outputs', async () => {
      const text = await readFile(new URL(`../../../docs/adapters/database-${system}.md`, import.meta.url), 'utf8');
      const blocks = [...text.matchAll(/^```json\n(.*?)^```/gms)].map(([, code = '']) => JSON.parse(code));
      assert.ok(blocks.length >= 10 && blocks.length % 2 === 0);
      const { url, drop } = await freshDatabase(system);
      const driver = await open(targetOf(url));
      try {
        for (let index = 0; index < blocks.length; index += 2) {
          const { type, params } = blocks[index] as { type: keyof typeof methods; params: JSONObject };
          const { result: _, ...output } = await driver[methods[type]](params, callOf({ key: `example ${index}` }));
          const shown = JSON.parse(JSON.stringify(output).replaceAll(/[0-9a-f]{24}/g, '…'));
          assert.deepEqual(shown, blocks[index + 1], JSON.stringify(params));
        }
      } finally {
        await driver.close();
        await drop();
      }
    });
  });
