import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StepError } from '../../lib/errors.ts';
import { decodeBody, encodeBody } from './bodies.ts';

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);

test('any JSON survives the way there and back', () => {
  fc.assert(
    fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
      const plain = JSON.parse(JSON.stringify(value));
      const { body, contentType } = encodeBody(plain, undefined, 'params.message');
      const decoded = decodeBody(body, contentType);
      // Whole numbers beyond 2^53 are not what a step can carry.
      if ('undecodable' in decoded) assert.match(decoded.undecodable, /2\^53|surrogate/);
      else assert.deepEqual(decoded.message, plain);
    }),
  );
});

test('any bytes survive as $bytes', () => {
  fc.assert(
    fc.property(fc.uint8Array(), (array) => {
      const message = { $bytes: Buffer.from(array).toString('base64') };
      const { body, contentType } = encodeBody(message, undefined, 'params.message');
      assert.deepEqual(new Uint8Array(body), new Uint8Array(array));
      assert.deepEqual(decodeBody(body, contentType), { message });
    }),
  );
});

test('texts are texts where the content type says so', () => {
  const { body } = encodeBody('héllo', 'text/plain; charset=utf-8', 'params.message');
  assert.equal(Buffer.from(body).toString(), 'héllo');
  assert.deepEqual(decodeBody(body, 'text/plain; charset=utf-8'), { message: 'héllo' });
  assert.deepEqual(decodeBody(Buffer.from('7'), 'text/csv'), { message: '7' });
  assert.throws(() => encodeBody({ a: 1 }, 'text/plain', 'params.message'), { code: 'INVALID_PARAMS' });
});

test('without a content type a body is JSON, text or bytes, as it is', () => {
  assert.deepEqual(decodeBody(Buffer.from('{"a":1}'), undefined), { message: { a: 1 } });
  assert.deepEqual(decodeBody(Buffer.from('{"a":'), undefined), { message: '{"a":' });
  assert.deepEqual(decodeBody(bytes(0xff, 0), undefined), { message: { $bytes: '/wA=' } });
  assert.deepEqual(decodeBody(bytes(), undefined), { message: '' });
});

test('what is declared to be JSON and is not can not be used, nor can what no receipt can carry', () => {
  for (const [body, reason] of [
    [Buffer.from('{'), /does not parse/],
    [bytes(0xff), /not UTF-8/],
    [bytes(), /does not parse/],
    [Buffer.from('{"id":12345678901234567890}'), /2\^53/],
    [Buffer.from('["\\ud800"]'), /surrogate/],
    [Buffer.from('['.repeat(100) + ']'.repeat(100)), /levels/],
  ] as const) {
    const decoded = decodeBody(body, 'application/json');
    assert.ok('undecodable' in decoded && reason.test(decoded.undecodable), JSON.stringify(decoded));
  }
  assert.deepEqual(decodeBody(Buffer.from('{"__proto__":1}'), 'application/problem+json'), {
    message: JSON.parse('{"__proto__":1}'),
  });
});

test('other content types are bytes', () => {
  assert.deepEqual(decodeBody(Buffer.from('{}'), 'image/png'), { message: { $bytes: 'e30=' } });
});

test('what is no base64 is refused, with its place', () => {
  for (const $bytes of ['a', '!!!!', 'AAA=A', 'AA==AA=='])
    assert.throws(
      () => encodeBody({ $bytes }, undefined, 'params.messages[3]'),
      (thrown) => {
        assert.ok(thrown instanceof StepError && thrown.code === 'INVALID_PARAMS');
        assert.match(thrown.message, /messages\[3\]/);
        return true;
      },
    );
});
