import type { BytesContext } from '../../../kit/named-bytes.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { type ImageDeps, readImages } from '../image/images.ts';
import type { ModelInfo, TensorInfo } from '../model/info.ts';
import type { Model, Runner } from '../model/runner.ts';
import type { RemoteModel } from '../remote/client.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { Batcher } from './batcher.ts';
import { divide, fitTensor, join, partOf } from './fit.ts';
import type { InferOptions } from './options.ts';
import { imagesFor, type Preprocess, type PreprocessJob, preprocess, preprocessSize } from './preprocess.ts';
import { inputsAsNamed, readInputs } from './read-inputs.ts';

/** A model with what it takes, on the device it runs on. */
export interface ReadyModel {
  model: Model;
  info: ModelInfo;
  device: string;
  /** Runs it where that isn't one of the node's own processes. */
  remote?: RemoteModel;
}

export interface RunDeps {
  runner: Runner;
  batcher: Batcher;
}

/** Names of a first axis that stand for rows which have nothing to do with each other, as exporters write them. */
const batchNames = /^(?:n|b|none|batch|batch_?size|batch_?dim|unk__\d+|dynamic_axes_\d+)$/i;

/** @param devices that may be used, in this order @throws StepError ML_NO_GPU where none of them is there, and as `Runner.info` */
export async function ready(
  model: Model,
  devices: readonly string[],
  runner: Runner,
  { signal, resources }: Pick<AdapterContext, 'signal' | 'resources'>,
): Promise<ReadyModel> {
  const reasons: string[] = [];
  for (const device of devices)
    try {
      if (model.kind === 'tfjs' && device !== 'cpu')
        throw new StepError('ML_NO_GPU', `models that TensorFlow.js runs itself can't use ${device} here`);
      return { model, device, info: await runner.info(model, device, signal, memoryOf(resources)) };
    } catch (thrown) {
      if (!(thrown instanceof StepError) || thrown.code !== 'ML_NO_GPU') throw thrown;
      reasons.push(thrown.message);
    }
  throw new StepError('ML_NO_GPU', reasons.join('; '));
}

/** Of a process that many steps share, as `Processes` has it where nothing is said. */
const sharedMemoryMb = 4096;

/** MiB for a step that reserves more than others may have; it shares no run with them. */
function memoryOf({ ram_mb = 0 }: AdapterContext['resources']): number | undefined {
  return ram_mb > sharedMemoryMb ? ram_mb : undefined;
}

/** The step's inputs in the types and shapes that the model takes. @throws StepError INVALID_PARAMS, ML_INPUT_MISMATCH, ML_TENSOR_TOO_LARGE, and as `readImages` */
export async function inputsOf(
  input: JSONValue,
  options: InferOptions,
  ready: ReadyModel,
  context: BytesContext,
  deps: ImageDeps,
  whole = 'params.input',
): Promise<Record<string, Tensor>> {
  if (ready.remote !== undefined && ready.info.inputs.length === 0) return inputsAsNamed(input, context, whole);
  const { preprocess: steps, columns } = options;
  const decoded = new Set<string>();
  const images = async (value: JSONValue, path: string, info: TensorInfo): Promise<Tensor> => {
    decoded.add(info.name);
    const tensor = await readImages(value, path, imagesFor(info, steps, path), context, deps);
    const asDecoded: Preprocess = { ...steps, layout: 'nhwc', resize: undefined };
    return preprocessApart({ tensor, steps: asDecoded, info, path }, deps.processes, context.signal);
  };
  const given = await readInputs(input, columns, ready.info, context, steps !== undefined, whole, images);
  const [first] = ready.info.inputs;
  // Images have been preprocessed by what is known of them.
  return first !== undefined && decoded.has(first.name)
    ? fitInputs(given, ready, whole)
    : inputsOfTensors(given, options, ready, context, deps, whole);
}

/** Of tensors by the inputs' names, the first of which is preprocessed. @throws StepError INVALID_PARAMS, ML_INPUT_MISMATCH, ML_TENSOR_TOO_LARGE */
export async function inputsOfTensors(
  given: Readonly<Record<string, Tensor>>,
  { preprocess: steps }: Pick<InferOptions, 'preprocess'>,
  ready: Pick<ReadyModel, 'info'>,
  { signal }: Pick<BytesContext, 'signal'>,
  { processes }: Pick<ImageDeps, 'processes'>,
  whole: string,
): Promise<Record<string, Tensor>> {
  const [info] = ready.info.inputs;
  const tensor = info === undefined ? undefined : given[info.name];
  if (steps === undefined || info === undefined || tensor === undefined) return fitInputs(given, ready, whole);
  const path = pathOf(info, ready, whole);
  const preprocessed = await preprocessApart({ tensor, steps, info, path }, processes, signal);
  return fitInputs({ ...given, [info.name]: preprocessed }, ready, whole);
}

/** More elements than these would hold up all else that the node does. */
const preprocessHereMax = 1024 * 1024;

/** `preprocess`, for large tensors in a process. */
async function preprocessApart(
  job: PreprocessJob,
  processes: ImageDeps['processes'],
  signal: AbortSignal,
): Promise<Tensor> {
  if (preprocessSize(job) <= preprocessHereMax) return preprocess(job.tensor, job.steps, job.info, job.path);
  return (await processes.call('image', 'cpu', { method: 'preprocess', args: job }, { signal })) as Tensor;
}

/** In the types and shapes that the model takes. @param whole path of the input, for errors @throws StepError ML_INPUT_MISMATCH, ML_TENSOR_TOO_LARGE */
export function fitInputs(
  given: Readonly<Record<string, Tensor>>,
  ready: Pick<ReadyModel, 'info'>,
  whole: string,
): Record<string, Tensor> {
  const wanted = ready.info.inputs;
  // Rows go one by one through a model that takes one at a time.
  const rowsMay = wanted.every(({ shape }) => shape?.[0] === 1);
  const inputs: Record<string, Tensor> = {};
  for (const info of wanted) {
    const tensor = given[info.name];
    if (tensor !== undefined) inputs[info.name] = fitTensor(tensor, info, pathOf(info, ready, whole), rowsMay);
  }
  return inputs;
}

const pathOf = ({ name }: TensorInfo, { info }: Pick<ReadyModel, 'info'>, whole: string): string =>
  info.inputs.length === 1 ? whole : `${whole}.${name}`;

/** Runs the model over all rows, in as many runs as the options and the model ask for. @returns the outputs, and how many runs it took */
export async function runRows(
  ready: ReadyModel,
  inputs: Record<string, Tensor>,
  options: Pick<InferOptions, 'batchSize' | 'outputs' | 'dynamicBatching'>,
  { runner, batcher }: RunDeps,
  context: Pick<AdapterContext, 'signal' | 'progress' | 'resources'>,
): Promise<{ outputs: Record<string, Tensor>; runs: number }> {
  const { model, device, info, remote } = ready;
  const { signal } = context;
  const memoryMb = memoryOf(context.resources);
  const run = (part: Record<string, Tensor>): Promise<Record<string, Tensor>> =>
    remote?.run(part, options.outputs) ?? runner.run(model, device, part, options.outputs, signal, memoryMb);
  const division = divide(inputs, info, options.batchSize);
  if (division === undefined) {
    const rows =
      remote === undefined && memoryMb === undefined ? sharedRows(info, inputs, options.dynamicBatching) : undefined;
    const outputs =
      rows === undefined ? await run(inputs) : await batcher.run(model, device, inputs, rows, options.outputs, signal);
    return { outputs, runs: 1 };
  }
  const parts: Record<string, Tensor>[] = [];
  const counts: number[] = [];
  for (let from = 0; from < division.rows; from += division.chunk) {
    const to = Math.min(division.rows, from + division.chunk);
    parts.push(await run(partOf(inputs, from, to)));
    counts.push(to - from);
    context.progress(to / division.rows, `${to} rows`);
  }
  return { outputs: join(parts, counts), runs: parts.length };
}

/** Rows of a call that may be run together with those of other steps; undefined where it must run alone. */
function sharedRows(
  { inputs: wanted, outputs }: ModelInfo,
  inputs: Readonly<Record<string, Tensor>>,
  allowed: boolean | undefined,
): number | undefined {
  const axes = [...wanted, ...outputs].map(({ shape }) => shape?.[0]);
  const isOpen = (axis: unknown): boolean => axis === -1 || typeof axis === 'string';
  if (allowed === false || !axes.every((axis) => (allowed === true ? isOpen(axis) : batchNames.test(String(axis)))))
    return undefined;
  const lengths = wanted.map(({ name }) => inputs[name]?.shape[0]);
  const [rows] = lengths;
  return rows !== undefined && rows > 0 && lengths.every((length) => length === rows) ? rows : undefined;
}
