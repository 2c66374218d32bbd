import { StepError } from '../../../lib/errors.ts';
import type { Abi, FunctionType, ModuleShape, ValueType } from '../types.ts';

/** Names under which toolchains export what gives and takes back memory. */
const allocNames = ['alloc', 'allocate', 'malloc'] as const;
export const freeNames = ['dealloc', 'deallocate', 'free'] as const;

/** A module may have many exports, and is asked for each item of a stream. */
const functionTypes = new WeakMap<ModuleShape, Map<string, FunctionType | undefined>>();

/** The type of an exported function, if there is one of that name. */
export function functionType(shape: ModuleShape, name: string): FunctionType | undefined {
  let types = functionTypes.get(shape);
  if (types === undefined) {
    const functions = shape.exports.filter(({ kind }) => kind === 'func');
    types = new Map(functions.map((item) => [item.name, item.type]));
    functionTypes.set(shape, types);
  }
  return types.get(name);
}

/** Whether there is such a function, of just these params and results. */
export function hasType(
  type: FunctionType | undefined,
  params: readonly ValueType[],
  results: readonly ValueType[],
): boolean {
  return type !== undefined && type.params.join() === params.join() && type.results.join() === results.join();
}

/** Takes (ptr, len) and gives ptr<<32 | len. */
export const isBufferFunction = (type: FunctionType | undefined): boolean => hasType(type, ['i32', 'i32'], ['i64']);

/** Under which name the module gives memory, if it does. */
export const allocOf = (shape: ModuleShape): string | undefined =>
  allocNames.find((name) => hasType(functionType(shape, name), ['i32'], ['i32']));

/**
 * How a module's values cross its border, from its imports and exports alone. A module with `alloc` and `process` of the documented types
 * counts as `buffer` even where AssemblyScript's runtime is exported too: whoever writes these two means them.
 *
 * `wasi_unstable` counts as WASI so that its imports are refused, which says what to do, and not the want of a function's name.
 *
 * @throws StepError MODULE_UNSUPPORTED for Go's `js/wasm`
 */
export function detectAbi(shape: ModuleShape): Abi {
  const exported = (name: string): boolean => shape.exports.some((item) => item.name === name);
  const imported = (test: (module: string, name: string) => boolean): boolean =>
    shape.imports.some(({ module, name }) => test(module, name));
  if (imported((module) => module.startsWith('extism:host/'))) return 'extism';
  if (imported((module) => module === 'gojs' || module === 'go'))
    throw new StepError(
      'MODULE_UNSUPPORTED',
      "the module was built for Go's js/wasm, which needs a browser's JavaScript; build it with TinyGo, or with GOOS=wasip1 GOARCH=wasm",
    );
  if (isBindgen(shape)) return 'wasm-bindgen';
  const buffer = allocOf(shape) !== undefined && isBufferFunction(functionType(shape, 'process'));
  if (!buffer && exported('__new') && exported('__pin') && exported('__rtti_base')) return 'assemblyscript';
  if (buffer && !exported('_start')) return 'buffer';
  if (imported((module) => module === 'wasi_snapshot_preview1' || module === 'wasi_unstable'))
    return exported('_start') ? 'wasi-command' : 'wasi-reactor';
  if (buffer) return 'buffer';
  return exported('malloc') || exported('stackAlloc') ? 'cstring' : 'numeric';
}

const isBindgen = (shape: ModuleShape): boolean =>
  shape.imports.some(({ name }) => name.startsWith('__wbindgen_') || name.startsWith('__wbg_')) ||
  shape.exports.some(({ name }) => name.startsWith('__wbindgen_'));
