// The suite that every SQL server passes through the adapter `database`.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { StepError } from '../../src/lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../src/lib/json.ts';
import { fails, Harness } from '../adapters/database/harness.ts';

/** A server as the suite needs to know it. */
export interface SqlUnderTest {
  fresh(): Promise<{ url: string; drop(): Promise<void> }>;
  /** Columns of a table with an id that the server makes up: `id`, `name` (unique text), `n` (whole number, default 7), `data` (JSON). */
  columns: string;
  placeholder(index: number): string;
  /** A name as SQL writes it. */
  quoted(name: string): string;
  /** A statement that reads for minutes. */
  endless: string;
  /** How many statements of that kind run in the server, seen from elsewhere; undefined where there is no telling. */
  running?(harness: Harness): Promise<number>;
  /** `RETURNING` after these. */
  returning: ('insert' | 'update' | 'delete')[];
  transactionalDdl: boolean;
  /** Types: declaration, what goes in, and what comes out where it is not the same. */
  types: [declaration: string, given: JSONValue, read?: JSONValue][];
  /** The time 31 days ago, as the table of effects has it. */
  ago: string;
  /** A query that writes although it begins like one that reads. */
  sneaky: string[];
}

const people: JSONObject[] = [
  { name: 'ann', n: 40 },
  { name: 'bob', n: 17 },
  { name: 'eve', n: 40, data: { tags: ['a', 'b'] } },
];
const names = (rows: JSONObject[]): JSONValue[] => rows.map(({ name }) => name ?? null).sort();

export function sqlCompliance(server: SqlUnderTest): void {
  const at = server.placeholder;
  let db: Harness;
  let drop: () => Promise<void>;
  let tables = 0;

  before(async () => {
    const fresh = await server.fresh();
    drop = fresh.drop;
    db = new Harness(fresh.url);
  });
  after(async () => {
    await db.close();
    await drop();
  });

  async function newTable(columns = server.columns): Promise<string> {
    tables += 1;
    const table = `t${tables}`;
    await db.ddl(`CREATE TABLE ${table} (${columns})`);
    return table;
  }

  describe('inserting', () => {
    test('one row, many rows, and rows without some of the columns', async () => {
      const table = await newTable();
      const one = await db.insert({ table, data: { name: 'ann' } });
      assert.deepEqual(one, { inserted: 1, affected_rows: 1, inserted_id: 1, inserted_ids: [1], result: 1 });
      const many = await db.insert({
        table,
        data: [{ name: 'bob', n: 1 }, { n: 2, name: 'cid' }, { name: 'dan' }, { n: 3 }],
      });
      assert.deepEqual(many.inserted_ids, [2, 3, 4, 5]);
      assert.equal(many.inserted, 4);
      assert.deepEqual(
        (await db.rows({ table, order_by: ['id'] })).map(({ name, n }) => [name, n]),
        [
          ['ann', 7],
          ['bob', 1],
          ['cid', 2],
          ['dan', 7],
          [null, 3],
        ],
      );
    });

    test('rows of defaults alone, and no rows', async () => {
      const table = await newTable();
      assert.equal((await db.insert({ table, data: [{}, {}] })).inserted, 2);
      assert.equal((await db.insert({ table, data: [] })).inserted, 0);
      assert.deepEqual(
        (await db.rows({ table })).map(({ n }) => n),
        [7, 7],
      );
    });

    test('more rows than a statement takes are one transaction', async () => {
      const table = await newTable();
      const data = Array.from({ length: 2_500 }, (_, n) => ({ name: `p${n}`, n }));
      const output = await db.insert({ table, data, options: { batch_size: 200 } });
      assert.equal(output.inserted, 2_500);
      assert.equal((output.inserted_ids as number[]).length, 2_500);
      const twice = [...data.map(({ n }) => ({ name: `q${n}`, n })), { name: 'p7', n: 0 }];
      await assert.rejects(
        db.insert({ table, data: twice, options: { batch_size: 200 } }),
        fails('CONSTRAINT_VIOLATED'),
      );
      const [row] = await db.rows({ query: `SELECT COUNT(*) AS c, SUM(n) AS s FROM ${table}` });
      assert.deepEqual([Number(row?.c), Number(row?.s)], [2_500, (2_499 * 2_500) / 2]);
    });

    test('a row that is there already is updated, or left alone', async () => {
      const table = await newTable();
      await db.insert({ table, data: people });
      const update = {
        table,
        data: [
          { name: 'ann', n: 1 },
          { name: 'new', n: 2 },
        ],
      };
      assert.equal((await db.insert({ ...update, on_conflict: { columns: ['name'], action: 'update' } })).inserted, 2);
      const ignore = {
        table,
        data: [
          { name: 'bob', n: 99 },
          { name: 'newer', n: 3 },
        ],
      };
      assert.equal((await db.insert({ ...ignore, on_conflict: { columns: ['name'], action: 'ignore' } })).inserted, 1);
      const partly = { columns: ['name'], action: 'update', update: ['n'] };
      await db.insert({ table, data: { name: 'eve', n: 5, data: [] }, on_conflict: partly });
      const rows = await db.rows({ table, columns: ['name', 'n', 'data'], order_by: ['name'] });
      assert.deepEqual(rows, [
        { name: 'ann', n: 1, data: null },
        { name: 'bob', n: 17, data: null },
        { name: 'eve', n: 5, data: { tags: ['a', 'b'] } },
        { name: 'new', n: 2, data: null },
        { name: 'newer', n: 3, data: null },
      ]);
    });

    test('the written rows come back where the server can', async () => {
      const table = await newTable();
      const insert = db.insert({ table, data: people, returning: ['name', 'n'] });
      if (!server.returning.includes('insert'))
        return assert.rejects(insert, fails('INVALID_PARAMS', { says: /RETURNING/ }));
      const { rows, result } = await insert;
      assert.deepEqual(
        rows,
        people.map(({ name, n }) => ({ name, n })),
      );
      assert.deepEqual(result, rows);
    });

    test('what JSON can not carry is an error of the step, and of nothing else', async () => {
      const table = await newTable();
      // A failure beside the step would end the process, and this test with it.
      await assert.rejects(db.insert({ table, data: { name: '\ud800' } }));
      await new Promise(setImmediate);
      assert.equal(await db.count(table), 0);
    });

    test('what another step stored', async () => {
      const table = await newTable();
      await db.insert({ table, data: Array.from({ length: 3_000 }, (_, n) => ({ name: `p${n}`, n })) });
      const { stored, row_count, result } = await db.query({
        table,
        columns: ['name', 'n'],
        options: { max_rows: 100 },
      });
      assert.equal(row_count, 3_000);
      assert.deepEqual(result, stored);
      assert.equal((await db.stored(stored)).length, 3_000);
      const copy = await newTable();
      assert.equal((await db.insert({ table: copy, data: stored ?? null })).inserted, 3_000);
      assert.deepEqual(await db.rows({ table: copy, where: { name: 'p2999' }, columns: ['n'] }), [{ n: 2_999 }]);
    });
  });

  describe('querying', () => {
    test('every operator', async () => {
      const table = await newTable();
      await db.insert({ table, data: [...people, { name: 'Zoe', n: null }] });
      const found = async (where: JSONObject): Promise<JSONValue[]> => names(await db.rows({ table, where }));
      const cases: [JSONObject, string[]][] = [
        [{}, ['Zoe', 'ann', 'bob', 'eve']],
        [{ name: 'ann' }, ['ann']],
        [{ n: null }, ['Zoe']],
        [{ n: [17, 40] }, ['ann', 'bob', 'eve']],
        [{ n: [] }, []],
        [{ name: { nin: [] } }, ['Zoe', 'ann', 'bob', 'eve']],
        [{ n: { gt: 17 } }, ['ann', 'eve']],
        [{ n: { gte: 17, lt: 40 } }, ['bob']],
        [{ n: { lte: 17 } }, ['bob']],
        [{ n: { ne: 40 } }, ['bob']],
        [{ n: { ne: null } }, ['ann', 'bob', 'eve']],
        [{ name: { in: ['ann', 'nobody'] } }, ['ann']],
        [{ name: { nin: ['ann', 'bob'] } }, ['Zoe', 'eve']],
        [{ name: { like: '%n%' } }, ['ann']],
        [{ name: { ilike: 'z%' } }, ['Zoe']],
        [{ n: { between: [10, 20] } }, ['bob']],
        [{ n: { is_null: true } }, ['Zoe']],
        [{ n: { is_null: false }, name: { gt: 'b' } }, ['bob', 'eve']],
        [{ or: [{ name: 'ann' }, { and: [{ n: 40 }, { name: 'eve' }] }] }, ['ann', 'eve']],
        [{ not: { name: ['ann', 'bob', 'eve'] } }, ['Zoe']],
      ];
      for (const [where, expected] of cases) assert.deepEqual(await found(where), expected, JSON.stringify(where));
    });

    test('columns, order, limit and offset', async () => {
      const table = await newTable();
      await db.insert({ table, data: people });
      const output = await db.query({
        table,
        columns: ['name'],
        order_by: [{ column: 'n', direction: 'desc' }, 'name'],
        limit: 2,
        offset: 1,
      });
      assert.deepEqual(output.rows, [{ name: 'eve' }, { name: 'bob' }]);
      assert.equal(output.row_count, 2);
      assert.deepEqual(output.result, output.rows);
      assert.deepEqual(
        (output.fields as JSONObject[]).map(({ name }) => name),
        ['name'],
      );
      assert.deepEqual(await db.rows({ table, columns: ['name'], order_by: 'name', offset: 2 }), [{ name: 'eve' }]);
    });

    test('what cannot be meant is refused', async () => {
      const bad: [JSONObject, RegExp][] = [
        [{ where: { n: { greater: 1 } } }, /params\.where\.n\.greater/],
        [{ where: { n: { gt: null } } }, /is_null/],
        [{ where: { n: { in: [null] } } }, /is_null/],
        [{ where: { n: {} } }, /no operator/],
        [{ where: { or: [] } }, /params\.where\.or/],
        [{ where: { n: { between: [1] } } }, /two values/],
        [{ columns: [], where: {} }, /columns/],
      ];
      for (const [params, says] of bad)
        await assert.rejects(
          db.query({ table: 't', ...params }),
          fails('INVALID_PARAMS', { says }),
          JSON.stringify(params),
        );
      const deep = Array.from({ length: 30 }).reduce<JSONObject>((inner) => ({ not: inner }), { n: 1 });
      await assert.rejects(db.query({ table: 't', where: deep }), fails('INVALID_PARAMS', { says: /nested/ }));
    });

    test('SQL with values, a second column of the same name, and the plan', async () => {
      const table = await newTable();
      await db.insert({ table, data: people });
      const query = `SELECT name, n, name FROM ${table} WHERE n > ${at(1)} AND name <> ${at(2)}`;
      assert.deepEqual(await db.rows({ query, params: [20, 'ann'] }), [{ name: 'eve', n: 40, name_2: 'eve' }]);
      const { plan, result, rows } = await db.query({ query, params: [20, 'ann'], explain: true });
      assert.ok(plan !== undefined && rows === undefined);
      assert.deepEqual(result, plan);
    });

    test('only reads', async () => {
      const table = await newTable();
      await db.insert({ table, data: people });
      for (const query of [
        `INSERT INTO ${table} (name) VALUES ('x')`,
        `DELETE FROM ${table}`,
        `DROP TABLE ${table}`,
        'COMMIT',
      ])
        await assert.rejects(db.query({ query }), fails('READ_ONLY'), query);
      for (const sneaky of server.sneaky)
        await assert.rejects(db.query({ query: sneaky.replaceAll('TABLE', table) }), sneaky);
      assert.deepEqual(await db.count(table), 3);
    });

    test('values must be as many as placeholders; else nothing is changed', async () => {
      const table = await newTable();
      await db.insert({
        table,
        data: [
          { name: 'ann', n: 40 },
          { name: 'bob', n: 17 },
        ],
      });
      const query = `UPDATE ${table} SET n = ${at(1)} WHERE name = ${at(2)}`;
      for (const params of [[], [1], [1, 'ann', 'bob']])
        await assert.rejects(db.update({ query, params, all: true }), fails('INVALID_PARAMS'));
      await assert.rejects(
        db.query({ query: `SELECT n FROM ${table} WHERE name = ${at(1)}`, params: [] }),
        fails('INVALID_PARAMS'),
      );
      const { rows } = await db.query({ query: `SELECT n FROM ${table} WHERE n = 1` });
      assert.deepEqual(rows, []);
      const plan = { query: `SELECT n FROM ${table} WHERE name = ${at(1)}`, explain: true };
      await assert.rejects(db.query({ ...plan, params: [] }), fails('INVALID_PARAMS'));
      assert.notEqual((await db.query({ ...plan, params: ['ann'] })).plan, undefined);
    });

    test('values that are too few are not sent a second time', async () => {
      const table = await newTable();
      let attempts = 0;
      const harness = new Harness(db.url, {
        reached(point) {
          if (point === 'start') attempts += 1;
        },
      });
      await assert.rejects(
        harness.update({ query: `UPDATE ${table} SET n = ${at(1)} WHERE name = ${at(2)}`, params: [1] }),
        (thrown: StepError) =>
          fails('INVALID_PARAMS', { says: /1 values.*2 placeholders/ })(thrown) && !thrown.retryable,
      );
      await harness.close();
      assert.equal(attempts, 1);
    });

    test('what no column is called is not sorted by, and the form that is meant is told', async () => {
      const table = await newTable();
      const says = /did you mean \{"column":"name","direction":"desc"\}\?$/;
      for (const order_by of ['name desc', ['n', 'name  DESC']])
        await assert.rejects(db.query({ table, order_by }), fails('QUERY_FAILED', { says }));
      await assert.rejects(
        db.transaction({ operations: [{ type: 'query', table, order_by: 'name desc' }] }),
        fails('QUERY_FAILED', { says }),
      );
      await db.ddl(`CREATE TABLE spaced_${table} (${server.quoted('name desc')} INTEGER)`);
      assert.deepEqual(await db.rows({ table: `spaced_${table}`, order_by: 'name desc' }), []);
    });

    test('a parameter of the connection string that is not known is refused', async () => {
      const url = `${db.url}${db.url.includes('?') ? '&' : '?'}sslmod=require`;
      const harness = new Harness(url);
      await assert.rejects(harness.query({ query: 'SELECT 1' }), fails('INVALID_PARAMS'));
      await harness.close();
    });

    test('the same query gives a few rows, then many, then a few, then none', async () => {
      const table = await newTable();
      const query = `SELECT n FROM ${table} ORDER BY n`;
      const options = { pool_size: 1, batch_size: 5 };
      for (const count of [0, 3, 3, 5, 12, 4, 4, 6, 0, 0]) {
        await db.update({ table, delete: true, all: true });
        const numbers = Array.from({ length: count }, (_, n) => n);
        await db.insert({ table, data: numbers.map((n) => ({ n })) });
        const { rows } = await db.query({ query, options });
        assert.deepEqual(
          rows,
          numbers.map((n) => ({ n })),
        );
      }
    });

    test('rows beyond max_rows are stored, in order and whatever the batches', async () => {
      const table = await newTable();
      await db.insert({ table, data: Array.from({ length: 1_003 }, (_, n) => ({ name: `p${n}`, n })) });
      for (const batch_size of [1, 7, 1_003, 5_000]) {
        const options = { max_rows: 10, batch_size };
        const { stored } = await db.query({ table, columns: ['n'], order_by: 'n', options });
        assert.deepEqual(
          (await db.stored(stored)).map(({ n }) => n),
          Array.from({ length: 1_003 }, (_, n) => n),
        );
      }
    });
  });

  describe('updating', () => {
    test('some rows, all rows, deleting, and SQL', async () => {
      const table = await newTable();
      await db.insert({ table, data: people });
      assert.deepEqual(await db.update({ table, set: { n: 1 }, where: { n: 40 } }), {
        updated: 2,
        affected_rows: 2,
        result: 2,
      });
      // The rows have these values already, and count all the same.
      assert.equal((await db.update({ table, data: { n: 1 }, where: { n: 1 } })).updated, 2);
      assert.equal((await db.update({ table, delete: true, where: { name: 'bob' } })).deleted, 1);
      const query = `UPDATE ${table} SET n = n + ${at(1)} WHERE name = ${at(2)}`;
      assert.equal((await db.update({ query, params: [5, 'eve'] })).updated, 1);
      assert.equal((await db.update({ table, set: { data: { a: [1] } }, all: true })).updated, 2);
      assert.deepEqual(await db.rows({ table, columns: ['name', 'n', 'data'], order_by: 'name' }), [
        { name: 'ann', n: 1, data: { a: [1] } },
        { name: 'eve', n: 6, data: { a: [1] } },
      ]);
    });

    test('all rows only where that is said', async () => {
      const table = await newTable();
      for (const params of [{ set: { n: 1 } }, { delete: true }, { set: { n: 1 }, all: true, where: { n: 1 } }])
        await assert.rejects(db.update({ table, ...params }), fails('INVALID_PARAMS', { says: /all: true/ }));
      await assert.rejects(
        db.update({ table, set: { n: 1 }, where: {} }),
        fails('INVALID_PARAMS', { says: /no condition/ }),
      );
      await assert.rejects(db.update({ table, set: {}, all: true }), fails('INVALID_PARAMS'));
    });

    test('the changed rows come back where the server can', async () => {
      const table = await newTable();
      await db.insert({ table, data: people });
      for (const [verb, change] of [
        ['update', { set: { n: 3 } }],
        ['delete', { delete: true }],
      ] as const) {
        const update = db.update({ table, ...change, where: { name: 'ann' }, returning: ['name'] });
        if (server.returning.includes(verb)) assert.deepEqual((await update).rows, [{ name: 'ann' }]);
        else await assert.rejects(update, fails('INVALID_PARAMS', { says: /RETURNING/ }));
      }
    });

    test('nothing that the adapter keeps itself', async () => {
      for (const query of ['COMMIT', '/* x */ -- y\n ROLLBACK', 'begin', "SET x = 'y'", '(COMMIT)', ''])
        await assert.rejects(db.update({ query }), fails('INVALID_PARAMS'), query);
      await assert.rejects(
        db.update({ table: 't', set: { n: 1 }, all: true, options: { read_only: true } }),
        fails('READ_ONLY'),
      );
    });
  });

  describe('effects', () => {
    test('happen once for each step, with the same answer', async () => {
      const table = await newTable();
      const key = `once-${table}`;
      const params = { table, data: people };
      const first = await db.insert(params, { key });
      assert.deepEqual(await db.insert(params, { key, attempt: 2 }), first);
      assert.equal(await db.count(table), 3);
      await assert.rejects(db.insert({ table, data: { name: 'other' } }, { key }), fails('EFFECT_CONFLICT'));
      const query = `UPDATE ${table} SET n = n + 1`;
      for (const attempt of [1, 2]) await db.update({ query }, { key: `${key}-update`, attempt });
      assert.deepEqual(
        (await db.rows({ table, order_by: 'name' })).map(({ n }) => n),
        [41, 18, 41],
      );
    });

    test('happen once where several attempts run at the same time', async () => {
      const table = await newTable();
      const outputs = await Promise.all(
        Array.from({ length: 6 }, (_, attempt) =>
          db.insert({ table, data: { n: 1 } }, { key: `race-${table}`, attempt }),
        ),
      );
      assert.equal(await db.count(table), 1);
      for (const output of outputs) assert.deepEqual(output, outputs[0]);
    });

    test('leave nothing where they fail, so that another attempt has its way', async () => {
      const table = await newTable();
      const key = `again-${table}`;
      await db.insert({ table, data: { name: 'ann' } });
      const params = { table, data: [{ name: 'bob' }, { name: 'ann' }] };
      await assert.rejects(db.insert(params, { key }), fails('CONSTRAINT_VIOLATED', { silent: ['ann'] }));
      await db.update({ table, delete: true, all: true });
      assert.equal((await db.insert(params, { key })).inserted, 2);
    });

    test('happen each time with idempotency "off"', async () => {
      const table = await newTable();
      for (const attempt of [1, 2])
        await db.insert({ table, data: { n: 1 }, idempotency: 'off' }, { key: `off-${table}`, attempt });
      assert.equal(await db.count(table), 2);
    });

    test('are forgotten after 30 days', async () => {
      const { url, drop: dropIt } = await server.fresh();
      const fresh = new Harness(url);
      await fresh.ddl(`CREATE TABLE t (${server.columns})`);
      await fresh.insert({ table: 't', data: {} }, { key: 'new' });
      const values = (key: string) =>
        `INSERT INTO _jsonflow_effects (effect_key, params_digest, created_at) VALUES ('${key}', 'x', ${server.ago})`;
      await fresh.update({ query: values('old 1'), idempotency: 'off' });
      await fresh.update({ query: values('old 2'), idempotency: 'off' });
      await fresh.close();
      const again = new Harness(url);
      await again.insert({ table: 't', data: {} }, { key: 'newer' });
      const [left] = await again.rows({ query: 'SELECT COUNT(*) AS c FROM _jsonflow_effects' });
      assert.deepEqual(left, { c: 2 });
      await again.close();
      await dropIt();
    });
  });

  describe('transactions', () => {
    test('use earlier results in later operations', async () => {
      const table = await newTable();
      const output = await db.transaction({
        operations: [
          { id: 'new', type: 'insert', table, data: { name: 'ann', n: 5 } },
          { type: 'db_update', table, set: { n: 6 }, where: { id: { $result: 'new.inserted_id' } } },
          {
            id: 'read',
            type: 'query',
            table,
            columns: ['name', 'n'],
            where: { id: [{ $result: 'new.inserted_ids[0]' }] },
          },
          { type: 'insert', table, data: { name: 'bob', data: { $result: 'read.rows[0]' } } },
        ],
      });
      assert.equal(output.transaction_completed, true);
      assert.equal(output.operations_count, 4);
      const { read, op_1 } = output.results as Record<string, JSONObject>;
      assert.deepEqual(read?.rows, [{ name: 'ann', n: 6 }]);
      assert.equal(op_1?.updated, 1);
      assert.deepEqual(await db.rows({ table, columns: ['data'], where: { name: 'bob' } }), [
        { data: { name: 'ann', n: 6 } },
      ]);
    });

    test('are all or nothing', async () => {
      const table = await newTable();
      await db.insert({ table, data: { name: 'ann' } });
      const failing = (last: JSONObject) =>
        db.transaction({
          operations: [
            { type: 'insert', table, data: { name: 'bob' } },
            { type: 'update', table, delete: true, all: true },
            last,
          ],
        });
      await assert.rejects(
        failing({ type: 'insert', table, data: [{ name: 'x' }, { name: 'x' }] }),
        fails('CONSTRAINT_VIOLATED', { says: /operations\[2\]/ }),
      );
      await assert.rejects(
        failing({ type: 'query', table, where: { n: { $result: 'op_0.nothing' } } }),
        fails('INVALID_PARAMS', { says: /leads to nothing/ }),
      );
      await assert.rejects(failing({ type: 'query', query: 'SELECT nothing_like_it' }), fails('QUERY_FAILED'));
      assert.deepEqual(names(await db.rows({ table })), ['ann']);
    });

    test('that meet are tried again as a whole, and none is lost', async () => {
      const table = await newTable();
      await db.insert({ table, data: { name: 'counter', n: 0 } });
      const once = () =>
        db.transaction({
          operations: [
            { id: 'read', type: 'query', query: `SELECT n FROM ${table} WHERE name = ${at(1)}`, params: ['counter'] },
            {
              type: 'update',
              query: `UPDATE ${table} SET n = ${at(1)} + 1 WHERE name = ${at(2)}`,
              params: [{ $result: 'read.rows[0].n' }, 'counter'],
            },
          ],
          options: { isolation: 'serializable', retry_attempts: 50 },
        });
      await Promise.all(Array.from({ length: 6 }, once));
      assert.deepEqual(await db.rows({ table, columns: ['n'] }), [{ n: 6 }]);
    });

    test('that only read', async () => {
      const table = await newTable();
      const options = { read_only: true };
      const output = await db.transaction({ operations: [{ type: 'query', table }], options });
      assert.equal(output.operations_count, 1);
      await assert.rejects(
        db.transaction({ operations: [{ type: 'insert', table, data: {} }], options }),
        fails('READ_ONLY'),
      );
    });
  });

  describe('types', () => {
    for (const [declaration, given, read = given] of server.types)
      test(`${declaration}: ${JSON.stringify(given)}`, async () => {
        const table = await newTable(`id INTEGER PRIMARY KEY, v ${declaration}`);
        await db.insert({
          table,
          data: [
            { id: 1, v: given },
            { id: 2, v: null },
          ],
        });
        const { rows } = await db.query({ table, columns: ['v'], order_by: 'id' });
        assert.deepEqual(rows, [{ v: read }, { v: null }]);
        // What was read can be written; a text that is JSON needs to be marked as such.
        if (isObject(given) && '$json' in given) return;
        await db.insert({ table, data: { id: 3, v: (rows as JSONObject[])[0]?.v ?? null } });
        assert.deepEqual(await db.rows({ table, columns: ['v'], where: { id: 3 } }), [{ v: read }]);
      });
  });

  describe('migrating', () => {
    const one = { id: '001', sql: 'CREATE TABLE first (a INTEGER); CREATE TABLE second (b INTEGER)' };
    const two = { id: '002', sql: 'INSERT INTO first VALUES (1); INSERT INTO first VALUES (2)' };
    const three = { id: '003', sql: 'CREATE TABLE third (c INTEGER)' };

    async function inFresh(body: (harness: Harness) => Promise<void>): Promise<void> {
      const { url, drop: dropIt } = await server.fresh();
      const harness = new Harness(url);
      try {
        await body(harness);
      } finally {
        await harness.close();
        await dropIt();
      }
    }
    const statuses = (output: JSONObject): JSONValue[] =>
      (output.migrations as JSONObject[]).map(({ status }) => status ?? null);

    test('in order, each once, up to where it is told', () =>
      inFresh(async (fresh) => {
        const migrations = [one, two, three];
        const planned = await fresh.migrate({ migrations, dry_run: true });
        assert.deepEqual([planned.result, planned.applied], [['001', '002', '003'], []]);
        assert.deepEqual((await fresh.migrate({ migrations, to: '001' })).applied, ['001']);
        assert.deepEqual(statuses(await fresh.migrate({ migrations, status: true })), [
          'applied',
          'pending',
          'pending',
        ]);
        const { applied, pending, result } = await fresh.migrate({ migrations });
        assert.deepEqual([applied, pending, result], [['002', '003'], [], ['002', '003']]);
        assert.deepEqual((await fresh.migrate({ migrations })).applied, []);
        assert.equal(await fresh.count('first'), 2);
      }));

    test('refuses what was edited, is missing, or comes too late', () =>
      inFresh(async (fresh) => {
        await fresh.migrate({ migrations: [one, three] });
        await assert.rejects(
          fresh.migrate({ migrations: [{ ...one, sql: 'SELECT 1' }, three] }),
          fails('MIGRATION_CHANGED'),
        );
        await assert.rejects(fresh.migrate({ migrations: [three] }), fails('MIGRATION_MISSING'));
        await assert.rejects(fresh.migrate({ migrations: [one, two, three] }), fails('MIGRATION_OUT_OF_ORDER'));
        await assert.rejects(fresh.migrate({ migrations: [one, one] }), fails('INVALID_PARAMS'));
        await assert.rejects(fresh.migrate({ migrations: [one], to: 'x' }), fails('INVALID_PARAMS'));
        // Line ends are no edit.
        assert.deepEqual((await fresh.migrate({ migrations: [{ ...one }, three, two] })).applied, ['002']);
      }));

    test('that fails leaves nothing half done, or says so', () =>
      inFresh(async (fresh) => {
        const bad = { id: '002', sql: 'CREATE TABLE half (a INTEGER); INSERT INTO nowhere VALUES (1)' };
        await assert.rejects(fresh.migrate({ migrations: [one, bad] }), fails('MIGRATION_FAILED', { says: /"002"/ }));
        if (server.transactionalDdl) {
          await assert.rejects(fresh.query({ table: 'half' }), fails('QUERY_FAILED'));
          assert.deepEqual((await fresh.migrate({ migrations: [one, two] })).applied, ['002']);
        } else {
          assert.deepEqual(statuses(await fresh.migrate({ migrations: [one, bad], status: true })), [
            'applied',
            'dirty',
          ]);
          await assert.rejects(fresh.migrate({ migrations: [one, two] }), fails('MIGRATION_DIRTY'));
        }
      }));

    test('by several at the same time applies each once', () =>
      inFresh(async (fresh) => {
        const others = [fresh, new Harness(fresh.url), new Harness(fresh.url)];
        const all = await Promise.all(others.map((each) => each.migrate({ migrations: [one, two, three] })));
        assert.deepEqual(all.flatMap(({ applied }) => applied).sort(), ['001', '002', '003']);
        assert.equal(await fresh.count('first'), 2);
        for (const other of others.slice(1)) await other.close();
      }));

    test('from files, where the node allows it', () =>
      inFresh(async (fresh) => {
        const directory = await mkdtemp(join(tmpdir(), 'jsonflow-migrations-'));
        try {
          await writeFile(join(directory, '002_b.sql'), two.sql);
          await writeFile(join(directory, '001_a.sql'), one.sql);
          await writeFile(join(directory, 'README.md'), 'not SQL');
          assert.deepEqual((await fresh.migrate({ directory })).applied, ['001_a', '002_b']);
          await assert.rejects(fresh.migrate({ directory: join(directory, 'nothing') }), fails('INVALID_PARAMS'));
          // What is in the folder may lead out of it, or be no file at all.
          const secret = join(directory, '..', `${basename(directory)}-secret`);
          await writeFile(secret, 'canary');
          await symlink(secret, join(directory, '003_c.sql'));
          const allowed = new Harness(fresh.url, {
            rules: { deny: [`file:${secret}`] },
          });
          await assert.rejects(allowed.migrate({ directory }), fails('EGRESS_DENIED'));
          await allowed.close();
          await rm(join(directory, '003_c.sql'));
          await rm(secret);
          await mkdir(join(directory, '003_c.sql'));
          await assert.rejects(
            fresh.migrate({ directory }),
            fails('INVALID_PARAMS', { says: /003_c\.sql is not a file/ }),
          );
        } finally {
          await rm(directory, { recursive: true });
        }
      }));
  });

  describe('limits', () => {
    test('the server stops a query at the time-out', async () => {
      const harness = new Harness(db.url);
      const started = performance.now();
      await assert.rejects(harness.query({ query: server.endless, options: { timeout: 300 } }), fails('QUERY_TIMEOUT'));
      assert.ok(performance.now() - started < 60_000);
      if (server.running !== undefined) assert.equal(await server.running(db), 0);
      assert.equal((await harness.query({ query: 'SELECT 1 AS one' })).row_count, 1);
      await harness.close();
    });

    test('the server stops a query that is cancelled', async () => {
      const stop = new AbortController();
      const reason = new Error('cancelled');
      const query = db.query({ query: server.endless }, { signal: stop.signal });
      setTimeout(() => stop.abort(reason), 200);
      await assert.rejects(query, (thrown: Error) => thrown === reason || thrown.message.includes('cancelled'));
      if (server.running !== undefined) assert.equal(await server.running(db), 0);
    });

    test('a pool that is exhausted names its limit', async () => {
      const harness = new Harness(db.url);
      const stop = new AbortController();
      const options = { pool_size: 1, acquire_timeout: 100, timeout: 60_000 };
      const blocker = harness.query({ query: server.endless, options }, { signal: stop.signal });
      blocker.catch(() => undefined);
      await assert.rejects(
        harness.query({ query: 'SELECT 1', options }),
        fails('POOL_EXHAUSTED', { says: /all 1 connections \(options\.pool_size\).*raise options\.pool_size/ }),
      );
      stop.abort(new Error('enough'));
      await assert.rejects(blocker);
      assert.equal((await harness.query({ query: 'SELECT 1', options })).row_count, 1);
      const { status, pools } = await harness.adapter.healthCheck();
      assert.equal(status, 'ok');
      assert.equal((pools as JSONObject[])[0]?.size, 1);
      await harness.close();
    });
  });

  describe('security', () => {
    const attacks = [
      `x"; DROP TABLE TARGET; --`,
      'x`; DROP TABLE TARGET; --',
      `x'; DROP TABLE TARGET; --`,
      `x' OR '1'='1`,
      'x\\"; DROP TABLE TARGET; --',
      "x\\'; DROP TABLE TARGET; --",
      '"; SELECT 1; --',
      '*/ DROP TABLE TARGET /*',
      'x) OR (1=1',
      '?',
      '$1',
      '${1}',
      '%s',
      'ü"`\'\\',
    ];

    test('names and values of any form are names and values', async () => {
      const table = await newTable();
      await db.insert({ table, data: people });
      for (const attack of attacks.map((one) => one.replaceAll('TARGET', table))) {
        const steps: Promise<JSONObject>[] = [
          db.query({ table: attack }),
          db.query({ table, columns: [attack] }),
          db.query({ table, order_by: [attack] }),
          db.query({ table, where: { [attack]: 1 } }),
          db.query({ table, where: { n: { [attack]: 1 } } }),
          db.insert({ table: attack, data: { n: 1 } }),
          db.insert({ table, data: { [attack]: 1 } }),
          db.insert({ table, data: { name: 'ann' }, on_conflict: { columns: [attack], action: 'ignore' } }),
          db.insert({
            table,
            data: { name: 'ann' },
            on_conflict: { columns: ['name'], action: 'update', update: [attack] },
          }),
          db.insert({ table, data: { name: 'zed' }, returning: [attack] }),
          db.update({ table, set: { [attack]: 1 }, all: true }),
          db.update({ table, set: { n: 1 }, where: { [attack]: 1 } }),
        ];
        // SQLite takes a name in double quotes that is no column for a text, where it stands for a value.
        for (const [index, result] of (await Promise.allSettled(steps)).entries())
          if (result.status === 'fulfilled')
            assert.ok(index === 1 || index === 2 || index === 3, `${index}: ${attack}`);
        assert.deepEqual(await db.rows({ table, where: { name: attack } }), []);
        assert.deepEqual(await db.rows({ table, where: { name: { like: attack } } }), []);
        assert.equal((await db.update({ table, set: { n: 0 }, where: { name: attack } })).updated, 0);
        await db.insert({ table, data: { name: attack, n: 1, data: { [attack]: attack } } });
        assert.deepEqual(await db.rows({ table, columns: ['data'], where: { name: attack } }), [
          { data: { [attack]: attack } },
        ]);
        assert.deepEqual(
          await db.rows({ query: `SELECT name FROM ${table} WHERE name = ${at(1)}`, params: [attack] }),
          [{ name: attack }],
        );
        await db.update({ table, delete: true, where: { name: attack } });
      }
      assert.deepEqual(names(await db.rows({ table })), ['ann', 'bob', 'eve']);
    });

    test('one statement is one statement', async () => {
      const table = await newTable();
      await db.insert({ table, data: people });
      for (const tail of [
        `; DELETE FROM ${table}`,
        `;DELETE FROM ${table};`,
        `; -- x\n DELETE FROM ${table}`,
        ';;; COMMIT',
      ]) {
        await assert.rejects(db.query({ query: `SELECT 1${tail}` }), fails('QUERY_FAILED'), tail);
        await assert.rejects(db.update({ query: `UPDATE ${table} SET n = 1${tail}` }), fails('QUERY_FAILED'), tail);
      }
      assert.deepEqual(
        (await db.rows({ table, order_by: 'name' })).map(({ n }) => n),
        [40, 17, 40],
      );
    });

    test('names that the server would cut off, and NUL', async () => {
      for (const name of ['a\0b', 'x'.repeat(600)]) {
        await assert.rejects(db.query({ table: name }), fails('INVALID_PARAMS'));
        await assert.rejects(db.query({ table: 't', columns: [name] }), fails('INVALID_PARAMS'));
        await assert.rejects(db.insert({ table: 't', data: { [name]: 1 } }), fails('INVALID_PARAMS'));
      }
      await assert.rejects(db.query({ query: 'SELECT 1\0' }), fails('INVALID_PARAMS'));
    });

    test('a tenant reaches no private address, and none of the pools of others', async () => {
      await db.query({ query: 'SELECT 1' });
      await assert.rejects(db.query({ query: 'SELECT 1' }, { tenant: 'acme' }), fails('EGRESS_DENIED'));
    });

    test('messages say what is wrong, and no values', async () => {
      const table = await newTable();
      await db.insert({ table, data: { name: 'canary-1234' } });
      const silent = ['canary-1234', ...(new URL(db.url).password === '' ? [] : [new URL(db.url).password])];
      await assert.rejects(
        db.insert({ table, data: { name: 'canary-1234' } }),
        fails('CONSTRAINT_VIOLATED', { says: /unique|UNIQUE/, silent }),
      );
      await assert.rejects(
        db.query({ table: 'nothing_like_it' }),
        fails('QUERY_FAILED', { says: /nothing_like_it/, silent }),
      );
    });
  });
}
