import type { Abi, ModuleShape } from '../types.ts';
import { assemblyscript } from './assemblyscript.ts';
import { bindgen } from './bindgen.ts';
import { buffer } from './buffer.ts';
import { cstring } from './cstring.ts';
import { allocOf, functionType, isBufferFunction } from './detect.ts';
import type { CreateInvoker } from './invoker.ts';
import { numeric } from './numeric.ts';
import type { CallInput } from './params.ts';
import type { Signature } from './signature.ts';

/** ABIs in which a function is called with arguments; the others run a program over bytes. */
export type FunctionAbi = Exclude<Abi, 'wasi-command' | 'extism'>;

const invokers: Readonly<Record<Exclude<FunctionAbi, 'wasi-reactor'>, CreateInvoker>> = {
  numeric,
  cstring,
  buffer,
  assemblyscript,
  'wasm-bindgen': bindgen,
};

/** How a function is called. Where nobody stated the ABI, the function's own type and the signature decide within what the module offers. */
export function invokerOf(
  shape: ModuleShape,
  abi: FunctionAbi,
  stated: boolean,
  choice: { function: string; signature?: Signature | undefined; input?: CallInput | undefined },
): CreateInvoker {
  if (abi === 'assemblyscript' || abi === 'wasm-bindgen') return invokers[abi];
  if (stated && abi !== 'wasi-reactor') return invokers[abi];
  const type = functionType(shape, choice.function);
  const { signature } = choice;
  if (signature === undefined && allocOf(shape) !== undefined && isBufferFunction(type)) return buffer;
  const pointers =
    signature !== undefined &&
    [...signature.params.map((param) => param.type), ...signature.results].some(({ kind }) => kind !== 'number');
  return pointers || (signature === undefined && holdsTexts(choice.input)) ? cstring : numeric;
}

/** Whether an argument can't be a number. */
function holdsTexts(input: CallInput | undefined): boolean {
  if (input === undefined) return false;
  const values = input.kind === 'input' ? [input.value] : Object.values(input.args);
  return values.some(
    (value) =>
      (typeof value === 'object' && value !== null) ||
      (typeof value === 'string' && !/^(?:-?\d{1,22}|NaN|-?Infinity)$/.test(value)),
  );
}
