import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject } from '../../../lib/json.ts';
import { fromHalf } from '../tensor/half.ts';
import { sizeOf } from '../tensor/tensor.ts';

/** How a weight lies in the files, as `model.json` says. */
interface WeightSpec {
  name: string;
  shape: number[];
  dtype: string;
  quantization?: { dtype: string; scale: number; min: number };
}

export interface TfjsModel {
  format: 'layers' | 'graph';
  topology: JSONObject;
  /** Files of weights, in order. */
  paths: string[];
  specs: WeightSpec[];
}

const invalid = (why: string): StepError =>
  new StepError('ML_INVALID_MODEL', `the model is no TensorFlow.js model: ${why}`);

/** Reads `model.json`. @throws StepError ML_INVALID_MODEL */
export function parseModelJSON(bytes: Uint8Array, name: string): TfjsModel {
  const json = parsed(bytes, name);
  const { format, modelTopology, weightsManifest } = json;
  if (!isObject(modelTopology)) throw invalid('model.json has no modelTopology');
  const groups = (Array.isArray(weightsManifest) ? (weightsManifest as unknown[]) : []).filter(isObject);
  const specs = groups.flatMap(({ weights }) => (Array.isArray(weights) ? weights.map(specOf) : []));
  const paths = groups.flatMap(({ paths: names }) => (Array.isArray(names) ? names.map(String) : []));
  const isGraph = format === 'graph-model' || Array.isArray(modelTopology.node);
  return { format: isGraph ? 'graph' : 'layers', topology: modelTopology as JSONObject, paths, specs };
}

function parsed(bytes: Uint8Array, name: string): JSONObject {
  if (bytes[0] !== 0x7b)
    throw new StepError(
      'ML_UNSUPPORTED_MODEL',
      `model ${name} is no model.json of TensorFlow.js. A SavedModel or Keras file is converted by tensorflowjs_converter, or to ONNX by tf2onnx; an ONNX file needs "framework": "onnx"`,
    );
  try {
    // Converters write integers that strict JSON does not have.
    return JSON.parse(Buffer.from(bytes).toString()) as JSONObject;
  } catch (cause) {
    throw new StepError('ML_INVALID_MODEL', `model ${name} is not JSON`, { cause });
  }
}

function specOf(value: unknown): WeightSpec {
  if (
    !isObject(value) ||
    typeof value.name !== 'string' ||
    !Array.isArray(value.shape) ||
    typeof value.dtype !== 'string'
  )
    throw invalid('a weight has no name, shape or dtype');
  const shape = value.shape.map(Number);
  if (!shape.every((length) => Number.isSafeInteger(length) && length >= 0))
    throw invalid(`${value.name} has no shape`);
  return value as unknown as WeightSpec;
}

/** Weights by name as 32-bit floats. */
export type Weights = ReadonlyMap<string, { shape: number[]; data: Float32Array }>;

/**
 * Format: https://github.com/tensorflow/tfjs/blob/master/tfjs-core/src/io/types.ts
 * @throws StepError ML_INVALID_MODEL where there are fewer bytes than the manifest says, ML_UNSUPPORTED_MODEL for other types
 */
export function weightsOf({ specs }: Pick<TfjsModel, 'specs'>, bytes: Uint8Array): Weights {
  const weights = new Map<string, { shape: number[]; data: Float32Array }>();
  let at = 0;
  for (const spec of specs) {
    const { name, shape, quantization } = spec;
    const dtype = quantization?.dtype ?? spec.dtype;
    const size = { float32: 4, int32: 4, float16: 2, uint16: 2, uint8: 1, bool: 1 }[dtype];
    if (size === undefined)
      throw new StepError('ML_UNSUPPORTED_MODEL', `the weight "${name}" is of ${dtype}, which is not supported`);
    const end = at + sizeOf(shape) * size;
    if (end > bytes.length) throw invalid(`its weights have ${bytes.length} bytes, and the manifest speaks of ${end}`);
    weights.set(name, { shape, data: floatsOf(new Uint8Array(bytes.subarray(at, end)), dtype, quantization) });
    at = end;
  }
  return weights;
}

function floatsOf(
  bytes: Uint8Array<ArrayBuffer>,
  dtype: string,
  quantization: WeightSpec['quantization'],
): Float32Array {
  if (dtype === 'float32') return new Float32Array(bytes.buffer);
  if (dtype === 'float16') return Float32Array.from(new Uint16Array(bytes.buffer), fromHalf);
  const numbers =
    dtype === 'int32' ? new Int32Array(bytes.buffer) : dtype === 'uint16' ? new Uint16Array(bytes.buffer) : bytes;
  const { scale = 1, min = 0 } = quantization ?? {};
  return Float32Array.from(numbers as Uint8Array, (number) => number * scale + min);
}
