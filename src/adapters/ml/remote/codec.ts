// Tensors of the Open Inference Protocol v2, as JSON and as bytes behind it.
// https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
// https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_binary_data.html
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { type DType, elementBytes, viewBytes } from '../tensor/dtype.ts';
import { readTensor } from '../tensor/from-json.ts';
import { checkSize, sizeOf, type Tensor } from '../tensor/tensor.ts';
import { listsOf } from '../tensor/to-json.ts';

/** Tells how many of a message's bytes are JSON; tensors follow. */
export const headerLength = 'inference-header-content-length';

const names: Readonly<Record<DType, string>> = {
  float32: 'FP32',
  float64: 'FP64',
  float16: 'FP16',
  int8: 'INT8',
  uint8: 'UINT8',
  int16: 'INT16',
  uint16: 'UINT16',
  int32: 'INT32',
  uint32: 'UINT32',
  int64: 'INT64',
  uint64: 'UINT64',
  bool: 'BOOL',
  string: 'BYTES',
};
const dtypeNames = new Map(Object.entries(names).map(([dtype, name]) => [name, dtype as DType]));

export const datatypeOf = (dtype: DType): string => names[dtype];

/** @param path for the error @throws StepError INVALID_PARAMS */
export function dtypeOf(datatype: unknown, path: string): DType {
  const dtype = typeof datatype === 'string' ? dtypeNames.get(datatype) : undefined;
  if (dtype === undefined)
    throw new StepError(
      'INVALID_PARAMS',
      `${path} must be one of ${[...dtypeNames.keys()].join(', ')}, not ${JSON.stringify(datatype)}`,
    );
  return dtype;
}

export interface Encoded {
  /** As they stand in `inputs` or `outputs` of the JSON. */
  entries: JSONObject[];
  /** The bytes that follow the JSON. */
  tail: Uint8Array[];
}

/** @param isBinary whether a tensor goes as bytes */
export function encodeTensors(tensors: Readonly<Record<string, Tensor>>, isBinary: (name: string) => boolean): Encoded {
  const encoded: Encoded = { entries: [], tail: [] };
  for (const [name, tensor] of Object.entries(tensors)) {
    const entry: JSONObject = { name, shape: [...tensor.shape], datatype: names[tensor.dtype] };
    if (isBinary(name)) {
      const bytes = bytesOf(tensor);
      encoded.tail.push(bytes);
      encoded.entries.push({ ...entry, parameters: { binary_data_size: bytes.length } });
    } else {
      encoded.entries.push({ ...entry, data: valuesOf(tensor) });
    }
  }
  return encoded;
}

/**
 * Elements as the protocol has them in JSON. Other than in a step's output, numbers beyond 2^53 are numbers here; what JSON has no number for
 * (an infinity, a whole number that would be rounded) is a text, which readers of `readTensor` take.
 */
function valuesOf({ dtype, data }: Tensor): JSONValue[] {
  if (dtype !== 'float32' && dtype !== 'float64') return listsOf({ dtype, data, shape: [data.length] }) as JSONValue[];
  return Array.from(data as Float64Array, (value): JSONValue => (Number.isFinite(value) ? value : String(value)));
}

/** Texts each have their length, as four bytes, before them. */
function bytesOf({ data }: Tensor): Uint8Array {
  if (!Array.isArray(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.concat(
    data.flatMap((text) => {
      const bytes = Buffer.from(text);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}

const noBlobs = {
  blobs: {
    get: () => Promise.reject(new StepError('INVALID_PARAMS', 'tensors here are not stored')),
    put: () => Promise.reject(new StepError('INVALID_PARAMS', 'nothing is stored here')),
  },
};

/** @param what for errors, such as `inputs` @throws StepError INVALID_PARAMS, ML_TENSOR_TOO_LARGE */
export async function decodeTensors(list: unknown, tail: Uint8Array, what: string): Promise<Record<string, Tensor>> {
  if (!Array.isArray(list)) throw new StepError('INVALID_PARAMS', `${what} must be a list of tensors`);
  const tensors: Record<string, Tensor> = {};
  let from = 0;
  for (const [index, entry] of list.entries()) {
    const path = `${what}[${index}]`;
    if (!isObject(entry) || typeof entry.name !== 'string')
      throw new StepError('INVALID_PARAMS', `${path} has no name`);
    if (Object.hasOwn(tensors, entry.name)) throw new StepError('INVALID_PARAMS', `${path} has the name of another`);
    const { name, shape, datatype, data, parameters } = entry as JSONObject;
    const dtype = dtypeOf(datatype, `${path}.datatype`);
    const size = isObject(parameters) ? parameters.binary_data_size : undefined;
    if (size === undefined) {
      const given = { shape: shape ?? null, dtype, data: flattened(data ?? null) };
      tensors[String(name)] = await readTensor(given, path, noBlobs);
      continue;
    }
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0 || from + size > tail.length)
      throw new StepError(
        'INVALID_PARAMS',
        `${path}.parameters.binary_data_size doesn't fit the ${tail.length} bytes that follow the JSON`,
      );
    tensors[String(name)] = fromBytes(tail.subarray(from, from + size), dtype, shape ?? null, path);
    from += size;
  }
  if (from !== tail.length)
    throw new StepError(
      'INVALID_PARAMS',
      `${tail.length - from} bytes more than the tensors of ${what} follow the JSON`,
    );
  return tensors;
}

/** Lists of lists may be given for any shape. */
const flattened = (data: JSONValue): JSONValue =>
  Array.isArray(data) && data.some(Array.isArray) ? (data.flat(16) as JSONValue[]) : data;

function fromBytes(bytes: Uint8Array, dtype: DType, shape: JSONValue, path: string): Tensor {
  if (!Array.isArray(shape) || !shape.every((length) => Number.isSafeInteger(length) && Number(length) >= 0))
    throw new StepError('INVALID_PARAMS', `${path}.shape must be a list of lengths`);
  const lengths = shape.map(Number);
  checkSize(dtype, lengths, path);
  const count = sizeOf(lengths);
  const data =
    dtype === 'string'
      ? textsOf(bytes, count)
      : bytes.length % elementBytes(dtype) === 0
        ? viewBytes(dtype, bytes)
        : undefined;
  if (data?.length !== count)
    throw new StepError(
      'INVALID_PARAMS',
      `${path} has ${bytes.length} bytes, which are not the ${count} elements of its shape`,
    );
  return { dtype, shape: lengths, data };
}

function textsOf(bytes: Uint8Array, count: number): string[] | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const texts: string[] = [];
  for (let at = 0; at < buffer.length; ) {
    if (at + 4 > buffer.length || texts.length === count) return undefined;
    const end = at + 4 + buffer.readUInt32LE(at);
    if (end > buffer.length) return undefined;
    texts.push(buffer.toString('utf8', at + 4, end));
    at = end;
  }
  return texts;
}

/** A message: JSON, and what follows it. */
export function message(
  json: JSONObject,
  tail: readonly Uint8Array[],
): { body: Buffer; headers: Record<string, string> } {
  const text = Buffer.from(JSON.stringify(json));
  if (tail.length === 0) return { body: text, headers: { 'content-type': 'application/json' } };
  return {
    body: Buffer.concat([text, ...tail]),
    headers: { 'content-type': 'application/octet-stream', [headerLength]: String(text.length) },
  };
}

/** @param length value of the header, if there is one @throws StepError INVALID_PARAMS */
export function parseMessage(body: Buffer, length: string | undefined): { json: JSONObject; tail: Buffer } {
  const size = length === undefined ? body.length : Number(length);
  if (!Number.isSafeInteger(size) || size < 0 || size > body.length)
    throw new StepError(
      'INVALID_PARAMS',
      `the header ${headerLength} says ${length}, and the message has ${body.length} bytes`,
    );
  try {
    const json: unknown = JSON.parse(body.toString('utf8', 0, size));
    if (isObject(json)) return { json: json as JSONObject, tail: body.subarray(size) };
  } catch {
    // Told below.
  }
  throw new StepError('INVALID_PARAMS', 'the message is not a JSON object');
}
