import { StepError } from '../../../lib/errors.ts';
import { allocate, type DType, type NumericData } from './dtype.ts';
import { fromHalf, toHalf } from './half.ts';
import type { Tensor } from './tensor.ts';

/** Types whose every value the type has as well; to floating point, any number may be rounded. */
const widenings: Partial<Record<DType, readonly DType[]>> = {
  int16: ['int8', 'uint8', 'bool'],
  uint16: ['uint8', 'bool'],
  int32: ['int8', 'uint8', 'int16', 'uint16', 'bool'],
  uint32: ['uint8', 'uint16', 'bool'],
  int64: ['int8', 'uint8', 'int16', 'uint16', 'int32', 'uint32', 'bool'],
  uint64: ['uint8', 'uint16', 'uint32', 'bool'],
};

/** A tensor as one of another type, where no whole number is changed by that. @param path for the error @throws StepError INVALID_PARAMS */
export function cast(tensor: Tensor, dtype: DType, path: string): Tensor {
  const { dtype: from, data, shape } = tensor;
  if (from === dtype) return tensor;
  const isFloat = dtype === 'float32' || dtype === 'float64' || dtype === 'float16';
  if (from === 'string' || Array.isArray(data) || (!isFloat && widenings[dtype]?.includes(from) !== true))
    throw new StepError('INVALID_PARAMS', `${path} is of ${from}, and ${dtype} is needed`);
  const read = numberReader(from, data);
  const result = allocate(dtype, data.length) as NumericData;
  const isBig = result instanceof BigInt64Array || result instanceof BigUint64Array;
  for (let at = 0; at < data.length; at += 1) {
    const value = read(at);
    result[at] = isBig ? BigInt(value) : dtype === 'float16' ? toHalf(value) : value;
  }
  return { dtype, shape, data: result };
}

/** Elements as JavaScript's numbers. */
function numberReader(dtype: DType, data: NumericData): (at: number) => number {
  if (dtype === 'float16') return (at) => fromHalf(data[at] as number);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return (at) => Number(data[at]);
  return (at) => data[at] as number;
}
