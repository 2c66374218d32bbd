import { type Cipheriv, createCipheriv, createHash } from 'node:crypto';

/** Bytes that follow from a seed: the key stream of AES-256-CTR under SHA-256 of the seed, from block 0. */
export class SeededRandom {
  readonly #seed: string;
  #cipher: Cipheriv | undefined;

  constructor(seed: string) {
    this.#seed = seed;
  }

  fill(bytes: Uint8Array): void {
    this.#cipher ??= createCipheriv('aes-256-ctr', createHash('sha256').update(this.#seed).digest(), Buffer.alloc(16));
    const chunk = Buffer.alloc(Math.min(bytes.length, 65_536));
    for (let at = 0; at < bytes.length; at += chunk.length)
      bytes.set(this.#cipher.update(chunk.subarray(0, Math.min(chunk.length, bytes.length - at))), at);
  }

  u32(): number {
    const bytes = new Uint8Array(4);
    this.fill(bytes);
    return new DataView(bytes.buffer).getUint32(0, true);
  }

  /** At least 0 and less than 1, with 53 random bits. */
  unit(): number {
    return ((this.u32() >>> 5) * 67_108_864 + (this.u32() >>> 6)) / 9_007_199_254_740_992;
  }
}
