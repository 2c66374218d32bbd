import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalize } from '../../lib/canonical.ts';
import { JSONFlowError } from '../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../lib/json.ts';
import { SizeBudget } from '../../lib/size-budget.ts';
import { findReferences, type Lookup, resolveParams } from './references.ts';

const outputs: Record<string, JSONValue> = {
  load: {
    rows: [
      { id: 1, 'full name': 'Ada' },
      { id: 2, 'full name': 'Bo' },
    ],
    result: [10, 20],
    count: 2,
    none: null,
  },
  list: [{ tags: ['x', 'y'] }, { tags: ['z'] }],
  plain: { n: 1 },
  'with-dash': 'dashed',
};
const lookup: Lookup = {
  output: (id) => (Object.hasOwn(outputs, id) ? outputs[id] : undefined),
  input: { name: 'Ada', result: 'mine', deep: { größe: [1, 2, 3] } },
};
const resolve = (value: JSONValue): JSONValue | undefined => resolveParams({ value }, lookup).value;

test('what a string means', async (t) => {
  const table: [string, JSONValue][] = [
    // Whole references take the value's type.
    ['$load.count', 2],
    ['$load.rows[0]', { id: 1, 'full name': 'Ada' }],
    ['$load.rows[1].id', 2],
    ['$load.rows.1.id', 2],
    ['$load.none', null],
    ['$load["rows"][0]["full name"]', 'Ada'],
    ['$with-dash', 'dashed'],
    ['$plain', { n: 1 }],
    // A path step on a list maps over it.
    ['$load.rows.id', [1, 2]],
    ['$load.rows["full name"]', ['Ada', 'Bo']],
    ['$load.rows.id[1]', 2],
    ['$list.tags', [['x', 'y'], ['z']]],
    ['$list.tags[0]', ['x', 'y']],
    // The result of a step is `output.result`, or all of the output.
    ['$load.result', [10, 20]],
    ['$plain.result', { n: 1 }],
    ['$plain.result.n', 1],
    ['$list.result[0].tags', ['x', 'y']],
    // The run's input has no such rule.
    ['$input.name', 'Ada'],
    ['$input.result', 'mine'],
    ['$input.deep.größe[2]', 3],
    // Interpolation always gives text.
    ['${load.count}', '2'],
    ['Hello ${input.name}, ${load.count} rows', 'Hello Ada, 2 rows'],
    ['${plain}${load.none}', '{"n":1}null'],
    ['ids: ${load.rows.id}', 'ids: [1,2]'],
    ['${load["rows"][0]["full name"]}', 'Ada'],
    // Escapes.
    ['$$load.count', '$load.count'],
    ['$$', '$'],
    ['$$${load.count}', '$2'],
    ['$${load.count}', '${load.count}'],
    ['a $${load.count} b', 'a ${load.count} b'],
    ['${load.count}$${x}', '2${x}'],
    // Literal text.
    ['', ''],
    ['$', '$'],
    ['$1', '$1'],
    ['$5.00', '$5.00'],
    ['SELECT * FROM t WHERE a = $1 AND b = $2', 'SELECT * FROM t WHERE a = $1 AND b = $2'],
    ['$HOME/bin', '$HOME/bin'],
    ['US$ 5', 'US$ 5'],
    ['a$$b', 'a$$b'],
    ['$load.', '$load.'],
    ['$load.rows[*]', '$load.rows[*]'],
    ['$load.count and more', '$load.count and more'],
    [' $load.count', ' $load.count'],
    ['$load["bad\\q"]', '$load["bad\\q"]'],
    ['vault://db/password#2', 'vault://db/password#2'],
    ['{load.count}', '{load.count}'],
  ];
  for (const [source, value] of table) {
    await t.test(source || '(empty)', () => assert.deepEqual(resolve(source), value));
  }
});

test('references are resolved at any depth, keys are left alone', () => {
  assert.deepEqual(resolve([{ a: ['$load.count', { '$load.count': '$input.name' }] }, 5, null, true]), [
    { a: [2, { '$load.count': 'Ada' }] },
    5,
    null,
    true,
  ]);
});

test('values that come from outputs are not searched for references', () => {
  const hostile: Lookup = {
    output: () => ({ text: '$input.secret', more: ['${input.secret}', '$$x'] }),
    input: { secret: 's' },
  };
  assert.deepEqual(resolveParams({ a: '$x', b: '${x.text}' }, hostile), {
    a: { text: '$input.secret', more: ['${input.secret}', '$$x'] },
    b: '$input.secret',
  });
});

test('a failure names the reference, its place, what was there and what to do', async (t) => {
  const table: [source: string, why: string, hint: string | undefined][] = [
    [
      '$load.rosw',
      'there is no "rosw" in $load, which is an object with the keys rows, result, count, none',
      'Did you mean "rows"?',
    ],
    [
      '$load.rows.idd',
      'there is no "idd" in $load.rows[0], which is an object with the keys id, full name',
      'Did you mean "id"?',
    ],
    ['$load.rows[7].id', 'there is no [7] in $load.rows, which is a list of 2 elements', undefined],
    ['$plain[0]', 'there is no [0] in $plain, which is an object with the key n', undefined],
    ['$plain.n.x', 'there is no "x" in $plain.n, which is a number', undefined],
    ['$load.none.x', 'there is no "x" in $load.none, which is null', undefined],
    ['$list.length', 'there is no "length" in $list[0], which is an object with the key tags', undefined],
    ['$gone.x', 'step "gone" has no output', undefined],
    [
      '$input.nmae',
      'there is no "nmae" in $input, which is an object with the keys name, result, deep',
      'Did you mean "name"?',
    ],
    ['${load.}', 'it is malformed', 'Write ${step.path}, or $${ for a literal ${.'],
    ['${ load.count }', 'it is malformed', undefined],
    ['${load.count', 'it is malformed', undefined],
    // Only own properties are seen.
    ['$plain.constructor', 'there is no "constructor" in $plain, which is an object with the key n', undefined],
    ['$plain.__proto__', 'there is no "__proto__" in $plain, which is an object with the key n', undefined],
    ['$with-dash.length', 'there is no "length" in $with-dash, which is a string', undefined],
  ];
  for (const [source, why, hint] of table) {
    await t.test(source, () =>
      assert.throws(
        () => resolve([source]),
        (thrown) => {
          assert.ok(thrown instanceof JSONFlowError);
          assert.equal(thrown.code, 'REFERENCE_FAILED');
          assert.equal(thrown.message, `the reference ${source} at params.value[0] can't be resolved: ${why}`);
          assert.deepEqual(thrown.details, { reference: source, path: 'params.value[0]' });
          if (hint !== undefined) assert.equal(thrown.hint, hint);
          return true;
        },
      ),
    );
  }
});

test('keys such as __proto__ stay ordinary keys', () => {
  const output = JSON.parse('{"a":{"__proto__":{"polluted":true},"constructor":1}}');
  const params = JSON.parse('{"__proto__":"$x.a","c":"$x.a.constructor","p":"$x.a.__proto__.polluted"}');
  const resolved = resolveParams(params, { output: () => output, input: null });
  assert.equal(
    JSON.stringify(resolved),
    '{"__proto__":{"__proto__":{"polluted":true},"constructor":1},"c":1,"p":true}',
  );
  assert.equal(Object.getPrototypeOf(resolved), Object.prototype);
  assert.equal(({} as { polluted?: boolean }).polluted, undefined);
});

test('the result shares nothing with params, outputs and input', () => {
  const params: JSONObject = { a: '$x', b: '$x', c: { d: [1] }, e: '$input' };
  const output: JSONValue = { deep: [1] };
  const input: JSONValue = { deep: [2] };
  const before = canonicalize([params, output, input]);
  const resolved = resolveParams(params, { output: () => output, input }) as {
    [key: string]: { deep: number[]; d: number[] };
  };
  resolved.a?.deep.push(9);
  resolved.c?.d.push(9);
  resolved.e?.deep.push(9);
  assert.deepEqual(resolved.b, { deep: [1] });
  assert.equal(canonicalize([params, output, input]), before);
});

test('a few references cannot multiply a value without bound', () => {
  const big = 'x'.repeat(64 * 1024 * 1024);
  assert.throws(() => resolveParams({ a: ['$x', '$x', '$x', '$x', '$x'] }, { output: () => big, input: null }), {
    code: 'LIMIT_EXCEEDED',
  });
  let deep: JSONValue = 1;
  for (let level = 0; level < 64; level++) deep = [deep];
  assert.throws(() => resolveParams({ a: '$x' }, { output: () => deep, input: null }), { code: 'LIMIT_EXCEEDED' });
});

test('findReferences gives every reference with its place', () => {
  assert.deepEqual(findReferences({ a: ['$x.y[0]', 'n ${p} ${input["k k"]}'], b: '$$z', c: '${broken', d: '$1' }), [
    { text: '$x.y[0]', stepId: 'x', path: ['y', 0], at: ['a', 0], whole: true },
    { text: '${p}', stepId: 'p', path: [], at: ['a', 1], whole: false },
    { text: '${input["k k"]}', stepId: null, path: ['k k'], at: ['a', 1], whole: false },
  ]);
});

const json = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<JSONValue>;

test('any value is fetched by its path and comes back equal', () => {
  fc.assert(
    fc.property(json, fc.array(fc.string({ minLength: 0, maxLength: 6 }), { maxLength: 4 }), (value, keys) => {
      const output = keys.reduceRight<JSONValue>((inner, key) => ({ [`k${key}`]: inner }), value);
      const path = keys.map((key) => `[${JSON.stringify(`k${key}`)}]`).join('');
      const resolved = resolveParams({ v: `$s${path}` }, { output: () => output, input: null });
      assert.equal(JSON.stringify(resolved.v), JSON.stringify(value));
    }),
    { seed: 11, numRuns: 300 },
  );
});

test('escaping makes any text literal', () => {
  const nasty = fc.string({ unit: fc.constantFrom('$', '{', '}', 'a', '.', '[', '0', ']', '"'), maxLength: 12 });
  fc.assert(
    fc.property(nasty, (text) => {
      // The rule of the documentation: double a leading $, and put a $ before every other ${.
      const rest = text.startsWith('$') ? text.slice(1) : text;
      const escaped = (text.startsWith('$') ? '$$' : '') + rest.replaceAll('${', '$$${');
      assert.equal(resolveParams({ v: escaped }, { output: () => 1, input: 1 }).v, text);
    }),
    { seed: 12, numRuns: 2000 },
  );
});

test('what references multiply is bounded by its memory, and so is the work to find it', () => {
  const of = (output: JSONValue, params: JSONObject, bytes = 1_000_000) =>
    resolveParams(params, { output: () => output, input: null }, new SizeBudget(bytes));
  const refused = { code: 'LIMIT_EXCEEDED', message: /^params\.x.*more than 1000000 bytes/ };
  // Two characters of JSON each, and far more in memory.
  const empties = new Array<JSONValue>(1_000).fill({});
  assert.throws(() => of(empties, { x: new Array(20).fill('$a') }), refused);
  assert.throws(() => of(empties, { x: '${a}'.repeat(20) }), refused);
  const rows = new Array<JSONValue>(10_000).fill({ id: 1 });
  // Each takes one element, but looks at all.
  assert.throws(() => of(rows, { x: '${a.id[0]}'.repeat(10) }), refused);
  assert.throws(() => of(rows, { x: new Array(10).fill('$a.id[0]') }), refused);
  assert.equal(of(rows, { x: '${a.id[0]}'.repeat(5) }).x, '11111');
  assert.throws(() => of('x'.repeat(100_000), { x: '${a}'.repeat(10) }), refused);
  // What one call spends, the next one lacks.
  const budget = new SizeBudget(150_000);
  const once = () => resolveParams({ x: '$a' }, { output: () => empties, input: null }, budget);
  once();
  assert.throws(once, { code: 'LIMIT_EXCEEDED' });
});
