import { isDeepStrictEqual } from 'node:util';
import { type BytesDeps, type BytesKind, findBytes } from '../../../kit/named-bytes.ts';
import { isStoredData } from '../../../kit/rows.ts';
import { storeBytes } from '../../../kit/stored-bytes.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext, AdapterStep } from '../../../ports/adapter.ts';
import { limits } from '../../../protocol/limits.ts';
import { devicesOf } from '../infer/device.ts';
import { elementsOf } from '../onnx/graph.ts';
import type { Processes } from '../process/processes.ts';
import { Checkpoints, decodeState } from './checkpoints.ts';
import { curves } from './curves.ts';
import type { EpochMetrics, EvaluateAnswer, EvaluateJob, Samples, TrainAnswer, TrainEvent, TrainJob } from './job.ts';
import { classWeightsOf, encodeLabels, type Labelling, labellingOf } from './labels.ts';
import { batchNumbersMax } from './limits.ts';
import { metricOf } from './losses.ts';
import type { LossKind } from './net/names.ts';
import { countParameters, lengthsOf, type Net, type NetSpec, parseNet } from './net/parse.ts';
import { readSamples } from './read-samples.ts';
import type { Columns, RawSamples } from './sample-collector.ts';
import { scalingOf, settingsOf } from './settings.ts';
import { ModelAverage, readTrained, type TrainedModel, writeTrained } from './trained-model.ts';

export interface TrainDeps extends BytesDeps {
  processes: Processes;
}

const mediaType = 'application/onnx';

/**
 * The step `ml_train`: trains a net on samples, or averages models that were trained. Output: `model` (ONNX, as stored bytes), `metrics`,
 * `history`, `plot` (SVG), `labels`, `epochs`, `best_epoch`, `stopped_early`, `samples`, `parameters`, `device`, `threads`.
 *
 * @throws StepError with the codes of docs/adapters/ml.md
 */
export async function mlTrain(step: AdapterStep, context: AdapterContext, deps: TrainDeps): Promise<JSONObject> {
  const { params } = step;
  if (params.average !== undefined) return average(params, context, deps);
  if (params.data === undefined) throw refuse('data is missing: what the net is trained with');
  const settings = settingsOf(params, context);
  const before = await initialModel(params.initial_model, context, deps);
  const raw = await readSamples(params.data, 'params.data', columnsOf(params), context);
  const loss = before?.net.loss ?? settings.loss ?? 'cross_entropy';
  const labelling = before === undefined ? labellingOf(raw, loss, params.classes) : labellingBefore(before, params);
  const samples = encodeLabels(raw, labelling, loss, 'params.data');
  const net = netOf(params, raw, labelling, loss, before);
  const parsed = parseNet(net);
  checkBatch(parsed, Math.min(settings.batchSize, samples.count));
  const job: TrainJob = {
    ...settings,
    net,
    samples,
    classWeights: weightsOf(params, labelling, samples),
    validation: await validationOf(params, net, labelling, context),
    scaling: before === undefined ? scalingOf(params.normalize, net.input[0] ?? 1) : before.scaling,
    initial: before && Object.fromEntries(before.parameters),
    resume: decodeState(context.last_checkpoint),
  };
  const { answer, device } = await runTraining(job, params, context, deps);
  const parameters = new Map(Object.entries(answer.parameters));
  const model = { net, classes: labelling.classes, parameters, scaling: answer.scaling };
  return {
    ...(await modelOutput(model, context)),
    ...historyOutput(answer, loss),
    parameters: countParameters(parsed),
    device,
    threads: job.threads,
  };
}

const refuse = (why: string): StepError => new StepError('INVALID_PARAMS', `params.${why}`);

/** @throws StepError INVALID_PARAMS where params state other classes than the model has */
function labellingBefore({ net, classes }: TrainedModel, { classes: stated }: JSONObject): Labelling {
  if (stated !== undefined && !isDeepStrictEqual(stated, classes))
    throw refuse(`classes are others than those of params.initial_model, which are ${JSON.stringify(classes)}`);
  return { outputs: net.outputs, classes };
}

const columnsOf = ({ label_column: label, feature_columns: features }: JSONObject): Columns => ({
  label: typeof label === 'string' ? label : undefined,
  features: Array.isArray(features) ? features.map(String) : undefined,
});

function netOf(
  params: JSONObject,
  raw: RawSamples,
  { outputs }: Labelling,
  loss: LossKind,
  before: TrainedModel | undefined,
): NetSpec {
  const layers = params.layers as JSONObject[] | undefined;
  if (before !== undefined) {
    const other = ['layers', 'loss', 'normalize', 'input_shape'].find((name) => params[name] !== undefined);
    if (other !== undefined) throw refuse(`initial_model brings its ${other} along: leave params.${other} out`);
    checkWidth(raw, before.net.input, 'params.data');
    return before.net;
  }
  if (layers === undefined) throw refuse('layers is missing: the net, such as [{ "type": "dense" }]');
  const input = params.input_shape === undefined ? raw.shape : lengthsOf(params.input_shape, 'input_shape');
  checkWidth(raw, input, 'params.data');
  return { input, layers, outputs, loss };
}

function checkWidth({ count, x, shape }: RawSamples, input: readonly number[], path: string): void {
  const wanted = input.reduce((product, length) => product * length, 1);
  if (x.length / count !== wanted)
    throw new StepError(
      'INVALID_PARAMS',
      `a sample of ${path} has the shape [${shape.join(', ')}], but the net takes [${input.join(', ')}]`,
    );
}

function weightsOf(
  { class_weight: given }: JSONObject,
  { classes }: Labelling,
  { count, t }: Samples,
): TrainJob['classWeights'] {
  const weights = classWeightsOf(given, classes);
  if (weights === 'balanced' && t.length !== count)
    throw refuse(
      'class_weight can be balanced where each sample has one class: give weights in the order of the classes',
    );
  return weights;
}

/** @throws StepError ML_NET_TOO_LARGE */
function checkBatch({ input, outputs }: Net, count: number): void {
  const numbers = count * (elementsOf(input) + outputs);
  if (numbers > batchNumbersMax)
    throw new StepError(
      'ML_NET_TOO_LARGE',
      `a batch of ${count} samples has ${numbers} numbers, features and labels; at most ${batchNumbersMax} are allowed: make params.batch_size smaller`,
    );
}

async function validationOf(
  params: JSONObject,
  net: NetSpec,
  labelling: Labelling,
  context: AdapterContext,
): Promise<Samples | number> {
  const { validation_data: data, validation_split: split } = params;
  if (data === undefined) return typeof split === 'number' ? split : 0;
  if (split !== undefined) throw refuse('validation_data and params.validation_split exclude one another');
  return samplesFor(data, 'params.validation_data', params, { net, classes: labelling.classes }, context);
}

async function samplesFor(
  data: JSONValue,
  path: string,
  params: JSONObject,
  { net, classes }: Pick<TrainedModel, 'net' | 'classes'>,
  context: AdapterContext,
): Promise<Samples> {
  const raw = await readSamples(data, path, columnsOf(params), context);
  checkWidth(raw, net.input, path);
  return encodeLabels(raw, { outputs: net.outputs, classes }, net.loss, path);
}

async function initialModel(
  value: JSONValue | undefined,
  context: AdapterContext,
  deps: TrainDeps,
): Promise<TrainedModel | undefined> {
  return value === undefined ? undefined : modelAt(value, 'params.initial_model', context, deps);
}

/** A model, or the output of a step that trained one. */
async function modelAt(
  value: JSONValue,
  path: string,
  context: AdapterContext,
  deps: TrainDeps,
): Promise<TrainedModel> {
  const isOutput = isObject(value) && !isStoredData(value) && isObject(value.model);
  const bytes = isOutput ? ((value as JSONObject).model ?? null) : value;
  const kind: BytesKind = { noun: 'model', codes: 'MODEL', param: path, bytesMax: limits.blobBytesMax };
  const found = await findBytes(bytes, undefined, kind, context, deps);
  return readTrained(await found.read(), path);
}

/** What is said of a model's weight, or the samples that its step trained with. */
function weightAt(value: JSONValue, index: number): number {
  const { weight, samples = 1 } = isObject(value) && !isStoredData(value) ? (value as JSONObject) : {};
  const number = weight ?? samples;
  if (typeof number !== 'number' || !(number >= 0))
    throw refuse(`average[${index}] has the weight ${JSON.stringify(number)}, which must be a number of 0 or more`);
  return number;
}

/** Calls a process, on the first device that there is. */
async function call<T>(
  request: { method: string; args: TrainJob | EvaluateJob },
  params: JSONObject,
  context: AdapterContext,
  { processes }: TrainDeps,
  onEvent: (event: TrainEvent) => void = () => undefined,
): Promise<{ answer: T; device: string }> {
  const devices = devicesOf(params, context);
  const { signal, resources } = context;
  const memory = resources.ram_mb === undefined ? {} : { memoryMb: resources.ram_mb };
  let missing: unknown;
  for (const device of devices) {
    try {
      const hooks = { signal, ...memory, onEvent: (event: unknown) => onEvent(event as TrainEvent) };
      const args = { ...request.args, device };
      const answer = (await processes.call('train', device, { method: request.method, args }, hooks)) as T;
      if (device !== 'cpu') context.varies();
      return { answer, device };
    } catch (thrown) {
      if (!(thrown instanceof StepError) || thrown.code !== 'ML_NO_GPU') throw thrown;
      missing = thrown;
    }
  }
  throw missing;
}

async function runTraining(
  job: TrainJob,
  params: JSONObject,
  context: AdapterContext,
  deps: TrainDeps,
): Promise<{ answer: TrainAnswer; device: string }> {
  const checkpoints = new Checkpoints(context);
  const name = metricOf[job.net.loss];
  const trained = await call<TrainAnswer>({ method: 'train', args: job }, params, context, deps, (event) => {
    if (event.kind === 'state') return checkpoints.offer(event.state);
    if (event.kind === 'too_large') return checkpoints.tooLarge(event.bytes);
    const { metrics, epochs } = event;
    const words = Object.entries(named(metrics, name)).map(([key, value]) => `${key} ${value.toPrecision(4)}`);
    context.progress(metrics.epoch / epochs, `epoch ${metrics.epoch} of ${epochs}: ${words.join(', ')}`);
  });
  await checkpoints.settled();
  return trained;
}

function named(
  { loss, metric, val_loss, val_metric }: Omit<EpochMetrics, 'epoch'>,
  name: string,
): Record<string, number> {
  return {
    loss,
    [name]: metric,
    ...(val_loss === undefined ? {} : { val_loss }),
    ...(val_metric === undefined ? {} : { [`val_${name}`]: val_metric }),
  };
}

function historyOutput(answer: TrainAnswer, loss: LossKind): JSONObject {
  const { history, epoch, stoppedEarly, samples, validationSamples } = answer;
  const name = metricOf[loss];
  const best = history.find((metrics) => metrics.epoch === epoch);
  return {
    metrics: best === undefined ? {} : named(best, name),
    history: history.map((metrics) => ({ epoch: metrics.epoch, ...named(metrics, name) })),
    ...(history.length === 0 ? {} : { plot: curves(history, name) }),
    epochs: history.length,
    best_epoch: epoch,
    stopped_early: stoppedEarly,
    samples,
    ...(validationSamples === 0 ? {} : { validation_samples: validationSamples }),
  };
}

async function modelOutput(model: TrainedModel, context: AdapterContext): Promise<JSONObject> {
  const stored = await storeBytes([writeTrained(model)], undefined, mediaType, context);
  return {
    model: stored as unknown as JSONObject,
    ...(model.classes === undefined ? {} : { labels: model.classes }),
  };
}

/** Params of `average`; those of the training have no meaning there. */
const averageParams = ['average', 'data', 'label_column', 'feature_columns', 'threads', 'device'];

/** `average`: the weighted mean of models; with `data`, how good it is. */
async function average(params: JSONObject, context: AdapterContext, deps: TrainDeps): Promise<JSONObject> {
  const other = Object.keys(params).find((name) => params[name] !== undefined && !averageParams.includes(name));
  if (other !== undefined) throw refuse(`${other} has no meaning where models are averaged`);
  const given = params.average as JSONValue[];
  const weights = given.map(weightAt);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (!(total > 0)) throw refuse('average must have a weight above 0');
  const mean = new ModelAverage('params.average');
  for (const [index, value] of given.entries()) {
    context.signal.throwIfAborted();
    mean.add(await modelAt(value, `params.average[${index}]`, context, deps), (weights[index] ?? 0) / total);
  }
  const model = mean.end();
  const output: JSONObject = {
    ...(await modelOutput(model, context)),
    models: given.length,
    samples: total,
    parameters: countParameters(parseNet(model.net)),
  };
  if (params.data === undefined) return output;
  const samples = await samplesFor(params.data, 'params.data', params, model, context);
  const { threads } = settingsOf(params, context);
  const { net, scaling } = model;
  const args = { net, scaling, samples, threads, parameters: Object.fromEntries(model.parameters) };
  const { answer, device } = await call<EvaluateAnswer>({ method: 'evaluate', args }, params, context, deps);
  return { ...output, metrics: named(answer, metricOf[net.loss]), device, threads };
}
