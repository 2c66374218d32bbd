import { timingSafeEqual } from 'node:crypto';
import { sha256 } from '../lib/hash.ts';

const oneTimeMax = 1_000;
const oneTimeTtlMsMax = 600_000;

/** Tokens that let a worker join. Only their hashes are kept; shared ones hold for good, one-time ones for minutes. */
export class JoinTokens {
  readonly #shared: readonly Buffer[];
  /** Hash to the time it ends at. */
  readonly #oneTime = new Map<string, number>();

  constructor(shared: readonly string[]) {
    this.#shared = shared.map((token) => Buffer.from(sha256(token), 'hex'));
  }

  /** Without any shared token every worker that can reach the coordinator may join. */
  get required(): boolean {
    return this.#shared.length > 0;
  }

  /** @returns the token, which is not kept */
  create(secret: Uint8Array, now: number, ttlMs: number): { token: string; expires_at: number } {
    for (const [hash, end] of this.#oneTime)
      if (end <= now || this.#oneTime.size >= oneTimeMax) this.#oneTime.delete(hash);
    const token = Buffer.from(secret).toString('base64url');
    const expires_at = now + Math.min(ttlMs, oneTimeTtlMsMax);
    this.#oneTime.set(sha256(token), expires_at);
    return { token, expires_at };
  }

  /** Whether the token would admit its bearer; nothing is used up. */
  accepts(token: string | undefined, now: number): boolean {
    if (!this.required) return true;
    return token !== undefined && ((this.#oneTime.get(sha256(token)) ?? 0) > now || this.#isShared(sha256(token)));
  }

  /** Whether the token admits its bearer; a one-time token is used up by it. */
  admit(token: string | undefined, now: number): boolean {
    if (!this.required) return true;
    if (token === undefined) return false;
    const hash = sha256(token);
    const end = this.#oneTime.get(hash);
    if (end !== undefined) {
      this.#oneTime.delete(hash);
      return end > now;
    }
    return this.#isShared(hash);
  }

  #isShared(hash: string): boolean {
    const given = Buffer.from(hash, 'hex');
    // No early exit: the time tells nothing about which one it was.
    return this.#shared.reduce((found, known) => timingSafeEqual(known, given) || found, false);
  }
}
