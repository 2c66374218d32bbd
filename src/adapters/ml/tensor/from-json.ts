import { fromBase64 } from '../../../kit/named-bytes.ts';
import { isStoredData } from '../../../kit/rows.ts';
import { storedBytes } from '../../../kit/stored-bytes.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { allocate, type DType, dtypes, elementBytes, isDType, type TensorData, viewBytes } from './dtype.ts';
import { toHalf } from './half.ts';
import { checkSize, sizeOf, type Tensor, tensorLimits } from './tensor.ts';

const refuse = (path: string, why: string): StepError => new StepError('INVALID_PARAMS', `${path} ${why}`);

/** What is wanted of a tensor where its JSON doesn't say. */
export interface Wanted {
  /** Default: by the first value, `float32`, `bool` or `string`. */
  dtype?: DType | undefined;
  /** Of what comes as bytes without a shape: -1 for the axis that its length tells. */
  shape?: readonly number[] | undefined;
}

/**
 * A tensor out of a param: a number; lists of lists; `{ shape, dtype, data }` with `data` a list (flat or nested), `{ "base64": … }` or stored
 * bytes; or these bytes alone, where the type is known. Bytes are little-endian, row-major. Integers beyond 2^53 and numbers that JSON
 * doesn't have (`"NaN"`, `"Infinity"`, `"-Infinity"`) are written as strings.
 *
 * @param path of the param, for errors, which name the place within: `params.input[3][2]`
 * @throws StepError INVALID_PARAMS, ML_TENSOR_TOO_LARGE
 */
export async function readTensor(
  value: JSONValue,
  path: string,
  context: Pick<AdapterContext, 'blobs'>,
  wanted: Wanted = {},
): Promise<Tensor> {
  if (!isObject(value)) return fromLists(value, path, wanted.dtype);
  const object = value as JSONObject;
  const bare = await bytesOf(object, path, context);
  if (bare !== undefined) return fromBytes(bare, wanted.dtype, wanted.shape, path);
  const { shape, dtype, data, base64, ...others } = object;
  const [unknown] = Object.keys(others);
  if (unknown !== undefined || (data === undefined && base64 === undefined))
    throw refuse(
      path,
      `is an object, but no tensor: give lists of numbers, or { "shape", "dtype", "data" }${unknown === undefined ? '' : `, without "${unknown}"`}`,
    );
  if (dtype !== undefined && !isDType(dtype))
    throw refuse(`${path}.dtype`, `must be one of ${dtypes.join(', ')}, not ${JSON.stringify(dtype)}`);
  const stated = shape === undefined ? undefined : shapeFrom(shape, `${path}.shape`);
  const type = dtype ?? wanted.dtype;
  const bytes = await bytesOf(data === undefined ? { base64: base64 ?? null } : data, `${path}.data`, context);
  if (bytes !== undefined) return fromBytes(bytes, type, stated ?? wanted.shape, path);
  return reshaped(fromLists(data ?? null, `${path}.data`, type), stated, path);
}

/** Bytes, where the value is `{ "base64": … }` alone or stored. */
async function bytesOf(
  value: JSONValue,
  path: string,
  context: Pick<AdapterContext, 'blobs'>,
): Promise<Uint8Array | undefined> {
  if (!isObject(value)) return undefined;
  if (isStoredData(value)) {
    if (value.stored !== 'bytes') throw refuse(path, 'is stored as rows, not as the bytes of a tensor');
    return storedBytes(value, context, tensorLimits.bytesMax, 'ML_TENSOR_TOO_LARGE');
  }
  if (typeof value.base64 !== 'string' || Object.keys(value).length !== 1) return undefined;
  return fromBase64(value.base64, path);
}

function shapeFrom(value: JSONValue, path: string): number[] {
  if (!Array.isArray(value)) throw refuse(path, 'must be a list of lengths');
  return value.map((length, axis) => {
    if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0)
      throw refuse(`${path}[${axis}]`, `must be a length, 0 or more, not ${JSON.stringify(length)}`);
    return length;
  });
}

function fromBytes(
  bytes: Uint8Array,
  dtype: DType | undefined,
  wanted: readonly number[] | undefined,
  path: string,
): Tensor {
  if (dtype === undefined) throw refuse(path, 'is bytes, and needs a dtype beside them');
  if (dtype === 'string') throw refuse(path, 'is a tensor of strings, which has no form as bytes: give lists');
  const size = elementBytes(dtype);
  if (bytes.length % size !== 0)
    throw refuse(path, `has ${bytes.length} bytes, which is no whole number of ${dtype} elements of ${size} bytes`);
  const count = bytes.length / size;
  const shape = filled(wanted ?? [-1], count);
  checkSize(dtype, shape, path);
  if (sizeOf(shape) !== count)
    throw refuse(path, `has ${count} elements, and the shape [${shape.join(', ')}] takes ${sizeOf(shape)}`);
  return { dtype, shape, data: viewBytes(dtype, bytes) };
}

/** A shape with its one open axis set to what the number of elements tells. */
function filled(shape: readonly number[], count: number): number[] {
  const known = shape.reduce((product, length) => (length < 0 ? product : product * length), 1);
  return shape.map((length) => (length < 0 ? Math.floor(count / Math.max(1, known)) : length));
}

function reshaped(tensor: Tensor, shape: readonly number[] | undefined, path: string): Tensor {
  if (shape === undefined) return tensor;
  checkSize(tensor.dtype, shape, path);
  if (sizeOf(shape) !== tensor.data.length)
    throw refuse(
      path,
      `has ${tensor.data.length} elements, and the shape [${shape.join(', ')}] takes ${sizeOf(shape)}`,
    );
  return { ...tensor, shape };
}

function fromLists(value: JSONValue, path: string, wanted: DType | undefined): Tensor {
  const shape: number[] = [];
  let first = value;
  while (Array.isArray(first)) {
    shape.push(first.length);
    if (shape.length > tensorLimits.rankMax) break;
    first = first[0] ?? null;
  }
  checkSize(wanted ?? 'uint8', shape, path);
  const isEmpty = shape.at(-1) === 0;
  const dtype = wanted ?? (isEmpty ? 'float32' : dtypeOf(first, placeOf(path, 0, shape)));
  checkSize(dtype, shape, path);
  const data = allocate(dtype, sizeOf(shape));
  const writing: Writing = { data, shape, put: putters[dtype], path, dtype };
  if (shape.length === 0) writing.put(writing, value, 0);
  else fill(writing, value as JSONValue[], 0, 0);
  return { dtype, shape, data };
}

function dtypeOf(value: JSONValue, path: string): DType {
  if (typeof value === 'number') return 'float32';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'string') return 'string';
  throw refuse(path, `must be a number, not ${shown(value)}`);
}

interface Writing {
  data: TensorData;
  shape: readonly number[];
  put: (writing: Writing, value: JSONValue, at: number) => void;
  path: string;
  dtype: DType;
}

/** @returns where the next element goes */
function fill(writing: Writing, list: readonly JSONValue[], axis: number, from: number): number {
  const { shape, put } = writing;
  let at = from;
  const inner = shape[axis + 1];
  if (inner === undefined) {
    if (writing.data instanceof Float32Array) at = plain(writing.data, list, at);
    for (let index = at - from; index < list.length; index += 1) put(writing, list[index] ?? null, at++);
    return at;
  }
  for (const [index, value] of list.entries()) {
    if (!Array.isArray(value) || value.length !== inner) {
      const place = `${placeOf(writing.path, from, shape, axis)}[${index}]`;
      throw refuse(
        place,
        `must be a list of ${inner} values, as the first is, not ${Array.isArray(value) ? `of ${value.length}` : shown(value)}`,
      );
    }
    at = fill(writing, value, axis + 1, at);
  }
  return at;
}

/** Most values are numbers within float32, and need no closer look. @returns where the first other one goes, or the end */
function plain(data: Float32Array, list: readonly JSONValue[], from: number): number {
  for (let index = 0; index < list.length; index += 1) {
    const value = list[index];
    if (typeof value !== 'number' || !(Math.abs(value) <= float32Max)) return from + index;
    data[from + index] = value;
  }
  return from + list.length;
}

/** Path of the element at a flat index; up to before axis `axes`. */
function placeOf(path: string, at: number, shape: readonly number[], axes: number = shape.length): string {
  let rest = at;
  const indexes: number[] = [];
  for (const length of shape.toReversed()) {
    indexes.unshift(length === 0 ? 0 : rest % length);
    rest = Math.floor(rest / Math.max(1, length));
  }
  return (
    path +
    indexes
      .slice(0, axes)
      .map((index) => `[${index}]`)
      .join('')
  );
}

function bad({ path, shape, dtype }: Writing, value: JSONValue, at: number): StepError {
  return refuse(
    placeOf(path, at, shape),
    `must be ${wantedWords[dtype] ?? `a whole number of ${dtype}`}, not ${shown(value)}`,
  );
}

const wantedWords: Partial<Record<DType, string>> = {
  float32: 'a number within float32',
  float64: 'a number',
  float16: 'a number within float16',
  bool: 'true or false',
  string: 'a text',
};

function shown(value: JSONValue): string {
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (isObject(value)) return 'an object';
  const text = JSON.stringify(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

const nonFinite: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
};

/** A real number; undefined where it is none. What no longer is finite when it is rounded isn't either. */
function realOf(value: JSONValue, round: (value: number) => number): number | undefined {
  if (typeof value === 'number') return Number.isFinite(round(value)) ? value : undefined;
  if (typeof value !== 'string') return undefined;
  if (/^-?\d{1,21}$/.test(value)) return Number(value);
  return Object.hasOwn(nonFinite, value) ? nonFinite[value] : undefined;
}

/** The largest finite one. */
const float32Max = 2 ** 128 - 2 ** 104;

type Put = Writing['put'];

const float32: Put = (writing, value, at) => {
  const number = realOf(value, Math.fround);
  if (number === undefined) throw bad(writing, value, at);
  (writing.data as Float32Array)[at] = number;
};
const float64: Put = (writing, value, at) => {
  const number = realOf(value, Number);
  if (number === undefined) throw bad(writing, value, at);
  (writing.data as Float64Array)[at] = number;
};
const float16: Put = (writing, value, at) => {
  const number = realOf(value, (real) => ((toHalf(real) & 0x7c00) === 0x7c00 ? Number.NaN : real));
  if (number === undefined) throw bad(writing, value, at);
  (writing.data as Uint16Array)[at] = toHalf(number);
};

const whole =
  (min: number, max: number): Put =>
  (writing, value, at) => {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max)
      throw bad(writing, value, at);
    (writing.data as Int32Array)[at] = value;
  };

const big =
  (min: bigint, max: bigint): Put =>
  (writing, value, at) => {
    const number = bigOf(value);
    if (number === undefined || number < min || number > max) throw bad(writing, value, at);
    (writing.data as BigInt64Array)[at] = number;
  };

function bigOf(value: JSONValue): bigint | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : undefined;
  return typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? BigInt(value) : undefined;
}

const bool: Put = (writing, value, at) => {
  if (value !== true && value !== false && value !== 0 && value !== 1) throw bad(writing, value, at);
  (writing.data as Uint8Array)[at] = Number(value);
};
const text: Put = (writing, value, at) => {
  if (typeof value !== 'string') throw bad(writing, value, at);
  (writing.data as string[])[at] = value;
};

const putters: Record<DType, Put> = {
  float32,
  float64,
  float16,
  int8: whole(-128, 127),
  uint8: whole(0, 255),
  int16: whole(-32_768, 32_767),
  uint16: whole(0, 65_535),
  int32: whole(-(2 ** 31), 2 ** 31 - 1),
  uint32: whole(0, 2 ** 32 - 1),
  int64: big(-(2n ** 63n), 2n ** 63n - 1n),
  uint64: big(0n, 2n ** 64n - 1n),
  bool,
  string: text,
};
