import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { canonicalize, digestOf } from './canonical.ts';
import { JSONFlowError } from './errors.ts';

const seed = Number(process.env.FC_SEED ?? 20260131);

/** The sample files that RFC 8785 refers to, as source and canonical form. */
const samples: Record<string, [source: string, canonical: string]> = {
  arrays: ['[ 56, { "d": true, "10": null, "1": [ ] } ]', '[56,{"1":[],"10":null,"d":true}]'],
  french: [
    '{ "peach": "This sorting order", "péché": "is wrong according to French", "pêche": "but canonicalization MUST", "sin": "ignore locale" }',
    '{"peach":"This sorting order","péché":"is wrong according to French","pêche":"but canonicalization MUST","sin":"ignore locale"}',
  ],
  structures: [
    '{ "1": {"f": {"f": "hi","F": 5} ,"\\n": 56.0}, "10": { }, "": "empty", "a": { }, "111": [ {"e": "yes","E": "no" } ], "A": { } }',
    '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[{"E":"no","e":"yes"}],"A":{},"a":{}}',
  ],
  unicode: ['{ "Unnormalized Unicode":"A\\u030a" }', '{"Unnormalized Unicode":"A\u030a"}'],
  values: [
    '{ "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001], "string": "\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/", "literals": [null, true, false] }',
    '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
  ],
  weird: [
    '{ "\\u20ac": "Euro Sign", "\\r": "Carriage Return", "\\u000a": "Newline", "1": "One", "\\u0080": "Control\\u007f", "\\ud83d\\ude02": "Smiley", "\\u00f6": "Latin Small Letter O With Diaeresis", "\\ufb33": "Hebrew Letter Dalet With Dagesh", "</script>": "Browser Challenge" }',
    '{"\\n":"Newline","\\r":"Carriage Return","1":"One","</script>":"Browser Challenge","\u0080":"Control\u007f","ö":"Latin Small Letter O With Diaeresis","€":"Euro Sign","😂":"Smiley","\ufb33":"Hebrew Letter Dalet With Dagesh"}',
  ],
};

for (const [name, [source, canonical]] of Object.entries(samples))
  test(`RFC 8785 sample: ${name}`, () => assert.equal(canonicalize(JSON.parse(source)), canonical));

/** RFC 8785, appendix B: IEEE 754 bits and text. `null` is not a number of JSON; `gated` ones look like integers that not every parser keeps. */
const numbers: [bits: string, text: string | null, gated?: 'gated'][] = [
  ['0000000000000000', '0'],
  ['8000000000000000', '0'],
  ['0000000000000001', '5e-324'],
  ['8000000000000001', '-5e-324'],
  ['7fefffffffffffff', '1.7976931348623157e+308'],
  ['ffefffffffffffff', '-1.7976931348623157e+308'],
  ['4340000000000000', '9007199254740992', 'gated'],
  ['c340000000000000', '-9007199254740992', 'gated'],
  ['4430000000000000', '295147905179352830000', 'gated'],
  ['7fffffffffffffff', null],
  ['7ff0000000000000', null],
  ['44b52d02c7e14af5', '9.999999999999997e+22'],
  ['44b52d02c7e14af6', '1e+23'],
  ['44b52d02c7e14af7', '1.0000000000000001e+23'],
  ['444b1ae4d6e2ef4e', '999999999999999700000', 'gated'],
  ['444b1ae4d6e2ef4f', '999999999999999900000', 'gated'],
  ['444b1ae4d6e2ef50', '1e+21'],
  ['3eb0c6f7a0b5ed8c', '9.999999999999997e-7'],
  ['3eb0c6f7a0b5ed8d', '0.000001'],
  ['41b3de4355555553', '333333333.3333332'],
  ['41b3de4355555554', '333333333.33333325'],
  ['41b3de4355555555', '333333333.3333333'],
  ['41b3de4355555556', '333333333.3333334'],
  ['41b3de4355555557', '333333333.33333343'],
  ['becbf647612f3696', '-0.0000033333333333333333'],
  ['43143ff3c1cb0959', '1424953923781206.2'],
];

test('RFC 8785 appendix B: numbers', () => {
  for (const [bits, text, gated] of numbers) {
    const value = Buffer.from(bits, 'hex').readDoubleBE();
    if (text !== null) assert.equal(`${value}`, text.replace(/^-0$/, '0'));
    if (text === null || gated) assert.throws(() => canonicalize(value), { code: 'NOT_I_JSON' }, bits);
    else assert.equal(canonicalize(value), text);
  }
});

test('an empty key among sorted and unsorted ones', () => {
  assert.equal(canonicalize({ b: 1, '': 2, a: { '': 0 } }), '{"":2,"a":{"":0},"b":1}');
});

test('keys that no plain object holds in order', () => {
  const source = '{"b":{"10":1,"9":2,"a":[{"z":0,"__proto__":{"y":1,"x":[]}}]},"__proto__":{"b":1,"a":2},"1":[],"":{}}';
  const canonical =
    '{"":{},"1":[],"__proto__":{"a":2,"b":1},"b":{"10":1,"9":2,"a":[{"__proto__":{"x":[],"y":1},"z":0}]}}';
  assert.equal(canonicalize(JSON.parse(source)), canonical);
  assert.equal(({} as Record<string, unknown>).b, undefined);
});

test('the data are not changed', () => {
  const value = Object.freeze({ b: Object.freeze([Object.freeze({ d: 1, c: 2 })]), a: 1 });
  assert.equal(canonicalize(value), '{"a":1,"b":[{"c":2,"d":1}]}');
  assert.deepEqual(Object.keys(value), ['b', 'a']);
});

/** The canonical form, written out as the RFC reads, for comparison. */
function plainly(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(plainly).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const record = value as Record<string, unknown>;
  const members = Object.keys(record).sort();
  return `{${members.map((key) => `${JSON.stringify(key)}:${plainly(record[key])}`).join(',')}}`;
}

const anyJSON = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((x) => !Number.isInteger(x)),
    fc.string({ unit: 'binary' }),
    fc.constantFrom('\\ud800', '\\', '"', '\u2028', '__proto__'),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(
      fc.oneof(fc.string({ unit: 'binary' }), fc.nat().map(String), fc.constant('__proto__')),
      tie('value'),
      {
        maxKeys: 40,
      },
    ),
  ),
})).value;

test('property: equals the plain reading of the RFC, survives a round trip, is a fixed point', () => {
  fc.assert(
    fc.property(anyJSON, (value) => {
      const text = canonicalize(value);
      assert.equal(text, plainly(value));
      const parsed: unknown = JSON.parse(text);
      assert.equal(canonicalize(parsed), text);
      assert.equal(JSON.stringify(sortedDeep(parsed)), JSON.stringify(sortedDeep(value)));
    }),
    { seed, numRuns: 1_000 },
  );
});

/** Members as sorted lists of pairs. */
const sortedDeep = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sortedDeep);
  if (typeof value !== 'object' || value === null) return value;
  const record = value as Record<string, unknown>;
  return Object.keys(record)
    .sort()
    .map((key) => [key, sortedDeep(record[key])]);
};

test('property: the order of keys makes no difference', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.integer(), { maxKeys: 60 }), (value) => {
      assert.equal(canonicalize(Object.fromEntries(Object.entries(value).reverse())), canonicalize(value));
    }),
    { seed },
  );
});

const cycle: unknown[] = [];
cycle.push({ inside: [cycle] });
const nested = (depth: number): unknown => {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value };
  return value;
};

const refused: [name: string, value: unknown, path: string, words: RegExp][] = [
  ['undefined', undefined, '$', /undefined/],
  ['undefined inside', { a: [1, undefined] }, '$.a[1]', /undefined/],
  ['a function', { a: () => 1 }, '$.a', /a function/],
  ['a method that JSON.stringify would call', { toJSON: () => 1 }, '$.toJSON', /a function/],
  ['a symbol', [Symbol('s')], '$[0]', /a symbol/],
  ['a bigint', { n: 1n }, '$.n', /a bigint/],
  ['NaN', { 'a b': Number.NaN }, '$["a b"]', /NaN/],
  ['Infinity', [[Number.NEGATIVE_INFINITY]], '$[0][0]', /-Infinity/],
  ['an integer beyond 2^53', { n: 2 ** 53 }, '$.n', /2\^53/],
  ['a negative one', [-(2 ** 53)], '$[0]', /2\^53/],
  ['a hole', Object.assign(new Array(3), { 0: 1, 2: 3 }), '$[1]', /hole/],
  ['a Date', { at: new Date(0) }, '$.at', /class Date/],
  ['a Map', new Map(), '$', /class Map/],
  ['a Buffer', { b: Buffer.alloc(1) }, '$.b', /class Buffer/],
  ['an instance', new (class Point {})(), '$', /class Point/],
  ['an object of another realm', runInNewContext('({ a: 1 })'), '$', /class Object/],
  ['a lone surrogate', ['a\ud800'], '$[0]', /lone surrogate/],
  ['a lone surrogate in a key', { '\udc00': 1 }, '$["\\udc00"]', /lone surrogate/],
  ['a cycle', cycle, '$[0].inside[0]', /cycle/],
  ['depth 65', nested(65), `$${'[0].a'.repeat(32)}`, /deeper than 64/],
];

for (const [name, value, path, words] of refused)
  test(`refused: ${name}`, () => {
    assert.throws(
      () => canonicalize(value),
      (error: unknown) => {
        assert.ok(error instanceof JSONFlowError);
        assert.equal(error.code, 'NOT_I_JSON');
        assert.match(error.message, words);
        assert.ok(error.message.startsWith(`${path} is`), error.message);
        return true;
      },
    );
    // Beside keys that need the slower way, too.
    assert.throws(() => canonicalize({ b: value, a: 1, 2: 1 }), { code: 'NOT_I_JSON' });
  });

test('accepted: depth 64, the largest safe integer, null prototypes, text that looks like an escape', () => {
  assert.equal(canonicalize(nested(64)).length, canonicalize(nested(0)).length + 32 * 2 + 32 * 6);
  assert.equal(canonicalize(Number.MAX_SAFE_INTEGER), '9007199254740991');
  assert.equal(canonicalize(Object.assign(Object.create(null), { a: 1 })), '{"a":1}');
  assert.equal(canonicalize('\\ud800 is no surrogate'), '"\\\\ud800 is no surrogate"');
});

test('shared values are no cycle', () => {
  const shared = { a: 1 };
  assert.equal(canonicalize([shared, shared]), '[{"a":1},{"a":1}]');
});

test('digestOf is SHA-256 of the canonical form', () => {
  assert.equal(digestOf(null), '74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b');
  assert.equal(digestOf({ b: 1, a: 2 }), digestOf({ a: 2, b: 1 }));
});
