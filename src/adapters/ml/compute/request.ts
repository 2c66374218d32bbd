import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { frameBytesMax } from '../process/frames.ts';
import { allocate, type DType, elementBytes } from '../tensor/dtype.ts';
import { readTensor } from '../tensor/from-json.ts';
import { checkSize, sizeOf, type Tensor } from '../tensor/tensor.ts';
import type { TensorForm } from '../tensor/to-json.ts';
import { checkCudaArgs, checkWgslArgs } from './check-arguments.ts';
import { kernelNames, strangeInclude } from './kernel-source.ts';
import type { KernelJob, Launch, LaunchArg } from './messages.ts';

export type Language = 'cuda' | 'opencl' | 'wgsl';

export interface BufferSpec {
  name: string;
  dtype: Exclude<DType, 'string'>;
  shape: readonly number[];
  bytes: number;
  data: Uint8Array | undefined;
  isOutput: boolean;
  form: TensorForm;
}

/** What a step asks for, checked as far as that goes without a compiler. */
export interface ComputeRequest {
  language: Language;
  buffers: BufferSpec[];
  job: KernelJob;
}

/** Memory that one step may ask for, whatever the device has. */
const bytesMax = 2 ** 40;
/** What its buffers are given, and its output holds: each goes to or from its process as one message. */
const crossingBytesMax = frameBytesMax - 16 * 1024 * 1024;

const refuse = (path: string, why: string): StepError => new StepError('INVALID_PARAMS', `params.${path} ${why}`);

/** @throws StepError INVALID_PARAMS, ML_TENSOR_TOO_LARGE */
export async function readRequest(params: JSONObject, context: AdapterContext): Promise<ComputeRequest> {
  const language = params.language as Language;
  const source = String(params.source);
  const line = language === 'wgsl' ? undefined : strangeInclude(source);
  if (line !== undefined)
    throw refuse(
      'source',
      `includes a file in line ${line}: it has to hold all itself, but for <headers> of the compiler`,
    );
  const given = params.arguments as JSONObject[];
  const buffers: BufferSpec[] = [];
  const args: LaunchArg[] = [];
  for (const [index, argument] of given.entries()) {
    const path = `arguments[${index}]`;
    if (argument.name === undefined) {
      args.push(
        argument.local === undefined ? await scalarOf(argument, path, context) : localOf(argument, path, language),
      );
      continue;
    }
    if (buffers.some(({ name }) => name === argument.name))
      throw refuse(`${path}.name`, `is "${argument.name}", as another buffer's`);
    args.push({ kind: 'buffer', index: buffers.length });
    buffers.push(await bufferOf(argument, path, context));
  }
  if (!buffers.some(({ isOutput }) => isOutput))
    throw refuse('arguments', 'has no buffer with "output": true: nothing would come of the kernels');
  checkBytes('arguments takes', buffers, bytesMax);
  checkBytes(
    'arguments gives data of',
    buffers.filter(({ data }) => data !== undefined),
    crossingBytesMax,
  );
  checkBytes(
    'arguments has outputs of',
    buffers.filter(({ isOutput }) => isOutput),
    crossingBytesMax,
  );
  const memory = buffers.map(memoryOf);
  const reader = { language, source, params, args, buffers, memory, context };
  const launches: Launch[] = [];
  const list = (params.launches as JSONObject[] | undefined) ?? [{}];
  for (const [index, launch] of list.entries())
    launches.push(await launchOf(launch, params.launches === undefined ? '' : `launches[${index}]`, reader));
  return {
    language,
    buffers,
    job: { source, defines: definesOf(params), buffers: memory, launches, outputs: outputsOf(buffers) },
  };
}

function checkBytes(what: string, buffers: readonly BufferSpec[], most: number): void {
  const bytes = buffers.reduce((sum, buffer) => sum + buffer.bytes, 0);
  if (bytes > most)
    throw new StepError('ML_TENSOR_TOO_LARGE', `params.${what} ${bytes} bytes together; at most ${most} are allowed`);
}

const memoryOf = ({ bytes, dtype, data }: BufferSpec): KernelJob['buffers'][number] =>
  data === undefined ? { bytes, dtype } : { bytes, dtype, data };

const outputsOf = (buffers: readonly BufferSpec[]): number[] =>
  buffers.flatMap(({ isOutput }, index) => (isOutput ? [index] : []));

function definesOf({ defines, language }: JSONObject): Record<string, string> {
  if (!isObject(defines)) return {};
  if (language === 'wgsl')
    throw refuse('defines', 'are macros, and WGSL has none: write "override" or "const" in its source');
  return Object.fromEntries(Object.entries(defines).map(([name, value]) => [name, String(value)]));
}

async function bufferOf(argument: JSONObject, path: string, context: AdapterContext): Promise<BufferSpec> {
  const { name, type, data, size, output, shape, form } = argument;
  const dtype = type as BufferSpec['dtype'];
  if ((data === undefined) === (size === undefined)) throw refuse(path, 'needs either data or size');
  const stated = shape as number[] | undefined;
  let tensor: Tensor;
  if (data === undefined) {
    // What stays on the device is bounded by it.
    if (output === true) checkSize(dtype, [size as number], `params.${path}`);
    tensor = { dtype, shape: [size as number], data: allocate(dtype, 0) };
  } else tensor = await readTensor(data as JSONValue, `params.${path}.data`, context, { dtype });
  if (tensor.dtype !== dtype) throw refuse(`${path}.data`, `is of type ${tensor.dtype}, and the argument of ${dtype}`);
  if (stated !== undefined && sizeOf(stated) !== sizeOf(tensor.shape))
    throw refuse(`${path}.shape`, `has ${sizeOf(stated)} elements, and the buffer ${sizeOf(tensor.shape)}`);
  return {
    name: String(name),
    dtype,
    shape: stated ?? tensor.shape,
    bytes: sizeOf(tensor.shape) * elementBytes(dtype),
    data: data === undefined ? undefined : bytesOf(tensor),
    isOutput: output === true,
    form: (form ?? 'list') as TensorForm,
  };
}

async function scalarOf(argument: JSONObject, path: string, context: AdapterContext): Promise<LaunchArg> {
  const dtype = argument.type as BufferSpec['dtype'];
  const tensor = await readTensor(argument.value ?? null, `params.${path}.value`, context, { dtype });
  return { kind: 'scalar', dtype, bytes: bytesOf(tensor) };
}

/** Memory of a group: a parameter of the kernel in OpenCL only. */
function localOf({ type, local }: JSONObject, path: string, language: Language): LaunchArg {
  if (language === 'opencl') return { kind: 'local', size: Number(local) * elementBytes(type as DType) };
  const instead =
    language === 'cuda' ? '"extern __shared__" in the source, and shared_bytes' : 'var<workgroup> in the source';
  throw refuse(`${path}.local`, `is a parameter of OpenCL's kernels; ${language} has ${instead}`);
}

function bytesOf({ data }: Tensor): Uint8Array {
  if (Array.isArray(data)) return new Uint8Array();
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

interface LaunchReader {
  language: Language;
  source: string;
  params: JSONObject;
  args: readonly LaunchArg[];
  buffers: readonly BufferSpec[];
  memory: KernelJob['buffers'];
  context: AdapterContext;
}

async function launchOf(launch: JSONObject, path: string, reader: LaunchReader): Promise<Launch> {
  const { language, params, context } = reader;
  const at = path === '' ? '' : `${path}.`;
  const of = (name: string): JSONValue | undefined => launch[name] ?? params[name];
  const args: LaunchArg[] = [];
  if (launch.arguments === undefined) args.push(...reader.args);
  else
    for (const [index, argument] of (launch.arguments as (string | JSONObject)[]).entries()) {
      const place = `${at}arguments[${index}]`;
      if (typeof argument !== 'string')
        args.push(
          argument.local === undefined ? await scalarOf(argument, place, context) : localOf(argument, place, language),
        );
      else args.push({ kind: 'buffer', index: indexOf(argument, place, reader.buffers) });
    }
  const entry = entryOf(of('entry'), `${at}entry`, reader);
  const given = { entry, args, buffers: reader.memory, path: `params.${at}arguments` };
  if (language === 'cuda') checkCudaArgs(reader.source, given);
  if (language === 'wgsl') checkWgslArgs(reader.source, given);
  return { entry, ...rangeOf(of, at, language), shared: Number(of('shared_bytes') ?? 0), args };
}

function indexOf(name: string, place: string, buffers: readonly BufferSpec[]): number {
  const index = buffers.findIndex((buffer) => buffer.name === name);
  if (index < 0)
    throw refuse(place, `names no buffer of the step: there are ${buffers.map((buffer) => buffer.name).join(', ')}`);
  return index;
}

function entryOf(given: JSONValue | undefined, path: string, { language, source }: LaunchReader): string {
  if (typeof given === 'string') return given;
  // A kernel may be declared before it is defined.
  const names = [...new Set(kernelNames[language](source))];
  const [only] = names;
  if (only !== undefined && names.length === 1) return only;
  throw refuse(path, `is needed: which kernel to run${names.length === 0 ? '' : `, of ${names.join(', ')}`}`);
}

const itemsMax = 2 ** 40;

function rangeOf(
  of: (name: string) => JSONValue | undefined,
  at: string,
  language: Language,
): Pick<Launch, 'global' | 'local'> {
  const grid = lengthsOf(of('grid'));
  const block = lengthsOf(of('block') ?? of('local'));
  const given = lengthsOf(of('global'));
  if ((grid === undefined) === (given === undefined)) throw refuse(`${at}grid`, 'is needed, or global instead of it');
  if (language === 'wgsl') {
    if (grid === undefined || block !== undefined)
      throw refuse(`${at}grid`, 'is all that WGSL takes: its source says by @workgroup_size how large a group is');
    return { global: grid, local: null };
  }
  if (grid !== undefined && block === undefined) throw refuse(`${at}block`, 'is needed beside grid');
  if (language === 'cuda' && block === undefined) throw refuse(`${at}block`, 'is needed: CUDA does not choose it');
  const rank = Math.max(grid?.length ?? 0, block?.length ?? 0, given?.length ?? 0);
  const axes = [...Array(rank).keys()];
  const local = block && axes.map((axis) => block[axis] ?? 1);
  const global = axes.map(
    (axis) => given?.[axis] ?? (given === undefined ? (grid?.[axis] ?? 1) * (local?.[axis] ?? 1) : 1),
  );
  for (const axis of axes)
    if (local !== undefined && (global[axis] ?? 1) % (local[axis] ?? 1) !== 0)
      throw refuse(
        `${at}global`,
        `is ${global[axis]} along axis ${axis}, which is no multiple of the block's ${local[axis]}`,
      );
  if (global.reduce((product, length) => product * length, 1) > itemsMax)
    throw refuse(`${at}grid`, `has more than ${itemsMax} work items`);
  return { global, local: local ?? null };
}

const lengthsOf = (value: JSONValue | undefined): number[] | undefined => {
  if (value === undefined) return undefined;
  return Array.isArray(value) ? (value as number[]) : [value as number];
};
