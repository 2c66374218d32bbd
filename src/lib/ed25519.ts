import { createPublicKey, type KeyObject } from 'node:crypto';
import { JSONFlowError } from './errors.ts';
import { sha256 } from './hash.ts';

/** SubjectPublicKeyInfo of an Ed25519 key (RFC 8410 §4), before the 32 bytes of the key itself. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const KEY_BYTES = 32;
/** The one PEM text of a key has 113; the rest is room for white space, which who sends the key could else add without end. */
const PEM_LENGTH_MAX = 256;

const P = 2n ** 255n - 19n;
/** Constant of the curve equation −x² + y² = 1 + d·x²·y² (RFC 8032 §5.1): −121665/121666. */
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

/**
 * The y coordinates of the eight points whose order divides 8. With such a key one signature fits almost any message, so who holds
 * it can disown what was signed; nobody generates one by accident.
 */
const smallOrderY: readonly bigint[] = [
  0n,
  1n,
  P - 1n,
  2707385501144840649318225287225658788936804267575313519463743609750303402022n,
  55188659117513257062467267217118295137698188065244968500265048394206261417927n,
];

export interface PublicKey {
  /** SHA-256 of the raw key, in hexadecimal. */
  keyId: string;
  /** The one PEM text of this key. */
  pem: string;
  /** For `crypto.verify`. */
  key: KeyObject;
}

/**
 * Reads a public key and refuses unsound ones.
 *
 * @param pem SubjectPublicKeyInfo in PEM (RFC 7468); white space around lines is ignored, up to 256 characters in all
 * @throws JSONFlowError INVALID_CONFIG where the text is not an Ed25519 key, where its encoding is not canonical or not a point of
 *   the curve, or where the point has small order
 */
export function parsePublicKey(pem: string): PublicKey {
  const known = soundKeys.get(pem) ?? soundKeys.get(pemOf(rawKeyOf(pem)));
  if (known !== undefined) return known;
  const key = checkedPublicKey(pem);
  for (const oldest of soundKeys.keys()) {
    if (soundKeys.size < soundKeysMax) break;
    soundKeys.delete(oldest);
  }
  soundKeys.set(key.pem, key);
  return key;
}

/** Keys that were found sound, by their one PEM text: the check takes longer than a signature, and the same few keys come again and again. */
const soundKeys = new Map<string, PublicKey>();
const soundKeysMax = 1_000;

function checkedPublicKey(pem: string): PublicKey {
  const raw = rawKeyOf(pem);
  const y = littleEndian(raw) & ~(1n << 255n);
  if (y >= P) throw unsound('its encoding is not canonical');
  if (smallOrderY.includes(y)) throw unsound('it is a point of small order');
  if (!isOnCurve(y)) throw unsound('it is not a point of the curve');
  return {
    keyId: sha256(raw),
    pem: pemOf(raw),
    key: createPublicKey({ key: derOf(raw), format: 'der', type: 'spki' }),
  };
}

/** SHA-256 of the raw 32-byte key, in hexadecimal. @throws JSONFlowError INVALID_CONFIG where the text is not an Ed25519 key */
export const keyIdOf = (publicKeyPem: string): string => sha256(rawKeyOf(publicKeyPem));

/** @throws JSONFlowError INVALID_CONFIG, as `parsePublicKey` */
export function assertSoundKey(publicKeyPem: string): void {
  parsePublicKey(publicKeyPem);
}

function rawKeyOf(pem: string): Buffer {
  const match =
    pem.length > PEM_LENGTH_MAX
      ? null
      : /^\s*-----BEGIN PUBLIC KEY-----\s+([A-Za-z0-9+/=]{1,100})\s+-----END PUBLIC KEY-----\s*$/.exec(pem);
  const body = match?.[1] ?? '';
  const der = Buffer.from(body, 'base64');
  if (
    der.toString('base64') !== body ||
    der.length !== SPKI_PREFIX.length + KEY_BYTES ||
    !der.subarray(0, SPKI_PREFIX.length).equals(SPKI_PREFIX)
  )
    throw new JSONFlowError('INVALID_CONFIG', 'the public key is not an Ed25519 key in PEM', {
      hint: 'Give a SubjectPublicKeyInfo block, as "openssl pkey -pubout" prints it for an Ed25519 key.',
    });
  return der.subarray(SPKI_PREFIX.length);
}

const derOf = (raw: Uint8Array): Buffer => Buffer.concat([SPKI_PREFIX, raw]);

const pemOf = (raw: Uint8Array): string =>
  `-----BEGIN PUBLIC KEY-----\n${derOf(raw).toString('base64')}\n-----END PUBLIC KEY-----\n`;

const littleEndian = (bytes: Uint8Array): bigint => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);

/** Whether x² = (y² − 1) / (d·y² + 1) has a root: Euler's criterion on numerator times denominator. */
function isOnCurve(y: bigint): boolean {
  const square = (y * y) % P;
  const product = (((square + P - 1n) % P) * ((D * square + 1n) % P)) % P;
  return product === 0n || power(product, (P - 1n) / 2n) === 1n;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let bits = exponent; bits > 0n; bits >>= 1n) {
    if (bits & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}

const unsound = (why: string): JSONFlowError =>
  new JSONFlowError('INVALID_CONFIG', `the public key is unsound: ${why}`, {
    hint: 'Never accept such a key. Let the node create a new identity.',
  });
