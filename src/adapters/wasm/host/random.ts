import { type Cipheriv, createCipheriv, createHash } from 'node:crypto';

const zeros = new Uint8Array(4096);

/** Bytes that follow from a seed: the key stream of AES-256-CTR under SHA-256 of the seed, from block 0. */
export class SeededRandom {
  readonly #seed: string;
  #cipher: Cipheriv | undefined;
  /** Made ahead: a call of the cipher costs far more than a number from it. */
  #ready = new Uint8Array(0);
  #at = 0;

  constructor(seed: string) {
    this.#seed = seed;
  }

  fill(bytes: Uint8Array): void {
    for (let filled = 0; filled < bytes.length; ) {
      if (this.#at === this.#ready.length) this.#refill();
      const part = this.#ready.subarray(this.#at, this.#at + bytes.length - filled);
      bytes.set(part, filled);
      filled += part.length;
      this.#at += part.length;
    }
  }

  #refill(): void {
    this.#cipher ??= createCipheriv('aes-256-ctr', createHash('sha256').update(this.#seed).digest(), Buffer.alloc(16));
    this.#ready = this.#cipher.update(zeros);
    this.#at = 0;
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
