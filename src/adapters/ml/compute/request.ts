import { StepError } from '../../../lib/errors.ts';
import { isObject, type JSONObject, type JSONValue } from '../../../lib/json.ts';
import type { AdapterContext } from '../../../ports/adapter.ts';
import { allocate, type DType, elementBytes } from '../tensor/dtype.ts';
import { readTensor } from '../tensor/from-json.ts';
import { checkSize, sizeOf, type Tensor } from '../tensor/tensor.ts';
import type { TensorForm } from '../tensor/to-json.ts';
import { kernelNames, kernelsOf, withoutComments } from './kernel-source.ts';
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

const refuse = (path: string, why: string): StepError => new StepError('INVALID_PARAMS', `params.${path} ${why}`);

/** @throws StepError INVALID_PARAMS, ML_TENSOR_TOO_LARGE */
export async function readRequest(params: JSONObject, context: AdapterContext): Promise<ComputeRequest> {
  const language = params.language as Language;
  const source = String(params.source);
  const given = params.arguments as JSONObject[];
  const buffers: BufferSpec[] = [];
  const args: LaunchArg[] = [];
  for (const [index, argument] of given.entries()) {
    const path = `arguments[${index}]`;
    if (argument.name === undefined) {
      args.push(await scalarOf(argument, path, context));
      continue;
    }
    if (buffers.some(({ name }) => name === argument.name))
      throw refuse(`${path}.name`, `is "${argument.name}", as another buffer's`);
    args.push({ kind: 'buffer', index: buffers.length });
    buffers.push(await bufferOf(argument, path, context));
  }
  if (!buffers.some(({ isOutput }) => isOutput))
    throw refuse('arguments', 'has no buffer with "output": true: nothing would come of the kernels');
  const needed = buffers.reduce((sum, { bytes }) => sum + bytes, 0);
  if (needed > bytesMax) throw refuse('arguments', `takes ${needed} bytes; at most ${bytesMax} are allowed`);
  const reader = { language, source, params, args, buffers, context };
  const launches: Launch[] = [];
  const list = (params.launches as JSONObject[] | undefined) ?? [{}];
  for (const [index, launch] of list.entries())
    launches.push(await launchOf(launch, params.launches === undefined ? '' : `launches[${index}]`, reader));
  return {
    language,
    buffers,
    job: { source, defines: definesOf(params), buffers: buffers.map(memoryOf), launches, outputs: outputsOf(buffers) },
  };
}

const memoryOf = ({ bytes, data }: BufferSpec): KernelJob['buffers'][number] =>
  data === undefined ? { bytes } : { bytes, data };

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
  const dtype = argument.type as DType;
  const tensor = await readTensor(argument.value ?? null, `params.${path}.value`, context, { dtype });
  return { kind: 'scalar', bytes: bytesOf(tensor) };
}

/** A copy: a view of a larger buffer would be sent with all of it. */
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
      if (typeof argument !== 'string') args.push(await scalarOf(argument, place, context));
      else args.push({ kind: 'buffer', index: indexOf(argument, place, reader.buffers) });
    }
  const entry = entryOf(of('entry'), `${at}entry`, reader);
  if (language === 'cuda') checkArgs(entry, args, reader.source, `${at}arguments`);
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
  const names = kernelNames[language](source);
  const [only] = names;
  if (only !== undefined && names.length === 1) return only;
  throw refuse(path, `is needed: which kernel to run${names.length === 0 ? '' : `, of ${names.join(', ')}`}`);
}

/** The driver of CUDA believes what it is told, and would read past the end. */
function checkArgs(entry: string, args: readonly LaunchArg[], source: string, path: string): void {
  const kernel = kernelsOf(withoutComments(source)).find(({ name }) => name === entry);
  if (kernel === undefined) return;
  const { params } = kernel;
  if (params.length !== args.length)
    throw refuse(path, `has ${args.length} values, and the kernel "${entry}" takes ${params.length}`);
  for (const [index, { isPointer, text }] of params.entries())
    if (isPointer !== (args[index]?.kind === 'buffer'))
      throw refuse(`${path}[${index}]`, `must be a ${isPointer ? 'buffer' : 'scalar'}, for the kernel takes "${text}"`);
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
