import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { contextFor } from '../../../test/compliance/adapter.ts';
import { StepError } from '../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../lib/json.ts';
import { AdapterRegistry } from '../../worker/registry.ts';
import { createTransformAdapter } from './adapter.ts';

const registry = new AdapterRegistry();
registry.register(createTransformAdapter());

function run(type: string, params: JSONObject, signal?: AbortSignal): Promise<JSONValue> {
  const step = { id: 'step', type, params };
  return registry.run(step, contextFor(step, signal));
}

const fails = (code: string, message: RegExp, type: string, params: JSONObject): Promise<void> =>
  assert.rejects(run(type, params), (thrown) => {
    assert.ok(thrown instanceof StepError, String(thrown));
    assert.equal(thrown.code, code);
    assert.match(thrown.message, message);
    return true;
  });

const people = [
  { id: 1, name: 'Ada', team: 'x', pay: 10, address: { city: 'Rome' } },
  { id: 2, name: 'Bob', team: 'y', pay: 20.5, address: { city: 'Oslo' } },
  { id: 3, name: 'Cyd', team: 'x', pay: null, address: null },
  { id: 4, name: 'Dan', pay: 30 },
];

test('mock_compute', async () => {
  assert.deepEqual(await run('mock_compute', { input: { a: [1] } }), { result: { a: [1] } });
  assert.deepEqual(await run('mock_compute', {}), { result: null });
  assert.deepEqual(await run('mock_compute', { input: 1, delay_ms: 1 }), { result: 1 });
  await fails('INVALID_PARAMS', /params\.delay_ms must be >= 0/, 'mock_compute', { delay_ms: -1 });
});

test('mock_compute waits by the clock given, and the signal ends the wait', async () => {
  const due: (() => void)[] = [];
  let cancelled = 0;
  const adapter = createTransformAdapter({
    clock: {
      timer(ms, fn) {
        assert.equal(ms, 1000);
        due.push(fn);
        return () => {
          cancelled += 1;
        };
      },
    },
  });
  const step = { id: 's', type: 'mock_compute', params: { input: 1, delay_ms: 1000 } };
  const first = adapter.execute(step, contextFor(step));
  due[0]?.();
  assert.deepEqual(await first, { result: 1 });
  const stop = new AbortController();
  const second = adapter.execute(step, contextFor(step, stop.signal));
  const reason = new StepError('STEP_CANCELLED', 'enough');
  stop.abort(reason);
  await assert.rejects(Promise.resolve(second), (thrown) => thrown === reason);
  assert.equal(cancelled, 1);
});

test('transform_map', async () => {
  const input = people.slice(0, 2);
  assert.deepEqual(await run('transform_map', { input }), { result: input, count: 2 });
  assert.deepEqual(await run('transform_map', { input, fields: ['name', 'address.city', 'no.such'] }), {
    result: [
      { name: 'Ada', city: 'Rome', such: null },
      { name: 'Bob', city: 'Oslo', such: null },
    ],
    count: 2,
  });
  assert.deepEqual(
    await run('transform_map', { input: [{ 'a.b': 1, l: [5, { z: 6 }] }], fields: { x: 'a.b', y: 'l[1].z' } }),
    {
      result: [{ x: 1, y: 6 }],
      count: 1,
    },
  );
  assert.deepEqual(
    await run('transform_map', {
      input,
      expression: '{"who": item.name, "n": index + vars.first}',
      vars: { first: 1 },
    }),
    {
      result: [
        { who: 'Ada', n: 1 },
        { who: 'Bob', n: 2 },
      ],
      count: 2,
    },
  );
  await fails('INVALID_PARAMS', /either an expression/, 'transform_map', { input, expression: '1', fields: ['id'] });
  await fails('INVALID_PARAMS', /two paths end in "city"/, 'transform_map', { input, fields: ['a.city', 'b.city'] });
  await fails('INVALID_PARAMS', /params\.input must be array/, 'transform_map', { input: 'text' });
  await fails('INVALID_PARAMS', /unknown field "expresion"/, 'transform_map', { input, expresion: '1' });
  await fails('INVALID_EXPRESSION', /syntax error/, 'transform_map', { input, expression: '1 +' });
  await fails('EXPRESSION_FAILED', /item 1: /, 'transform_map', { input: [{ a: 1 }, {}], expression: 'item.a' });
});

test('transform_filter', async () => {
  const names = async (params: JSONObject): Promise<JSONValue> => {
    const { result, count } = (await run('transform_filter', { input: people, ...params })) as {
      result: { name: string }[];
      count: number;
    };
    assert.equal(count, result.length);
    return result.map(({ name }) => name).join(' ');
  };
  assert.equal(await names({ key: 'team', value: 'x' }), 'Ada Cyd');
  assert.equal(await names({ key: 'address.city', value: 'Oslo' }), 'Bob');
  assert.equal(await names({ key: 'address', value: { city: 'Rome' } }), 'Ada');
  assert.equal(await names({ key: 'pay', value: null }), 'Cyd');
  assert.equal(await names({ key: 'id', value: '1' }), '');
  assert.equal(
    await names({ expression: 'has(item.team) && item.pay != null && item.pay >= vars.least', vars: { least: 20 } }),
    'Bob',
  );
  assert.deepEqual(await run('transform_filter', { input: [1, 2, 1], value: 1 }), { result: [1, 1], count: 2 });
  await fails('EXPRESSION_FAILED', /true or false, but it is number/, 'transform_filter', {
    input: people,
    expression: 'item.id',
  });
  await fails('INVALID_PARAMS', /needs an expression/, 'transform_filter', { input: people, key: 'id' });
});

test('transform_reduce to one value', async () => {
  const reduce = async (params: JSONObject): Promise<unknown> =>
    ((await run('transform_reduce', { input: people, ...params })) as JSONObject).result;
  assert.equal(await reduce({ operation: 'sum', key: 'pay' }), 60.5);
  assert.equal(await reduce({ operation: 'avg', key: 'pay' }), 60.5 / 3);
  assert.equal(await reduce({ operation: 'count' }), 4);
  assert.equal(await reduce({ operation: 'count', key: 'pay' }), 3);
  assert.equal(await reduce({ operation: 'min', key: 'pay' }), 10);
  assert.equal(await reduce({ operation: 'max', key: 'name' }), 'Dan');
  assert.equal(await reduce({ input: new Array(10).fill(0.1), operation: 'sum' }), 1);
  assert.deepEqual(
    await Promise.all(['sum', 'count', 'avg', 'min', 'max'].map((operation) => reduce({ input: [], operation }))),
    [0, 0, null, null, null],
  );
  assert.deepEqual(
    await reduce({ aggregates: { total: { operation: 'sum', key: 'pay' }, n: { operation: 'count' } } }),
    { total: 60.5, n: 4 },
  );
  assert.deepEqual(await reduce({ operation: 'group', key: 'team' }), {
    x: [people[0], people[2]],
    y: [people[1]],
    null: [people[3]],
  });
});

test('transform_reduce by groups', async () => {
  const reduce = async (params: JSONObject): Promise<unknown> =>
    ((await run('transform_reduce', { input: people, ...params })) as JSONObject).result;
  assert.deepEqual(await reduce({ operation: 'sum', key: 'pay', by: 'team' }), [
    { key: null, count: 1, value: 30 },
    { key: 'x', count: 2, value: 10 },
    { key: 'y', count: 1, value: 20.5 },
  ]);
  const aggregates = { pay: { operation: 'avg', key: 'pay' }, top: { operation: 'max', key: 'name' } };
  assert.deepEqual(await reduce({ aggregates, by: 'team', as: 'map' }), {
    null: { key: 'null', count: 1, pay: 30, top: 'Dan' },
    x: { key: 'x', count: 2, pay: 10, top: 'Cyd' },
    y: { key: 'y', count: 1, pay: 20.5, top: 'Bob' },
  });
  const mixed = [{ k: 'b' }, { k: 10 }, { k: 9 }, { k: true }, {}, { k: false }, { k: 'B' }, { k: '9' }];
  const rows = (await reduce({ input: mixed, operation: 'count', by: 'k' })) as { key: JSONValue }[];
  assert.deepEqual(
    rows.map(({ key }) => key),
    [null, false, true, 9, 10, '9', 'B', 'b'],
  );
  assert.deepEqual(
    JSON.stringify(await reduce({ input: [{ k: '__proto__' }], operation: 'count', by: 'k', as: 'map' })),
    '{"__proto__":{"key":"__proto__","count":1,"value":1}}',
  );
});

test('what transform_reduce refuses', async () => {
  const input = people;
  const cases: [string, RegExp, JSONObject][] = [
    ['INVALID_INPUT', /input\[0\]: .* a string, not a number/, { operation: 'sum', key: 'name' }],
    ['INVALID_INPUT', /can not be compared/, { input: [1, 'a'], operation: 'max' }],
    ['INVALID_INPUT', /an object, not a text/, { operation: 'group', key: 'address' }],
    ['LIMIT_EXCEEDED', /2\^53/, { input: [9007199254740991, 9], operation: 'sum' }],
    ['INVALID_PARAMS', /either operation, or aggregates/, {}],
    ['INVALID_PARAMS', /must be one of/, { operation: 'median' }],
    ['INVALID_PARAMS', /group takes key alone/, { operation: 'group', key: 'a', by: 'b' }],
    ['INVALID_PARAMS', /needs the key/, { operation: 'group' }],
    ['INVALID_PARAMS', /"as" goes with "by"/, { operation: 'sum', as: 'map' }],
    ['INVALID_PARAMS', /params\.aggregates/, { aggregates: { key: { operation: 'sum' } } }],
  ];
  for (const [code, message, params] of cases) await fails(code, message, 'transform_reduce', { input, ...params });
});

test('aggregates are joined back to rows', async () => {
  const input = Array.from({ length: 5000 }, (_, id) => ({ id, region: id % 1000, amount: id / 4 }));
  const { result: totals } = (await run('transform_reduce', {
    input,
    operation: 'sum',
    key: 'amount',
    by: 'region',
    as: 'map',
  })) as { result: JSONObject };
  const { result } = (await run('transform_map', {
    input,
    vars: { totals },
    expression: 'item.merge({"share": item.amount / vars.totals[item.region].value})',
  })) as { result: { region: number; share: number }[] };
  const shares = result.filter(({ region }) => region === 7).reduce((sum, { share }) => sum + share, 0);
  assert.ok(Math.abs(shares - 1) < 1e-12);
});

test('a long evaluation lets others have their turn, and stops at the signal', async () => {
  const stop = new AbortController();
  const input = new Array<number>(100_000).fill(1);
  const long = run('transform_map', { input, expression: 'item + 1' }, stop.signal);
  const reason = new StepError('STEP_CANCELLED', 'stop');
  setImmediate(() => stop.abort(reason));
  await assert.rejects(long, (thrown) => thrown === reason);
});

test('grouped sums add up to the whole, whatever the rows', async () => {
  const row = fc.record({
    k: fc.oneof(fc.string(), fc.integer(), fc.constant(null)),
    v: fc.integer({ min: -1e6, max: 1e6 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(row), async (input) => {
      const { result } = (await run('transform_reduce', { input, operation: 'sum', key: 'v', by: 'k' })) as {
        result: { value: number; count: number }[];
      };
      assert.equal(
        result.reduce((sum, { value }) => sum + value, 0),
        input.reduce((sum, { v }) => sum + v, 0),
      );
      assert.equal(
        result.reduce((sum, { count }) => sum + count, 0),
        input.length,
      );
    }),
    { seed: 5, numRuns: 200 },
  );
});

test('items that share a large value with each other end before they fill the memory', async () => {
  const input = new Array(5_000).fill(0);
  await assert.rejects(run('transform_map', { input, expression: 'vars', vars: { big: input } }), {
    code: 'LIMIT_EXCEEDED',
  });
  const doubling = `[item]${'.map(a, [a, a])'.repeat(40)}`;
  await assert.rejects(run('transform_map', { input: [1], expression: doubling }), { code: 'LIMIT_EXCEEDED' });
});
