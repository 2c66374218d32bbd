import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import mysql from 'mysql2';
import { MysqlConnection } from '../../../src/adapters/database/mysql/connection.ts';
import { mysqlDialect } from '../../../src/adapters/database/mysql/dialect.ts';
import { sqlCompliance } from '../../compliance/database.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { describeWith } from '../../support/services.ts';
import { fails } from './harness.ts';

const noise = [
  "'?'",
  "'it''s ?'",
  "'\\'?'",
  '"?"',
  '1 AS `?`',
  '/* ? */ 2',
  '/*/?*/3',
  '-- ?\n 4',
  '--\t?\n 5',
  '# ?\n 6',
  '7--?\n',
];

/** Whatever it says about the values: how many it wants. */
async function counted(connection: MysqlConnection, text: string): Promise<number> {
  for (let count = 0; ; count += 1)
    try {
      await connection.run({ text, values: Array<number>(count).fill(1), reuse: true });
      return count;
    } catch (thrown) {
      fails('INVALID_PARAMS')(thrown);
    }
}

async function connectionWith(url: string, mode: string): Promise<MysqlConnection> {
  const raw = mysql.createConnection({ uri: url, multipleStatements: true });
  const connection = new MysqlConnection(raw, async () => undefined, { restoring: '', settings: '' });
  await connection.connected();
  await connection.script(`SET SESSION sql_mode = '${mode}'`);
  return connection;
}

describeWith('mysql', 'MySQL or MariaDB', (url) => {
  const dialect = mysqlDialect({ mariadb: true, step: 1, packetBytes: 16_777_216 });
  const ones = (count: number): number[] => Array<number>(count).fill(1);

  test('lists go where the server finds placeholders', async () => {
    const connection = await connectionWith(url, '');
    const items = fc.array(fc.constantFrom('?', '?', '8 IN (?)', '?-?', ...noise), { minLength: 1, maxLength: 8 });
    try {
      await fc.assert(
        fc.asyncProperty(items, async (parts) => {
          const query = `SELECT ${parts.join('\n, ')}`;
          const wanted = await counted(connection, query);
          if (wanted === 0) return;
          const { text, values } = dialect.bind(query, [[5, 6], ...ones(wanted - 1)]);
          assert.equal(await counted(connection, text), wanted + 1, text);
          assert.deepEqual(values, [5, 6, ...ones(wanted - 1)]);
          assert.throws(() => dialect.bind(query, [[5], ...ones(wanted)]), { code: 'INVALID_PARAMS' });
        }),
        { numRuns: 100 },
      );
    } finally {
      await connection.end();
    }
  });

  test('placeholders are counted by the server, whatever its modes and its comments', async () => {
    for (const [mode, query, wanted] of [
      ['', "SELECT '\\'?', ?", 1],
      ['NO_BACKSLASH_ESCAPES', "SELECT '\\', ?, '?'", 1],
      ['ANSI_QUOTES', "SELECT '\"?', ?", 1],
      ['', 'SELECT /*! ? + */ ?', 2],
      ['', 'SELECT /*!999999 ? + */ ?', 1],
      ['ORACLE', 'SELECT :1, :name', 2],
    ] as const) {
      const connection = await connectionWith(url, mode);
      assert.equal((await connection.run(dialect.bind(query, ones(wanted)))).rows.length, 1, query);
      for (const count of [wanted - 1, wanted + 1])
        await assert.rejects(connection.run(dialect.bind(query, ones(count))), fails('INVALID_PARAMS'), query);
      assert.ok(connection.usable);
      await connection.end();
    }
  });
  sqlCompliance({
    fresh: () => freshDatabase('mysql'),
    columns:
      'id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(200) COLLATE utf8mb4_bin UNIQUE, n INT DEFAULT 7, data JSON',
    placeholder: () => '?',
    quoted: (name) => `\`${name}\``,
    endless: 'SELECT SLEEP(300)',
    async running(harness) {
      const query =
        "SELECT id FROM information_schema.processlist WHERE info LIKE '%SLEEP(300)%' AND id <> CONNECTION_ID()";
      return (await harness.rows({ query })).length;
    },
    // Of MariaDB, which `scripts/services` starts.
    returning: ['insert', 'delete'],
    transactionalDdl: false,
    ago: 'NOW() - INTERVAL 31 DAY',
    sneaky: [
      'WITH x AS (SELECT 1) DELETE FROM TABLE',
      'SELECT NEXTVAL(nothing)',
      '/*! DELETE FROM TABLE */',
      'SELECT 1 INTO @x; DELETE FROM TABLE',
    ],
    types: [
      ['TINYINT(1)', true],
      ['TINYINT(1)', 5],
      ['TINYINT', -128],
      ['SMALLINT UNSIGNED', 65535],
      ['INT', 2147483647],
      ['BIGINT', 9007199254740991],
      ['BIGINT', '-9223372036854775808'],
      ['BIGINT UNSIGNED', '18446744073709551615'],
      ['DECIMAL(20,4)', '1234567890123456.7890'],
      ['FLOAT', 1.1],
      ['DOUBLE', 1e-300],
      ['BIT(1)', true],
      ['BIT(12)', 4095],
      ['YEAR', 2026],
      ['VARCHAR(20)', 'ü\u{1f600}\n'],
      ['VARCHAR(40)', '2026-01-02T03:04:05Z'],
      ['TEXT', 'long'],
      ['TEXT', 9007199254740991, '9007199254740991'],
      ['CHAR(3)', 'ab'],
      ['BLOB', { $bytes: 'AAEC/w==' }],
      ['VARBINARY(8)', { $bytes: 'AAEC/w==' }],
      ['DATE', '2026-01-02'],
      ['TIME(3)', '03:04:05.678'],
      ['TIME', '-100:00:00'],
      ['DATETIME(6)', '2026-01-02T03:04:05.678901'],
      ['DATETIME', '2026-01-02T03:04:05+02:00', '2026-01-02T01:04:05'],
      ['TIMESTAMP(3) NULL', '2026-01-02T03:04:05.678Z'],
      ["ENUM('a','b')", 'b'],
      ["SET('a','b','c')", 'a,c'],
      ['JSON', { a: [1, { b: null }] }],
      ['JSON', [1, 'x', null]],
      ['JSON', { $json: 'a text' }, 'a text'],
    ],
  });
});
