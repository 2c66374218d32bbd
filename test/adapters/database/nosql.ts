// What the tests of MongoDB and Redis share: calls as the adapter makes them.
import { createHash } from 'node:crypto';
import type { Call, Options, Target } from '../../../src/adapters/database/driver.ts';
import { optionDefaults } from '../../../src/adapters/database/options.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { StepError } from '../../../src/lib/errors.ts';
import type { Reach } from '../../../src/ports/egress.ts';
import { bareContext } from '../../support/bare-context.ts';

export function targetOf(url: string, options: Partial<Options> = {}, reach: Reach = 'operator'): Target {
  return { url: new URL(url), reach, egress: createEgress(), options: { ...optionDefaults, ...options } };
}

/** Blobs of a test, by digest. */
export class MemoryBlobs {
  readonly all = new Map<string, Uint8Array>();
  async get(digest: string): Promise<Uint8Array> {
    return this.all.get(digest) ?? new Uint8Array();
  }
  async put(bytes: Uint8Array): Promise<string> {
    const digest = createHash('sha256').update(bytes).digest('hex');
    this.all.set(digest, bytes);
    return digest;
  }
}

export interface CallOptions extends Partial<Options> {
  key?: string | undefined;
  signal?: AbortSignal;
  blobs?: MemoryBlobs;
}

export function callOf({ key, signal, blobs = new MemoryBlobs(), ...options }: CallOptions = {}): Call {
  const live = signal ?? new AbortController().signal;
  const context = bareContext({ idempotency_key: key ?? 'none', signal: live, blobs });
  return { context, signal: live, timeoutMs: 30_000, options: { ...optionDefaults, ...options }, effectKey: key };
}

/** For `assert.rejects`. */
export const code =
  (expected: string, text?: RegExp) =>
  (thrown: unknown): boolean => {
    const { code: actual, message } = thrown as StepError;
    if (actual !== expected) throw new Error(`expected ${expected}, got ${actual}: ${message}`);
    if (text !== undefined && !text.test(message)) throw new Error(`the message is: ${message}`);
    return true;
  };
