import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JSONObject } from '../../../lib/json.ts';
import { descriptorsOfTexts } from './descriptors.ts';
import { decode, encode } from './message.ts';

const hostile = descriptorsOfTexts(
  new Map([
    [
      'hostile.proto',
      `syntax = "proto3"; package p;
       message M {
         string __proto__ = 1; string constructor = 2; string toString = 3;
         map<string, string> map = 4;
         oneof hasOwnProperty { int32 valueOf = 5; }
         M prototype = 6;
         string renamed = 7 [json_name = "__proto__"];
       }`,
    ],
  ]),
);

test('names and keys like __proto__ are data, both ways', () => {
  const type = hostile.registry.getMessage('p.M');
  assert.ok(type !== undefined);
  const json = JSON.parse(
    '{"Proto":"a","constructor":"b","toString":"c","map":{"__proto__":"d","constructor":"e"},"valueOf":7,"prototype":{"constructor":"f"},"__proto__":"g"}',
  ) as JSONObject;
  // protoc derives this name; the suite of proto.test.ts compares the others with it.
  const own = type.fields.find(({ number }) => number === 1)?.jsonName ?? '';
  if (own !== 'Proto') {
    json[own] = json.Proto ?? null;
    delete json.Proto;
  }
  const options = { defaults: false, protoNames: false };
  const back = decode(type, encode(type, json, hostile, ['message']), hostile, options) as JSONObject;
  assert.deepEqual(JSON.parse(JSON.stringify(back)), json);
  assert.equal(Object.getPrototypeOf(back), Object.prototype);
  assert.equal(({} as JSONObject).constructor, Object);
  assert.equal(Object.keys(Object.prototype).length, 0);
});

test('what is not the message at all', () => {
  const type = hostile.registry.getMessage('p.M');
  assert.ok(type !== undefined);
  for (const bytes of [[0xff], [0x0a, 0x7f], [0x08]])
    assert.throws(() => decode(type, Uint8Array.from(bytes), hostile, { defaults: true, protoNames: false }), {
      code: 'RESPONSE_INVALID',
    });
});

test('deep messages are refused, both ways', () => {
  const type = hostile.registry.getMessage('p.M');
  assert.ok(type !== undefined);
  let json: JSONObject = {};
  for (let depth = 0; depth < 5000; depth += 1) json = { prototype: json };
  assert.throws(() => encode(type, json, hostile, ['message']), { code: 'INVALID_PARAMS' });
  let bytes = Buffer.alloc(0);
  for (let depth = 0; depth < 1000; depth += 1) {
    const length = Buffer.from([0x32, (bytes.length & 0x7f) | 0x80, (bytes.length >> 7) & 0x7f]);
    bytes = Buffer.concat([length, bytes]);
  }
  assert.throws(() => decode(type, bytes, hostile, { defaults: true, protoNames: false }), {
    code: 'RESPONSE_INVALID',
  });
});
