// The suite of all adapters, over the adapter `database` with each SQL server.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe } from 'node:test';
import { createDatabaseAdapter } from '../../../src/adapters/database/adapter.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import { adapterCompliance } from '../../compliance/adapter.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { service } from '../../support/services.ts';

const folder = await mkdtemp(join(tmpdir(), 'jsonflow-sqlite-'));
const create = () => createDatabaseAdapter({ egress: createEgress() });

const servers = [
  { name: 'postgres', id: 'id serial PRIMARY KEY', endless: 'SELECT pg_sleep(300)' },
  { name: 'mysql', id: 'id INT AUTO_INCREMENT PRIMARY KEY', endless: 'SELECT SLEEP(300)' },
  {
    name: 'sqlite',
    id: 'id INTEGER PRIMARY KEY',
    endless:
      'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000000) SELECT COUNT(*) FROM c',
  },
] as const;

for (const { name, id, endless } of servers) {
  const missing = name === 'sqlite' ? undefined : service(name).unavailable;
  const fresh =
    name === 'sqlite'
      ? { url: `sqlite:${folder}/test.db`, drop: () => rm(folder, { recursive: true }) }
      : missing === undefined
        ? await freshDatabase(name)
        : undefined;
  describe(`database (${name})`, { skip: missing ?? false }, () => {
    if (fresh === undefined) return;
    const { url: connection, drop } = fresh;
    after(drop);
    const migrations = [{ id: '1', sql: `CREATE TABLE t (${id}, n INTEGER)` }];
    // In their order: the table comes first. The suite's steps share one name, so one of them alone is once.
    adapterCompliance('database', create, [
      {
        type: 'db_migrate',
        params: { connection, migrations },
        badParams: { connection, migrations, directory: '/x' },
      },
      { type: 'db_insert', params: { connection, table: 't', data: { n: 1 } }, badParams: { connection, table: 't' } },
      {
        type: 'db_query',
        params: { connection, table: 't' },
        badParams: { connection },
        endlessParams: { connection, query: endless },
      },
      {
        type: 'db_update',
        params: { connection, table: 't', set: { n: 2 }, all: true, idempotency: 'off' },
        badParams: { connection, table: 't', set: { n: 1 } },
      },
      {
        type: 'db_transaction',
        params: { connection, operations: [{ type: 'query', table: 't' }], idempotency: 'off' },
        badParams: { connection, operations: [{ type: 'drop' }] },
      },
    ]);
  });
}
