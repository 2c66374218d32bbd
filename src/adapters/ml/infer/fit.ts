import { StepError } from '../../../lib/errors.ts';
import { type Axis, type ModelInfo, shapeText, type TensorInfo } from '../model/info.ts';
import { cast } from '../tensor/cast.ts';
import { checkSize, concatRows, rowsOf, sizeOf, type Tensor } from '../tensor/tensor.ts';

/**
 * A tensor in the type and shape that a model's input takes. A single row gets its axis, and rows of as many elements get the shape of a row;
 * else the shapes must be equal.
 *
 * @throws StepError ML_INPUT_MISMATCH, ML_TENSOR_TOO_LARGE, INVALID_PARAMS where the type differs
 */
export function fitTensor(tensor: Tensor, info: TensorInfo, path: string, rowsMay: boolean): Tensor {
  checkSize(info.dtype, tensor.shape, path);
  const typed = cast(tensor, info.dtype, path);
  const { shape: wanted } = info;
  if (wanted === undefined) return typed;
  const shape = fitShape(typed.shape, wanted, rowsMay);
  if (shape === undefined)
    throw new StepError(
      'ML_INPUT_MISMATCH',
      `${path} has the shape ${shapeText(typed.shape)}; the model's input "${info.name}" takes ${shapeText(wanted)} of ${info.dtype}`,
    );
  return { ...typed, shape };
}

function fitShape(given: readonly number[], wanted: readonly Axis[], rowsMay: boolean): number[] | undefined {
  if (fits(given, wanted, rowsMay)) return [...given];
  if (given.length + 1 === wanted.length && fits([1, ...given], wanted, rowsMay)) return [1, ...given];
  const [rows, ...row] = wanted;
  if (rows === undefined || !row.every((length) => typeof length === 'number' && length > 0)) return undefined;
  const width = sizeOf(row as number[]);
  const [first = 1, ...rest] = given;
  for (const count of [first, 1]) {
    const shape = [count, ...(row as number[])];
    const same = count === 1 ? sizeOf(given) === width : sizeOf(rest) === width;
    if (same && fits(shape, wanted, rowsMay)) return shape;
  }
  return undefined;
}

/** @param rowsMay a first axis of length 1 takes many rows, one after the other */
const fits = (given: readonly number[], wanted: readonly Axis[], rowsMay: boolean): boolean =>
  given.length === wanted.length &&
  wanted.every(
    (length, axis) =>
      typeof length === 'string' || length < 0 || length === given[axis] || (rowsMay && axis === 0 && length === 1),
  );

/** How a call is divided: `rows` in all, `chunk` at a time at most. Undefined where it runs as it is. */
export interface Division {
  rows: number;
  chunk: number;
}

/**
 * How rows are divided into runs of the model.
 * @param batchSize rows that a run may have, if the step says so
 * @throws StepError ML_INPUT_MISMATCH where inputs don't agree in what the model calls by one name, or in their rows
 */
export function divide(
  inputs: Readonly<Record<string, Tensor>>,
  info: ModelInfo,
  batchSize: number | undefined,
): Division | undefined {
  checkNames(inputs, info);
  const lengths = info.inputs.map(({ name, shape }) => ({
    name,
    wanted: shape?.[0] ?? -1,
    given: inputs[name]?.shape[0],
  }));
  const isSingle = lengths.every(({ wanted }) => wanted === 1);
  const rows = lengths[0]?.given;
  if (rows === undefined || rows === 0) return undefined;
  const chunk = isSingle ? 1 : batchSize;
  if (chunk === undefined || chunk >= rows) return undefined;
  const odd = lengths.find(({ given, wanted }) => given !== rows || (typeof wanted === 'number' && wanted > 1));
  if (odd !== undefined)
    throw new StepError(
      'ML_INPUT_MISMATCH',
      `the inputs can't be divided into batches: "${odd.name}" has ${odd.given ?? 'no'} rows, and the first input ${rows}`,
    );
  return { rows, chunk };
}

/** Axes of one name have one length. */
function checkNames(inputs: Readonly<Record<string, Tensor>>, info: ModelInfo): void {
  const known = new Map<string, { length: number; name: string }>();
  for (const { name, shape } of info.inputs)
    for (const [axis, symbol] of shape?.entries() ?? []) {
      const length = inputs[name]?.shape[axis];
      if (typeof symbol !== 'string' || symbol === '' || length === undefined) continue;
      const before = known.get(symbol);
      if (before !== undefined && before.length !== length)
        throw new StepError(
          'ML_INPUT_MISMATCH',
          `the axis "${symbol}" has the length ${before.length} in "${before.name}" and ${length} in "${name}"`,
        );
      known.set(symbol, { length, name });
    }
}

export const partOf = (inputs: Readonly<Record<string, Tensor>>, from: number, to: number): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, rowsOf(tensor, from, to)]));

/**
 * Outputs of several runs as those of one.
 * @param rows of each run, which its outputs must have
 * @throws StepError ML_NOT_BATCHED where an output has no row for each of the input's
 */
export function join(parts: readonly Record<string, Tensor>[], rows: readonly number[]): Record<string, Tensor> {
  const [first = {}] = parts;
  return Object.fromEntries(
    Object.keys(first).map((name) => {
      const tensors = parts.flatMap((part) => part[name] ?? []);
      for (const [index, { shape }] of tensors.entries())
        if (shape[0] !== rows[index])
          throw new StepError(
            'ML_NOT_BATCHED',
            `the output "${name}" has the shape ${shapeText(shape)} for ${rows[index]} rows: this model can't be run in batches, leave batch_size out`,
          );
      return [name, concatRows(tensors)];
    }),
  );
}
