import { StepError } from '../../../lib/errors.ts';
import type { Scaling } from './graphs.ts';
import type { Samples } from './job.ts';
import type { Net } from './net/parse.ts';
import { Random } from './random.ts';

/** Samples to train with, and others to validate with: of their own, or a share that is drawn by chance. */
export function splitSamples(
  all: Samples,
  validation: Samples | number,
  net: Net,
  seed: string,
): [Samples, Samples | undefined] {
  if (typeof validation !== 'number') return [all, validation];
  if (validation === 0) return [all, undefined];
  const kept = Math.round(all.count * validation);
  if (kept < 1 || kept >= all.count)
    throw new StepError(
      'INVALID_PARAMS',
      `params.validation_split leaves ${kept} of ${all.count} samples for the validation: there must be some on both sides`,
    );
  const order = Uint32Array.from({ length: all.count }, (_, index) => index);
  new Random(`${seed}/split`).shuffle(order);
  return [pick(all, order.subarray(kept), net), pick(all, order.subarray(0, kept), net)];
}

function pick({ count, x, t }: Samples, order: Uint32Array, { outputs }: Net): Samples {
  const width = x.length / count;
  const rows = new Float32Array(order.length * width);
  for (const [place, sample] of order.entries())
    rows.set(x.subarray(sample * width, (sample + 1) * width), place * width);
  if (t instanceof Int32Array)
    return { count: order.length, x: rows, t: Int32Array.from(order, (sample) => t[sample] ?? 0) };
  const labels = new Float32Array(order.length * outputs);
  for (const [place, sample] of order.entries())
    labels.set(t.subarray(sample * outputs, (sample + 1) * outputs), place * outputs);
  return { count: order.length, x: rows, t: labels };
}

/** Of each class, so that all count the same together: samples by classes by samples of the class; 1 for one without samples. */
export function balancedWeights({ count, t }: Samples, { outputs }: Net): Float32Array {
  const counts = new Array<number>(Math.max(2, outputs)).fill(0);
  for (const place of t) counts[place] = (counts[place] ?? 0) + 1;
  const classes = counts.filter((own) => own > 0).length;
  return Float32Array.from(counts, (own) => (own > 0 ? count / (classes * own) : 1));
}

/** The least that a 32-bit float has all its digits for. */
const deviationMin = 1.2e-38;

/** Mean and deviation of each feature, or of each channel of images; what is always the same is only shifted. */
export function standardScaling({ count, x }: Samples, { input }: Net): Scaling {
  const [features = 1] = input;
  const width = x.length / count;
  const area = width / features;
  const mean = new Float64Array(features);
  const square = new Float64Array(features);
  const low = new Float64Array(features).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(features).fill(Number.NEGATIVE_INFINITY);
  const each = (fn: (feature: number, value: number) => void): void => {
    for (let at = 0; at < x.length; at++) fn(Math.floor((at % width) / area), x[at] ?? 0);
  };
  each((feature, value) => {
    mean[feature] = (mean[feature] ?? 0) + value / (count * area);
    low[feature] = Math.min(low[feature] ?? value, value);
    high[feature] = Math.max(high[feature] ?? value, value);
  });
  each((feature, value) => {
    square[feature] = (square[feature] ?? 0) + (value - (mean[feature] ?? 0)) ** 2 / (count * area);
  });
  // What is always the same has a mean and a deviation that are rounding errors.
  const isConstant = (feature: number): boolean => low[feature] === high[feature];
  return {
    mean: Float32Array.from(mean, (value, feature) => (isConstant(feature) ? (low[feature] ?? 0) : value)),
    deviation: Float32Array.from(square, (value, feature) =>
      isConstant(feature) ? 1 : Math.max(Math.sqrt(value), deviationMin),
    ),
  };
}
