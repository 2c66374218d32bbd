/** Element types of tensors, by the names that ONNX Runtime and TensorFlow.js share. */
export const dtypes = [
  'float32',
  'float64',
  'float16',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
  'string',
] as const;
export type DType = (typeof dtypes)[number];

export type NumericData =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>;

/** Elements in row-major order: `float16` as the bits of IEEE 754 binary16, `bool` as 0 and 1. */
export type TensorData = NumericData | string[];

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
} as const;

/** Bytes of one element; strings count as 1, for they have no fixed size. */
export const elementBytes = (dtype: DType): number => (dtype === 'string' ? 1 : arrays[dtype].BYTES_PER_ELEMENT);

export const allocate = (dtype: DType, count: number): TensorData =>
  dtype === 'string' ? new Array<string>(count).fill('') : new arrays[dtype](count);

/** Bytes as elements, little-endian as on every machine that Node.js runs on. Their number must be a whole number of elements. */
export function viewBytes(dtype: Exclude<DType, 'string'>, bytes: Uint8Array): NumericData {
  const size = arrays[dtype].BYTES_PER_ELEMENT;
  // A view needs its place aligned, and a pooled buffer's isn't.
  const aligned = bytes.byteOffset % size === 0 && bytes.buffer instanceof ArrayBuffer ? bytes : new Uint8Array(bytes);
  return new arrays[dtype](aligned.buffer as ArrayBuffer, aligned.byteOffset, bytes.byteLength / size);
}

export const isDType = (value: unknown): value is DType => (dtypes as readonly unknown[]).includes(value);
