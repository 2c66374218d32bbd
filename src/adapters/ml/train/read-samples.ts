import { isStoredData, readLines } from '../../../kit/rows.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { cast } from '../tensor/cast.ts';
import type { DType } from '../tensor/dtype.ts';
import { readTensor } from '../tensor/from-json.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import { type Columns, checked, type RawSamples, refuse, SampleCollector } from './sample-collector.ts';

type Context = Pick<AdapterContext, 'blobs' | 'signal'>;

/**
 * Samples out of a param: a list of `{ features, label }`, `{ x, y }`, rows with names or rows whose last element is the label; `{ x, y }` with
 * all samples in tensors; rows that another step stored; or the output of such a step as it is (`rows`, `result`, `stored`).
 *
 * @param path of the param, for errors, which name the sample within
 * @throws StepError INVALID_PARAMS, ML_TENSOR_TOO_LARGE
 */
export async function readSamples(
  value: JSONValue,
  path: string,
  columns: Columns,
  context: Context,
): Promise<RawSamples> {
  const data = unwrapped(value);
  const collector = new SampleCollector(path, columns);
  if (isStoredData(data)) {
    if (data.stored !== 'ndjson')
      throw refuse(path, 'is stored as bytes; give { "x": …, "y": … } with tensors instead');
    for await (const rows of readLines(data, context)) await collector.add(rows, context.signal);
  } else if (Array.isArray(data)) await collector.add(data, context.signal);
  else if (isObject(data)) return fromTensors(data as JSONObject, path, context);
  else throw refuse(path, 'must be a list of samples, or { "x": …, "y": … } with tensors');
  return collector.end();
}

/** Outputs of steps hold their rows under one of these names. */
function unwrapped(value: JSONValue): JSONValue {
  if (!isObject(value) || isStoredData(value)) return value;
  const { rows, stored, result } = value as JSONObject;
  const held = rows ?? stored ?? result;
  return Array.isArray(held) || isStoredData(held) ? held : (value as JSONObject);
}

async function fromTensors(data: JSONObject, path: string, context: Context): Promise<RawSamples> {
  const { x = data.features, y = data.labels ?? data.label } = data;
  if (x === undefined || y === undefined)
    throw refuse(path, 'must have "x" and "y" (or "features" and "labels") where it is an object');
  const features = cast(await readTensor(x, `${path}.x`, context, { dtype: 'float32' }), 'float32', `${path}.x`);
  const [count = 0, ...shape] = features.shape;
  const labels = labelsOf(await readTensor(y, `${path}.y`, context, { dtype: labelType(y) }), `${path}.y`, count);
  return checked({ count, x: features.data as Float32Array, shape: shape.length === 0 ? [1] : shape, labels }, path);
}

/** Labels keep their values: as 32-bit floats, which numbers in lists are otherwise, identifiers would be rounded into one another. */
function labelType(y: JSONValue): DType | undefined {
  let first: JSONValue | undefined = isObject(y) ? (y as JSONObject).data : y;
  while (Array.isArray(first)) first = first[0];
  return typeof first === 'number' ? 'float64' : undefined;
}

function labelsOf(tensor: Tensor, path: string, count: number): RawSamples['labels'] {
  const { dtype, shape, data } = tensor;
  const [labels = 0, ...rest] = shape;
  if (labels !== count || count === 0) throw refuse(path, `has ${labels} labels for ${count} samples`);
  const width = sizeOf(rest);
  if (rest.length > 0 && width !== 1)
    return { kind: 'vectors', values: cast(tensor, 'float32', path).data as Float32Array, width };
  if (dtype === 'bool') return { kind: 'scalars', values: Array.from(data as Uint8Array, (value) => value !== 0) };
  if (dtype === 'string') return { kind: 'scalars', values: data as string[] };
  const values = Array.from(cast(tensor, 'float64', path).data as Float64Array);
  const odd = values.findIndex((value) => !Number.isFinite(value) || (isBig(dtype) && !Number.isSafeInteger(value)));
  if (odd >= 0) throw refuse(`${path}[${odd}]`, `is ${values[odd]}, which is no label: name the classes by texts`);
  return { kind: 'scalars', values };
}

const isBig = (dtype: DType): boolean => dtype === 'int64' || dtype === 'uint64';
