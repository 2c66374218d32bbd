import { isDeepStrictEqual } from 'node:util';
import type { BytesDeps } from '../../../kit/named-bytes.ts';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { AdapterContext, AdapterStep } from '../../../ports/adapter.ts';
import { elementsOf } from '../onnx/graph.ts';
import type { Processes } from '../process/processes.ts';
import { average } from './average.ts';
import { call, named } from './call.ts';
import { Checkpoints, decodeState } from './checkpoints.ts';
import { curves } from './curves.ts';
import type { Samples, TrainAnswer, TrainJob } from './job.ts';
import { checkWidth, columnsOf, samplesFor } from './labelled.ts';
import { classWeightsOf, encodeLabels, type Labelling, labellingOf } from './labels.ts';
import { batchNumbersMax } from './limits.ts';
import { metricOf } from './losses.ts';
import { modelAt, modelOutput } from './model-io.ts';
import { lengthsOf } from './net/fields.ts';
import type { LossKind } from './net/names.ts';
import { countParameters, type Net, type NetSpec, parseNet } from './net/parse.ts';
import { readSamples } from './read-samples.ts';
import type { RawSamples } from './sample-collector.ts';
import { scalingOf, settingsOf } from './settings.ts';
import type { TrainedModel } from './trained-model.ts';

export interface TrainDeps extends BytesDeps {
  processes: Processes;
}

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
    classWeights: weightsOf(params, { ...labelling, loss }, samples),
    validation: await validationOf(params, net, labelling, context),
    scaling: before === undefined ? scalingOf(params.normalize, net.input[0] ?? 1) : before.scaling,
    initial: before && Object.fromEntries(before.parameters),
    resume: decodeState(context.last_checkpoint),
    keepsStates: context.keeps_checkpoints,
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

function weightsOf(
  { class_weight: given }: JSONObject,
  { loss, outputs, classes }: Labelling & { loss: LossKind },
  { count, t }: Samples,
): TrainJob['classWeights'] {
  const weights = classWeightsOf(given, classes);
  if (weights !== undefined && loss === 'binary_cross_entropy' && outputs > 1)
    throw refuse('class_weight weighs samples of one class each, and these may have several at once');
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

async function initialModel(
  value: JSONValue | undefined,
  context: AdapterContext,
  deps: TrainDeps,
): Promise<TrainedModel | undefined> {
  return value === undefined ? undefined : modelAt(value, 'params.initial_model', context, deps);
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
