import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sqlCompliance } from '../../compliance/database.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { describeWith } from '../../support/services.ts';
import { fails, Harness } from './harness.ts';

describeWith('postgres', 'PostgreSQL', () => {
  sqlCompliance({
    fresh: () => freshDatabase('postgres'),
    columns: 'id serial PRIMARY KEY, name text UNIQUE, n int DEFAULT 7, data jsonb',
    placeholder: (index) => `$${index}`,
    quoted: (name) => `"${name}"`,
    endless: 'SELECT pg_sleep(300)',
    async running(harness) {
      const query =
        "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(300)%' AND pid <> pg_backend_pid()";
      return (await harness.rows({ query })).length;
    },
    returning: ['insert', 'update', 'delete'],
    transactionalDdl: true,
    ago: "now() - interval '31 days'",
    sneaky: [
      "WITH x AS (INSERT INTO TABLE (name) VALUES ('x') RETURNING id) SELECT * FROM x",
      "SELECT set_config('transaction_read_only', 'off', true), nextval('TABLE_id_seq')",
      'EXPLAIN ANALYZE DELETE FROM TABLE',
      'SELECT * FROM TABLE FOR UPDATE',
    ],
    types: [
      ['boolean', true],
      ['smallint', -32768],
      ['integer', 2147483647],
      ['bigint', 9007199254740991],
      ['bigint', '9223372036854775807'],
      ['numeric(20,4)', '1234567890123456.7890'],
      ['numeric', 12.5, '12.5'],
      ['real', 1.1],
      ['double precision', 1e-300],
      ['double precision', 'NaN'],
      ['double precision', '-Infinity'],
      ['text', 'ü\u{1f600}"\\\n'],
      ['text', { a: 1 }, '{"a":1}'],
      ['char(3)', 'ab '],
      ['date', '2026-01-02'],
      ['date', 'infinity'],
      ['time', '03:04:05.678'],
      ['timestamp', '2026-01-02T03:04:05.678901'],
      ['timestamptz', '2026-01-02T03:04:05.678Z'],
      ['timestamptz', '2026-07-02T03:04:05+02:00', '2026-07-02T01:04:05Z'],
      ['interval', 'P1Y2M3DT4H5M6.5S'],
      ['uuid', '0190d3f0-6c1f-7cc0-8d3a-0123456789ab'],
      ['json', { a: [1, { b: null }] }],
      ['jsonb', '{"big":12345678901234567890,"list":[]}', { big: '12345678901234567890', list: [] }],
      ['jsonb', [1, 'x', null]],
      ['jsonb', { $json: 'a text' }, 'a text'],
      ['jsonb', { $json: null }, null],
      ['bytea', { $bytes: 'AAEC/w==' }],
      ['integer[]', [1, null, 3]],
      ['text[]', ['a,b', '{"c"}', 'd\\e', '', 'NULL', null]],
      [
        'text[]',
        [
          ['a', 'b'],
          ['c', 'd'],
        ],
      ],
      ['jsonb[]', [{ a: 1 }, { b: [2] }]],
      ['bytea[]', [{ $bytes: 'AAE=' }]],
      ['int2vector', '1 2'],
      ['box[]', '{(1,1),(0,0);(2,2),(1,1)}'],
      ['inet', '10.0.0.1/8'],
      ['int4range', '[1,5)'],
      ['point', '(1,2)'],
      ['bit(3)', '101'],
    ],
  });

  // What gave few rows the last time is read with its end sent along; more than a batch must not be lost, or come twice.
  test('the same statement with few rows, with many, and with one that fails', async () => {
    const { url, drop } = await freshDatabase('postgres');
    const harness = new Harness(url);
    const query = 'SELECT i, 100 / (i - $2::int) AS q FROM generate_series(1, $1::int) AS i';
    const read = async (count: number, wrong: number) => {
      const rows = await harness.rows({
        query,
        params: [count, wrong],
        options: { batch_size: 100, retry_attempts: 0 },
      });
      assert.deepEqual(
        rows.map(({ i }) => i),
        Array.from({ length: count }, (_, index) => index + 1),
      );
    };
    try {
      for (const count of [3, 0, 100, 101, 2_500, 2_500, 7, 7, 100, 100, 250, 1]) await read(count, -1);
      for (const count of [5, 5, 250, 5]) await assert.rejects(read(count, 3), fails('QUERY_FAILED'));
      await read(5, -1);
      assert.deepEqual(await harness.rows({ query: 'SELECT pg_backend_pid() IS NULL AS lost' }), [{ lost: false }]);
    } finally {
      await harness.close();
      await drop();
    }
  });
});
