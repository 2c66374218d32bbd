import { setImmediate as turn } from 'node:timers/promises';
import { StepError } from '../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../lib/json.ts';
import { cast } from '../tensor/cast.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';

/** What is made of the main output, over its last axis. */
export interface Postprocess {
  activation?: 'softmax' | 'sigmoid';
  /** The greatest scores, with their places. */
  top_k?: number;
  /** Names of the places. */
  labels?: string[];
}

/** Elements that are computed before others of the node get their turn. */
const elementsPerTurn = 1024 * 1024;

/** The output after the activation. @throws StepError INVALID_PARAMS where it holds texts */
export async function activate(tensor: Tensor, activation: Postprocess['activation']): Promise<Tensor> {
  if (activation === undefined) return tensor;
  const { shape, data } = cast(tensor, 'float32', 'the output');
  const source = data as Float32Array;
  const result = new Float32Array(source.length);
  const width = shape.at(-1) ?? 1;
  const rowsPerTurn = Math.max(1, Math.floor(elementsPerTurn / width));
  for (let from = 0; from < source.length; from += rowsPerTurn * width) {
    const to = from + rowsPerTurn * width;
    const [part, target] = [source.subarray(from, to), result.subarray(from, to)];
    if (from > 0) await turn();
    if (activation === 'sigmoid') sigmoid(part, target);
    else softmax(part, target, width);
  }
  return { dtype: 'float32', shape, data: result };
}

function sigmoid(source: Float32Array, result: Float32Array): void {
  for (let at = 0; at < result.length; at += 1) result[at] = 1 / (1 + Math.exp(-(source[at] as number)));
}

function softmax(source: Float32Array, result: Float32Array, width: number): void {
  for (let from = 0; from < source.length; from += width) {
    let greatest = Number.NEGATIVE_INFINITY;
    for (let at = from; at < from + width; at += 1) greatest = Math.max(greatest, source[at] as number);
    let sum = 0;
    for (let at = from; at < from + width; at += 1) sum += Math.exp((source[at] as number) - greatest);
    for (let at = from; at < from + width; at += 1) result[at] = Math.exp((source[at] as number) - greatest) / sum;
  }
}

/**
 * The `k` greatest of the last axis, greatest first: `[{ index, score, label? }]` for each place of the other axes. Of equal ones the first
 * comes first.
 * @throws StepError INVALID_PARAMS where there are fewer labels than places
 */
export function topK(tensor: Tensor, k: number, labels: readonly string[] | undefined): JSONValue {
  const { shape, data } = cast(tensor, 'float32', 'the output');
  const width = shape.at(-1) ?? 1;
  if (labels !== undefined && labels.length !== width)
    throw new StepError(
      'INVALID_PARAMS',
      `params.postprocess.labels has ${labels.length} labels, and the output's last axis ${width} places`,
    );
  const scores = data as Float32Array;
  const outer = shape.slice(0, -1);
  let from = 0;
  const build = (axis: number): JSONValue => {
    const length = outer[axis];
    if (length !== undefined) return Array.from({ length }, () => build(axis + 1));
    const row = scores.subarray(from, from + width);
    from += width;
    return best(row, k).map(
      (index): JSONObject => ({
        index,
        ...(labels === undefined ? {} : { label: labels[index] ?? '' }),
        score: scoreOf(row[index] as number),
      }),
    );
  };
  return sizeOf(shape) === 0 ? [] : build(0);
}

const scoreOf = (score: number): JSONValue => (Number.isFinite(score) ? score : String(score));

/** Places of the greatest numbers; NaN is none. */
function best(row: Float32Array, k: number): number[] {
  const found: number[] = [];
  for (let at = 0; at < row.length; at += 1) {
    const score = row[at] as number;
    if (Number.isNaN(score) || (found.length === k && score <= (row[found[k - 1] as number] as number))) continue;
    let [low, high] = [0, found.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (score > (row[found[middle] as number] as number)) high = middle;
      else low = middle + 1;
    }
    found.splice(low, 0, at);
    if (found.length > k) found.pop();
  }
  return found;
}
