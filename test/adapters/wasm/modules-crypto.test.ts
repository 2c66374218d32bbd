import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import test from 'node:test';
import fc from 'fast-check';
import { bufferModule, ModuleRefusal } from './modules.ts';

const sha256 = (bytes: Uint8Array | string): string => createHash('sha256').update(bytes).digest('hex');

test('the crypto example of the reference document: the digest of a text, within its 10 pages', () => {
  const module = bufferModule('crypto_hash.wasm');
  assert.equal(module.json('sha256', { data: 'Hello, WASM!' }), sha256('Hello, WASM!'));
  assert.ok(module.memoryPages() <= 10, `${module.memoryPages()} pages`);
});

test("NIST's vectors", () => {
  const module = bufferModule('crypto_hash.wasm');
  const vectors: [text: string, digest: string][] = [
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
    [
      'abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu',
      'cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1',
    ],
    ['a'.repeat(1_000_000), 'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0'],
  ];
  for (const [text, digest] of vectors) {
    assert.equal(module.json('sha256', text), digest);
    assert.equal(module.call('process', text).toString(), `"${digest}"`);
  }
});

test('any bytes, whole, in base64, in hex and as a stream of chunks', () => {
  const module = bufferModule('crypto_hash.wasm');
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), (chunks) => {
      const bytes = Buffer.concat(chunks);
      const digest = sha256(bytes);
      assert.equal(module.call('process', bytes).toString(), `"${digest}"`);
      assert.equal(module.json('sha256', { data: bytes.toString('base64'), encoding: 'base64' }), digest);
      assert.equal(module.json('sha256', { data: bytes.toString('base64url'), encoding: 'base64' }), digest);
      assert.equal(module.json('sha256', { data: bytes.toString('hex'), encoding: 'hex' }), digest);
      for (const chunk of chunks) assert.equal(module.call('update', chunk).length, 0);
      assert.equal(module.finish('finish').toString(), `"${digest}"`);
    }),
    { numRuns: 200 },
  );
});

test('any text, however JSON writes it', () => {
  const module = bufferModule('crypto_hash.wasm');
  const escaped = (text: string): string =>
    `"${Array.from({ length: text.length }, (_, at) => `\\u${text.charCodeAt(at).toString(16).padStart(4, '0')}`).join('')}"`;
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 100 }), (text) => {
      assert.equal(module.json('sha256', { data: text }), sha256(text));
      assert.equal(module.call('sha256', escaped(text)).toString(), `"${sha256(text)}"`);
    }),
    { numRuns: 200 },
  );
});

test('memory is used again: a thousand calls, and a mebibyte a hundred times', () => {
  const module = bufferModule('crypto_hash.wasm');
  for (let call = 0; call < 1_000; call += 1) module.json('sha256', { data: `text ${call}` });
  assert.equal(module.memoryPages(), 1);
  const chunk = randomBytes(1 << 20);
  for (let call = 0; call < 100; call += 1) module.call('update', chunk);
  assert.equal(
    module.finish('finish').toString(),
    `"${sha256(Buffer.concat(Array.from({ length: 100 }, () => chunk)))}"`,
  );
  assert.ok(module.memoryPages() <= 18, `${module.memoryPages()} pages`);
});

test('bad arguments end the call with a message', () => {
  const bad: [input: string, message: RegExp][] = [
    ['{}', /takes a text/],
    ['', /takes a text/],
    ['"open', /takes a text/],
    ['{"data":7}', /takes a text/],
    ['{"data":"x","salt":"y"}', /takes a text/],
    ['{"data":"x"} ', /$/],
    ['{"data":"x"}x', /takes a text/],
    ['{"data":"x","encoding":"utf16"}', /takes a text/],
    ['{"data":"abc","encoding":"hex"}', /odd number/],
    ['{"data":"zz","encoding":"hex"}', /not hexadecimal/],
    ['{"data":"a","encoding":"base64"}', /wrong length/],
    ['{"data":"a*==","encoding":"base64"}', /not base64/],
    ['"\\ud800"', /takes a text|half of a character/],
    ['"\\ud800\\u0041"', /half of a character/],
  ];
  for (const [input, message] of bad) {
    const module = bufferModule('crypto_hash.wasm');
    if (input.endsWith(' ')) assert.equal(module.call('sha256', input).length, 66);
    else
      assert.throws(
        () => module.call('sha256', input),
        (thrown) => thrown instanceof ModuleRefusal && message.test(thrown.message),
        input,
      );
  }
});
