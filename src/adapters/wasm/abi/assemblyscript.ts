import type { FunctionType } from '../types.ts';
import { functionType } from './detect.ts';
import type { CreateInvoker } from './invoker.ts';
import { type Machine, one, slice, typeOfFunction, unsigned } from './machine.ts';
import { ListType, listClass, readManaged } from './managed.ts';
import { mismatch } from './mismatch.ts';
import { coreType, numberTypeOf, told, toWasm, type Value, type WasmNumber } from './numbers.ts';
import { argumentName, paramNames, resultOf } from './numeric.ts';
import type { Outcome } from './outcome.ts';
import { jsonText, orderArguments } from './params.ts';
import type { NumberType, Signature, SignatureType } from './signature.ts';
import { typeText } from './signature.ts';

/** Class ids that the runtime fixes. */
const arrayBufferId = 1;
const stringId = 2;
const bytesMax = 2 ** 30;
/** Calls of one instance between two collections of its garbage. */
const collectEvery = 64;

/**
 * AssemblyScript: texts are UTF-16, objects go in as JSON texts, lists as typed arrays or arrays. Without a signature texts and bytes go in as
 * what they are and results are numbers: the type of a module can't tell a pointer from a number.
 */
export const assemblyscript: CreateInvoker = (machine, { function: name, signature, resultBytesMax }) => {
  const type = typeOfFunction(machine.shape, name);
  if (signature !== undefined) checkSignature(type, signature);
  const names = paramNames(machine, name, type, signature);
  let calls = 0;
  return (input) => {
    const values = orderArguments(input, { names });
    const pinned: number[] = [];
    const args = values.map((value, index) => {
      const where = argumentName(names[index], index);
      const stated = signature?.params[index]?.type ?? guessed(value, type.params[index], where);
      return lower(machine, stated, value, where, pinned);
    });
    // How many optional params the caller gave; the runtime takes missing ones for what they default to.
    if (functionType(machine.shape, '__setArgumentsLength') !== undefined)
      machine.invoke('__setArgumentsLength', [args.length]);
    const given = machine.invoke(name, args);
    const outcome = lift(machine, type, signature, given, resultBytesMax);
    for (const pointer of pinned) machine.invoke('__unpin', [pointer]);
    calls += 1;
    // Only streams come that far. Nothing on the stack refers to anything now; a collection costs the more, the larger the heap is.
    if (calls % collectEvery === 0 && functionType(machine.shape, '__collect') !== undefined)
      machine.invoke('__collect', []);
    return outcome;
  };
};

function guessed(value: Value, core: FunctionType['params'][number] | undefined, where: string): SignatureType {
  const own = core === undefined ? undefined : numberTypeOf(core);
  if (own === undefined) throw mismatch(`${where} is a ${core} in the module, which no value of JSON stands for`);
  const isPointer = core === 'i32' && (typeof value === 'object' || typeof value === 'string') && value !== null;
  if (!isPointer) return { kind: 'number', type: own };
  if (typeof value === 'string') return { kind: 'string' };
  return value instanceof Uint8Array ? { kind: 'bytes' } : { kind: 'json' };
}

function lower(machine: Machine, stated: SignatureType, value: Value, where: string, pinned: number[]): WasmNumber {
  switch (stated.kind) {
    case 'number':
      return toWasm(value, stated.type, where);
    case 'string':
    case 'json': {
      if (value === null && stated.kind === 'string') return 0;
      if (stated.kind === 'string' && typeof value !== 'string')
        throw mismatch(`${where} must be a text, not ${told(value)}`);
      const text = stated.kind === 'string' ? (value as string) : jsonText(value);
      return allocate(machine, Buffer.from(text, 'utf16le'), stringId, pinned);
    }
    case 'bytes':
      if (value === null) return 0;
      if (!(value instanceof Uint8Array)) throw mismatch(`${where} must be bytes, not ${told(value)}`);
      return allocate(machine, value, arrayBufferId, pinned);
    case 'list':
      if (value === null) return 0;
      return lowerList(machine, stated, value, where, pinned);
    case 'len':
      throw mismatch('"len" is of no use to AssemblyScript, whose values know their length');
  }
}

function lowerList(
  machine: Machine,
  stated: SignatureType & { kind: 'list' },
  value: Value,
  where: string,
  pinned: number[],
): number {
  const list = new ListType(stated.of);
  const isBytes = value instanceof Uint8Array && (stated.of === 'u8' || stated.of === 'i8');
  if (!isBytes && !Array.isArray(value))
    throw mismatch(`${where} must be a list (${typeText(stated)}), not ${told(value)}`);
  const data = isBytes
    ? value
    : list.bytesOf((value as Value[]).map((item, index) => toWasm(item, stated.of, `${where}[${index}]`)));
  const id = listClass(machine, stated);
  if (id === undefined)
    throw mismatch(`${where}: the module has no class like ${typeText(stated)}; it must use that type itself`);
  if (stated.form === 'static') return allocate(machine, data, id, pinned);
  const buffer = allocate(machine, data, arrayBufferId, pinned);
  const header = new Uint32Array(stated.form === 'typed' ? 3 : 4);
  header[0] = buffer;
  header[1] = buffer;
  header[2] = data.length;
  if (stated.form === 'array') header[3] = data.length / list.size;
  return allocate(machine, new Uint8Array(header.buffer), id, pinned);
}

function allocate(machine: Machine, data: Uint8Array, id: number, pinned: number[]): number {
  if (data.length > bytesMax)
    throw mismatch(`an argument has ${data.length} bytes, more than AssemblyScript's ${bytesMax}`);
  const pointer = unsigned(one(machine.invoke('__new', [data.length, id])));
  slice(machine, pointer, data.length, 'what the module gave for an argument').set(data);
  machine.invoke('__pin', [pointer | 0]);
  pinned.push(pointer | 0);
  return pointer | 0;
}

function lift(
  machine: Machine,
  type: FunctionType,
  signature: Signature | undefined,
  given: ReturnType<Machine['invoke']>,
  resultBytesMax: number,
): Outcome {
  const stated = signature?.results[0];
  if (stated === undefined || stated.kind === 'number') {
    const types = type.results.map((core, index): NumberType => {
      const own = signature?.results[index];
      const known = own?.kind === 'number' ? own.type : numberTypeOf(core);
      if (known === undefined) throw mismatch(`the result is a ${core}, which no value of JSON stands for`);
      return known;
    });
    return { kind: 'value', value: resultOf(given, types) };
  }
  return readManaged(machine, unsigned(given as WasmNumber), stated, resultBytesMax);
}

function checkSignature(type: FunctionType, { params, results }: Signature): void {
  const core = (stated: SignatureType): string => (stated.kind === 'number' ? coreType(stated.type) : 'i32');
  const own = `(${type.params.join(', ')}) -> (${type.results.join(', ')})`;
  const stated = [params.map((param) => core(param.type)).join(), results.map(core).join()];
  if (stated[0] !== type.params.join() || stated[1] !== type.results.join())
    throw mismatch(`the signature does not fit the function, which is ${own}`);
}
