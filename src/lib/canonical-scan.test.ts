import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { canonicalize } from './canonical.ts';
import { canonicalProblem } from './canonical-scan.ts';
import { parseStrictJSON } from './strict-json.ts';

const seed = 20260120;
const never = async (): Promise<void> => undefined;
const problem = (text: string | Uint8Array) => canonicalProblem(Buffer.from(text), never);

/** What the two passes that build a value say. */
function isCanonical(bytes: Uint8Array): boolean {
  try {
    return Buffer.from(canonicalize(parseStrictJSON(bytes))).equals(bytes);
  } catch {
    return false;
  }
}

const json = fc.oneof(
  fc.jsonValue({ maxDepth: 6 }),
  fc.dictionary(fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'binary' })), fc.jsonValue()),
  fc.array(fc.double()),
  fc.array(fc.maxSafeInteger()),
  fc.string({ unit: 'binary' }),
);

function canonicalOrNothing(value: unknown): string | undefined {
  try {
    return canonicalize(value);
  } catch {
    return undefined;
  }
}

it('accepts whatever canonicalize writes', async () => {
  await fc.assert(
    fc.asyncProperty(json, async (value) => {
      const text = canonicalOrNothing(value);
      if (text !== undefined) assert.equal(await problem(text), undefined, text);
    }),
    { seed, numRuns: 3_000 },
  );
});

it('agrees with parsing and writing again about texts that are nearly canonical', async () => {
  const change = fc.record({
    at: fc.nat(),
    drop: fc.nat(2),
    put: fc.constantFrom('', ...'0159eE+-. \t\n"\\{}[]:,tnu/\u0000\u007fé😀'),
  });
  await fc.assert(
    fc.asyncProperty(json, fc.array(change, { maxLength: 3 }), async (value, changes) => {
      let text = canonicalOrNothing(value) ?? 'null';
      for (const { at, drop, put } of changes) {
        const from = at % (text.length + 1);
        text = text.slice(0, from) + put + text.slice(from + drop);
      }
      const bytes = Buffer.from(text);
      assert.equal((await problem(bytes)) === undefined, isCanonical(bytes), text);
    }),
    { seed, numRuns: 10_000 },
  );
});

it('agrees with them about any bytes', async () => {
  const bytes = fc.array(fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]":,0e1\\u'))), { maxLength: 12 });
  await fc.assert(
    fc.asyncProperty(bytes, async (given) => {
      const text = Uint8Array.from(given);
      assert.equal((await problem(text)) === undefined, isCanonical(text), Buffer.from(text).toString('hex'));
    }),
    { seed, numRuns: 10_000 },
  );
});

describe('by hand', () => {
  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
  for (const text of [
    'null',
    '0',
    '-1',
    '1e+21',
    '5e-324',
    '""',
    '"\\u001f\\n\\""',
    '{}',
    '[]',
    '{"":1}',
    '[[],{},[]]',
    deep(64),
    '{"1":1,"10":2,"9":3}',
    '{"__proto__":1}',
    '{"€":1,"😀":2,"\ufb33":3}',
  ])
    it(`sound: ${text.slice(0, 40)}`, async () => {
      assert.equal(await problem(text), undefined);
      assert.ok(isCanonical(Buffer.from(text)));
    });
  for (const text of [
    '',
    ' ',
    '-0',
    '01',
    '1.0',
    '1E5',
    '1e21',
    '.5',
    '+1',
    'NaN',
    'nul',
    'nulll',
    '12345678901234567890',
    '"\\/"',
    '"\\u001F"',
    '"\\u0061"',
    '"\\ud800"',
    '"',
    '"\n"',
    '{"a":1,"a":1}',
    '{"b":1,"a":1}',
    '{"a" :1}',
    '{"a":1,}',
    '[1,]',
    '[,1]',
    '[1',
    '1]',
    ']',
    '{"a"}',
    '{a:1}',
    '1 ',
    '1,2',
    deep(65),
    '\ufeff1',
  ])
    it(`unsound: ${JSON.stringify(text).slice(0, 40)}`, async () => {
      assert.notEqual(await problem(text), undefined);
      assert.ok(!isCanonical(Buffer.from(text)));
    });
});

it('pauses in the midst of a large text, wherever that falls', async () => {
  const value = {
    list: Array.from({ length: 60_000 }, (_, index) => ({ id: index, text: `é${index}"\\😀`, v: index / 7 })),
  };
  const text = canonicalize(value);
  let pauses = 0;
  const verdict = await canonicalProblem(Buffer.from(text), async () => void pauses++);
  assert.equal(verdict, undefined);
  assert.equal(pauses, Math.floor(Buffer.byteLength(text) / 2 ** 20));
  assert.match((await problem(`${text.slice(0, -1)} }`)) ?? '', /white space, at offset/);
});
