import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type DescMessage, fromBinary, toJson } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { shopProto } from '../../../../test/support/shop-proto.ts';
import { StepError } from '../../../lib/errors.ts';
import { descriptorsOfTexts, methodOf } from './descriptors.ts';

const read = (proto: string, protos: Record<string, string> = {}) =>
  descriptorsOfTexts(new Map([...Object.entries(protos), ['main.proto', proto]]));

/** What is not needed for calls, and is not read. */
const unread = new Set(['reservedRange', 'reservedName', 'javaPackage', 'deprecated']);

const isDefault = (value: unknown): boolean => value === false || value === 'IDEMPOTENCY_UNKNOWN';

const essence = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (key, part) => {
      if (unread.has(key) || isDefault(part)) return undefined;
      const empty = key === 'options' && Object.keys(part).every((name) => unread.has(name) || isDefault(part[name]));
      return empty ? undefined : part;
    }),
  );

test('reads a file as the compiler of Google does', () => {
  const set = fromBinary(
    FileDescriptorSetSchema,
    readFileSync(new URL('../../../../test/vectors/grpc/shop.desc', import.meta.url)),
  );
  const compiled = set.file.find(({ name }) => name === 'shop.proto');
  assert.ok(compiled !== undefined);
  const ours = read(shopProto).registry.getFile('main.proto')?.proto;
  assert.ok(ours !== undefined);
  assert.deepEqual(
    essence({ ...toJson(FileDescriptorProtoSchema, ours), name: 'shop.proto' }),
    essence(toJson(FileDescriptorProtoSchema, compiled)),
  );
});

test('reads proto2, editions, comments, custom options and extensions', () => {
  const { registry } = read(
    `/* a
    block */ syntax = 'proto2';
    import "google/protobuf/descriptor.proto";
    package p;
    extend google.protobuf.FieldOptions { optional string hint = 50001; optional Deep deep = 50002; }
    message Deep { optional int32 a = 1; }
    message M {
      required string a = 1 [(hint) = "x" "y", (deep).a = 3, deprecated = true];
      optional int32 b = 2 [default = -7, (deep) = { a: 1 b { c: "}" } }];
      repeated int32 packed = 3 [packed = true]; repeated int32 loose = 4; // to the end
      extensions 100 to max;
      enum E { option allow_alias = true; A = 0; B = 0x10 [deprecated = true]; C = 16; }
      optional E e = 5 [default = B];
      option (google.api.thing) = { k: "v" };
      oneof o { option (x) = 1; int64 message = 6; string option1 = 7; };
    }
    extend M { optional string more = 100; }`,
  );
  const type = message(registry.getMessage('p.M'));
  assert.deepEqual(
    type.fields.map(({ name, number, presence }) => [name, number, presence]),
    [
      ['a', 1, 3],
      ['b', 2, 1],
      ['packed', 3, 2],
      ['loose', 4, 2],
      ['e', 5, 1],
      ['message', 6, 1],
      ['option1', 7, 1],
    ],
  );
  assert.equal(type.fields.find(({ name }) => name === 'packed')?.proto.options?.packed, true);
  assert.equal(type.fields.find(({ name }) => name === 'e')?.proto.defaultValue, 'B');
  assert.equal(registry.getExtension('p.more')?.number, 100);

  const edition = read(
    'edition = "2023"; package q; option features.field_presence = IMPLICIT; message N { string a = 1; string b = 2 [features.field_presence = EXPLICIT]; }',
  );
  assert.deepEqual(
    message(edition.registry.getMessage('q.N')).fields.map(({ presence }) => presence),
    [2, 1],
  );
});

function message(type: DescMessage | undefined): DescMessage {
  assert.ok(type !== undefined);
  return type;
}

test('resolves names outwards, and over imports', () => {
  const { registry } = read(
    `syntax = "proto3"; package a.b; import "sub/c.proto";
     message T { message T { string inner = 1; } T t = 1; .a.b.T self = 2; a.c.U u = 3; c.U v = 4; }`,
    { 'sub/c.proto': 'syntax = "proto3"; package a.c; message U {}' },
  );
  assert.deepEqual(
    message(registry.getMessage('a.b.T')).fields.map((field) => field.message?.typeName),
    ['a.b.T.T', 'a.b.T', 'a.c.U', 'a.c.U'],
  );
});

const refused: [string, string, RegExp][] = [
  ['an unknown type', 'syntax = "proto3"; message A { Thing t = 1; }', /no type "Thing"/],
  ['a missing import', 'import "x.proto";', /imports "x.proto", which params.protos does not have/],
  ['an import of a file on the disk', 'import "/etc/passwd";', /params.protos does not have/],
  ['an import of itself', 'import "main.proto";', /imports itself/],
  ['a group', 'message A { optional group G = 1 {} }', /line 1: groups are not supported/],
  ['an unfinished message', 'message A {\n string a = 1;\n', /line 3: .* the end of the file/],
  ['nonsense', 'syntax = "proto3";\n%', /line 2: "%"/],
  ['a future edition', 'edition = "2099";', /2023 are read, but not "2099"/],
  ['a field number of 0', 'message A { optional int32 a = 0; }', /A.a can't have the number 0/],
  ['the same number twice', 'message A { optional int32 a = 1; optional int32 b = 1; }', /A has 1 twice/],
  ['an empty enum', 'enum E {}', /the enum E has no value/],
  ['types of Google', 'package google.protobuf; message Timestamp { optional string s = 1; }', /./],
  ['types of Google, nested', 'package google; message protobuf { message Timestamp {} }', /which is Google's/],
  ['deep nesting', 'message A {'.repeat(40), /nested deeper than 32/],
  ['a long text', ' '.repeat(1024 * 1024 + 1), /longer than/],
];
for (const [what, text, pattern] of refused)
  test(`refuses ${what}`, () => {
    assert.throws(
      () => methodOf(read(text), { service: 'none', method: 'none' }),
      (thrown) => {
        assert.ok(thrown instanceof StepError);
        assert.equal(thrown.code, 'INVALID_PARAMS');
        assert.match(thrown.message, pattern);
        return true;
      },
    );
  });

test('names of JavaScript are names like others', () => {
  const { registry } = read(
    `syntax = "proto3"; package constructor;
     message __proto__ { string __proto__ = 1; string constructor = 2; string toString = 3; oneof hasOwnProperty { int32 valueOf = 4; } }`,
  );
  assert.equal(message(registry.getMessage('constructor.__proto__')).fields.length, 4);
  assert.equal(({} as Record<string, unknown>).string, undefined);
});
