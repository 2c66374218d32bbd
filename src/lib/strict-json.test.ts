import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalize } from './canonical.ts';
import { JSONFlowError } from './errors.ts';
import { parseStrictJSON } from './strict-json.ts';

const seed = Number(process.env.FC_SEED ?? 20260131);

const refused: [name: string, source: string | Uint8Array, code: 'INVALID_JSON' | 'NOT_I_JSON', words: RegExp][] = [
  ['nothing', '', 'INVALID_JSON', /not JSON/],
  ['an open string', '{"a":"b', 'INVALID_JSON', /not JSON/],
  ['a trailing comma', '[1,]', 'INVALID_JSON', /\[1,\]/],
  ['a leading zero', '[01]', 'INVALID_JSON', /not JSON/],
  ['text after the end', '{} {}', 'INVALID_JSON', /not JSON/],
  ['a byte order mark', Buffer.from('\ufeff{}'), 'INVALID_JSON', /byte order mark/],
  ['invalid UTF-8', Uint8Array.of(0x22, 0xff, 0x22), 'INVALID_JSON', /UTF-8/],
  ['a surrogate in UTF-8', Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), 'INVALID_JSON', /UTF-8/],
  ['a duplicate key', '{"a":1,"b":[],"a":1}', 'NOT_I_JSON', /"a" at offset 14/],
  ['a duplicate in disguise', '[{"x":{"a:":1,\n"\\u0061:" :2}}]', 'NOT_I_JSON', /"a:" at offset 15/],
  ['a duplicate __proto__', '{"__proto__":1,"__proto__":2}', 'NOT_I_JSON', /"__proto__" at offset 15/],
  ['a duplicate empty key', '{"":{"":1},"":2}', 'NOT_I_JSON', /"" at offset 11/],
  ['a large integer', '{"n": 9007199254740993}', 'NOT_I_JSON', /offset 6/],
  ['a very large integer', '[123456789012345678901234567890]', 'NOT_I_JSON', /offset 1/],
  ['a large integer in other clothes', '{"n":[9007199254740993.0]}', 'NOT_I_JSON', /^\$\.n\[0\]/],
  ['an overflow', '{"n":-1e400}', 'NOT_I_JSON', /-Infinity/],
  ['a lone surrogate', '{"a":"\\ud800"}', 'NOT_I_JSON', /^\$\.a is a string/],
  ['a lone surrogate as key', '{"\\udc00":1}', 'NOT_I_JSON', /a key with/],
  ['depth 65', `${'['.repeat(65)}1${']'.repeat(65)}`, 'NOT_I_JSON', /offset 64/],
  ['brackets without end', '['.repeat(1_000_000), 'NOT_I_JSON', /offset 64/],
];

for (const [name, source, code, words] of refused)
  test(`refused: ${name}`, () => {
    assert.throws(
      () => parseStrictJSON(source),
      (error: unknown) => {
        assert.ok(error instanceof JSONFlowError);
        assert.equal(error.code, code);
        assert.match(error.message, words);
        return true;
      },
    );
  });

test('accepted: what looks like the above inside strings, and the limits themselves', () => {
  for (const source of [
    '"{\\"a\\":1,\\"a\\":2}"',
    '{"a":{"a":{"a":[{"a":1},{"a":2}]}}}',
    '["9007199254740993",":","\\\\"]',
    '{"\\\\":1,"\\"":2,"\\\\\\"":":"}',
    '9007199254740991',
    '1e30',
    '0.12345678901234567890',
    `${'['.repeat(64)}${']'.repeat(64)}`,
    ' \t\r\n{ "a" \n:\t1 } ',
  ])
    assert.deepEqual(parseStrictJSON(source), JSON.parse(source));
  const parsed = parseStrictJSON('{"__proto__":{"polluted":1}}') as Record<string, unknown>;
  assert.deepEqual(Object.keys(parsed), ['__proto__']);
  assert.equal(({} as Record<string, unknown>).polluted, undefined);
});

test('property: what JSON.stringify writes comes back, from text and from bytes, however it is indented', () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), fc.constantFrom(0, 1, 4), (value, indent) => {
      let canonical: string;
      try {
        canonical = canonicalize(value);
      } catch {
        return;
      }
      const text = JSON.stringify(value, null, indent);
      assert.equal(canonicalize(parseStrictJSON(text)), canonical);
      assert.equal(canonicalize(parseStrictJSON(Buffer.from(text))), canonical);
    }),
    { seed, numRuns: 500 },
  );
});

test('property: any text gives a value that canonicalizes, or a typed error', () => {
  const jsonish = fc.array(
    fc.oneof(
      fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', 'null', '1', '-', 'e9', '.'),
      fc.string({ maxLength: 3 }),
    ),
  );
  fc.assert(
    fc.property(jsonish, (pieces) => {
      try {
        canonicalize(parseStrictJSON(pieces.join('')));
      } catch (error) {
        assert.ok(error instanceof JSONFlowError && ['INVALID_JSON', 'NOT_I_JSON'].includes(error.code));
      }
    }),
    { seed, numRuns: 2_000 },
  );
});

test('every duplicate is found: one member of random data repeated', () => {
  const withKeys = fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 }), { minKeys: 1 });
  fc.assert(
    fc.property(withKeys, fc.nat(), (value, choice) => {
      const keys = Object.keys(value);
      const key = JSON.stringify(keys[choice % keys.length]);
      const text = JSON.stringify(value);
      assert.throws(() => parseStrictJSON(`${text.slice(0, -1)},${key}:0}`), { code: 'NOT_I_JSON' });
    }),
    { seed, numRuns: 300 },
  );
});
