import { StepError } from '../../../lib/errors.ts';
import { closest } from '../../../lib/suggest.ts';
import type { FunctionType, ModuleShape } from '../types.ts';
import { allocOf, freeNames, functionType } from './detect.ts';
import { mismatch } from './mismatch.ts';
import type { WasmNumber } from './numbers.ts';

/** A live instance, as the ABIs see it. */
export interface Machine {
  readonly shape: ModuleShape;
  /** The memory as it is now. Empty where the module has none. */
  bytes(): Uint8Array;
  /** Calls an export. A trap, or the end of fuel, throws what ends the call. */
  invoke(name: string, args: readonly WasmNumber[]): WasmNumber | readonly WasmNumber[] | undefined;
  /** A global's value, if one of that name is exported. */
  global(name: string): WasmNumber | undefined;
  /** The text that a module of wasm-bindgen holds by that index. */
  objectText(index: number): string | undefined;
}

const listedMax = 20;

/** @throws StepError FUNCTION_NOT_FOUND, with the functions that there are */
export function typeOfFunction(shape: ModuleShape, name: string): FunctionType {
  const type = functionType(shape, name);
  if (type !== undefined) return type;
  const names = functionNames(shape);
  const guess = closest(name, names);
  throw new StepError(
    'FUNCTION_NOT_FOUND',
    `the module exports no function ${JSON.stringify(name.slice(0, 100))}${guess === undefined ? '' : `; perhaps ${JSON.stringify(guess)} is meant`}. ${functionsOf(shape)}`,
  );
}

const functionNames = (shape: ModuleShape): string[] =>
  shape.exports.filter((item) => item.kind === 'func').map((item) => item.name);

/** The functions of a module in words, for errors. */
export function functionsOf(shape: ModuleShape): string {
  const names = functionNames(shape);
  if (names.length === 0) return 'It exports none at all';
  const list = names.slice(0, listedMax).map((item) => JSON.stringify(item.slice(0, 100)));
  const more = names.length > listedMax ? ` and ${names.length - listedMax} more` : '';
  return `Its functions: ${list.join(', ')}${more}`;
}

/** The one number that a function gives. */
export function one(result: ReturnType<Machine['invoke']>): WasmNumber {
  if (typeof result !== 'number' && typeof result !== 'bigint') throw mismatch('the function gives no single value');
  return result;
}

/** A pointer or length as what it is: 32 bits without a sign. */
export const unsigned = (value: WasmNumber): number =>
  typeof value === 'bigint' ? Number(BigInt.asUintN(32, value)) : value >>> 0;

/** A part of the memory. @throws StepError RESULT_INVALID where it is not all within */
export function slice(machine: Machine, pointer: number, length: number, what: string): Uint8Array {
  const bytes = machine.bytes();
  if (pointer + length > bytes.length)
    throw new StepError(
      'RESULT_INVALID',
      `${what} at ${pointer} with ${length} bytes is not within the module's memory of ${bytes.length} bytes`,
    );
  return bytes.subarray(pointer, pointer + length);
}

/** Takes memory from the module. @throws StepError MEMORY_LIMIT, ABI_MISMATCH */
export function allocate(machine: Machine, length: number, align = 1): number {
  const { shape } = machine;
  const name = allocOf(shape);
  let pointer: number;
  if (name !== undefined) pointer = unsigned(one(machine.invoke(name, [length])));
  else if (functionType(shape, '__wbindgen_malloc')?.params.length === 2)
    pointer = unsigned(one(machine.invoke('__wbindgen_malloc', [length, align])));
  else if (functionType(shape, '__wbindgen_malloc') !== undefined)
    pointer = unsigned(one(machine.invoke('__wbindgen_malloc', [length])));
  else {
    const stack = ['stackAlloc', '_emscripten_stack_alloc'].find((item) => functionType(shape, item) !== undefined);
    if (stack === undefined)
      throw mismatch(
        'texts and bytes need a module that exports one of alloc, allocate, malloc or stackAlloc; export it, or pass numbers only',
      );
    pointer = unsigned(one(machine.invoke(stack, [length])));
  }
  if (pointer === 0 && length > 0)
    throw new StepError(
      'MEMORY_LIMIT',
      `the module could not provide ${length} bytes for the arguments; raise memory_pages, or pass less`,
    );
  slice(machine, pointer, length, 'what the module gave for the arguments');
  return pointer;
}

/** Gives memory back, where the module takes it. */
export function release(machine: Machine, pointer: number, length: number): void {
  for (const name of freeNames) {
    const type = functionType(machine.shape, name);
    if (type === undefined || type.params.some((param) => param !== 'i32')) continue;
    if (type.params.length === 1) machine.invoke(name, [pointer | 0]);
    else if (type.params.length === 2) machine.invoke(name, [pointer | 0, length | 0]);
    else continue;
    return;
  }
}

/** Writes bytes to memory of the module's own. Its pointer. */
export function place(machine: Machine, data: Uint8Array, align = 1): number {
  const pointer = allocate(machine, data.length, align);
  // After the allocation, which may have grown the memory.
  machine.bytes().set(data, pointer);
  return pointer;
}
