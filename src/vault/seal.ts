import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';

const CIPHER = 'aes-256-gcm';
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
/** Stated on both sides: Node would accept shorter tags, which are easier to forge. */
const TAG_BYTES = 16;
const SALT_BYTES = 16;
/** RFC 7914; 128 MiB and some tenths of a second for each guess. They belong to the format's version, so no file can lower them. */
const scryptCost = { N: 2 ** 17, r: 8, p: 1, maxmem: 192 * 1024 * 1024 } as const;

export const newKey = (): Buffer => randomBytes(KEY_BYTES);
export const newSalt = (): Buffer => randomBytes(SALT_BYTES);

/** Off the event loop, in the thread pool. */
export function keyFromPassphrase(passphrase: string, salt: Uint8Array): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  // NFKC, as RFC 8265 has it: the same passphrase on another keyboard may be composed of other code points.
  scrypt(passphrase.normalize('NFKC'), salt, KEY_BYTES, scryptCost, (error, key) =>
    error ? reject(error) : resolve(key),
  );
  return promise;
}

/** AES-256-GCM: nonce, ciphertext and tag in one piece, base64. `context` is authenticated and not stored. */
export function seal(key: Uint8Array, plaintext: Uint8Array, context: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(context, 'utf8'));
  return Buffer.concat([nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]).toString('base64');
}

/** @returns undefined where the text was not sealed with this key and context */
export function unseal(key: Uint8Array, sealed: string, context: string): Buffer | undefined {
  const bytes = Buffer.from(sealed, 'base64');
  // Base64 is read leniently; only the one text that was written counts.
  if (bytes.length < NONCE_BYTES + TAG_BYTES || bytes.toString('base64') !== sealed) return undefined;
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context, 'utf8'));
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch {
    return undefined;
  }
}
