import { pae, toEnvelope } from '../core/receipt/dsse.ts';
import { nullDigest, receiptPayload } from '../core/receipt/statement.ts';
import { canonicalize } from '../lib/canonical.ts';
import { clip } from '../lib/clip.ts';
import { messageOf, StepError } from '../lib/errors.ts';
import { sha256 } from '../lib/hash.ts';
import type { JSONObject, JSONValue } from '../lib/json.ts';
import { redactJSON, redactor, resolvePointers, type Secret } from '../lib/secrets.ts';
import { isoTime } from '../lib/time.ts';
import type { Clock } from '../ports/clock.ts';
import type { Signer } from '../ports/signer.ts';
import type { Vault } from '../ports/vault.ts';
import type { Stored } from '../protocol/events.ts';
import { limits } from '../protocol/limits.ts';
import type { Assignment, AttemptKey, MessageOf } from '../protocol/messages.ts';
import { type Envelope, payloadType, type StepFailure } from '../protocol/receipt.ts';
import { AttemptContext, type ContextLink, type Hook } from './context.ts';
import { failureOf, wordsOf } from './failure.ts';
import type { AdapterRegistry } from './registry.ts';
import { parseBlob, storeText } from './values.ts';

export interface AttemptDeps {
  nodeId: string;
  signer: Signer;
  clock: Clock;
  vault: Vault;
  registry: AdapterRegistry;
  /** How long an adapter may take to stop once it is told to; after that its attempt ends without it. Ms. */
  stopGraceMs: number;
}

export type StopCode = 'STEP_CANCELLED' | 'STEP_TIMEOUT' | 'CLOSED';

export const keyOf = ({ run_id, step_id, attempt, epoch }: AttemptKey): AttemptKey => ({
  run_id,
  step_id,
  attempt,
  epoch,
});

/**
 * One attempt at one step on this node, from the assignment to the signed receipt. It never rejects: what goes wrong is the
 * attempt's failure, and has a receipt too.
 */
export class Attempt {
  readonly assignment: Assignment;
  readonly #deps: AttemptDeps;
  readonly #link: ContextLink;
  readonly #abort = new AbortController();
  readonly #hooks: { fn: Hook; otherwise: Hook | undefined }[] = [];
  /** Whether the attempt counts, as far as it is known. */
  #fate: 'open' | 'committed' | 'abandoned' = 'open';
  /** What is done about the fate, one after the other. */
  #settled: Promise<void> = Promise.resolve();
  /** Digests of the files that it used, by name. */
  readonly #pinned = new Map<string, string>();
  #varies = false;
  /** All that were resolved for this attempt: none of them may leave it. */
  readonly #secrets: Secret[] = [];
  /** For the first so many secrets. */
  #redactor: { secrets: number; replace: (text: string) => string } | undefined;
  /** Set once the attempt has ended; kept until the coordinator has it durably. */
  result: MessageOf<'result'> | undefined;

  constructor(assignment: Assignment, deps: AttemptDeps, link: ContextLink) {
    this.assignment = assignment;
    this.#deps = deps;
    this.#link = link;
  }

  /** Tells the adapter to stop, and by the code whether the step goes on elsewhere: see the signal of `AdapterContext`. */
  stop(code: StopCode, why: string): void {
    this.#abort.abort(new StepError(code, why, { retryable: code !== 'STEP_CANCELLED' }));
  }

  async run(): Promise<MessageOf<'result'>> {
    const { clock } = this.#deps;
    const startedAt = clock.now();
    const { timeout_ms } = this.assignment;
    const stopTimer =
      timeout_ms === null
        ? undefined
        : clock.timer(timeout_ms, () => this.stop('STEP_TIMEOUT', `the step took longer than ${timeout_ms} ms`));
    let ended: Ended;
    try {
      // A vault or a connection may hang as well as an adapter.
      ended = await this.#untilStopped(this.#execute(startedAt));
    } catch (thrown) {
      ended = failed(failureOf(thrown, this.#redact));
    } finally {
      stopTimer?.();
    }
    this.result = await this.#receipt(ended, startedAt);
    // A failure that is durable is no effect to build on.
    if (this.result.error !== undefined) void this.abandoned();
    return this.result;
  }

  /** Runs what the adapter left for after the receipt is durable. Failures there can't change the result any more; they are logged. */
  committed(): Promise<void> {
    if (this.#fate === 'open') {
      this.#fate = 'committed';
      for (const { fn } of this.#hooks) this.#settle(fn, 'after the commit');
    }
    return this.#settled;
  }

  /** Runs what the adapter left for the case that the attempt does not count. */
  abandoned(): Promise<void> {
    if (this.#fate === 'open') {
      this.#fate = 'abandoned';
      for (const { otherwise } of this.#hooks) this.#settle(otherwise, 'after an attempt that does not count');
    }
    return this.#settled;
  }

  #settle(hook: Hook | undefined, when: string): void {
    this.#settled = this.#settled.then(async () => {
      try {
        await hook?.();
      } catch (thrown) {
        this.#link.log('error', `${when}: ${clip(this.#redact(wordsOf(thrown)), limits.errorLengthMax)}`);
      }
    });
  }

  #pin(name: string, digest: string): void {
    if (!this.#pinned.has(name) && this.#pinned.size >= limits.assetsPerStepMax)
      throw new StepError('LIMIT_EXCEEDED', `a step may use at most ${limits.assetsPerStepMax} files`);
    this.#pinned.set(name, digest);
  }

  #afterCommit(fn: Hook, otherwise: Hook | undefined): void {
    // An adapter that was left behind goes on, and may take hold of something when nobody waits for it any more.
    if (this.#fate === 'abandoned') this.#settle(otherwise, 'after an attempt that does not count');
    else this.#hooks.push({ fn, otherwise });
  }

  readonly #redact = (text: string): string => {
    const { length } = this.#secrets;
    if (length === 0) return text;
    // A redactor takes far longer to make than to use, and an output has many texts. Secrets are only ever added.
    if (this.#redactor?.secrets !== length) this.#redactor = { secrets: length, replace: redactor(this.#secrets) };
    return this.#redactor.replace(text);
  };

  async #execute(startedAt: number): Promise<Ended> {
    const { vault, clock, registry } = this.#deps;
    const { assignment } = this;
    const { signal } = this.#abort;
    const resolve = async (name: string, version?: string): Promise<string> => {
      const value = await vault.resolve(name, version);
      this.#secrets.push({ pointer: `vault://${name}${version === undefined ? '' : `#${version}`}`, value });
      return value;
    };
    const { params } = await resolvePointers(await this.#params(), assignment.pointers, resolve);
    const lastCheckpoint = await this.#checkpoint();
    // The attempt may have ended while this was under way: then nothing may begin any more.
    signal.throwIfAborted();
    const context = new AttemptContext({
      assignment,
      signal,
      deadline: assignment.timeout_ms === null ? undefined : startedAt + assignment.timeout_ms,
      lastCheckpoint,
      link: this.#link,
      clock,
      resolve,
      redact: this.#redact,
      afterCommit: (fn, otherwise) => this.#afterCommit(fn, otherwise),
      pin: (name, digest) => this.#pin(name, digest),
      varies: () => {
        this.#varies = true;
      },
    });
    const value = await registry.run({ id: assignment.step_id, type: assignment.step_type, params }, context);
    return this.#store(this.#secrets.length === 0 ? value : redactJSON(value, this.#redact));
  }

  async #params(): Promise<JSONObject> {
    const { params, input_digest } = this.assignment;
    if ('value' in params) {
      // Within one process the value is the very one that was hashed.
      if (!this.#link.local && sha256(canonicalize(params.value)) !== input_digest)
        throw new StepError('NODE_REFUSED', 'the params that came are not those of the assignment');
      return params.value as JSONObject;
    }
    if (params.digest !== input_digest)
      throw new StepError('NODE_REFUSED', 'the params are stored under another digest than that of the assignment');
    return parseBlob(await this.#link.getBlob(params.digest)) as JSONObject;
  }

  /** The state that an earlier attempt saved. It only spares work: an attempt that can't have it begins afresh. */
  async #checkpoint(): Promise<JSONValue | undefined> {
    const { checkpoint } = this.assignment;
    if (checkpoint === undefined) return undefined;
    if ('value' in checkpoint) return checkpoint.value;
    try {
      return parseBlob(await this.#link.getBlob(checkpoint.digest));
    } catch (thrown) {
      this.#link.log('warn', `the step starts afresh, without its last checkpoint: ${wordsOf(thrown)}`);
      return undefined;
    }
  }

  /** What the work ends with, or, once it was told to stop and didn't within the grace, the reason it was told. */
  async #untilStopped<T>(work: Promise<T>): Promise<T> {
    const { signal } = this.#abort;
    const { clock, stopGraceMs } = this.#deps;
    let stopTimer: (() => void) | undefined;
    const { promise: abandoned, reject } = Promise.withResolvers<never>();
    const onAbort = () => {
      stopTimer = clock.timer(stopGraceMs, () => reject(signal.reason));
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      return await Promise.race([work, abandoned]);
    } finally {
      stopTimer?.();
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #store(value: JSONValue): Promise<Ended> {
    let text: string;
    try {
      text = canonicalize(value);
    } catch (thrown) {
      throw new StepError('INVALID_OUTPUT', `the output is not I-JSON: ${messageOf(thrown)}`);
    }
    return storeText(text, value, this.#link);
  }

  /** The signed result; where that can't be made, one that says so; and where nothing can be signed, one without a signature. */
  async #receipt(ended: Ended, startedAt: number): Promise<MessageOf<'result'>> {
    try {
      return await this.#sign(ended, startedAt);
    } catch {
      const unsigned = failed(receiptFailure);
      return this.#sign(unsigned, startedAt).catch(() => this.#result(unsigned, noEnvelope));
    }
  }

  async #sign(ended: Ended, startedAt: number): Promise<MessageOf<'result'>> {
    const { assignment } = this;
    const { signer, nodeId, registry, clock } = this.#deps;
    const adapter = registry.lookup(assignment.step_type);
    const payload = receiptPayload({
      run_id: assignment.run_id,
      step_id: assignment.step_id,
      step_type: assignment.step_type,
      attempt: assignment.attempt,
      epoch: assignment.epoch,
      tenant_id: assignment.tenant_id,
      workflow_digest: assignment.workflow_digest,
      step_digest: assignment.step_digest,
      input_digest: assignment.input_digest,
      output_digest: ended.digest,
      parents: assignment.parents,
      ...(this.#pinned.size === 0 ? {} : { assets: Object.fromEntries(this.#pinned) }),
      adapter: { id: adapter?.manifest.adapter_id ?? 'none', version: adapter?.manifest.version ?? '0' },
      node: { id: nodeId, key_id: signer.keyId },
      started_at: isoTime(startedAt),
      finished_at: isoTime(clock.now()),
      status: ended.error === undefined ? 'success' : 'failed',
      ...(ended.error === undefined ? {} : { error: ended.error }),
      deterministic: adapter?.stepType.deterministic === true && !this.#varies,
      resources: assignment.resources,
    });
    return this.#result(ended, toEnvelope(payload, signer.keyId, await signer.sign(pae(payloadType, payload))));
  }

  #result({ output, digest, error }: Ended, envelope: Envelope): MessageOf<'result'> {
    const result: MessageOf<'result'> = {
      kind: 'result',
      ...keyOf(this.assignment),
      envelope,
      output,
      output_digest: digest,
    };
    if (error !== undefined) result.error = error;
    return result;
  }
}

/** What an attempt ends with. */
interface Ended {
  output: Stored;
  digest: string;
  error?: StepFailure;
}

const failed = (error: StepFailure): Ended => ({ output: { value: null }, digest: nullDigest, error });

const receiptFailure: StepFailure = {
  code: 'INTERNAL',
  message: 'the node could not make a receipt of what the attempt ended with',
  retryable: true,
};

/** Proves nothing: the coordinator refuses it, and gives the step to another node. */
const noEnvelope: Envelope = { payload: '', payloadType, signatures: [] };
