// What the tests of MongoDB and Redis share: calls as the adapter makes them.
import { createHash } from 'node:crypto';
import type { Call, Options, Target } from '../../../src/adapters/database/driver.ts';
import { optionDefaults } from '../../../src/adapters/database/options.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import type { StepError } from '../../../src/lib/errors.ts';
import type { AdapterContext } from '../../../src/ports/adapter.ts';
import type { Reach } from '../../../src/ports/egress.ts';

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
  const context: AdapterContext = {
    run_id: 'run',
    step_id: 'step',
    attempt: 1,
    tenant_id: null,
    idempotency_key: key ?? 'none',
    signal: live,
    deadline_ms: undefined,
    seed: '0'.repeat(32),
    last_checkpoint: undefined,
    checkpoint: async () => undefined,
    progress: () => undefined,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    vault: { resolve: async () => '' },
    redact: (text) => text,
    resources: {},
    assets: {},
    pin: () => undefined,
    varies: () => undefined,
    blobs,
    afterCommit: () => undefined,
  };
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
