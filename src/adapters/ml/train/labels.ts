import { StepError } from '../../../lib/errors.ts';
import type { JSONValue } from '../../../lib/json.ts';
import type { Samples } from './job.ts';
import type { LossKind } from './net/names.ts';
import type { RawSamples } from './read-samples.ts';

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
  if (labels.kind === 'vectors') {
    if (classes !== undefined && classes.length !== labels.width)
      throw refuse(`params.classes names ${classes.length} classes, but the labels have ${labels.width} numbers each`);
    return { outputs: labels.width, classes: loss === 'mse' ? undefined : classes };
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
  return all.sort((a, b) => (String(a) < String(b) ? -1 : 1));
}

/** Labels as the graph takes them. @param path of the samples, for errors @throws StepError INVALID_PARAMS */
export function encodeLabels(raw: RawSamples, { outputs, classes }: Labelling, loss: LossKind, path: string): Samples {
  const { count, x, labels } = raw;
  checkNumbers(x, path, x.length / count);
  if (labels.kind === 'vectors') {
    if (labels.width !== outputs)
      throw refuse(`the labels of ${path} have ${labels.width} numbers each, not ${outputs}`);
    checkNumbers(labels.values, path, labels.width);
    return { count, x, t: labels.values };
  }
  if (classes === undefined) {
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

const refuse = (why: string): StepError => new StepError('INVALID_PARAMS', why);
