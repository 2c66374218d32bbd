import { StepError } from '../../../lib/errors.ts';
import type { DType } from '../tensor/dtype.ts';
import { mismatch, paramType, wgslElement } from './argument-types.ts';
import { kernelsOf, wgslBindings, withoutComments } from './kernel-source.ts';
import type { KernelJob, LaunchArg } from './messages.ts';

/** What a launch gives, and its buffers are. */
interface Given {
  entry: string;
  args: readonly LaunchArg[];
  buffers: KernelJob['buffers'];
  /** Of the arguments, for errors. */
  path: string;
}

const refuse = (path: string, why: string): StepError => new StepError('INVALID_PARAMS', `${path} ${why}`);

function typeOf(arg: LaunchArg, buffers: KernelJob['buffers']): Exclude<DType, 'string'> | undefined {
  if (arg.kind === 'buffer') return buffers[arg.index]?.dtype;
  return arg.kind === 'scalar' ? arg.dtype : undefined;
}

/** The driver of CUDA believes what it is told, and would read past the end. What only a compiler could tell is let through. @throws StepError INVALID_PARAMS */
export function checkCudaArgs(source: string, { entry, args, buffers, path }: Given): void {
  // `ns::add<float>` is the kernel `add`.
  const own = /(\w+)\s*(?:<.*)?$/s.exec(entry)?.[1];
  const kernel = kernelsOf(withoutComments(source)).find(({ name }) => name === own);
  const params = kernel?.params ?? [];
  // A macro, or a template with commas of its own.
  if (kernel === undefined || params.some((text) => text.includes('<') || !/\w[\s*&]+\w/.test(text))) return;
  if (params.length !== args.length)
    throw refuse(path, `has ${args.length} values, and the kernel "${entry}" takes ${params.length}`);
  for (const [index, text] of params.entries()) {
    const arg = args[index];
    const { isPointer, element, width } = paramType(text);
    if (arg === undefined || (!isPointer && element === undefined)) continue;
    const place = `${path}[${index}]`;
    if (isPointer !== (arg.kind === 'buffer'))
      throw refuse(place, `must be a ${isPointer ? 'buffer' : 'scalar'}, for the kernel takes "${text}"`);
    checkType(arg, buffers, isPointer || width === 1 ? element : undefined, place);
  }
}

/** Arguments are bound in their order. @throws StepError INVALID_PARAMS */
export function checkWgslArgs(source: string, { args, buffers, path }: Given): void {
  const bindings = wgslBindings(source);
  for (const { group, binding, space, type } of bindings) {
    const arg = args[binding];
    const name = `@group(${group}) @binding(${binding})`;
    if (group !== 0 || arg === undefined)
      throw refuse(
        path,
        `has ${args.length} values, for the bindings of @group(0) in their order, and none for ${name}`,
      );
    const place = `${path}[${binding}]`;
    if (space === 'storage' && arg.kind !== 'buffer') throw refuse(place, `must be a buffer, for ${name} is storage`);
    checkType(arg, buffers, wgslElement(type), place);
  }
  for (const [index, arg] of args.entries())
    if (arg.kind === 'scalar' && !wgslScalars.includes(arg.dtype))
      throw refuse(`${path}[${index}]`, `is of ${arg.dtype}, and WGSL has only ${wgslScalars.join(', ')} as scalars`);
}

const wgslScalars: readonly DType[] = ['float32', 'int32', 'uint32', 'float16'];

/** What the compiler of OpenCL says of a parameter: its type without its name, and where it is. */
export interface OpenCLParam {
  type: string;
  space: 'global' | 'local' | 'constant' | 'private';
}

/** @throws StepError INVALID_PARAMS */
export function checkOpenCLArg(arg: LaunchArg, buffers: KernelJob['buffers'], param: OpenCLParam, path: string): void {
  const { type, space } = param;
  if (/^(?:image|sampler|pipe|queue|event)\w*_t$/.test(type))
    throw refuse(path, `would be of ${type}, and there are only buffers, scalars and local memory`);
  const { element, width } = paramType(type);
  const wanted = { global: 'buffer', constant: 'buffer', local: 'local', private: 'scalar' } as const;
  if (arg.kind !== wanted[space]) {
    const word = { buffer: 'a buffer', local: 'local memory ({ "type", "local" })', scalar: 'a scalar' };
    throw refuse(
      path,
      `must be ${word[wanted[space]]}, for the kernel takes ${space === 'private' ? '' : `${space} `}${type} there`,
    );
  }
  checkType(arg, buffers, space !== 'private' || width === 1 ? element : undefined, path);
}

function checkType(
  arg: LaunchArg,
  buffers: KernelJob['buffers'],
  element: ReturnType<typeof wgslElement>,
  path: string,
): void {
  const dtype = typeOf(arg, buffers);
  const why = dtype === undefined ? undefined : mismatch(dtype, arg.kind === 'buffer', element);
  if (why !== undefined) throw refuse(path, why);
}
