import type { InferenceSession, OnnxValue, Tensor as OrtTensor, TypedTensor } from 'onnxruntime-node';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { onnxRuntime } from '../process/package.ts';
import { isDType, type TensorData } from '../tensor/dtype.ts';
import { checkSize, type Tensor, tensorLimits } from '../tensor/tensor.ts';
import { BytesCache } from './cache.ts';
import type { ModelInfo, TensorInfo } from './info.ts';
import type { InfoAnswer, ModelRequest, RunAnswer, RunRequest } from './messages.ts';

/** What a session takes besides the bytes of its model: the weights once more, as its operators want them. */
const memoryFactor = 2;

const sessions = new BytesCache<InferenceSession>((session) => session.release());

function runtime(): ReturnType<typeof onnxRuntime> {
  // Its native half knows no Float16Array and would take one for empty; without that class, halves are bits in a Uint16Array.
  Reflect.deleteProperty(globalThis, 'Float16Array');
  return onnxRuntime('ONNX models need');
}

async function sessionOf({ key, payload, cacheBytesMax, device }: ModelRequest): Promise<InferenceSession | undefined> {
  const known = sessions.get(key);
  if (known !== undefined || !(payload instanceof Uint8Array)) return known;
  const session = await create(payload, device);
  await sessions.put(key, session, payload.length * memoryFactor, cacheBytesMax);
  return session;
}

/**
 * The runtime's threads keep a core each busy while they wait for more to do, for milliseconds after a run; the node, which prepares the next
 * one, and its other processes need these cores. Long enough for the gap between two operators is no slower: bench/ml-infer.ts.
 */
export const sessionOptions = {
  interOpNumThreads: 1,
  extra: { session: { force_spinning_stop: '1', intra_op: { spin_duration_us: '100' } } },
} as const;

async function create(bytes: Uint8Array, device: string): Promise<InferenceSession> {
  const { InferenceSession: Session } = runtime();
  try {
    return await Session.create(bytes, {
      executionProviders: [device],
      ...sessionOptions,
      logSeverityLevel: 4,
    });
  } catch (thrown) {
    const message = messageOf(thrown);
    if (device !== 'cpu' && /provider|adapter|cuda|webgpu/i.test(message))
      throw new StepError('ML_NO_GPU', `ONNX Runtime has no ${device} device here: ${firstLine(message)}`);
    if (/external data|model_path must not be empty/i.test(message))
      throw new StepError(
        'ML_UNSUPPORTED_MODEL',
        'the model keeps weights in a file of its own (external data), which is not supported: save it as one file (onnx.save_model with save_as_external_data=False)',
      );
    if (/opset|IR version|No Op registered|Unsupported data type/i.test(message))
      throw failure('ML_UNSUPPORTED_MODEL', "the model needs what this ONNX Runtime doesn't have", message);
    throw failure('ML_INVALID_MODEL', 'the model can not be loaded', message);
  }
}

/** What there is to tell, without the places in the runtime's sources that it begins with. */
const firstLine = (text: string): string =>
  (text.trim().split('\n')[0] ?? '')
    .slice(0, 2000)
    .replace(/\/\S+\.(?:cc|cpp|h):\d+ [^)]*\) /g, '')
    .slice(0, 500);

function failure(code: string, what: string, message: string): StepError {
  if (/bad_alloc|failed to allocate|out of memory/i.test(message))
    return new StepError('ML_OUT_OF_MEMORY', `${what}: there is not enough memory: ${firstLine(message)}`);
  return new StepError(code, `${what}: ${firstLine(message)}`);
}

/** Sequences and maps, which classifiers of scikit-learn give, can't be read; a step may do without. */
const infoOf = ({ inputMetadata, outputMetadata }: InferenceSession): ModelInfo => ({
  inputs: inputMetadata.map(tensorInfo),
  outputs: outputMetadata.filter(({ isTensor }) => isTensor).map(tensorInfo),
  unreadable: outputMetadata.filter(({ isTensor }) => !isTensor).map(({ name }) => name),
});

function tensorInfo(value: InferenceSession.ValueMetadata): TensorInfo {
  if (!value.isTensor || !isDType(value.type))
    throw new StepError(
      'ML_UNSUPPORTED_MODEL',
      `"${value.name}" of the model is ${value.isTensor ? `of type ${value.type}` : 'no tensor'}, which is not supported`,
    );
  // The runtime keeps tensors in plain objects, which can't hold this name.
  if (value.name === '__proto__')
    throw new StepError('ML_UNSUPPORTED_MODEL', 'the model has an input or output "__proto__": give it another name');
  return { name: value.name, dtype: value.type, shape: value.shape };
}

async function describe(request: ModelRequest): Promise<InfoAnswer> {
  const session = await sessionOf(request);
  return session === undefined ? { missing: true } : { info: infoOf(session) };
}

async function run(request: RunRequest): Promise<RunAnswer> {
  const session = await sessionOf(request);
  if (session === undefined) return { missing: true };
  const feeds: Record<string, OnnxValue> = {};
  for (const [name, tensor] of Object.entries(request.inputs)) feeds[name] = toOrt(tensor);
  const all = session.outputMetadata.filter(({ isTensor }) => isTensor).map(({ name }) => name);
  const fetched = await session.run(feeds, request.outputs.length === 0 ? all : request.outputs).catch((thrown) => {
    throw failure('ML_RUN_FAILED', 'the model failed', messageOf(thrown));
  });
  const tensors = Object.entries(fetched).map(([name, value]): [string, Tensor] => [name, fromOrt(name, value)]);
  checkOutputs(tensors);
  return { outputs: Object.fromEntries(tensors) };
}

/** A small model can make large outputs; none leaves this process that its caller would have to refuse. */
function checkOutputs(tensors: readonly [name: string, Tensor][]): void {
  let total = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    checkSize(dtype, shape, `the model's output "${name}"`);
    total += Array.isArray(data) ? data.reduce((sum, text) => sum + text.length, 0) : data.byteLength;
  }
  if (total > tensorLimits.bytesMax)
    throw new StepError(
      'ML_TENSOR_TOO_LARGE',
      `the model's outputs take ${total} bytes; at most ${tensorLimits.bytesMax} are allowed`,
    );
}

function toOrt({ dtype, shape, data }: Tensor): OrtTensor {
  const { Tensor: Value } = runtime();
  return new Value(dtype as 'float32', data as Float32Array, shape);
}

function fromOrt(name: string, value: OnnxValue): Tensor {
  const { type, dims, data } = value as TypedTensor<'float32' | 'float16'>;
  if (!isDType(type))
    throw new StepError('ML_UNSUPPORTED_MODEL', `"${name}" of the model is of type ${type}, which is not supported`);
  return {
    dtype: type,
    shape: dims,
    data: type === 'float16' ? bitsOf(data as ArrayBufferView & { length: number }) : (data as TensorData),
  };
}

const bitsOf = ({ buffer, byteOffset, length }: ArrayBufferView & { length: number }): Uint16Array<ArrayBuffer> =>
  new Uint16Array(buffer as ArrayBuffer, byteOffset, length);

/** What a process that runs ONNX models answers: native code runs in these, and nowhere else. */
export const onnxHandlers = { describe, run };
