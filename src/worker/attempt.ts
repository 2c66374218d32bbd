import { pae, toEnvelope } from '../core/receipt/dsse.ts';
import { nullDigest, receiptPayload } from '../core/receipt/statement.ts';
import { canonicalize } from '../lib/canonical.ts';
import { JSONFlowError, messageOf, StepError } from '../lib/errors.ts';
import { sha256 } from '../lib/hash.ts';
import type { JSONObject, JSONValue } from '../lib/json.ts';
import { redactJSON, redactor, resolvePointers, type Secret } from '../lib/secrets.ts';
import { isoTime } from '../lib/time.ts';
import type { Clock } from '../ports/clock.ts';
import type { Signer } from '../ports/signer.ts';
import type { Vault } from '../ports/vault.ts';
import type { Stored } from '../protocol/events.ts';
import type { Assignment, AttemptKey, MessageOf } from '../protocol/messages.ts';
import { payloadType, type StepFailure } from '../protocol/receipt.ts';
import { AttemptContext, type ContextLink } from './context.ts';
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
  readonly #afterCommit: (() => void | Promise<void>)[] = [];
  /** Set once the attempt has ended; kept until the coordinator has it durably. */
  result: MessageOf<'result'> | undefined;

  constructor(assignment: Assignment, deps: AttemptDeps, link: ContextLink) {
    this.assignment = assignment;
    this.#deps = deps;
    this.#link = link;
  }

  /** Tells the adapter to stop. */
  cancel(code: 'STEP_CANCELLED' | 'STEP_TIMEOUT', why: string): void {
    this.#abort.abort(new StepError(code, why, { retryable: code === 'STEP_TIMEOUT' }));
  }

  async run(): Promise<MessageOf<'result'>> {
    const { clock } = this.#deps;
    const startedAt = clock.now();
    const { timeout_ms } = this.assignment;
    const stopTimer =
      timeout_ms === null
        ? undefined
        : clock.timer(timeout_ms, () => this.cancel('STEP_TIMEOUT', `the step took longer than ${timeout_ms} ms`));
    let ended: { output: Stored; digest: string; error?: StepFailure };
    try {
      ended = await this.#execute(startedAt);
    } catch (thrown) {
      ended = { output: { value: null }, digest: nullDigest, error: failureOf(thrown) };
    } finally {
      stopTimer?.();
    }
    this.result = await this.#sign(ended, startedAt);
    return this.result;
  }

  /** Runs what the adapter left for after the receipt is durable. Failures there can't change the result any more; they are logged. */
  async committed(): Promise<void> {
    for (const fn of this.#afterCommit) {
      try {
        await fn();
      } catch (thrown) {
        this.#link.log('error', `after the commit: ${messageOf(thrown)}`);
      }
    }
  }

  async #execute(startedAt: number): Promise<{ output: Stored; digest: string }> {
    const { vault } = this.#deps;
    const { assignment } = this;
    const secrets: Secret[] = [];
    const resolve = async (name: string, version?: string): Promise<string> => {
      const value = await vault.resolve(name, version);
      secrets.push({ pointer: `vault://${name}${version === undefined ? '' : `#${version}`}`, value });
      return value;
    };
    try {
      const stated = await this.#params();
      const { params } = await resolvePointers(stated, assignment.pointers, resolve);
      const context = new AttemptContext({
        assignment,
        signal: this.#abort.signal,
        deadline: assignment.timeout_ms === null ? undefined : startedAt + assignment.timeout_ms,
        lastCheckpoint: await this.#checkpoint(),
        link: this.#link,
        clock: this.#deps.clock,
        resolve,
        redact: (text) => (secrets.length === 0 ? text : redactor(secrets)(text)),
        afterCommit: (fn) => this.#afterCommit.push(fn),
      });
      const value = await this.#untilStopped(
        this.#deps.registry.run({ id: assignment.step_id, type: assignment.step_type, params }, context),
      );
      return await this.#store(secrets.length === 0 ? value : redactJSON(value, redactor(secrets)));
    } catch (thrown) {
      throw secrets.length === 0 ? thrown : redacted(thrown, redactor(secrets));
    }
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

  async #checkpoint(): Promise<JSONValue | undefined> {
    const { checkpoint } = this.assignment;
    if (checkpoint === undefined) return undefined;
    return 'value' in checkpoint ? checkpoint.value : parseBlob(await this.#link.getBlob(checkpoint.digest));
  }

  /** The adapter's result, or, once it was told to stop and didn't within the grace, the reason it was told. */
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

  async #store(value: JSONValue): Promise<{ output: Stored; digest: string }> {
    let text: string;
    try {
      text = canonicalize(value);
    } catch (thrown) {
      throw new StepError('INVALID_OUTPUT', `the output is not I-JSON: ${messageOf(thrown)}`);
    }
    return storeText(text, value, this.#link);
  }

  async #sign(
    ended: { output: Stored; digest: string; error?: StepFailure },
    startedAt: number,
  ): Promise<MessageOf<'result'>> {
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
      adapter: { id: adapter?.manifest.adapter_id ?? 'none', version: adapter?.manifest.version ?? '0' },
      node: { id: nodeId, key_id: signer.keyId },
      started_at: isoTime(startedAt),
      finished_at: isoTime(clock.now()),
      status: ended.error === undefined ? 'success' : 'failed',
      ...(ended.error === undefined ? {} : { error: ended.error }),
      deterministic: adapter?.stepType.deterministic ?? false,
      resources: assignment.resources,
    });
    const envelope = toEnvelope(payload, signer.keyId, await signer.sign(pae(payloadType, payload)));
    const result: MessageOf<'result'> = {
      kind: 'result',
      ...keyOf(assignment),
      envelope,
      output: ended.output,
      output_digest: ended.digest,
    };
    if (ended.error !== undefined) result.error = ended.error;
    return result;
  }
}

const messageLengthMax = 2_000;

/** What a receipt says of a failure: a code and a sentence, never a stack. */
function failureOf(thrown: unknown): StepFailure {
  const message = messageOf(thrown).slice(0, messageLengthMax);
  if (thrown instanceof StepError) return { code: thrown.code, message, retryable: thrown.retryable };
  if (thrown instanceof JSONFlowError) return { code: thrown.code, message, retryable: thrown.retriable };
  return { code: 'ADAPTER_CRASHED', message, retryable: false };
}

function redacted(thrown: unknown, redact: (text: string) => string): unknown {
  const { code, message, retryable } = failureOf(thrown);
  return new StepError(code, redact(message), { retryable });
}
