import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import { Expression, ExpressionCache, expressionLimits } from './expression.ts';

const evaluate = (source: string, item: JSONValue = {}, vars: JSONObject = {}): JSONValue =>
  new Expression(source).evaluate(item, 0, vars).value;

function fails(code: string, message: RegExp, source: string, item: JSONValue = {}, vars: JSONObject = {}): void {
  assert.throws(
    () => evaluate(source, item, vars),
    (thrown) => {
      assert.ok(thrown instanceof StepError, String(thrown));
      assert.equal(thrown.code, code, source);
      assert.match(thrown.message, message, source);
      return true;
    },
  );
}

test('what expressions give', () => {
  const item = {
    price: 3.5,
    qty: 2,
    name: 'Zoë',
    tags: ['a', 'b'],
    none: null,
    address: { city: 'Rome' },
    'odd key': 1,
  };
  const cases: [string, JSONValue][] = [
    ['item.price * 2', 7],
    ['item.qty + 1', 3],
    ['item.qty % 2 == 0', true],
    ['item.qty * item.price', 7],
    ['item.qty / 4', 0.5],
    ['7 / 2', 3.5],
    ['-7 % 3', -1],
    ['-item.qty', -2],
    ['1.0', 1],
    ['item.qty == 2.0 && item.qty in [1, 2]', true],
    ['item.price > 3 ? "dear" : "cheap"', 'dear'],
    ['item["odd key"]', 1],
    ['has(item.address.city) && !has(item.address.zip) && !has(item.no.way)', true],
    ['has(item.none) && item.none == null', true],
    ['item.tags.exists(t, t == "b") && item.tags.all(t, size(t) == 1)', true],
    ['item.tags.exists_one(t, t == "b")', true],
    ['item.tags.map(t, t + "!")', ['a!', 'b!']],
    ['[1, 2, 3].map(x, x > 1, x * 10)', [20, 30]],
    ['[1, 2, 3].filter(x, x != 2)', [1, 3]],
    ['[[1], [2, 3]].map(l, l.map(x, x + size(l)))', [[2], [4, 5]]],
    ['item.address.map(k, k)', ['city']],
    ['{"a": item.qty, 1: [null, true]}', { a: 2, 1: [null, true] }],
    ['item.name.matches("^Z.+$") && item.name.startsWith("Zo") && item.name.contains("o")', true],
    ['size(item.name) + size(item.tags) + size({"x": 1})', 6],
    ['"A-b".lowerAscii() + "c".upperAscii() + " d ".trim()', 'a-bCd'],
    ['"a,b,c".split(",").join("-").replace("-", "+")', 'a+b+c'],
    ['"abcdef".substring(1, 3) + string("abc".indexOf("c"))', 'bc2'],
    ['int("42") + int(3.9) + int(-3.9) + double("1.5e1")', 57],
    ['string(3.0) + string(2.5) + string(true)', '32.5true'],
    ['math.round(2.5) + math.round(-2.5) + math.floor(1.9) + math.ceil(1.1) + math.abs(-1)', 4],
    ['math.greatest(1, 3, 2) + math.least(5, 4) + [1, 2].sum() + [4, 9].max() + [4, 9].min()', 23],
    ['item.address.merge({"zip": "1"})', { city: 'Rome', zip: '1' }],
    ['type(item.tags) + type(1) + type(null)', 'listnumbernull'],
    ['"b" in item.tags && "city" in item.address && !("x" in item.address)', true],
    ['true || item.nothing', true],
    ['item.nothing && false', false],
    ['[1, "x"].exists(v, v > 0)', true],
    ['{"a": [1, {"b": 2}]} == {"a": [1, {"b": 2}]} && [1] != [2] && "1" != 1', true],
    ['r"\\d" + \'"\' + "\\u00e9"', '\\d"é'],
    ['[3, 1] + [2]', [3, 1, 2]],
    ['index', 0],
  ];
  for (const [source, expected] of cases) assert.deepEqual(evaluate(source, item), expected, source);
});

test('times are read from texts, in UTC, and come out as texts', () => {
  const cases: [string, JSONValue][] = [
    ['timestamp("2024-02-29T23:30:00+01:00")', '2024-02-29T22:30:00.000Z'],
    ['timestamp("2024-02-29") + duration("1h30m")', '2024-02-29T01:30:00.000Z'],
    ['timestamp("2024-03-01") - timestamp("2024-02-01") == duration("696h")', true],
    ['[duration("1.5s"), duration("-250ms")]', ['1.5s', '-0.25s']],
    ['timestamp("2024-03-31T02:30:00Z").getHours()', 2],
    ['timestamp("2024-03-31T23:30:00Z").getDate("+02:00")', 1],
    ['timestamp("2024-12-31").getDayOfYear() + timestamp("2024-12-31").getMonth()', 376],
    ['timestamp(item.at).getFullYear()', 1999],
    ['timestamp("2024-01-01") < timestamp("2024-01-02")', true],
    ['int(timestamp("1970-01-01T00:00:01.900Z"))', 1],
    ['duration("90m").getHours()', 1],
  ];
  for (const [source, expected] of cases)
    assert.deepEqual(evaluate(source, { at: '1999-12-31T00:00:00Z' }), expected, source);
  fails('EXPRESSION_FAILED', /no such date/, 'timestamp("2023-02-29")');
  fails('EXPRESSION_FAILED', /RFC 3339/, 'timestamp("yesterday")');
  fails('EXPRESSION_FAILED', /"UTC" or an offset/, 'timestamp("2023-02-28").getHours("Europe/Rome")');
});

test('what is wrong with the expression itself is found before any item', () => {
  const cases: [string, RegExp][] = [
    ['item.x +', /syntax error: unexpected "\+" \(expression, line 1, column 8\)/],
    ['', /unexpected end/],
    ['item.x\n  == )', /line 2/],
    ['itm.x', /no variable "itm" \(did you mean "item"\?\).*column 1/],
    ['item.name.matchs("a")', /no method "matchs" \(did you mean "matches"\?\)/],
    ['sise(item)', /no function "sise" \(did you mean "size"\?\)/],
    ['now()', /no function "now"/],
    ['math.sin(1)', /no function "math.sin"/],
    ['size()', /wrong number of arguments/],
    ['item.a.matches("(a")', /RE2 syntax/],
    ['item.a.matches("(?=a)")', /RE2 syntax/],
    ['has(item)', /has\(\) takes a field/],
    ['[1].map(1, 2)', /takes a variable and an expression/],
    ['b"bytes"', /JSON has no bytes/],
    ['Type{a: 1}', /no type "Type"/],
    ['9007199254740993', /beyond 2\^53/],
    ['while', /reserved/],
    ['"a"'.padEnd(expressionLimits.lengthMax + 1), /longer than/],
    ['['.repeat(40) + ']'.repeat(40), /levels of brackets/],
    [`1${'+1'.repeat(1000)}`, /inside each other/],
  ];
  for (const [source, message] of cases) fails('INVALID_EXPRESSION', message, source);
  assert.equal(
    evaluate('"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["'),
    '['.repeat(38),
    'brackets in texts are no nesting',
  );
});

test('what fails for one item says which, where and why', () => {
  const cases: [string, RegExp][] = [
    ['item.z', /^item 0: there is no field "z"; there are a, t, big \(expression, line 1, column 5\)$/],
    ['item.a.b', /number has no field "b"/],
    ['item.constructor', /no field "constructor"/],
    ['item.__proto__', /no field "__proto__"/],
    ['item["toString"]', /no field "toString"/],
    ['"x".length', /string has no field/],
    ['item.a + "1"', /"\+" does not work on number and string/],
    ['item.a / 0', /division by zero/],
    ['item.a % 0', /division by zero/],
    ['item.a < "1"', /no order/],
    ['item.a ? 1 : 2', /number, not true or false/],
    ['item.a && true', /needs true or false/],
    ['!item.a', /"!" does not work/],
    ['[1][1]', /index 1 is outside of the list of 1/],
    ['[1][0.5]', /whole number/],
    ['9007199254740991 + item.a', /integer overflow/],
    ['item.big * item.big', /not a finite number/],
    ['int("4 2")', /not a number/],
    ['[].max()', /empty list/],
    ['item.a.exists(x, x)', /list or a map is needed/],
    ['item.t.matches(item.t)', /RE2 syntax/],
  ];
  for (const [source, message] of cases) fails('EXPRESSION_FAILED', message, source, { a: 1, t: '(', big: 1e308 });
});

test('keys that are names of the prototype are data', () => {
  const item = JSON.parse('{"__proto__": {"x": 1}, "constructor": 2}');
  assert.equal(evaluate('item.__proto__.x + item.constructor', item), 3);
  const made = evaluate('{"__proto__": 1}.merge(item)', item) as object;
  assert.deepEqual(Object.keys(made), ['__proto__', 'constructor']);
  assert.equal(({} as Record<string, unknown>).x, undefined);
});

test('look-ups in vars take a key of any scalar type', () => {
  const vars = { totals: { 7: { sum: 70 }, eu: { sum: 5 }, true: { sum: 1 } } };
  const source = 'vars.totals[item.id].sum + vars.totals[item.region].sum + vars.totals[item.yes].sum';
  assert.equal(evaluate(source, { id: 7, region: 'eu', yes: true }, vars), 76);
});

test('work for one item is bounded', () => {
  const list = new Array<number>(3000).fill(1);
  fails('EXPRESSION_FAILED', /too much work/, 'vars.l.map(a, vars.l.map(b, a + b))', {}, { l: list });
  fails(
    'EXPRESSION_FAILED',
    /too much work/,
    'vars.l.exists(a, vars.l.exists(b, vars.l.exists(c, c > 1)))',
    {},
    { l: list },
  );
  fails('EXPRESSION_FAILED', /too much work/, 'vars.l.all(a, vars.l == vars.l.map(x, x))', {}, { l: list });
  const doubling = `["0123456789"]${'.map(x, x + x)'.repeat(60)}`;
  assert.throws(() => evaluate(doubling), { code: 'EXPRESSION_FAILED' });
  assert.throws(() => evaluate(`[[1, 2]]${'.map(x, x + x)'.repeat(60)}`), { code: 'EXPRESSION_FAILED' });
  // A pattern that makes a backtracking matcher run for ages.
  assert.equal(evaluate('item.matches("^(a+)+$")', `${'a'.repeat(20_000)}b`), false);
});

test('the cache is bounded and gives equal expressions', () => {
  const cache = new ExpressionCache();
  const first = cache.get('1 + 1');
  assert.equal(cache.get('1 + 1'), first);
  for (let number = 0; number < expressionLimits.cached; number++) cache.get(`${number}`);
  assert.notEqual(cache.get('1 + 1'), first);
});

test('arithmetic agrees with JavaScript on numbers', () => {
  type Sum = [source: string, value: number];
  const number = fc.oneof(fc.integer({ min: -1000, max: 1000 }), fc.double({ min: -1e6, max: 1e6, noNaN: true }));
  const leaf = fc.oneof(
    fc.constantFrom<Sum>(['item.a', 3], ['item.b', 2.5], ['index', 0]),
    number.map((value): Sum => [value < 0 || Object.is(value, -0) ? `(${value})` : `${value}`, value]),
  );
  const { tree } = fc.letrec<{ tree: Sum }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 5 },
      leaf,
      fc
        .tuple(fc.constantFrom('+', '-', '*', '/', '%', '?'), tie('tree'), tie('tree'))
        .map(([operator, left, right]): Sum => {
          const [[a, x], [b, y]] = [left, right];
          if (operator === '?') return [`(${a} < ${b} ? ${a} : ${b})`, Math.min(x, y)];
          const value = { '+': x + y, '-': x - y, '*': x * y, '/': x / y, '%': x % y }[operator] ?? Number.NaN;
          return [`(${a} ${operator} ${b})`, value];
        }),
    ),
  }));
  let compared = 0;
  fc.assert(
    fc.property(tree, ([source, expected]) => {
      if (source.length > 2000) return;
      try {
        assert.equal(Number(evaluate(source, { a: 3, b: 2.5 })) + 0, expected + 0);
        compared += 1;
      } catch (thrown) {
        if (!(thrown instanceof StepError)) throw thrown;
        assert.match(thrown.message, /zero|finite|2\^53|brackets|inside/);
      }
    }),
    { seed: 42, numRuns: 2000 },
  );
  assert.ok(compared > 500, `${compared} were comparable`);
});

test('no text crashes or hangs the compiler, no expression the evaluation', () => {
  const pieces = [
    'item',
    'vars',
    'index',
    '.',
    '(',
    ')',
    '[',
    ']',
    '{',
    '}',
    ':',
    '?',
    ',',
    '+',
    '-',
    '*',
    '/',
    '%',
    '!',
    '&&',
    '||',
  ]
    .concat([
      '==',
      '<',
      'in',
      'has',
      'map',
      'exists',
      'all',
      'x',
      '"a"',
      "'",
      '"',
      '1',
      '2.5',
      '1e9',
      'null',
      'true',
      ' ',
      'size',
    ])
    .concat(['matches', 'timestamp', 'duration', 'sum', 'merge', 'math', 'r"', '\\', '\n', '@', '`', 'é', '0x', 'u']);
  const text = fc.oneof(
    fc.array(fc.constantFrom(...pieces), { maxLength: 60 }).map((parts) => parts.join('')),
    fc.string(),
  );
  fc.assert(
    fc.property(text, fc.jsonValue(), (source, item) => {
      try {
        JSON.stringify(new Expression(source).evaluate(item as JSONValue, 0, {}).value);
      } catch (thrown) {
        assert.ok(thrown instanceof StepError, `${source}: ${thrown instanceof Error ? thrown.stack : thrown}`);
        assert.match(thrown.code, /^(INVALID_EXPRESSION|EXPRESSION_FAILED)$/);
      }
    }),
    { seed: 11, numRuns: 5000 },
  );
});

test('times inside of values that are shared are not written out beyond all bounds', () => {
  const doubling = `[timestamp('2026-01-01')]${'.map(a, [a, a])'.repeat(40)}`;
  assert.throws(() => evaluate(doubling), /too much work/);
  assert.equal(
    JSON.stringify(evaluate("[timestamp('2026-01-01')].map(a, {'__proto__': a})")),
    '[{"__proto__":"2026-01-01T00:00:00.000Z"}]',
  );
});

test('work that depends on the length of texts and literals is accounted for', async (t) => {
  const n = (count: number) => Array.from({ length: count }, (_, index) => index);
  const half = 'a'.repeat(50_000);
  const wide = Object.fromEntries(n(20_000).map((key) => [`k${key}`, key]));
  const vars: JSONObject = {
    many: n(3_000),
    text: 'a'.repeat(200_000),
    inner: `${half}b${half}`,
    one: 'x'.repeat(40_000),
    same: 'y'.replace('y', 'x').repeat(40_000),
    wide,
    other: { ...wide, more: 1 },
  };
  for (const source of [
    'vars.text.contains(vars.inner)',
    'vars.text.indexOf(vars.inner)',
    "vars.text.replace(vars.inner, '')",
    'vars.text.split(vars.inner)',
    'vars.many.all(x, vars.one == vars.same)',
    'vars.many.all(x, vars.one <= vars.same)',
    'vars.many.all(x, vars.one in [vars.same])',
    'vars.many.all(x, [vars.same, vars.one].max() == vars.one)',
    'vars.many.all(x, vars.wide != vars.other)',
    'vars.many.all(x, vars.wide.exists(key, true))',
    `vars.many.map(x, [${'0,'.repeat(1_900)}0])`,
    `vars.many.map(x, {${n(450)
      .map((key) => `${key}:0`)
      .join()}})`,
    "vars.many.all(x, vars.many.map(y, '').join(vars.one.substring(0, 5000)) != '')",
  ])
    await t.test(source.slice(0, 60), () => assert.throws(() => evaluate(source, null, vars), /too much work/));
  assert.throws(() => evaluate("vars.many.map(y, '').join(vars.one)", null, vars), /the text is too long/);
  assert.equal(evaluate("vars.many.map(y, 'ab').join('-').size()", null, vars), 3_000 * 3 - 1);
  assert.equal(evaluate("vars.text.contains('aaab') || vars.inner.indexOf('ba') == 50000", null, vars), true);
});

test('a field that is missing costs little, and is named in a bounded text', () => {
  const wide = Object.fromEntries(Array.from({ length: 20_000 }, (_, key) => [`k${key}`, key]));
  const many = Array.from({ length: 20_000 }, (_, index) => index);
  assert.equal(evaluate('vars.many.exists(x, has(vars.wide.gone.x))', null, { many, wide }), false);
  const message = (vars: JSONObject, source: string): string => {
    try {
      evaluate(source, null, vars);
    } catch (thrown) {
      return thrown instanceof StepError ? thrown.message : '';
    }
    return '';
  };
  assert.match(message({ wide }, 'vars.wide.gone'), /there is no field "gone" \(/);
  assert.match(message({ a: 1, b: 2 }, 'vars.gone'), /there is no field "gone"; there are a, b \(/);
  const long = 'k'.repeat(100_000);
  assert.ok(message({ [long]: 1 }, 'vars.gone').length < 200);
  assert.ok(message({ long, map: {} }, 'vars.map[vars.long]').length < 200);
  assert.ok(message({ long }, 'vars.long[vars.long]').length < 200);
});
