import { isDeepStrictEqual } from 'node:util';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { elementsOf } from '../onnx/graph.ts';
import { type ModelContents, readModel } from '../onnx/model.ts';
import { buildModel, parametersOf, type Scaling, scalingDeviation, scalingMean, type Weights } from './graphs.ts';
import type { Label } from './labels.ts';
import { lengthsOf } from './net/fields.ts';
import { type LossKind, lossKinds } from './net/names.ts';
import { type Net, type NetSpec, parseNet } from './net/parse.ts';

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
  const { net, parsed, classes } = netOf(contents, path);
  const parameters = new Map<string, Float32Array>();
  for (const { id, shape } of parametersOf(parsed)) {
    const data = contents.constants.get(id)?.data;
    if (data?.length !== elementsOf(shape))
      throw new StepError('ML_INVALID_MODEL', `${path} has not all the weights of its net: ${id} is missing or odd`);
    parameters.set(id, data);
  }
  return { net, classes, parameters, scaling: scalingOf(contents) };
}

interface StatedNet {
  net: NetSpec;
  parsed: Net;
  classes: Label[] | undefined;
}

function netOf({ metadata }: ModelContents, path: string): StatedNet {
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
  const unreadable = (why: string): StepError =>
    new StepError('ML_INVALID_MODEL', `${path} states a net that can't be read${why}`);
  if (kind === undefined || !Array.isArray(layers) || !Number.isSafeInteger(outputs) || Number(outputs) < 1)
    throw unreadable('');
  if (classes !== undefined && !areClasses(classes, Number(outputs), kind)) throw unreadable(': its classes are odd');
  try {
    const lengths = lengthsOf(input, 'input_shape');
    const net = { input: lengths, layers: layers as JSONObject[], outputs: Number(outputs), loss: kind };
    return { net, parsed: parseNet(net), classes };
  } catch (thrown) {
    throw unreadable(`: ${messageOf(thrown)}`);
  }
}

const areClasses = (value: JSONValue, outputs: number, loss: LossKind): value is Label[] =>
  Array.isArray(value) &&
  value.length === (loss === 'binary_cross_entropy' && outputs === 1 ? 2 : outputs) &&
  value.every((label) => ['string', 'number', 'boolean'].includes(typeof label));

function scalingOf({ constants }: ModelContents): Scaling | undefined {
  const [mean, deviation] = [constants.get(scalingMean), constants.get(scalingDeviation)];
  return mean === undefined || deviation === undefined ? undefined : { mean: mean.data, deviation: deviation.data };
}

/**
 * The mean of models, weighted: FedAvg of McMahan et al., arXiv:1602.05629. Their nets, classes and scaling must be the same. Models are added
 * one after the other, so that no more than one need be in memory.
 */
export class ModelAverage {
  readonly #path: string;
  readonly #sums = new Map<string, Float64Array>();
  #first: TrainedModel | undefined;
  #count = 0;

  /** @param path of the param, for errors */
  constructor(path: string) {
    this.#path = path;
  }

  /** @param share of the model in the mean; all shares sum up to 1 @throws StepError INVALID_PARAMS */
  add(model: TrainedModel, share: number): void {
    const first = this.#first ?? model;
    this.#first = first;
    if (!isDeepStrictEqual(identityOf(model), identityOf(first)))
      throw new StepError(
        'INVALID_PARAMS',
        `${this.#path}[${this.#count}] has another net, other classes or another scaling than ${this.#path}[0]: begin all of them with the same initial_model`,
      );
    for (const [id, data] of model.parameters) {
      const sums = this.#sums.get(id) ?? new Float64Array(data.length);
      this.#sums.set(id, sums);
      for (let at = 0; at < sums.length; at++) sums[at] = (sums[at] ?? 0) + share * (data[at] ?? 0);
    }
    this.#count += 1;
  }

  /** @throws StepError INVALID_PARAMS where there was no model */
  end(): TrainedModel {
    if (this.#first === undefined) throw new StepError('INVALID_PARAMS', `${this.#path} has no models`);
    const parameters = new Map([...this.#sums].map(([id, sums]) => [id, Float32Array.from(sums)]));
    return { ...this.#first, parameters };
  }
}

const identityOf = ({ net, classes, scaling }: TrainedModel) => ({ net, classes, scaling });
