import { StepError } from '../../../lib/errors.ts';
import type { FunctionType } from '../types.ts';
import { utf8 } from './decode.ts';
import { functionType, hasType } from './detect.ts';
import type { CreateInvoker } from './invoker.ts';
import { allocate, type Machine, one, slice, typeOfFunction, unsigned } from './machine.ts';
import { mismatch } from './mismatch.ts';
import { numberTypeOf, told, toWasm, type Value, type WasmNumber } from './numbers.ts';
import { argumentName, resultOf } from './numeric.ts';
import { copied, type Outcome } from './outcome.ts';
import { orderArguments } from './params.ts';
import type { Signature } from './signature.ts';

/**
 * Modules of wasm-bindgen, without the JavaScript that comes with them: numbers, texts and bytes as arguments, one number, text or byte list as
 * the result. A text takes two params, pointer and length, and belongs to the function then. A result of two i32 is a text (or bytes, by the
 * signature); older versions write it to where the first param points.
 */
export const bindgen: CreateInvoker = (machine, { function: name, signature, resultBytesMax }) => {
  const type = typeOfFunction(machine.shape, name);
  return (input) => {
    const values = valuesOf(input, signature, type);
    const types = values.map((value, index) => isText(value, signature, index));
    const width = types.reduce((sum, text) => sum + (text ? 2 : 1), 0);
    const first = type.params.length === width + 1 && type.results.length === 0 ? returnSlot(machine) : undefined;
    if (first === undefined && type.params.length !== width) throw tooClever(type, width);
    const args: WasmNumber[] = first === undefined ? [] : [first | 0];
    values.forEach((value, index) => {
      args.push(
        ...lower(
          machine,
          value,
          types[index] === true,
          type.params[args.length],
          argumentName(signature?.params[index]?.name, index),
        ),
      );
    });
    const given = machine.invoke(name, args);
    const outcome = lift(machine, type, signature, given, first, resultBytesMax);
    if (first !== undefined) machine.invoke('__wbindgen_add_to_stack_pointer', [slotBytes]);
    return outcome;
  };
};

const slotBytes = 16;

function valuesOf(
  input: Parameters<ReturnType<CreateInvoker>>[0],
  signature: Signature | undefined,
  type: FunctionType,
): Value[] {
  if (signature !== undefined) return orderArguments(input, { names: signature.params.map((param) => param.name) });
  if (input.kind === 'input') return [input.value];
  if (Array.isArray(input.args)) return input.args;
  const values = Object.values(input.args);
  if (values.length > 1)
    throw mismatch(
      `the function's params have no names that args could go by (it takes ${type.params.join(', ')}): give args as a list, or a signature with names`,
    );
  return values;
}

function isText(value: Value, signature: Signature | undefined, index: number): boolean {
  const stated = signature?.params[index]?.type.kind;
  if (stated !== undefined) return stated === 'string' || stated === 'bytes';
  return typeof value === 'string' || value instanceof Uint8Array;
}

/** Zeros on the module's stack: what the function doesn't write stays 0. */
function returnSlot(machine: Machine): number | undefined {
  const name = '__wbindgen_add_to_stack_pointer';
  if (!hasType(functionType(machine.shape, name), ['i32'], ['i32'])) return undefined;
  const slot = unsigned(one(machine.invoke(name, [-slotBytes])));
  slice(machine, slot, slotBytes, 'where the result is to be written').fill(0);
  return slot;
}

function lower(
  machine: Machine,
  value: Value,
  text: boolean,
  core: FunctionType['params'][number] | undefined,
  where: string,
): WasmNumber[] {
  if (!text) {
    const own = core === undefined ? undefined : numberTypeOf(core);
    if (own === undefined || typeof value === 'object')
      throw mismatch(
        `${where} is ${told(value)}; without wasm-bindgen's JavaScript only numbers, texts and bytes can be passed`,
      );
    return [toWasm(value, own, where)];
  }
  if (typeof value !== 'string' && !(value instanceof Uint8Array))
    throw mismatch(`${where} must be a text or bytes, not ${told(value)}`);
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  const pointer = allocate(machine, bytes.length);
  machine.bytes().set(bytes, pointer);
  return [pointer | 0, bytes.length];
}

function lift(
  machine: Machine,
  type: FunctionType,
  signature: Signature | undefined,
  given: ReturnType<Machine['invoke']>,
  slot: number | undefined,
  resultBytesMax: number,
): Outcome {
  if (slot === undefined && type.results.join() !== 'i32,i32') {
    const types = type.results.map((core) => numberTypeOf(core));
    if (types.some((own) => own === undefined)) throw tooClever(type, type.params.length);
    return {
      kind: 'value',
      value: resultOf(
        given,
        types.filter((own) => own !== undefined),
      ),
    };
  }
  const [pointer, length] = slot === undefined ? pairOf(given) : pairAt(machine, slot);
  // No text lies at 0, not even an empty one.
  if (pointer === 0) return { kind: 'value', value: null };
  const bytes = copied(slice(machine, pointer, length, 'the result'), resultBytesMax);
  const free = functionType(machine.shape, '__wbindgen_free');
  if (length > 0 && free?.params.length === 3) machine.invoke('__wbindgen_free', [pointer | 0, length, 1]);
  else if (length > 0 && free?.params.length === 2) machine.invoke('__wbindgen_free', [pointer | 0, length]);
  if (signature?.results[0]?.kind === 'bytes') return { kind: 'bytes', bytes };
  const text = utf8(bytes);
  if (text === undefined)
    throw new StepError('RESULT_INVALID', 'the text of the result is not valid UTF-8; use "-> bytes" in the signature');
  return signature?.results[0]?.kind === 'json' ? { kind: 'text', text } : { kind: 'value', value: text };
}

function pairOf(given: ReturnType<Machine['invoke']>): [number, number] {
  if (typeof given !== 'object') throw mismatch('the function gives no pointer and length');
  return [unsigned(given[0] ?? 0), unsigned(given[1] ?? 0)];
}

/** @throws StepError WASM_EXITED where the function gave an error: then two more words say so */
function pairAt(machine: Machine, slot: number): [number, number] {
  const bytes = slice(machine, slot, slotBytes, 'where the result was written');
  const view = new DataView(bytes.buffer, bytes.byteOffset, slotBytes);
  const [pointer, length, error, failed] = [0, 4, 8, 12].map((at) => view.getUint32(at, true)) as [
    number,
    number,
    number,
    number,
  ];
  if (failed === 1)
    throw new StepError('WASM_EXITED', `the function gave an error: ${machine.objectText(error) ?? 'no text'}`);
  return [pointer, length];
}

const tooClever = (type: FunctionType, width: number): StepError =>
  mismatch(
    `the arguments take ${width} params, but the function has (${type.params.join(', ')}) -> (${type.results.join(', ')}), which needs the JavaScript of wasm-bindgen; export a plain function instead: alloc(len) and process(ptr, len) -> u64 with #[no_mangle] extern "C", or build for wasm32-wasip1`,
  );
