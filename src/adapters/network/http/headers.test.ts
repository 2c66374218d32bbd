import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { StepError } from '../../../lib/errors.ts';
import { authorization, headerList, withoutCredentials } from './headers.ts';

test('no header that is taken can end its line or begin another message', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', minLength: 1 }), fc.string({ unit: 'binary' }), (name, value) => {
      let list: [string, string][];
      try {
        list = headerList({ [name]: value });
      } catch (thrown) {
        return assert.ok(thrown instanceof StepError && thrown.code === 'INVALID_PARAMS');
      }
      for (const text of list.flat()) assert.doesNotMatch(text, /[\r\n\0]/);
      assert.match(list[0]?.[0] ?? '', /^[^\s:()<>@,;\\"/[\]?={}]+$/);
    }),
  );
});

test('with another origin nothing is left that could identify anybody', () => {
  const list = headerList({
    Authorization: 'a',
    Cookie: 'b',
    'X-Api-Key': 'c',
    'Idempotency-Key': 'd',
    Referer: 'e',
    Origin: 'f',
    Accept: 'text/plain',
    'Content-Type': 'secret',
  });
  assert.deepEqual(
    withoutCredentials(list, (text) => text.replace('secret', 'vault://x')),
    [['accept', 'text/plain']],
  );
});

test('basic authentication is that of RFC 7617', () => {
  assert.equal(
    authorization({ basic: { username: 'Aladdin', password: 'open sesame' } }),
    'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==',
  );
  assert.equal(authorization({ basic: { username: 'test', password: '123£' } }), 'Basic dGVzdDoxMjPCow==');
  assert.equal(authorization(undefined), undefined);
});
