import { canonicalize } from '../lib/canonical.ts';
import { clip } from '../lib/clip.ts';
import { StepError } from '../lib/errors.ts';
import { sha256 } from '../lib/hash.ts';
import type { JSONValue } from '../lib/json.ts';
import { parsePointer, redactJSON } from '../lib/secrets.ts';
import type { AdapterContext } from '../ports/adapter.ts';
import type { Clock } from '../ports/clock.ts';
import type { Stored } from '../protocol/events.ts';
import { limits } from '../protocol/limits.ts';
import type { Assignment } from '../protocol/messages.ts';
import { storeText } from './values.ts';

/** What an adapter leaves to be done once the fate of its attempt is known. */
export type Hook = () => void | Promise<void>;

/** What an attempt needs of the connection to its coordinator, which may break and come back meanwhile. */
export interface ContextLink {
  readonly local: boolean;
  getBlob(digest: string): Promise<Uint8Array>;
  putBlob(digest: string, bytes: Uint8Array): Promise<void>;
  progress(fraction: number | null, note: string): void;
  log(level: 'debug' | 'info' | 'warn' | 'error', text: string): void;
  /** Resolves when the coordinator has the state durably. */
  checkpoint(state: Stored): Promise<void>;
}

interface ContextParts {
  assignment: Assignment;
  signal: AbortSignal;
  deadline: number | undefined;
  lastCheckpoint: JSONValue | undefined;
  link: ContextLink;
  clock: Clock;
  resolve(name: string, version?: string): Promise<string>;
  redact(text: string): string;
  afterCommit(fn: Hook, otherwise: Hook | undefined): void;
  /** Only names and digests that may stand in a receipt come here. */
  pin(name: string, digest: string): void;
  varies(): void;
}

/** Progress more often than this is dropped: nobody could read it. */
const progressIntervalMs = 100;

/** The context of one attempt, as adapters see it. */
export class AttemptContext implements AdapterContext {
  readonly run_id: string;
  readonly step_id: string;
  readonly attempt: number;
  readonly tenant_id: string | null;
  readonly idempotency_key: string;
  readonly signal: AbortSignal;
  readonly deadline_ms: number | undefined;
  readonly last_checkpoint: JSONValue | undefined;
  readonly keeps_checkpoints: boolean;
  readonly log: AdapterContext['log'];
  readonly vault: AdapterContext['vault'];
  readonly assets: AdapterContext['assets'];
  readonly resources: AdapterContext['resources'];
  readonly blobs: AdapterContext['blobs'];
  readonly redact: AdapterContext['redact'];
  readonly varies: AdapterContext['varies'];
  readonly #parts: ContextParts;
  #progressAt = Number.NEGATIVE_INFINITY;
  #logLines = 0;
  #checkpointAt = Number.NEGATIVE_INFINITY;
  #checkpointDigest: string | undefined;

  constructor(parts: ContextParts) {
    const { assignment, link } = parts;
    this.#parts = parts;
    // Adapters take the context apart: `execute(step, { signal, progress })`.
    this.progress = this.progress.bind(this);
    this.checkpoint = this.checkpoint.bind(this);
    this.afterCommit = this.afterCommit.bind(this);
    this.pin = this.pin.bind(this);
    this.resources = Object.freeze({ ...assignment.resources });
    this.assets = Object.freeze({ ...assignment.assets });
    this.redact = parts.redact;
    this.varies = parts.varies;
    this.run_id = assignment.run_id;
    this.step_id = assignment.step_id;
    this.attempt = assignment.attempt;
    this.tenant_id = assignment.tenant_id;
    this.idempotency_key = `${assignment.run_id}/${assignment.step_id}`;
    this.signal = parts.signal;
    this.deadline_ms = parts.deadline;
    this.last_checkpoint = parts.lastCheckpoint;
    this.keeps_checkpoints = assignment.checkpoint_frequency !== undefined;
    const line = (level: 'debug' | 'info' | 'warn' | 'error') => (text: string) => this.#line(level, text);
    this.log = { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') };
    this.vault = {
      resolve: (pointer) => {
        const { name, version } = parsePointer(pointer);
        return parts.resolve(name, version);
      },
    };
    this.blobs = {
      get: (digest) => link.getBlob(digest),
      put: async (bytes) => {
        const digest = sha256(bytes);
        await link.putBlob(digest, bytes);
        return digest;
      },
    };
  }

  get seed(): string {
    return sha256(this.idempotency_key).slice(0, 32);
  }

  progress(fraction: number | null, note = ''): void {
    const now = this.#parts.clock.now();
    if (now - this.#progressAt < progressIntervalMs && fraction !== 1) return;
    this.#progressAt = now;
    // What an adapter in JavaScript may give is not always a number, and would end the connection as a malformed message.
    const known = typeof fraction === 'number' && Number.isFinite(fraction) ? fraction : null;
    this.#parts.link.progress(known, clip(this.#parts.redact(String(note)), limits.logLineBytesMax));
  }

  async checkpoint(state: JSONValue): Promise<void> {
    const { assignment, clock, link, signal } = this.#parts;
    const frequency = assignment.checkpoint_frequency;
    if (frequency === undefined) return;
    signal.throwIfAborted();
    const now = clock.now();
    if (typeof frequency === 'number' && now - this.#checkpointAt < frequency) return;
    const safe = redactJSON(state, this.#parts.redact);
    const { output, digest } = await storeText(canonicalize(safe), safe, link);
    if (frequency === 'on_change' && digest === this.#checkpointDigest) return;
    this.#checkpointAt = now;
    this.#checkpointDigest = digest;
    await link.checkpoint(output);
  }

  afterCommit(fn: Hook, otherwise?: Hook): void {
    if (typeof fn !== 'function' || (otherwise !== undefined && typeof otherwise !== 'function'))
      throw new StepError('INVALID_CALL', 'afterCommit takes a function, and another for what does not count');
    this.#parts.afterCommit(fn, otherwise);
  }

  pin(name: string, digest: string): void {
    if (typeof name !== 'string' || typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest))
      throw new StepError('INVALID_CALL', 'pin takes a name and a SHA-256 digest in hexadecimal');
    this.#parts.pin(this.#parts.redact(name).slice(0, limits.idLengthMax), digest);
  }

  #line(level: 'debug' | 'info' | 'warn' | 'error', text: string): void {
    this.#logLines += 1;
    if (this.#logLines > limits.logLinesPerStepMax) return;
    const last = this.#logLines === limits.logLinesPerStepMax ? ' (further lines of this step are dropped)' : '';
    this.#parts.link.log(level, clip(this.#parts.redact(String(text)), limits.logLineBytesMax - last.length) + last);
  }
}
