import type { JSONObject } from '../../../lib/json.ts';
import type { Circuit } from '../circuit/circuit.ts';
import type { Target } from '../transpile/target.ts';
import type { Transpiled } from '../transpile/transpile.ts';
import type { HttpOptions } from './http.ts';

export const providerNames = ['ionq', 'ibm'] as const;
export type ProviderName = (typeof providerNames)[number];

/** Access to a provider. Tokens are resolved already; they are in no message and no result. */
export interface ProviderConfig {
  readonly provider: ProviderName;
  readonly token: string;
  /** Name of the device, such as `qpu.forte-1` or `ibm_torino`. */
  readonly device?: string | undefined;
  /** ibm: CRN of the service instance. */
  readonly instance?: string | undefined;
  /** Of the API, where it is not the public one; https, or http on this machine. */
  readonly baseUrl?: string | undefined;
  /** ibm: where API keys are exchanged for access tokens. Default that of IBM Cloud. */
  readonly iamUrl?: string | undefined;
}

export interface Device {
  readonly name: string;
  readonly qubits: number | undefined;
  /** As the provider says it, such as `available`. */
  readonly status: string;
}

export interface JobStatus {
  readonly state: 'queued' | 'running' | 'completed' | 'failed' | 'cancelled';
  /** Jobs ahead and this one; undefined where the provider does not say. */
  readonly queuePosition?: number | undefined;
  /** Until it begins, as the provider expects. */
  readonly waitMs?: number | undefined;
  /** Why it failed, in the provider's words. */
  readonly reason?: string | undefined;
  /** Whether the failure was the provider's own, so that another job may succeed. */
  readonly retryable?: boolean | undefined;
}

export type Transpile = (circuit: Circuit, target: Target) => Promise<Transpiled>;

export interface ProviderOptions extends HttpOptions {
  /** Writes a circuit for a device. Default on this thread. */
  readonly transpile?: Transpile | undefined;
}

/** A circuit as a provider takes it. */
export interface PreparedJob {
  readonly payload: JSONObject;
  readonly transpiled: Transpiled;
}

export interface Measured {
  /** Shots by the bits measured; bit 0 rightmost, a space between registers, the last one leftmost. */
  readonly counts: Readonly<Record<string, number>>;
  /** Where the provider gives shares of the outcomes, not shots: these, of which counts are made by rounding. */
  readonly probabilities?: Readonly<Record<string, number>> | undefined;
}

/** A service that runs circuits. It is told by name which job is which, so that none is submitted twice. */
export interface Provider {
  readonly name: ProviderName;
  devices(signal: AbortSignal): Promise<Device[]>;
  /** @throws StepError UNSUPPORTED_GATE, CIRCUIT_TOO_LARGE, INVALID_PARAMS; what requests throw */
  prepare(circuit: Circuit, shots: number, device: string, signal: AbortSignal): Promise<PreparedJob>;
  /** A job of that name that waits, runs or is done, if there is one. */
  find(jobName: string, signal: AbortSignal): Promise<string | undefined>;
  /** @returns the job's id */
  submit(job: PreparedJob, jobName: string, signal: AbortSignal): Promise<string>;
  /** @returns undefined where there is no such job */
  status(id: string, signal: AbortSignal): Promise<JobStatus | undefined>;
  result(id: string, circuit: Circuit, shots: number, signal: AbortSignal): Promise<Measured>;
  /** Does nothing where it has ended already. */
  cancel(id: string, signal: AbortSignal): Promise<void>;
}
