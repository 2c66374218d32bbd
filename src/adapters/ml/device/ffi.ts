// Calls of native libraries from JavaScript. Only child programs load them.
import type { LibraryHandle } from 'koffi';
import { messageOf, StepError } from '../../../lib/errors.ts';
import { optionalPackage } from '../process/package.ts';

type Koffi = typeof import('koffi');

/** @throws StepError ML_PACKAGE_MISSING */
export const koffi = (): Koffi => optionalPackage('koffi', 'kernels in CUDA and OpenCL need');

/** The first library that can be loaded. @throws StepError ML_LIBRARY_MISSING */
export function loadLibrary(names: readonly string[], what: string): LibraryHandle {
  const { load } = koffi();
  let cause: unknown;
  for (const name of names)
    try {
      return load(name);
    } catch (thrown) {
      cause = thrown;
    }
  throw new StepError('ML_LIBRARY_MISSING', `${what} can't be loaded: ${messageOf(cause)}`, { cause });
}

/** A function of numbers, texts and pointers: a pointer is a typed array to read from or write to, a handle a number. */
export type Native<Result = number> = (
  ...args: (number | bigint | string | string[] | ArrayBufferView | null)[]
) => Result;

/** Functions by name; a type each, result first. `handle` and `size` are as wide as a pointer. */
export function bind<Names extends string>(
  library: LibraryHandle,
  signatures: Readonly<Record<Names, string>>,
): Record<Names, Native> {
  const bound = {} as Record<Names, Native>;
  for (const [name, signature] of Object.entries(signatures) as [Names, string][]) {
    const [result = 'int', ...args] = signature.split(' ').map((type) => types[type] ?? type);
    bound[name] = library.func(name, result, args) as Native;
  }
  return bound;
}

const types: Readonly<Record<string, string>> = {
  handle: 'uintptr_t',
  size: 'size_t',
  pointer: 'void *',
  text: 'str',
  texts: 'const char **',
};
