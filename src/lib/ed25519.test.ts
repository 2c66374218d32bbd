import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { assertSoundKey, keyIdOf, parsePublicKey } from './ed25519.ts';
import { sha256 } from './hash.ts';

const pemOf = (raw: Uint8Array, prefix = '302a300506032b6570032100'): string =>
  `-----BEGIN PUBLIC KEY-----\n${Buffer.concat([Buffer.from(prefix, 'hex'), raw]).toString('base64')}\n-----END PUBLIC KEY-----\n`;

const P = 2n ** 255n - 19n;
const encoded = (y: bigint, sign = 0n): Buffer =>
  Buffer.from((y | (sign << 255n)).toString(16).padStart(64, '0'), 'hex').reverse();

/** RFC 8032 §7.1, TEST 1: a public key. */
const good = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex');

test('a sound key', () => {
  const { keyId, pem, key } = parsePublicKey(pemOf(good));
  assert.equal(keyId, sha256(good));
  assert.equal(keyIdOf(pem), keyId);
  assert.equal(pem, pemOf(good));
  assert.equal(key.export({ type: 'spki', format: 'pem' }), pem);
});

test('white space around the lines is ignored, and gone from the one PEM form', () => {
  assert.equal(parsePublicKey(`\n${pemOf(good).replaceAll('\n', '\r\n')}\n`).pem, pemOf(good));
});

test('a key is kept once, however it is written, and not with endless white space', () => {
  const pem = pemOf(good);
  assert.equal(pem.length, 113);
  assert.equal(parsePublicKey(`\n\n${pem}`), parsePublicKey(pem));
  assert.equal(parsePublicKey(' '.repeat(256 - pem.length) + pem), parsePublicKey(pem));
  for (const long of [
    ' '.repeat(257 - pem.length) + pem,
    pem.replace('\n', '\n'.repeat(1_000_000)),
    `${pem}${' '.repeat(300)}`,
  ])
    for (const read of [parsePublicKey, keyIdOf, assertSoundKey])
      assert.throws(() => read(long), { code: 'INVALID_CONFIG', message: /not an Ed25519 key/ });
});

test('every generated key is sound', () => {
  for (let i = 0; i < 50; i++) {
    const pem = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }).toString();
    assert.equal(parsePublicKey(pem).pem, pem);
  }
});

test('all points of small order are refused, in both signs and in every encoding', () => {
  // The y coordinates of the 8-torsion, as doubling three times to the neutral element finds them below.
  const ys = torsionY();
  assert.equal(ys.length, 5);
  for (const y of ys)
    for (const sign of [0n, 1n])
      assert.throws(() => assertSoundKey(pemOf(encoded(y, sign))), { code: 'INVALID_CONFIG', message: /small order/ });
  for (let y = P; y < 2n ** 255n; y++)
    for (const sign of [0n, 1n])
      assert.throws(() => assertSoundKey(pemOf(encoded(y, sign))), {
        code: 'INVALID_CONFIG',
        message: /not canonical/,
      });
});

test('a y that no point of the curve has is refused', () => {
  // About every second y is none; the smallest is 2.
  assert.throws(() => assertSoundKey(pemOf(encoded(2n))), { code: 'INVALID_CONFIG', message: /not a point/ });
});

test('other keys and damaged ones are refused', () => {
  const pem = pemOf(good);
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'pem' });
  const x25519 = generateKeyPairSync('x25519').publicKey.export({ type: 'spki', format: 'pem' });
  const secret = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  for (const bad of [
    '',
    'x',
    ec.toString(),
    x25519.toString(),
    secret.toString(),
    pem.replace('PUBLIC', 'PRIVATE'),
    pem.replace('=', ''),
    pem.slice(0, -20),
    pem + pem,
    pemOf(good.subarray(1)),
    pemOf(Buffer.concat([good, good])),
  ])
    for (const reads of [parsePublicKey, keyIdOf]) {
      assert.throws(() => reads(bad), { code: 'INVALID_CONFIG', message: /not an Ed25519 key/ });
    }
});

/** Finds the 8-torsion with the group law alone (RFC 8032 §5.1.4), so that the list in the product is not checked against itself. */
function torsionY(): bigint[] {
  const mod = (x: bigint): bigint => ((x % P) + P) % P;
  const power = (base: bigint, exponent: bigint): bigint => {
    let result = 1n;
    for (let b = mod(base), e = exponent; e > 0n; e >>= 1n, b = mod(b * b)) if (e & 1n) result = mod(result * b);
    return result;
  };
  const inverse = (x: bigint): bigint => power(x, P - 2n);
  const d = mod(-121665n * inverse(121666n));
  type Point = [x: bigint, y: bigint];
  const add = ([x1, y1]: Point, [x2, y2]: Point): Point => {
    const t = mod(d * x1 * x2 * y1 * y2);
    return [mod((x1 * y2 + x2 * y1) * inverse(1n + t)), mod((y1 * y2 + x1 * x2) * inverse(1n - t))];
  };
  const times = (n: bigint, point: Point): Point => {
    let result: Point = [0n, 1n];
    for (let q = point, e = n; e > 0n; e >>= 1n, q = add(q, q)) if (e & 1n) result = add(result, q);
    return result;
  };
  const xOf = (y: bigint): bigint | undefined => {
    const square = mod((y * y - 1n) * inverse(d * y * y + 1n));
    const root = power(square, (P + 3n) / 8n);
    for (const x of [root, mod(root * power(2n, (P - 1n) / 4n))]) if (mod(x * x) === square) return x;
    return undefined;
  };
  // A point times the prime order of the subgroup lies in the torsion; some point reaches its generator, of order 8.
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  for (let y = 2n; ; y++) {
    const x = xOf(y);
    if (x === undefined) continue;
    const generator = times(order, [x, y]);
    const all = [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n].map((n) => times(n, generator)[1]);
    if (times(4n, generator)[1] !== 1n) return [...new Set(all)];
  }
}
