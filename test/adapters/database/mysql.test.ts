import { sqlCompliance } from '../../compliance/database.ts';
import { freshDatabase } from '../../support/fresh-database.ts';
import { describeWith } from '../../support/services.ts';

describeWith('mysql', 'MySQL or MariaDB', () => {
  sqlCompliance({
    fresh: () => freshDatabase('mysql'),
    columns:
      'id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(200) COLLATE utf8mb4_bin UNIQUE, n INT DEFAULT 7, data JSON',
    placeholder: () => '?',
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
