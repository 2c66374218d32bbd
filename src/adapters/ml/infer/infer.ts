import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { AdapterContext, AdapterStep } from '../../../ports/adapter.ts';
import type { ImageDeps } from '../image/images.ts';
import type { ModelInfo } from '../model/info.ts';
import type { Model } from '../model/runner.ts';
import { findModel, type ModelDeps } from '../model/source.ts';
import { RemoteModel } from '../remote/client.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { tensorJSON } from '../tensor/to-json.ts';
import { devicesOf } from './device.ts';
import { type InferOptions, optionsOf } from './options.ts';
import { activate, topK } from './postprocess.ts';
import { inputsOf, type ReadyModel, type RunDeps, ready, runRows } from './run-model.ts';

export interface InferDeps extends ModelDeps, RunDeps, ImageDeps {}

/**
 * The step `ml_infer`: runs a model over `params.input`. Output: `result` (the main output, after postprocessing), `outputs` by name as the
 * model gives them, `shapes`, `model_digest`, `device`, `runs`.
 *
 * @throws StepError with the codes of docs/adapters/ml.md
 */
export async function mlInfer({ params }: AdapterStep, context: AdapterContext, deps: InferDeps): Promise<JSONObject> {
  const options = optionsOf(params);
  const model = await prepare(params, options, context, deps);
  try {
    const inputs = await inputsOf(params.input ?? null, options, model, context, deps);
    const { outputs, runs } = await runRows(model, inputs, options, deps, context);
    return { ...(await outputJSON(outputs, options, model, context)), ...provenance(model), runs };
  } finally {
    await model.remote?.close();
  }
}

/** Which model ran, and where. */
export const provenance = ({ model, device, remote }: ReadyModel): JSONObject =>
  remote === undefined ? { model_digest: model.digest, device } : { server: remote.name, device };

/** The step's model, loaded. Whoever is done with it closes `remote`. */
export async function prepare(
  params: JSONObject,
  { outputs }: InferOptions,
  context: AdapterContext,
  deps: InferDeps,
): Promise<ReadyModel> {
  const found =
    params.framework === 'remote' ? await connected(params, context, deps) : await loaded(params, context, deps);
  try {
    // A server may say nothing of its outputs.
    if (found.info.outputs.length > 0 || found.remote === undefined) checkOutputs(outputs, found.info);
    return found;
  } catch (thrown) {
    await found.remote?.close();
    throw thrown;
  }
}

function checkOutputs(wanted: readonly string[], { outputs, unreadable = [] }: ModelInfo): void {
  const names = outputs.map(({ name }) => name);
  const closed = unreadable.find((name) => wanted.length === 0 || wanted.includes(name));
  if (closed !== undefined)
    throw new StepError(
      'ML_UNSUPPORTED_MODEL',
      `the model's output "${closed}" is no tensor but a sequence or map, which can't be read: ` +
        (names.length === 0 ? '' : `name others in params.outputs (${names.join(', ')}), or `) +
        'convert the model so that it gives a tensor (skl2onnx: options={"zipmap": False})',
    );
  const unknown = wanted.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new StepError(
      'INVALID_PARAMS',
      `params.outputs names "${unknown}", which is no output of the model; its outputs are ${names.join(', ')}`,
    );
}

async function loaded(params: JSONObject, context: AdapterContext, deps: InferDeps): Promise<ReadyModel> {
  const devices = devicesOf(params, context);
  const model = await findModel(params, context, deps);
  context.signal.throwIfAborted();
  const found = await ready(model, devices, deps.runner, context);
  // Another GPU rounds otherwise.
  if (found.device !== 'cpu') context.varies();
  return found;
}

/** Nobody can say what runs elsewhere. */
async function connected(params: JSONObject, context: AdapterContext, { egress }: InferDeps): Promise<ReadyModel> {
  const remote = await RemoteModel.open(params, context, egress);
  context.varies();
  try {
    const { name } = remote;
    const nowhere = (): Promise<never> =>
      Promise.reject(new StepError('ML_REMOTE_INVALID', `${name} is run by its server`));
    const model: Model = { kind: 'onnx', name, key: name, digest: '', read: nowhere };
    return { model, device: 'remote', info: await remote.info(), remote };
  } catch (thrown) {
    await remote.close();
    throw thrown;
  }
}

async function outputJSON(
  outputs: Readonly<Record<string, Tensor>>,
  options: InferOptions,
  ready: ReadyModel,
  context: AdapterContext,
): Promise<JSONObject> {
  const byName: JSONObject = {};
  const shapes: JSONObject = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    byName[name] = await tensorJSON(tensor, context, options.form);
    shapes[name] = { dtype: tensor.dtype, shape: [...tensor.shape] };
  }
  const main = mainOutput(options, ready, outputs);
  const tensor = outputs[main];
  const processed = tensor === undefined ? null : await resultOf(tensor, options, context);
  return { result: processed ?? byName[main] ?? null, outputs: byName, shapes };
}

/** Name of the output that `result` is of. */
export const mainOutput = (
  { outputs: wanted }: Pick<InferOptions, 'outputs'>,
  { info }: Pick<ReadyModel, 'info'>,
  given: Readonly<Record<string, Tensor>>,
): string => wanted[0] ?? info.outputs[0]?.name ?? Object.keys(given)[0] ?? '';

/** The main output after postprocessing; null where there is none. */
async function resultOf(
  tensor: Tensor,
  { postprocess, form }: InferOptions,
  context: AdapterContext,
): Promise<JSONValue> {
  const { activation, top_k, labels } = postprocess;
  if (activation === undefined && top_k === undefined && labels === undefined) return null;
  const activated = await activate(tensor, activation);
  if (top_k === undefined && labels === undefined) return tensorJSON(activated, context, form);
  return topK(activated, top_k ?? 1, labels);
}
