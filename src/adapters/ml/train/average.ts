import type { BytesDeps } from '../../../kit/named-bytes.ts';
import { isStoredData } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import type { Processes } from '../process/processes.ts';
import { call, named } from './call.ts';
import type { EvaluateAnswer } from './job.ts';
import { samplesFor } from './labelled.ts';
import { metricOf } from './losses.ts';
import { modelAt, modelOutput } from './model-io.ts';
import { countParameters, parseNet } from './net/parse.ts';
import { settingsOf } from './settings.ts';
import { ModelAverage } from './trained-model.ts';

/** Params of `average`; those of the training have no meaning there. */
const averageParams = ['average', 'data', 'label_column', 'feature_columns', 'threads', 'device'];

/** `average`: the weighted mean of models; with `data`, how good it is. */
export async function average(
  params: JSONObject,
  context: AdapterContext,
  deps: BytesDeps & { processes: Processes },
): Promise<JSONObject> {
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

/** What is said of a model's weight, or the samples that its step trained with. */
function weightAt(value: JSONValue, index: number): number {
  const { weight, samples = 1 } = isObject(value) && !isStoredData(value) ? (value as JSONObject) : {};
  const number = weight ?? samples;
  if (typeof number !== 'number' || !(number >= 0))
    throw refuse(`average[${index}] has the weight ${JSON.stringify(number)}, which must be a number of 0 or more`);
  return number;
}

const refuse = (why: string): StepError => new StepError('INVALID_PARAMS', `params.${why}`);
