import type { GraphModel, InferenceModel, io, LayersModel, NamedTensorMap, Tensor as TfTensor } from '@tensorflow/tfjs';
import { messageOf, StepError } from '../../../lib/errors.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { optionalPackage } from '../process/package.ts';
import type { DType } from '../tensor/dtype.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { BytesCache } from './cache.ts';
import type { ModelInfo, TensorInfo } from './info.ts';
import type { InfoAnswer, ModelRequest, RunAnswer, RunRequest, TfjsParts } from './messages.ts';
import { parseModelJSON } from './tfjs-weights.ts';

type TfModel = GraphModel | LayersModel;
type Tf = typeof import('@tensorflow/tfjs');

const models = new BytesCache<TfModel>((model) => void model.dispose());
let loaded: Promise<Tf> | undefined;

/** WebAssembly where its package is there: several times as fast as plain JavaScript. */
async function load(): Promise<Tf> {
  const user = 'this TensorFlow.js model needs';
  const install = 'npm install @tensorflow/tfjs @tensorflow/tfjs-backend-wasm';
  const tf = optionalPackage<Tf>('@tensorflow/tfjs', user, install);
  tf.enableProdMode();
  try {
    optionalPackage('@tensorflow/tfjs-backend-wasm', user);
    if (await tf.setBackend('wasm')) return tf;
  } catch {
    // Plain JavaScript does it, too.
  }
  await tf.setBackend('cpu');
  return tf;
}

async function runtime(): Promise<Tf> {
  loaded ??= load();
  return loaded;
}

async function modelOf({ key, payload, cacheBytesMax }: ModelRequest): Promise<TfModel | undefined> {
  const known = models.get(key);
  if (known !== undefined || payload === undefined || payload instanceof Uint8Array) return known;
  const model = await create(payload);
  await models.put(key, model, payload.json.length + payload.weights.length, cacheBytesMax);
  return model;
}

async function create({ json, weights }: TfjsParts): Promise<TfModel> {
  const tf = await runtime();
  const { format, topology, specs } = parseModelJSON(json, 'model.json');
  // Graphs may begin with tables that another graph fills.
  const { modelTopology: _, weightsManifest: __, ...others } = JSON.parse(Buffer.from(json).toString()) as JSONObject;
  const artifacts = {
    ...others,
    modelTopology: topology,
    weightSpecs: specs,
    weightData: new Uint8Array(weights).buffer,
  };
  const handler = { load: async () => artifacts as unknown as io.ModelArtifacts };
  try {
    return await (format === 'graph' ? tf.loadGraphModel(handler) : tf.loadLayersModel(handler));
  } catch (thrown) {
    throw new StepError('ML_INVALID_MODEL', `the model can not be loaded: ${messageOf(thrown).slice(0, 500)}`);
  }
}

const infoOf = ({ inputs, outputs }: Pick<InferenceModel, 'inputs' | 'outputs'>): ModelInfo => ({
  inputs: inputs.map(tensorInfo),
  outputs: outputs.map(tensorInfo),
});

function tensorInfo({ name, dtype, shape }: { name: string; dtype?: string; shape?: number[] }): TensorInfo {
  return {
    name: nameOf(name),
    dtype: dtypeOf(dtype),
    shape: shape?.map((length, axis) => (length === null || length < 0 ? (axis === 0 ? 'batch' : -1) : length)),
  };
}

/** Without the number of a node's output, which is 0. */
const nameOf = (name: string): string => name.replace(/:0$/, '');

/** Graphs don't always say what their outputs are; floats mostly, and the run will tell. */
function dtypeOf(dtype: string | undefined): DType {
  if (dtype === undefined) return 'float32';
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool' || dtype === 'string') return dtype;
  throw new StepError('ML_UNSUPPORTED_MODEL', `the model has tensors of ${dtype}, which is not supported`);
}

async function describe(request: ModelRequest): Promise<InfoAnswer> {
  const model = await modelOf(request);
  return model === undefined ? { missing: true } : { info: infoOf(model as unknown as InferenceModel) };
}

async function run(request: RunRequest): Promise<RunAnswer> {
  const model = await modelOf(request);
  if (model === undefined) return { missing: true };
  const tf = await runtime();
  const fast = tf.getBackend();
  try {
    return { outputs: await runOn(tf, model, request) };
  } catch (thrown) {
    if (thrown instanceof StepError) throw thrown;
    if (fast === 'cpu') throw failed(thrown);
    return { outputs: await runSlowly(tf, model, request) };
  }
}

/** WebAssembly lacks operators that plain JavaScript has, such as those of texts. */
async function runSlowly(tf: Tf, model: TfModel, request: RunRequest): Promise<Record<string, Tensor>> {
  const fast = tf.getBackend();
  try {
    await tf.setBackend('cpu');
    return await runOn(tf, model, request);
  } catch (thrown) {
    throw thrown instanceof StepError ? thrown : failed(thrown);
  } finally {
    await tf.setBackend(fast);
  }
}

const failed = (thrown: unknown): StepError =>
  new StepError('ML_RUN_FAILED', `the model failed: ${messageOf(thrown).slice(0, 500)}`);

async function runOn(tf: Tf, model: TfModel, request: RunRequest): Promise<Record<string, Tensor>> {
  const given: NamedTensorMap = {};
  for (const { name } of model.inputs) {
    const tensor = request.inputs[nameOf(name)];
    if (tensor !== undefined)
      given[name] = tf.tensor(tensor.data as Float32Array, [...tensor.shape], tensor.dtype as 'float32');
  }
  const results: TfTensor[] = [];
  try {
    results.push(...(await predict(model, given)));
    const outputs: Record<string, Tensor> = {};
    for (const [index, { name }] of model.outputs.entries()) {
      const result = results[index];
      const plain = nameOf(name);
      if (result === undefined || (request.outputs.length > 0 && !request.outputs.includes(plain))) continue;
      const data = (await result.data()) as Float32Array<ArrayBuffer>;
      outputs[plain] = { dtype: dtypeOf(result.dtype), shape: result.shape, data: data.slice() };
    }
    return outputs;
  } finally {
    tf.dispose([...Object.values(given), ...results]);
  }
}

/** In the order of the model's outputs. Models with control flow run asynchronously only. */
async function predict(model: TfModel, given: NamedTensorMap): Promise<TfTensor[]> {
  const found =
    'executeAsync' in model
      ? await model.executeAsync(
          given,
          model.outputs.map(({ name }) => name),
        )
      : model.predict(model.inputs.map(({ name }) => given[name] as TfTensor));
  return Array.isArray(found) ? found : [found as TfTensor];
}

/** What a process that runs TensorFlow.js models answers. */
export const tfjsHandlers = { describe, run };
