import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import * as mongo from 'mongodb';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import { Codec } from './values.ts';

const codec = new Codec(mongo);
const { serialize, deserialize } = mongo.BSON;
const options = { bsonRegExp: true };

/** Through the bytes that a server would get and give. */
const trip = (document: JSONObject): JSONObject =>
  codec.toRow(deserialize(serialize(codec.toBson(document, 'test') as mongo.Document), options));

const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const special = fc.oneof(
  hex(24).map(($oid) => ({ $oid })),
  fc
    .date({ noInvalidDate: true, min: new Date('0000-01-01'), max: new Date('9999-12-31') })
    .map((date) => ({ $date: date.toISOString() })),
  fc
    .integer({ min: 253_402_300_800_000, max: 8_640_000_000_000_000 })
    .map((ms) => ({ $date: { $numberLong: String(ms) } })),
  fc.bigInt({ min: 2n ** 53n + 1n, max: 2n ** 63n - 1n }).map((long) => ({ $numberLong: String(long) })),
  fc.bigInt({ min: -(2n ** 63n), max: -(2n ** 53n) - 1n }).map((long) => ({ $numberLong: String(long) })),
  fc
    .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.integer({ min: 1, max: 6 }))
    .map(([digits, scale]) => {
      const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0');
      return { $numberDecimal: `${digits < 0n ? '-' : ''}${text.slice(0, -scale)}.${text.slice(-scale)}` };
    })
    .filter(({ $numberDecimal }) => !/^-?0\.0{6}/.test($numberDecimal)),
  fc
    .uint8Array({ maxLength: 40 })
    .map((bytes) => ({ $binary: { base64: Buffer.from(bytes).toString('base64'), subType: '00' } })),
  fc.uuid().map(($uuid) => ({ $uuid })),
  fc.constantFrom<JSONValue>(
    { $numberDouble: 'NaN' },
    { $numberDouble: '-Infinity' },
    { $numberDouble: '-0.0' },
    { $minKey: 1 },
    { $maxKey: 1 },
    { $regularExpression: { pattern: '^a.*', options: 'im' } },
    { $timestamp: { t: 4294967295, i: 1 } },
  ),
);
const name = fc
  .string({ unit: 'grapheme', maxLength: 8 })
  .filter((text) => !text.includes('\0') && !text.startsWith('$') && text !== '_bsontype' && text.isWellFormed());
const { value } = fc.letrec<{ value: JSONValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    special,
    fc.constantFrom(null, true, false),
    fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed()),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Object.is(number, -0)),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(name, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

test('Extended JSON comes back through BSON as it was', () => {
  fc.assert(
    fc.property(fc.dictionary(name, value, { maxKeys: 5, noNullPrototype: true }), (document) => {
      const before = structuredClone(document);
      assert.deepEqual(trip(document), before);
      assert.deepEqual(document, before, 'the input stays as it is');
    }),
    { numRuns: 500 },
  );
});

test('plain documents are not copied', () => {
  const plain = { a: [1, { b: 'x' }], c: { $set: { d: null } } };
  assert.equal(codec.toBson(plain, 'test'), plain);
});

test('numbers: what is safe is a number, whichever type it was stored with', () => {
  assert.deepEqual(
    trip({ a: { $numberLong: '5' }, b: { $numberInt: '-5' }, c: { $numberDouble: '5' }, d: 3_000_000_000 }),
    { a: 5, b: -5, c: 5, d: 3_000_000_000 },
  );
});

test('wrong Extended JSON is refused, with its place and without its value', () => {
  const wrong: JSONValue[] = [
    { $oid: 'canary' },
    { $oid: 1 },
    { $date: 'canary' },
    { $date: {} },
    { $numberLong: '9223372036854775808' },
    { $numberLong: 5 },
    { $numberInt: '2147483648' },
    { $numberDouble: 'canary' },
    { $numberDecimal: 'canary' },
    { $binary: 'canary' },
    { $binary: { base64: '?', subType: '00' } },
    { $uuid: 'canary' },
    { $timestamp: { t: -1, i: 0 } },
    { $regularExpression: 'canary' },
    { $minKey: 2 },
  ];
  for (const one of wrong)
    assert.throws(
      () => codec.toBson({ a: [one] }, 'params.filter'),
      (thrown: Error & { code?: string }) => {
        assert.equal(thrown.code, 'INVALID_PARAMS');
        assert.ok(thrown.message.startsWith('params.filter') && !thrown.message.includes('canary'));
        return true;
      },
    );
});

test('data can not pass for a BSON value', () => {
  for (const kind of ['ObjectId', 'Code', 'Long', 'DBRef'])
    assert.throws(() =>
      serialize(codec.toBson({ a: { _bsontype: kind, code: 'x', id: 'y' } }, 'test') as mongo.Document),
    );
});
