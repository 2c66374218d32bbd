import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import { mysqlDialect } from '../mysql/dialect.ts';
import { isIsoTime, toMysqlTime } from '../mysql/times.ts';
import { postgresDialect } from '../postgres/dialect.ts';
import { encode, parseArray, TypeCatalogue } from '../postgres/types.ts';
import { sqliteDialect } from '../sqlite/dialect.ts';
import { columnsOf, InsertBuilder, InsertTexts } from './insert.ts';
import { firstWord, readStatement, writeStatement } from './raw.ts';
import { withResults } from './results.ts';
import { selectStatement } from './select.ts';
import { unconverted } from './tables.ts';
import { updateStatement } from './update.ts';
import { bytesOf, parseJson, rowKeys } from './values.ts';

const mysql = mysqlDialect({ mariadb: true, step: 1, packetBytes: 16_777_216 });
const dialects = { postgres: postgresDialect, mysql, sqlite: sqliteDialect };
const bad = { code: 'INVALID_PARAMS' };

test('select, as each server writes it', () => {
  const params = {
    table: 'a.b',
    columns: ['x', 'y"`'],
    where: { x: [1, 2], y: { gt: 3 } },
    order_by: [{ column: 'x', direction: 'desc' }],
    limit: 5,
  };
  assert.deepEqual(selectStatement(params, postgresDialect), {
    text: 'SELECT "x", "y""`" FROM "a"."b" WHERE ("x" = ANY($1) AND "y" > $2) ORDER BY "x" DESC LIMIT 5',
    values: [[1, 2], 3],
    reuse: true,
  });
  assert.deepEqual(selectStatement(params, mysql), {
    text: 'SELECT `x`, `y"``` FROM `a`.`b` WHERE (`x` IN (?, ?) AND `y` > ?) ORDER BY `x` DESC LIMIT 5',
    values: [1, 2, 3],
    reuse: true,
  });
  assert.equal(selectStatement({ table: 't', offset: 3 }, sqliteDialect).text, 'SELECT * FROM "t" LIMIT -1 OFFSET 3');
  for (const limit of [-1, 1.5, '1; DROP TABLE t', null])
    assert.throws(() => selectStatement({ table: 't', limit }, mysql), bad);
});

/** Whatever stands in quotes as a name, with doubled quotes for its own. */
const unquoted = (text: string, quote: string): string => text.slice(1, -1).replaceAll(quote + quote, quote);

test('any name is quoted so that it is that name, and any value is bound', () => {
  const name = fc.string({ minLength: 1, maxLength: 15 }).filter((text) => !/[\0.]/.test(text) && text.isWellFormed());
  fc.assert(
    fc.property(name, fc.string(), (column, value) => {
      for (const [system, dialect] of Object.entries(dialects)) {
        const quote = system === 'mysql' ? '`' : '"';
        const quoted = dialect.quote(column);
        assert.equal(unquoted(quoted, quote), column);
        assert.ok(
          !quoted
            .slice(1, -1)
            .replaceAll(quote + quote, '')
            .includes(quote),
        );
        const reserved = ['and', 'or', 'not'].includes(column);
        if (reserved) continue;
        const { text, values } = updateStatement(
          { table: 't', set: { [column]: value }, where: { [column]: value } },
          dialect,
        );
        assert.deepEqual(values, [value, value]);
        const [first, second] = [dialect.placeholder(1), dialect.placeholder(2)];
        assert.equal(text, `UPDATE ${quote}t${quote} SET ${quoted} = ${first} WHERE ${quoted} = ${second}`);
      }
    }),
  );
});

test('rows of an insert, with defaults where a key is missing', () => {
  const builder = (dialect: typeof postgresDialect) =>
    new InsertBuilder({
      table: ['t'],
      conflict: undefined,
      returning: undefined,
      dialect,
      convert: unconverted,
      texts: new InsertTexts(),
    });
  const rows: JSONObject[] = [{ a: 1, b: 2 }, { b: 3 }, { c: null }];
  const { columns, same } = columnsOf(rows, postgresDialect);
  assert.deepEqual([columns, same], [['a', 'b', 'c'], false]);
  assert.deepEqual(builder(postgresDialect).statement(rows, columns, same, true), {
    text: 'INSERT INTO "t" ("a", "b", "c") VALUES ($1,$2,DEFAULT),(DEFAULT,$3,DEFAULT),(DEFAULT,DEFAULT,$4)',
    values: [1, 2, 3, null],
    reuse: false,
  });
  assert.deepEqual(
    columnsOf(
      [
        { a: 1, b: 2 },
        { b: 1, a: 2 },
      ],
      mysql,
    ),
    { columns: ['a', 'b'], same: true },
  );
});

test('the first word of a statement, past whatever stands before it', () => {
  const cases: [string, string][] = [
    ['select 1', 'SELECT'],
    [' \n\t(((with x as (select 1) select 2', 'WITH'],
    ['-- COMMIT\nselect 1', 'SELECT'],
    ['/* a /* b */ COMMIT */ select 1', 'SELECT'],
    ['; ;commit', 'COMMIT'],
    ['\uFEFFROLLBACK', 'ROLLBACK'],
    ['/* never ends', ''],
    ['1', ''],
  ];
  for (const [text, word] of cases) assert.equal(firstWord(text, 'postgres'), word, text);
  assert.equal(firstWord('/* a /* b */ COMMIT */ select 1', 'mysql'), 'COMMIT');
  assert.equal(firstWord('/*! COMMIT */', 'mysql'), '/*!');
  assert.equal(firstWord('/*M!100100 COMMIT */', 'mysql'), '/*!');
  assert.equal(firstWord('# x\nselect 1', 'mysql'), 'SELECT');
});

test('a word that is nearly one is taken for a slip', () => {
  for (const query of ['selec 1', 'SLECT 1', '(selcet 1)', 'selects 1'])
    assert.throws(
      () => readStatement({ query }, 'postgres', postgresDialect),
      { code: 'INVALID_PARAMS', message: /did you mean SELECT\?$/ },
      query,
    );
});

test('what may be read, and what may be written', () => {
  for (const query of ['INSERT INTO t VALUES (1)', 'CALL p()', 'commit', 'DO $$ BEGIN END $$', 'VACUUM'])
    assert.throws(() => readStatement({ query }, 'postgres', postgresDialect), { code: 'READ_ONLY' }, query);
  for (const query of [
    'COMMIT',
    'BEGIN',
    'set x = 1',
    'ATTACH DATABASE "x" AS y',
    'PRAGMA x',
    "PREPARE TRANSACTION 'x'",
    'COPY t TO STDOUT',
  ])
    assert.throws(() => writeStatement({ query }, 'postgres', postgresDialect), bad, query);
  assert.throws(() => writeStatement({ query: 'CREATE TABLE t (a int)' }, 'mysql', mysql), bad);
  assert.equal(
    writeStatement({ query: 'CREATE TABLE t (a int)' }, 'postgres', postgresDialect).text,
    'CREATE TABLE t (a int)',
  );
  assert.throws(() => readStatement({ query: 'SELECT 1', params: { a: 1 } }, 'mysql', mysql), bad);
});

test('a list in place of a question mark, and no other question mark', () => {
  const query = 'SELECT \'?\', "?", `?` /* ? */ FROM t -- ?\nWHERE a IN (?) AND b = ? AND c IN (?)';
  const { text, values } = mysql.bind(query, [[1, 2], 'x', []]);
  assert.equal(text, query.replace('a IN (?)', 'a IN (?, ?)').replace('c IN (?)', 'c IN (NULL)'));
  assert.deepEqual(values, [1, 2, 'x']);
  assert.throws(() => mysql.bind('SELECT ?', [[1], 2]), bad);
  // A list that holds lists or objects is JSON.
  assert.deepEqual(sqliteDialect.bind('SELECT ?', [[{ a: 1 }]]).values, [[{ a: 1 }]]);
});

/** Values and what surrounds them, in every form in which a question mark or a colon is no placeholder. */
const sqliteNoise = [
  "'?'",
  "'it''s :a'",
  '1 AS "?"',
  '2 AS `:a ?`',
  '3 AS [? $a]',
  '/* ? :a */ 4',
  '/*/?*/5',
  '-- ? $a\n 6',
  '7 AS x$1',
  '8 AS größe$a',
  'x\'3f\' AS "-- ?"',
  '\ufeff9',
];
const itemsOf = (...items: string[]) =>
  fc.array(fc.constantFrom(...items, ...sqliteNoise), { minLength: 1, maxLength: 8 });

test('as many values as SQLite itself finds placeholders', () => {
  const database = new DatabaseSync(':memory:');
  const takes = (query: string, count: number): boolean => {
    const statement = database.prepare(query);
    try {
      statement.all(...Array<number>(count).fill(1));
      return true;
    } catch (thrown) {
      assert.match(String(thrown), /out of range/, query);
      return false;
    }
  };
  fc.assert(
    fc.property(itemsOf('?', '?', '?1', '?3', '(?)', '?-?'), (items) => {
      const query = `SELECT ${items.join(', ')}`;
      let count = 0;
      while (takes(query, count + 1)) count += 1;
      assert.deepEqual(sqliteDialect.bind(query, Array(count).fill(1)).values, Array(count).fill(1));
      assert.throws(() => sqliteDialect.bind(query, Array(count + 1).fill(1)), bad);
      if (count > 0) assert.throws(() => sqliteDialect.bind(query, Array(count - 1).fill(1)), bad);
    }),
    { numRuns: 500 },
  );
});

test('a value for each name that SQLite itself finds', () => {
  const database = new DatabaseSync(':memory:');
  const placeholders = [
    ':a',
    '@b',
    '$c',
    '#d',
    ':größe',
    '$1',
    ':2x',
    '$e::f',
    ':::g',
    '$h(i j)',
    '$k(:l)',
    '@m$n',
    '?7',
    ':\u{1f600}',
  ];
  const isFound = (query: string, name: string): boolean => {
    try {
      database.prepare(query).all({ [name]: 1 });
      return true;
    } catch (thrown) {
      assert.match(String(thrown), /Unknown named parameter/, query);
      return false;
    }
  };
  const works = (query: string): boolean => {
    try {
      database.prepare(query);
      return true;
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(itemsOf(...placeholders.filter((one) => works(`SELECT ${one}`))), (items) => {
      const query = `SELECT ${items.join(',')}`;
      const names = placeholders.filter((name) => isFound(query, name));
      const values = Object.fromEntries(names.map((name) => [name, 1]));
      assert.deepEqual(sqliteDialect.bind(query, values).named, values);
      for (const name of names) {
        const { [name]: _, ...others } = values;
        assert.throws(() => sqliteDialect.bind(query, others), bad, `${name} in ${query}`);
        assert.ok(sqliteDialect.bind(query, { ...others, [name.slice(1)]: 1 }), 'without what it begins with');
      }
      if (names.some((name) => !name.startsWith('?'))) assert.throws(() => sqliteDialect.bind(query, [1]), bad, query);
    }),
    { numRuns: 500 },
  );
});

test('texts of any form are looked through in time that grows with their length', () => {
  for (const part of [':', '$a(', ':a', "'\\", '/*', '[', '::a$', '?'])
    for (const dialect of [sqliteDialect, mysql])
      assert.throws(() => dialect.bind(`SELECT ${part.repeat(300_000)}`, [[1]]), bad, part);
});

test('placeholders of another server are told', () => {
  const says = (dialect: typeof postgresDialect, query: string, written: RegExp): void =>
    assert.throws(
      () => dialect.bind(query, [1]),
      (thrown: Error & { code?: string }) => thrown.code === 'INVALID_PARAMS' && written.test(thrown.message),
    );
  says(postgresDialect, 'SELECT n FROM t WHERE n = ?', /written \$1, \$2, … here/);
  says(mysql, 'SELECT n FROM t WHERE n = $1', /written \? here/);
  says(sqliteDialect, 'SELECT n FROM t WHERE n = $1', /write \? instead/);
  // On MariaDB's Oracle mode, and where the author has a column of that name.
  assert.deepEqual(mysql.bind('SELECT $1 FROM t WHERE n = :1', [1]).values, [1]);
});

test('results of earlier operations', () => {
  const results = new Map<string, JSONObject>([['op', { rows: [{ id: 7, 'a b': [1, 2] }], n: null }]]);
  const at = (path: string): JSONValue => withResults({ x: { $result: path } }, results, 'here').x ?? null;
  assert.equal(at('op.rows[0].id'), 7);
  assert.equal(at('op.rows[0]["a b"][1]'), 2);
  assert.equal(at('op.n'), null);
  assert.deepEqual(withResults({ x: { $json: { $result: 'op' } } }, results, 'here'), {
    x: { $json: { $result: 'op' } },
  });
  for (const path of [
    '',
    'no.rows',
    'op.rows[1]',
    'op.rows.id',
    'op.constructor',
    'op.rows[0].__proto__',
    '[0]',
    'op..x',
    'op.rows[x]',
  ])
    assert.throws(() => at(path), bad, path);
});

test("PostgreSQL's arrays, both ways", () => {
  const types = new TypeCatalogue();
  const text = types.get(1009);
  const member = fc.option(
    fc.string().filter((one) => !one.includes('\0')),
    { nil: null },
  );
  fc.assert(
    fc.property(fc.array(member), (list) => {
      const written = encode(list, text);
      assert.equal(typeof written, 'string');
      assert.deepEqual(parseArray(String(written), undefined), list);
    }),
  );
  fc.assert(
    fc.property(fc.array(fc.array(member, { minLength: 1 }), { minLength: 1 }), (list) => {
      assert.deepEqual(parseArray(String(encode(list, text)), undefined), list);
    }),
  );
  assert.deepEqual(parseArray('[0:1]={5,6}', Number), [5, 6]);
  assert.equal(encode([1, { a: 1 }], types.get(3802)), '[1,{"a":1}]');
  assert.equal(encode([1, 'x'], undefined), '[1,"x"]');
});

test('times of ISO 8601, as MySQL takes them', () => {
  const cases: [string, string][] = [
    ['2026-01-02T03:04:05Z', '2026-01-02 03:04:05'],
    ['2026-01-02T03:04:05.123456789Z', '2026-01-02 03:04:05.123456'],
    ['2026-01-02T03:04', '2026-01-02 03:04'],
    ['2026-01-01T00:30:00.5+01:00', '2025-12-31 23:30:00.5'],
  ];
  for (const [iso, own] of cases) assert.equal(toMysqlTime(iso), own);
  for (const other of ['2026-01-02', 'x', 5, null, '2026-13-45T99:99:99+01:00'])
    assert.equal(toMysqlTime(other), other);
  assert.ok(!isIsoTime(`2026-01-02T03:04:05${'0'.repeat(1_000_000)}`));
});

test('JSON, bytes and names of columns', () => {
  assert.deepEqual(parseJson('{"a":9007199254740993,"b":1e999,"c":1.5,"d":"9007199254740993"}'), {
    a: '9007199254740993',
    b: '1e999',
    c: 1.5,
    d: '9007199254740993',
  });
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      assert.deepEqual(new Uint8Array(bytesOf({ $bytes: Buffer.from(bytes).toString('base64') })), bytes);
    }),
  );
  for (const $bytes of ['A', 'AB=', '====', 'A A=', 5]) assert.throws(() => bytesOf({ $bytes }), bad);
  assert.deepEqual(rowKeys(['a', 'a', 'a_2', 'a']), ['a', 'a_3', 'a_2', 'a_4']);
});
