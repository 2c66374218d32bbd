import type { Processes } from '../process/processes.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { ModelInfo } from './info.ts';
import type { InfoAnswer, ModelAnswer, ModelPayload, ModelRequest, RunAnswer, RunRequest } from './messages.ts';

/** A model that a process can be given. */
export interface Model {
  /** For errors. */
  name: string;
  /** What its bytes are known by: equal for equal models. */
  key: string;
  /** SHA-256 of what the step named, hexadecimal. */
  digest: string;
  kind: 'onnx' | 'tfjs';
  read(): Promise<ModelPayload>;
}

/** Models whose inputs and outputs are remembered. */
const infosMax = 1000;

export interface RunnerOptions {
  /** Memory for the models that one process keeps, in MiB. Default 1,024. */
  model_cache_mb?: number;
}

/** Runs models in processes of their own, which keep them for later. */
export class Runner {
  readonly #processes: Pick<Processes, 'call'>;
  readonly #cacheBytesMax: number;
  readonly #infos = new Map<string, ModelInfo>();

  constructor(processes: Pick<Processes, 'call'>, { model_cache_mb = 1024 }: RunnerOptions = {}) {
    this.#processes = processes;
    this.#cacheBytesMax = model_cache_mb * 1024 * 1024;
  }

  /** What the model takes and gives. After this the process is warm. @throws StepError ML_INVALID_MODEL, ML_PACKAGE_MISSING, ML_NO_GPU, … */
  async info(model: Model, device: string, signal: AbortSignal, memoryMb?: number): Promise<ModelInfo> {
    // What one device has run, another may not even be there for.
    const key = `${device} ${model.key}`;
    const known = this.#infos.get(key);
    if (known !== undefined) return known;
    const { info } = await this.#ask<{ info: ModelInfo }, InfoAnswer>('describe', model, device, {}, signal, memoryMb);
    this.#infos.set(key, info);
    const [oldest] = this.#infos.keys();
    if (this.#infos.size > infosMax && oldest !== undefined) this.#infos.delete(oldest);
    return info;
  }

  /** @param outputs names; all where it is empty @param memoryMb that the process may have, where the step reserves more than all may @throws StepError ML_RUN_FAILED, ML_PROCESS_CRASHED, ML_OUT_OF_MEMORY, the signal's reason */
  async run(
    model: Model,
    device: string,
    inputs: Record<string, Tensor>,
    outputs: string[],
    signal: AbortSignal,
    memoryMb?: number,
  ): Promise<Record<string, Tensor>> {
    const call = { inputs, outputs };
    const answer = await this.#ask<{ outputs: Record<string, Tensor> }, RunAnswer>(
      'run',
      model,
      device,
      call,
      signal,
      memoryMb,
    );
    return answer.outputs;
  }

  /** The model itself is sent only where the process says that it doesn't have it. */
  async #ask<T, A extends ModelAnswer<T>>(
    method: string,
    model: Model,
    device: string,
    call: Partial<RunRequest>,
    signal: AbortSignal,
    memoryMb: number | undefined,
  ): Promise<T> {
    const hooks = { signal, affinity: model.key, ...(memoryMb === undefined ? {} : { memoryMb }) };
    const args: ModelRequest = { ...call, key: model.key, device, cacheBytesMax: this.#cacheBytesMax };
    const first = (await this.#processes.call(model.kind, device, { method, args }, hooks)) as A;
    if (first.missing !== true) return first as unknown as T;
    const payload = await model.read();
    signal.throwIfAborted();
    return (await this.#processes.call(model.kind, device, { method, args: { ...args, payload } }, hooks)) as T;
  }
}
