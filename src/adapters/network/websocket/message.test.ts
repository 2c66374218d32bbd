import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StepError } from '../../../lib/errors.ts';
import type { JSONValue } from '../../../lib/json.ts';
import { decodeMessage, encodeMessage } from './message.ts';

test('objects, lists and bytes come back as they went out', () => {
  const value = fc.oneof(fc.array(fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue()));
  fc.assert(
    fc.property(value, (message) => {
      const text = JSON.stringify(message);
      const sent = encodeMessage(JSON.parse(text) as JSONValue, 'm');
      assert.deepEqual(decodeMessage(Buffer.from(sent), typeof sent !== 'string', 'auto', 0), JSON.parse(text));
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => {
      const message = { $bytes: Buffer.from(bytes).toString('base64') };
      const sent = encodeMessage(message, 'm');
      assert.ok(Buffer.isBuffer(sent) && sent.equals(bytes));
      assert.deepEqual(decodeMessage(sent, true, 'auto', 0), message);
    }),
  );
});

test('texts stay texts, unless they are JSON objects or lists', () => {
  const read = (text: string, form: 'auto' | 'json' | 'text' = 'auto') =>
    decodeMessage(Buffer.from(text), false, form, 3);
  for (const text of ['', 'a', '5', 'true', '"a"', '{broken', '[1,']) assert.equal(read(text), text);
  assert.deepEqual(read(' {"a":1}'), { a: 1 });
  assert.equal(read('[1]', 'text'), '[1]');
  assert.equal(read('5', 'json'), 5);
  assert.throws(
    () => read('a', 'json'),
    (thrown) => thrown instanceof StepError && /message 3/.test(thrown.message),
  );
  assert.throws(() => encodeMessage({ $bytes: '***' }, 'm'), StepError);
});
