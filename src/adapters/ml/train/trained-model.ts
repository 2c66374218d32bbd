import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject } from '../../../lib/json.ts';
import { elementsOf } from '../onnx/graph.ts';
import { type ModelContents, readModel } from '../onnx/model.ts';
import { buildModel, parametersOf, type Scaling, scalingDeviation, scalingMean, type Weights } from './graphs.ts';
import type { Label } from './labels.ts';
import { lossKinds } from './net/names.ts';
import { lengthsOf, type NetSpec, parseNet } from './net/parse.ts';

/** A model that was trained here: its net, its classes and its weights. */
export interface TrainedModel extends Weights {
  net: NetSpec;
  classes: Label[] | undefined;
}

/** Under this key the net stands in the ONNX file, beside the graph, so that it can be trained further. */
const netKey = 'jsonflow.net';
const version = 1;

export function writeTrained({ net, classes, ...weights }: TrainedModel): Uint8Array {
  const labels = classes === undefined ? {} : { labels: JSON.stringify(classes) };
  return buildModel(parseNet(net), weights, { [netKey]: JSON.stringify({ version, ...net, classes }), ...labels });
}

/** @param path of the param, for errors @throws StepError INVALID_PARAMS where the model wasn't trained by ml_train, ML_INVALID_MODEL */
export function readTrained(bytes: Uint8Array, path: string): TrainedModel {
  const contents = readModel(bytes);
  const { net, classes } = netOf(contents, path);
  const parameters = new Map<string, Float32Array>();
  for (const { id, shape } of parametersOf(parseNet(net))) {
    const data = contents.constants.get(id)?.data;
    if (data?.length !== elementsOf(shape))
      throw new StepError('ML_INVALID_MODEL', `${path} has not all the weights of its net: ${id} is missing or odd`);
    parameters.set(id, data);
  }
  return { net, classes, parameters, scaling: scalingOf(contents) };
}

function netOf({ metadata }: ModelContents, path: string): { net: NetSpec; classes: Label[] | undefined } {
  let stated: unknown;
  try {
    stated = JSON.parse(metadata.get(netKey) ?? 'null');
  } catch {
    stated = null;
  }
  if (!isObject(stated) || stated.version !== version)
    throw new StepError(
      'INVALID_PARAMS',
      `${path} was not trained by ml_train: only its models can be trained further`,
    );
  const { input, layers, outputs, loss, classes } = stated as JSONObject;
  const kind = lossKinds.find((name) => name === loss);
  if (kind === undefined || !Array.isArray(layers) || !Number.isSafeInteger(outputs) || Number(outputs) < 1)
    throw new StepError('ML_INVALID_MODEL', `${path} states a net that can't be read`);
  const net = {
    input: lengthsOf(input, 'initial_model'),
    layers: layers as JSONObject[],
    outputs: Number(outputs),
    loss: kind,
  };
  return { net, classes: Array.isArray(classes) ? (classes as Label[]) : undefined };
}

function scalingOf({ constants }: ModelContents): Scaling | undefined {
  const [mean, deviation] = [constants.get(scalingMean), constants.get(scalingDeviation)];
  return mean === undefined || deviation === undefined ? undefined : { mean: mean.data, deviation: deviation.data };
}

/**
 * The mean of models, weighted: FedAvg of McMahan et al., arXiv:1602.05629. Their nets, classes and scaling must be the same.
 * @param path of the param, for errors @throws StepError INVALID_PARAMS
 */
export function averageModels(models: readonly TrainedModel[], weights: readonly number[], path: string): TrainedModel {
  const [first] = models;
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (first === undefined || !(total > 0))
    throw new StepError('INVALID_PARAMS', `${path} must have models, and weights above 0`);
  for (const [index, model] of models.entries())
    if (identityOf(model) !== identityOf(first))
      throw new StepError(
        'INVALID_PARAMS',
        `${path}[${index}] has another net, other classes or another scaling than ${path}[0]: begin all of them with the same initial_model`,
      );
  const parameters = new Map<string, Float32Array>();
  for (const [id, { length }] of first.parameters) {
    const sums = new Float64Array(length);
    for (const [index, model] of models.entries()) {
      const [share, data] = [(weights[index] ?? 0) / total, model.parameters.get(id)];
      for (let at = 0; at < length; at++) sums[at] = (sums[at] ?? 0) + share * (data?.[at] ?? 0);
    }
    parameters.set(id, Float32Array.from(sums));
  }
  return { ...first, parameters };
}

const identityOf = ({ net, classes, scaling }: TrainedModel): string =>
  JSON.stringify([
    net,
    classes,
    scaling && [Array.from(scaling.mean), Array.from(scaling.deviation)],
  ] as unknown as JSONObject);
