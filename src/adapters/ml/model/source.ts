import {
  type BytesContext,
  type BytesDeps,
  type BytesKind,
  findBytes,
  type NamedBytes,
} from '../../../kit/named-bytes.ts';
import { isStoredData } from '../../../kit/rows.ts';
import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import { limits } from '../../../protocol/limits.ts';
import type { Model } from './runner.ts';
import { findTfjsModel } from './tfjs-source.ts';

export const frameworks = ['onnx', 'tfjs', 'tensorflow', 'remote'] as const;

export type ModelDeps = BytesDeps;

const modelKind: BytesKind = {
  noun: 'model',
  codes: 'MODEL',
  param: 'params.model',
  bytesMax: limits.blobBytesMax,
};

/**
 * Finds a step's model by `params.model`: a name or digest that the run has fixed or this node has a file for, a URL, `{ base64 }`, or bytes that
 * another step stored. Its digest stands in the receipt. Without `params.framework` a name that ends in `.json` is TensorFlow.js's, others ONNX.
 *
 * @throws StepError MODEL_NOT_FOUND, MODEL_FETCH_FAILED, MODEL_DIGEST_MISMATCH, MODEL_TOO_LARGE, ML_UNSUPPORTED_MODEL, ML_INVALID_MODEL,
 *   INVALID_PARAMS, EGRESS_DENIED
 */
export async function findModel(params: JSONObject, context: BytesContext, deps: ModelDeps): Promise<Model> {
  const { framework, digest } = params;
  if (params.model === undefined)
    throw new StepError(
      'INVALID_PARAMS',
      'params.model is needed: a file in an asset folder, a URL, { "base64": … }, stored bytes, or what ml_train gave',
    );
  const value = modelValue(params.model);
  refuseForeign(value, framework);
  const wanted = typeof digest === 'string' ? digest : undefined;
  const isTfjs = framework === 'tfjs' || framework === 'tensorflow' || (framework === undefined && isJSONName(value));
  // What was converted from TensorFlow to ONNX is run as what it is.
  if (isTfjs && !(framework === 'tensorflow' && isNamed(value, /\.onnx$/i)))
    return findTfjsModel(value, wanted, context, deps);
  const found = await findBytes(value, wanted, modelKind, context, deps);
  return { kind: 'onnx', name: found.name, digest: found.digest, key: found.digest, read: () => onnxBytes(found) };
}

/** `ml_train` gives its model beside other things: `$train.model` or the bytes alone. */
function modelValue(value: JSONValue): JSONValue {
  if (!isObject(value) || isStoredData(value) || typeof value.base64 === 'string') return value;
  return isObject(value.model) ? (value.model as JSONObject) : (value as JSONObject);
}

function isNamed(value: JSONValue, pattern: RegExp): boolean {
  return typeof value === 'string' && pattern.test(value.replace(/[?#].*$/s, ''));
}

const isJSONName = (value: JSONValue): boolean => isNamed(value, /\.json$/i);

const toOnnx =
  'convert it to ONNX with tf2onnx ("python -m tf2onnx.convert"), or to TensorFlow.js with tensorflowjs_converter';

/** Formats that are met, and that nothing here reads. */
const foreign: readonly [pattern: RegExp, what: string, wayOut: string][] = [
  [/(?:^|\/)saved_model\.pb(?:txt)?$|\.pb$/i, 'a TensorFlow SavedModel', toOnnx],
  [/\.(?:h5|hdf5|keras)$/i, 'a Keras file', toOnnx],
  [/\.tflite$/i, 'a TensorFlow Lite file', 'convert it to ONNX with tf2onnx ("python -m tf2onnx.convert --tflite")'],
  [/\.(?:pt|pth|ckpt|safetensors)$/i, 'a PyTorch file', 'export it to ONNX with torch.onnx.export'],
];

function refuseForeign(value: JSONValue, framework: JSONValue | undefined): void {
  for (const [pattern, what, wayOut] of foreign)
    if (isNamed(value, pattern))
      throw new StepError('ML_UNSUPPORTED_MODEL', `params.model names ${what}, which can't be run here: ${wayOut}`);
  if (framework === 'tensorflow' && typeof value === 'string' && /\/$/.test(value))
    throw new StepError('ML_UNSUPPORTED_MODEL', `params.model names a folder, a SavedModel maybe: ${toOnnx}`);
}

async function onnxBytes({ name, read }: NamedBytes): Promise<Uint8Array> {
  const bytes = await read();
  // The first field of an ONNX file is its version; JSON is TensorFlow.js's.
  if (bytes[0] === 0x7b)
    throw new StepError(
      'ML_INVALID_MODEL',
      `model ${name} is JSON, no ONNX file: a TensorFlow.js model needs "framework": "tfjs"`,
    );
  return bytes;
}
