import { type KeyObject, verify as verifyBytes } from 'node:crypto';
import { parsePublicKey } from '../lib/ed25519.ts';
import type { SignatureVerifier } from '../ports/signer.ts';

const SIGNATURE_BYTES = 64;

export interface VerifierOptions {
  /** Parsed keys that are kept, the least recently used going first. Default 1024. */
  keysMax?: number;
}

/**
 * Checks Ed25519 signatures (RFC 8032) on the thread pool, because checking is the most expensive part of accepting a receipt.
 * Unsound keys and malformed signatures count as wrong signatures: nothing rejects.
 */
export function createVerifier(options: VerifierOptions = {}): SignatureVerifier {
  const keys = keyCache(options.keysMax ?? 1024);
  return {
    verify: (publicKey, data, signature) => {
      const key = keys(publicKey);
      if (key === undefined || signature.length !== SIGNATURE_BYTES) return Promise.resolve(false);
      return new Promise((resolve) => {
        verifyBytes(null, data, key, signature, (error, valid) => resolve(error === null && valid));
      });
    },
  };
}

/** The same without the thread pool, for simulation: the result is there at once. */
export function syncVerifier(options: VerifierOptions = {}): SignatureVerifier {
  const keys = keyCache(options.keysMax ?? 1024);
  return {
    verify: async (publicKey, data, signature) => {
      const key = keys(publicKey);
      return key !== undefined && signature.length === SIGNATURE_BYTES && verifyBytes(null, data, key, signature);
    },
  };
}

/** Sound keys by their PEM text; undefined for unsound ones, which are not kept. */
function keyCache(keysMax: number): (pem: string) => KeyObject | undefined {
  const cache = new Map<string, KeyObject>();
  return (pem) => {
    const cached = cache.get(pem);
    if (cached !== undefined) {
      // A Map keeps the order of insertion: putting the entry last marks it as recently used.
      cache.delete(pem);
      cache.set(pem, cached);
      return cached;
    }
    let key: KeyObject;
    try {
      ({ key } = parsePublicKey(pem));
    } catch {
      return undefined;
    }
    if (cache.size >= keysMax) cache.delete(cache.keys().next().value ?? '');
    cache.set(pem, key);
    return key;
  };
}
