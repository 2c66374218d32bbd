import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { abortable } from '../../../kit/abortable.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { Circuit } from '../circuit/circuit.ts';
import type { Transpiled } from '../transpile/transpile.ts';
import { withMeasurements } from './counts.ts';
import { RefusedError } from './http.ts';
import { IbmProvider } from './ibm.ts';
import { IonqProvider } from './ionq.ts';
import type {
  JobStatus,
  Measured,
  PreparedJob,
  Provider,
  ProviderConfig,
  ProviderName,
  ProviderOptions,
} from './provider.ts';

export interface HardwareRequest {
  readonly config: ProviderConfig;
  /** Where it measures nothing, all of its qubits are measured in the end. */
  readonly circuit: Circuit;
  readonly shots: number;
  /** Tells apart the circuits of a step that runs several. Default ''. */
  readonly part?: string | undefined;
}

export interface HardwareOutcome extends Measured {
  readonly job: { readonly id: string; readonly provider: ProviderName; readonly device: string };
  /** How the circuit was written for the device; undefined where an earlier attempt submitted it and left no checkpoint. */
  readonly transpiled: Pick<Transpiled, 'facts' | 'layout'> | undefined;
}

export type HardwareContext = Pick<
  AdapterContext,
  'signal' | 'progress' | 'checkpoint' | 'last_checkpoint' | 'idempotency_key'
>;

/** Waits, in ms. */
interface HardwareTiming {
  /** Between two questions after a job, at first; half more each time. Default 1,000. */
  readonly pollMs?: number | undefined;
  /** At most. Default 30,000. */
  readonly pollMaxMs?: number | undefined;
  /** After a request that failed, doubled each time. Default 1,000. */
  readonly retryMs?: number | undefined;
}

export interface HardwareOptions extends ProviderOptions, HardwareTiming {}

/** Requests that fail one after the other, with waits between them; some minutes at the default waits. */
const failuresMax = 8;
const retryMaxMs = 60_000;
/** A longer wait that a provider asks for is not kept. */
const askedMaxMs = 600_000;
/** What the end of a step waits for at most while a job is cancelled. */
const cancelMs = 10_000;
const pollMaxMsDefault = 30_000;
/** Jobs of earlier attempts that are taken up one after the other. */
const takenMax = 3;

/**
 * Runs a circuit on a provider's device: it is submitted once and waited for. The job is named after the step of the run: an attempt that
 * follows one that was lost takes up its job by the checkpoint, or finds it by that name, and submits nothing. While it waits, the place in
 * the queue is reported, where the provider gives it. A step that is cancelled or runs out of time cancels its job; where the node shuts down
 * the job is left to the next attempt.
 *
 * @throws StepError QUANTUM_UNAUTHORIZED; QUANTUM_REJECTED; QUANTUM_JOB_FAILED (retryable where it was the provider's fault);
 * QUANTUM_JOB_CANCELLED; QUANTUM_BUSY and QUANTUM_UNREACHABLE (retryable; the job goes on, and the next attempt takes it up);
 * QUANTUM_RESPONSE_INVALID; INVALID_PARAMS; UNSUPPORTED_GATE and CIRCUIT_TOO_LARGE of the transpiler; EGRESS_DENIED; the signal's reason
 */
export async function runOnHardware(
  { config, circuit: given, shots, part = '' }: HardwareRequest,
  context: HardwareContext,
  options: HardwareOptions,
): Promise<HardwareOutcome> {
  if (!(Number.isInteger(shots) && shots >= 1))
    throw new StepError('INVALID_PARAMS', `params.shots is ${shots}; hardware measures 1 time at least`);
  return new Run(providerFor(config, options), context, options, part).run(
    withMeasurements(given),
    shots,
    config.device,
  );
}

function providerFor(config: ProviderConfig, options: ProviderOptions): Provider {
  if (config.token === '' || /[^\x21-\x7e]/.test(config.token))
    throw new StepError('INVALID_PARAMS', `the token for ${config.provider} is empty or holds spaces or line ends`);
  return config.provider === 'ionq' ? new IonqProvider(config, options) : new IbmProvider(config, options);
}

interface OwnJob {
  readonly id: string;
  readonly transpiled: HardwareOutcome['transpiled'];
  /** Whether an earlier attempt submitted it. */
  readonly isTaken: boolean;
}

/** One attempt of a step at one job. */
class Run {
  readonly #provider: Provider;
  readonly #context: HardwareContext;
  readonly #options: HardwareOptions;
  readonly #jobName: string;
  /** Of its job, once there is one. */
  #id: string | undefined;

  constructor(provider: Provider, context: HardwareContext, options: HardwareOptions, part: string) {
    this.#provider = provider;
    this.#context = context;
    this.#options = options;
    const key = JSON.stringify([context.idempotency_key, part]);
    this.#jobName = `jsonflow-${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
  }

  async run(circuit: Circuit, shots: number, wanted: string | undefined): Promise<HardwareOutcome> {
    try {
      const device = wanted ?? (await this.#noDevice());
      const { id, transpiled } = await this.#finished(circuit, shots, device);
      const measured = await this.#steadily((signal) => this.#provider.result(id, circuit, shots, signal));
      return { ...measured, job: { id, provider: this.#provider.name, device }, transpiled };
    } catch (thrown) {
      if (this.#context.signal.aborted && this.#id !== undefined) await this.#leave(this.#id);
      throw thrown;
    }
  }

  /**
   * A job that is done. One that was taken up and is cancelled then may have been cancelled with the attempt that submitted it, such as on
   * a node that came back after the step was given to another: it is submitted again.
   */
  async #finished(circuit: Circuit, shots: number, device: string): Promise<OwnJob> {
    for (let taken = 1; ; taken += 1) {
      const job = await this.#job(circuit, shots, device);
      const { state, reason = '', retryable = false } = await this.#end(job.id);
      if (state === 'completed') return job;
      const because = reason === '' ? '' : `: ${reason}`;
      const which = `the job ${job.id} ${state === 'failed' ? 'failed' : 'was cancelled'} at ${this.#provider.name}`;
      if (state === 'failed') throw new StepError('QUANTUM_JOB_FAILED', `${which}${because}`, { retryable });
      if (!job.isTaken || taken >= takenMax)
        throw new StepError('QUANTUM_JOB_CANCELLED', `${which}, not by this step${because}`);
    }
  }

  async #noDevice(): Promise<never> {
    const devices = await this.#steadily((signal) => this.#provider.devices(signal));
    const names = devices
      .slice(0, 50)
      .map(({ name, qubits, status }) => `${name} (${qubits ?? '?'} qubits, ${status})`);
    throw new StepError('INVALID_PARAMS', `give params.device; ${this.#provider.name} has ${names.join(', ')}`);
  }

  /** The job of an earlier attempt, or a new one. */
  async #job(circuit: Circuit, shots: number, device: string): Promise<OwnJob> {
    const before = await this.#fromCheckpoint();
    if (before !== undefined) return before;
    const found = await this.#steadily((signal) => this.#provider.find(this.#jobName, signal));
    if (found !== undefined) return this.#keep({ id: found, transpiled: undefined, isTaken: true });
    const prepared = await this.#steadily((signal) => this.#provider.prepare(circuit, shots, device, signal));
    const id = await this.#submit(prepared);
    const { facts, layout } = prepared.transpiled;
    return this.#keep({ id, transpiled: { facts, layout }, isTaken: false });
  }

  async #keep(job: OwnJob): Promise<OwnJob> {
    this.#id = job.id;
    const { id, transpiled } = job;
    const saved = { quantum_job: { provider: this.#provider.name, name: this.#jobName, id, transpiled } };
    await this.#context.checkpoint(JSON.parse(JSON.stringify(saved)) as JSONValue);
    return job;
  }

  /** A job that failed or was cancelled in an earlier attempt is no job to wait for. */
  async #fromCheckpoint(): Promise<OwnJob | undefined> {
    const saved = this.#context.last_checkpoint;
    const job = isObject(saved) ? saved.quantum_job : undefined;
    if (!isObject(job) || job.name !== this.#jobName || job.provider !== this.#provider.name) return undefined;
    if (typeof job.id !== 'string') return undefined;
    const { id } = job;
    const status = await this.#steadily((signal) => this.#provider.status(id, signal));
    if (status === undefined || status.state === 'failed' || status.state === 'cancelled') return undefined;
    this.#id = id;
    return { id, transpiled: job.transpiled as HardwareOutcome['transpiled'], isTaken: true };
  }

  /** Where nobody knows whether a submission arrived, it is looked for before it is made again. */
  async #submit(prepared: PreparedJob): Promise<string> {
    const { signal } = this.#context;
    for (let failures = 1; ; failures += 1) {
      try {
        // Not ended with the step: what becomes of a job that comes into being then is decided as for any other.
        const submission = this.#provider.submit(prepared, this.#jobName, new AbortController().signal);
        return await abortable(submission, signal, (late) => void this.#leave(late));
      } catch (thrown) {
        if (!mayFollow(thrown, signal) || failures >= failuresMax) throw thrown;
        await this.#pause(failures, thrown);
        const arrived = await this.#steadily((each) => this.#provider.find(this.#jobName, each));
        if (arrived !== undefined) return arrived;
      }
    }
  }

  /** How the job ended. */
  async #end(id: string): Promise<JobStatus> {
    const { pollMs = 1000, pollMaxMs = pollMaxMsDefault } = this.#options;
    for (let waitMs = pollMs; ; waitMs = Math.min(pollMaxMs, waitMs * 1.5)) {
      const status = await this.#steadily((signal) => this.#provider.status(id, signal));
      if (status === undefined) return { state: 'failed', reason: 'it is no longer known there' };
      if (status.state !== 'queued' && status.state !== 'running') return status;
      this.#context.progress(null, noteOf(status, this.#provider.name, id));
      await this.#sleep(waitMs);
    }
  }

  /** Tries again where that may help, with waits that grow. Only for what may be done twice. */
  async #steadily<T>(body: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { signal } = this.#context;
    for (let failures = 1; ; failures += 1) {
      signal.throwIfAborted();
      try {
        return await body(signal);
      } catch (thrown) {
        if (!mayFollow(thrown, signal) || failures >= failuresMax) throw thrown;
        await this.#pause(failures, thrown);
      }
    }
  }

  #pause(failures: number, thrown: unknown): Promise<void> {
    const asked = thrown instanceof RefusedError ? thrown.retryAfterMs : 0;
    const { retryMs = 1000 } = this.#options;
    const own = Math.min(retryMaxMs, retryMs * 2 ** (failures - 1));
    return this.#sleep(Math.max(own, Math.min(asked, askedMaxMs)));
  }

  async #sleep(ms: number): Promise<void> {
    const { signal } = this.#context;
    await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
  }

  /**
   * Cancels the job of an attempt that was stopped, unless another attempt will look for it. As well as it can be done: the step has ended,
   * and its own error is what counts.
   */
  async #leave(id: string): Promise<void> {
    const { reason } = this.#context.signal;
    if (reason instanceof StepError && reason.code === 'CLOSED') return;
    await this.#provider.cancel(id, AbortSignal.timeout(cancelMs)).catch(() => undefined);
  }
}

const mayFollow = (thrown: unknown, { aborted }: AbortSignal): boolean =>
  !aborted && thrown instanceof StepError && thrown.retryable;

function noteOf({ state, queuePosition, waitMs }: JobStatus, provider: string, id: string): string {
  const job = `job ${id} at ${provider}`;
  if (state === 'running') return `${job} is running`;
  if (queuePosition !== undefined) return `${job} waits at place ${queuePosition} of the queue`;
  return waitMs === undefined ? `${job} waits` : `${job} waits, about ${Math.ceil(waitMs / 1000)} s`;
}
