import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { bufferModule, ModuleRefusal } from './modules.ts';

type Row = Record<string, unknown>;

interface Given {
  rows: Row[];
  count: number;
  without_key: number;
}

const run = (name: string, input: unknown): Given => bufferModule('etl_transform.wasm').json(name, input) as Given;

const customers = [
  { id: 1, name: 'Ada', city: 'Zürich' },
  { id: 2, name: 'Grace "Amazing"', city: 'New York' },
  { id: 3, name: 'Edsger', city: null },
];
const totals = [
  { id: 2, price: 9.5, quantity: 4 },
  { id: 1, price: 12, quantity: 0.5, city: 'Bern' },
  { id: 7, price: 1, quantity: 1 },
  { id: null, price: 0, quantity: 0 },
];

test('rows of several sources are merged by a key', () => {
  const merged = [
    { id: 1, name: 'Ada', city: 'Bern', price: 12, quantity: 0.5 },
    { id: 2, name: 'Grace "Amazing"', city: 'New York', price: 9.5, quantity: 4 },
    { id: 3, name: 'Edsger', city: null },
    { id: 7, price: 1, quantity: 1 },
  ];
  const merge = (how?: string): Given =>
    run('merge_and_transform', { sources: [customers, totals], on: 'id', ...(how && { how }) });
  assert.deepEqual(merge(), { rows: merged, count: 4, without_key: 1 });
  assert.deepEqual(merge('full'), merge());
  assert.deepEqual(merge('left').rows, merged.slice(0, 3));
  assert.deepEqual(merge('inner').rows, merged.slice(0, 2));
});

test('merged rows are computed with, filtered, sorted, selected and renamed, in this order', () => {
  const given = run('merge_and_transform', {
    sources: [customers, totals],
    on: 'id',
    compute: {
      total: { op: 'multiply', of: ['price', 'quantity'] },
      label: { op: 'concat', of: ['name', 'city', 'id'] },
    },
    where: [{ field: 'total', op: 'gt', value: 2 }],
    sort: { field: 'total', descending: true },
    select: ['id', 'label', 'total'],
    rename: { total: 'amount' },
  });
  assert.deepEqual(given.rows, [
    { id: 2, label: 'Grace "Amazing"New York2', amount: 38 },
    { id: 1, label: 'AdaBern1', amount: 6 },
  ]);
});

test('values that nothing is done with stay as they are written', () => {
  const rows =
    '[{"big":123456789012345678901234567890,"small":1.10e-400,"text":"\\u00e9\\"","deep":{"a":[1,{"b":null}]}}]';
  const output = bufferModule('etl_transform.wasm').call('transform', rows).toString();
  assert.equal(output, `{"count":1,"rows":${rows},"without_key":0}`);
  assert.equal(bufferModule('etl_transform.wasm').call('process', rows).toString(), output);
});

test('arithmetic that has no result gives null', () => {
  const compute = { x: { op: 'divide', of: ['a', 'b'] } };
  const { rows } = run('transform', {
    rows: [
      { a: 1, b: 4 },
      { a: 1, b: 0 },
      { a: 'text', b: 1 },
      { a: 1 },
      { a: null, b: 1 },
      { a: -0, b: 5 },
      { a: 1e300, b: 1e-300 },
    ],
    compute,
    select: ['x'],
  });
  assert.deepEqual(
    rows.map(({ x }) => x),
    [0.25, null, null, null, null, 0, null],
  );
});

const cell = fc.oneof(
  fc.integer({ min: -3, max: 3 }),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string({ maxLength: 3 }),
  fc.boolean(),
  fc.constant(null),
);
const row = fc.dictionary(fc.constantFrom('id', 'a', 'b', 'é"c'), cell, { noNullPrototype: true });

/** The same with objects and Maps. A number that JSON writes alike is the same key. */
function reference(sources: Row[][], on: string, how: string): Given {
  const merged = new Map<string, { row: Row; sources: Set<number> }>();
  let without = 0;
  sources.forEach((source, index) => {
    for (const item of source) {
      if (item[on] === null || item[on] === undefined) {
        without += 1;
        continue;
      }
      const key = JSON.stringify(item[on]);
      const known = merged.get(key) ?? { row: {}, sources: new Set() };
      merged.set(key, { row: { ...known.row, ...item }, sources: known.sources.add(index) });
    }
  });
  const kept = [...merged.values()].filter((entry) =>
    how === 'full' ? true : how === 'left' ? entry.sources.has(0) : entry.sources.size === sources.length,
  );
  return { rows: kept.map((entry) => entry.row), count: kept.length, without_key: without };
}

test('any rows are merged as JavaScript does it', () => {
  const sources = fc.array(fc.array(row, { maxLength: 8 }), { minLength: 1, maxLength: 3 });
  fc.assert(
    fc.property(sources, fc.constantFrom('full', 'left', 'inner'), (rows, how) => {
      const input = JSON.parse(JSON.stringify({ sources: rows, on: 'id', how }));
      assert.deepEqual(run('merge_and_transform', input), reference(input.sources, 'id', how));
    }),
    { numRuns: 300 },
  );
});

test('any rows are filtered and sorted as JavaScript does it', () => {
  const rank = (value: unknown): number => (typeof value === 'number' ? 0 : typeof value === 'string' ? 1 : 2);
  const order = (a: unknown, b: unknown): number =>
    rank(a) - rank(b) ||
    (rank(a) === 2
      ? 0
      : rank(a) === 0
        ? Number(a) - Number(b)
        : Buffer.compare(Buffer.from(JSON.stringify(a).slice(1)), Buffer.from(JSON.stringify(b).slice(1))));
  fc.assert(
    fc.property(
      fc.array(row, { maxLength: 12 }),
      fc.integer({ min: -3, max: 3 }),
      fc.boolean(),
      (given, value, descending) => {
        const rows: Row[] = JSON.parse(JSON.stringify(given));
        const output = run('transform', {
          rows,
          where: [{ field: 'a', op: 'ge', value }],
          sort: { field: 'b', descending },
        });
        const kept = rows.filter(({ a }) => typeof a === 'number' && a >= value);
        assert.deepEqual(
          output.rows,
          kept.sort((x, y) => order(x.b, y.b) * (descending ? -1 : 1)),
        );
      },
    ),
    { numRuns: 300 },
  );
});

test('ten thousand rows, and a live instance that gives its memory back', () => {
  const module = bufferModule('etl_transform.wasm');
  const left = Array.from({ length: 10_000 }, (_, id) => ({ id, name: `n${id}` }));
  const right = Array.from({ length: 10_000 }, (_, at) => ({ id: at * 2, size: at }));
  const input = { sources: [left, right], on: 'id', how: 'inner' };
  const first = module.json('merge_and_transform', input) as Given;
  assert.equal(first.count, 5_000);
  assert.deepEqual(first.rows[4_999], { id: 9_998, name: 'n9998', size: 4_999 });
  const pages = module.memoryPages();
  for (let call = 0; call < 10; call += 1) module.json('merge_and_transform', input);
  assert.ok(module.memoryPages() <= pages + 2, `${pages} → ${module.memoryPages()} pages`);
});

test('bad arguments end the call with a message', () => {
  const rows = [{ id: 1, x: [1] }];
  const bad: [name: string, input: unknown, message: RegExp][] = [
    ['merge_and_transform', {}, /needs "sources"/],
    ['merge_and_transform', { sources: [rows] }, /needs "on"/],
    ['merge_and_transform', { sources: [rows], on: 'id', how: 'outer' }, /how must be/],
    ['merge_and_transform', { sources: [rows], on: 'id', orderBy: 'x' }, /no argument "orderBy"/],
    ['merge_and_transform', { sources: rows, on: 'id' }, /a source must be a list/],
    ['transform', { rows: [1] }, /a row must be an object/],
    ['transform', { rows, where: [{ field: 'id', op: 'like', value: 1 }] }, /op of where/],
    ['transform', { rows, compute: { y: { op: 'concat', of: ['x'] } } }, /concat takes/],
    ['transform', { rows, rename: { id: 'x' } }, /the same name/],
  ];
  for (const [name, input, message] of bad)
    assert.throws(
      () => run(name, input),
      (thrown) => thrown instanceof ModuleRefusal && message.test(thrown.message),
      JSON.stringify(input),
    );
  for (const input of ['', '{', '[{"a":1}', '[{"a" 1}]', '"\\', '[{"a":"\\'])
    assert.throws(() => bufferModule('etl_transform.wasm').call('transform', input), /not JSON|must be/, input);
});
