import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import type { Samples } from './job.ts';
import type { LossKind } from './net/names.ts';
import type { RawSamples } from './sample-collector.ts';

export type Label = string | number | boolean;

/** What the labels are. */
export interface Labelling {
  outputs: number;
  /** Of classes, the label for each output, in order; undefined for numbers. */
  classes: Label[] | undefined;
}

const classesMax = 100_000;

/**
 * Outputs and classes that the labels ask for. Classes that are not given are those that there are: numbers by size, texts by their characters.
 * @throws StepError INVALID_PARAMS
 */
export function labellingOf({ labels }: RawSamples, loss: LossKind, given: JSONValue | undefined): Labelling {
  const classes = Array.isArray(given) ? (given as Label[]) : undefined;
  if (loss === 'mse' && classes !== undefined) throw refuse('params.classes has no meaning for the loss mse');
  if (labels.kind === 'vectors') {
    if (classes !== undefined && classes.length !== labels.width)
      throw refuse(`params.classes names ${classes.length} classes, but the labels have ${labels.width} numbers each`);
    return { outputs: labels.width, classes };
  }
  if (loss === 'mse') return { outputs: 1, classes: undefined };
  const found = classes ?? distinct(labels.values);
  if (loss === 'binary_cross_entropy') {
    if (found.length !== 2)
      throw refuse(
        `binary_cross_entropy tells two classes apart, and the labels are of ${found.length}: use the loss cross_entropy`,
      );
    return { outputs: 1, classes: found };
  }
  if (found.length < 2) throw refuse('the labels are all the same: there must be two classes at least');
  if (found.length > classesMax)
    throw refuse(`the labels are of ${found.length} classes; at most ${classesMax} are allowed`);
  return { outputs: found.length, classes: found };
}

function distinct(values: readonly Label[]): Label[] {
  const all = [...new Set(values)];
  if (all.every((value) => typeof value === 'number')) return all.sort((a, b) => a - b);
  // 1 and "1" are two labels: whatever the order of the samples, that of the classes is one.
  const key = (label: Label): string => `${label}\n${typeof label}`;
  return all.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

/** Labels as the graph takes them. @param path of the samples, for errors @throws StepError INVALID_PARAMS */
export function encodeLabels(raw: RawSamples, { outputs, classes }: Labelling, loss: LossKind, path: string): Samples {
  const { count, x, labels } = raw;
  checkNumbers(x, path, x.length / count);
  if (labels.kind === 'vectors') {
    if (labels.width !== outputs)
      throw refuse(`the labels of ${path} have ${labels.width} numbers each, not ${outputs}`);
    checkNumbers(labels.values, path, labels.width);
    if (loss !== 'mse') checkProbabilities(labels.values, loss, path, labels.width);
    return { count, x, t: labels.values };
  }
  if (classes === undefined) {
    const text = labels.values.findIndex((label) => typeof label === 'string');
    if (text >= 0)
      throw refuse(
        `${path}[${text}] has the label ${JSON.stringify(labels.values[text])}, and the loss ${loss} takes numbers: use cross_entropy for classes`,
      );
    const t = Float32Array.from(labels.values, Number);
    if (outputs !== 1) throw refuse(`the labels of ${path} are one number each, and the net has ${outputs} outputs`);
    checkNumbers(t, path, 1);
    return { count, x, t };
  }
  const places = new Map(classes.map((label, place) => [label, place]));
  const place = (label: Label, sample: number): number => {
    const known = places.get(label);
    if (known === undefined)
      throw refuse(`${path}[${sample}] has the label ${JSON.stringify(label)}, which is none of the classes`);
    return known;
  };
  const t = labels.values.map(place);
  return { count, x, t: loss === 'binary_cross_entropy' ? Float32Array.from(t) : Int32Array.from(t) };
}

function checkNumbers(values: Float32Array, path: string, width: number): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at >= 0)
    throw refuse(`${path}[${Math.floor(at / width)}] has ${values[at]} for a number, which is no 32-bit float`);
}

/**
 * `class_weight`: `balanced`, weights in the order of the classes, or by label; 1 for those that aren't named.
 * @throws StepError INVALID_PARAMS
 */
export function classWeightsOf(
  given: JSONValue | undefined,
  classes: readonly Label[] | undefined,
): Float32Array | 'balanced' | undefined {
  if (given === undefined) return undefined;
  if (classes === undefined) throw refuse('params.class_weight weighs classes, and the labels are numbers');
  if (given === 'balanced') return 'balanced';
  if (Array.isArray(given)) {
    if (given.length !== classes.length)
      throw refuse(`params.class_weight has ${given.length} weights for ${classes.length} classes`);
    return Float32Array.from(given, Number);
  }
  const weights = new Map(Object.entries(given as JSONObject));
  for (const name of weights.keys()) {
    const named = classes.filter((label) => String(label) === name).length;
    if (named === 0) throw refuse(`params.class_weight names ${JSON.stringify(name)}, which is none of the classes`);
    if (named > 1)
      throw refuse(`params.class_weight names ${JSON.stringify(name)}, which several classes are: give a list`);
  }
  return Float32Array.from(classes, (label) => Number(weights.get(String(label)) ?? 1));
}

/** Cross entropies and their gradients are of probabilities. */
function checkProbabilities(values: Float32Array, loss: LossKind, path: string, width: number): void {
  for (let from = 0; from < values.length; from += width) {
    const row = values.subarray(from, from + width);
    const sum = row.reduce((total, value) => total + value, 0);
    const fits =
      row.every((value) => value >= 0 && value <= 1) && (loss !== 'cross_entropy' || Math.abs(sum - 1) < 1e-3);
    if (fits) continue;
    const wanted = loss === 'cross_entropy' ? 'from 0 to 1 that sum up to 1' : 'from 0 to 1';
    const other = loss === 'cross_entropy' ? '; several classes at once are binary_cross_entropy' : '';
    throw refuse(
      `${path}[${from / width}] has the label [${row.slice(0, 10).join(', ')}], and ${loss} takes probabilities, ${wanted}: use the loss mse for other numbers${other}`,
    );
  }
}

const refuse = (why: string): StepError => new StepError('INVALID_PARAMS', why);
