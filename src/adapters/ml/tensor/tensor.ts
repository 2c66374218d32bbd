import { StepError } from '../../../lib/errors.ts';
import { limits } from '../../../protocol/limits.ts';
import { allocate, type DType, elementBytes, type TensorData } from './dtype.ts';

/** Typed elements in row-major order; as many as the product of `shape`. */
export interface Tensor {
  dtype: DType;
  shape: readonly number[];
  data: TensorData;
}

/** Memory that one tensor may take, and its number of axes. */
export const tensorLimits = { bytesMax: limits.blobBytesMax, rankMax: 16 } as const;

export const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);

/** @throws StepError ML_TENSOR_TOO_LARGE @param path of the tensor, for the error */
export function checkSize(dtype: DType, shape: readonly number[], path: string): void {
  const { bytesMax, rankMax } = tensorLimits;
  if (shape.length > rankMax)
    throw new StepError('ML_TENSOR_TOO_LARGE', `${path} has ${shape.length} axes; at most ${rankMax} are allowed`);
  // A product of zeros and huge lengths is no size to rely on.
  const bytes = shape.reduce((product, length) => product * Math.max(1, length), elementBytes(dtype));
  if (bytes > bytesMax)
    throw new StepError(
      'ML_TENSOR_TOO_LARGE',
      `${path} of shape [${shape.join(', ')}] takes ${bytes} bytes; at most ${bytesMax} are allowed`,
    );
}

/** Rows `from` to before `to` of the first axis, sharing memory. */
export function rowsOf({ dtype, shape, data }: Tensor, from: number, to: number): Tensor {
  const [, ...rest] = shape;
  const width = sizeOf(rest);
  const part = Array.isArray(data) ? data.slice(from * width, to * width) : data.subarray(from * width, to * width);
  return { dtype, shape: [to - from, ...rest], data: part };
}

/** Tensors of one type, equal in all axes but the first, as one. @throws StepError ML_TENSOR_TOO_LARGE */
export function concatRows(tensors: readonly Tensor[]): Tensor {
  const [first] = tensors;
  if (first === undefined) return { dtype: 'float32', shape: [0], data: new Float32Array() };
  if (tensors.length === 1) return first;
  const rows = tensors.reduce((sum, { shape }) => sum + (shape[0] ?? 1), 0);
  const shape = [rows, ...first.shape.slice(1)];
  checkSize(first.dtype, shape, 'a batch');
  const data = allocate(first.dtype, sizeOf(shape));
  let at = 0;
  for (const { data: part } of tensors) {
    if (Array.isArray(data)) for (const [index, text] of (part as string[]).entries()) data[at + index] = text;
    else data.set(part as never, at);
    at += part.length;
  }
  return { dtype: first.dtype, shape, data };
}

/** Whether two shapes are equal from an axis on. */
export const sameShape = (a: readonly number[], b: readonly number[], from = 0): boolean =>
  a.length === b.length && a.every((length, axis) => axis < from || length === b[axis]);
