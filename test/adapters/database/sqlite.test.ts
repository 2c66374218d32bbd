import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { StepError } from '../../../src/lib/errors.ts';
import { sqlCompliance } from '../../compliance/database.ts';
import { fails, Harness } from './harness.ts';

describe('SQLite', () => {
  sqlCompliance({
    async fresh() {
      const folder = await mkdtemp(join(tmpdir(), 'jsonflow-sqlite-'));
      return { url: `sqlite:${folder}/test.db`, drop: () => rm(folder, { recursive: true }) };
    },
    columns: 'id INTEGER PRIMARY KEY, name TEXT UNIQUE, n INTEGER DEFAULT 7, data JSON',
    placeholder: () => '?',
    quoted: (name) => `"${name}"`,
    endless:
      'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 3000000000) SELECT COUNT(*) FROM c',
    returning: ['insert', 'update', 'delete'],
    transactionalDdl: true,
    ago: 'unixepoch() - 31 * 86400',
    sneaky: ["WITH x AS (SELECT 1) INSERT INTO TABLE (name) SELECT 'x' FROM x", 'EXPLAIN SELECT 1; DELETE FROM TABLE'],
    types: [
      ['INTEGER', 42],
      ['INTEGER', '9223372036854775807'],
      ['INTEGER', -9007199254740991],
      ['REAL', 1.5],
      ['TEXT', 'ü\u{1f600}\n'],
      ['TEXT', 5, '5'],
      ['TEXT', '2026-01-02T03:04:05Z'],
      ['BLOB', { $bytes: 'AAEC/w==' }],
      ['BOOLEAN', true],
      ['JSON', { a: [1, null, 'x'], b: { c: 1.5 } }],
      ['JSON', [1, 2]],
      ['JSON', { $json: 'a text' }, 'a text'],
    ],
  });

  test('a file that is not there is not made by what only reads', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'jsonflow-sqlite-'));
    const harness = new Harness(`sqlite:${folder}/orders.db`);
    const missing = (thrown: StepError): boolean =>
      fails('CONNECTION_FAILED', { says: /there is no SQLite database .*orders\.db/ })(thrown) && !thrown.retryable;
    try {
      await assert.rejects(harness.query({ query: 'SELECT 1' }), missing);
      await assert.rejects(harness.query({ table: 't', explain: true }), missing);
      const operations = [{ type: 'query', query: 'SELECT 1' }];
      await assert.rejects(harness.transaction({ operations, options: { read_only: true } }), missing);
      assert.equal((await harness.adapter.healthCheck()).status, 'degraded');
      const migrations = [
        { id: '1', sql: 'CREATE TABLE a (x INTEGER)' },
        { id: '2', sql: 'CREATE TABLE b (x INTEGER)' },
      ];
      const looked = await harness.migrate({ migrations, dry_run: true, to: '1' });
      assert.deepEqual([looked.dry_run, looked.pending, looked.applied], [true, ['1'], []]);
      assert.deepEqual((await harness.migrate({ migrations, status: true })).pending, ['1', '2']);
      await assert.rejects(harness.migrate({ migrations, status: true, to: '3' }), fails('INVALID_PARAMS'));
      assert.deepEqual(await readdir(folder), []);
      await harness.ddl('CREATE TABLE t (a INTEGER)');
      assert.deepEqual(await harness.rows({ table: 't' }), []);
      assert.equal((await harness.adapter.healthCheck()).status, 'ok');
    } finally {
      await harness.close();
      await rm(folder, { recursive: true });
    }
  });
});
