import { StepError } from '../../../lib/errors.ts';
import type { FunctionType } from '../types.ts';
import { utf8 } from './decode.ts';
import type { CreateInvoker } from './invoker.ts';
import { type Machine, place, release, slice, typeOfFunction, unsigned } from './machine.ts';
import { mismatch } from './mismatch.ts';
import { coreType, numberTypeOf, told, toWasm, type Value, type WasmNumber } from './numbers.ts';
import { argumentName, paramNames, resultOf } from './numeric.ts';
import { checkSize, copied, type Outcome } from './outcome.ts';
import { jsonText, orderArguments } from './params.ts';
import { type NumberType, type Signature, type SignatureType, typeText } from './signature.ts';

interface Placed {
  pointer: number;
  length: number;
}

/** C: texts as NUL-terminated UTF-8, bytes as pointers. Without a signature what is no number goes in as a text, and results are numbers. */
export const cstring: CreateInvoker = (machine, { function: name, signature, resultBytesMax }) => {
  const type = typeOfFunction(machine.shape, name);
  if (signature !== undefined) checkSignature(type, signature);
  const names = paramNames(machine, name, type, signature);
  return (input) => {
    const values = orderArguments(input, { names });
    const placed: Placed[] = [];
    const args = lower(machine, type, signature, values, names, placed);
    const given = machine.invoke(name, args);
    const outcome = lift(machine, type, signature, given, resultBytesMax);
    for (const { pointer, length } of placed) release(machine, pointer, length);
    return outcome;
  };
};

function lower(
  machine: Machine,
  type: FunctionType,
  signature: Signature | undefined,
  values: readonly Value[],
  names: readonly (string | undefined)[],
  placed: Placed[],
): WasmNumber[] {
  let next = 0;
  let lastLength = 0;
  return type.params.map((core, index) => {
    const stated = signature?.params[index]?.type;
    if (stated?.kind === 'len') return lastLength;
    const where = argumentName(names[next], next);
    const value = values[next] as Value;
    next += 1;
    const own = stated?.kind === 'number' ? stated.type : numberTypeOf(core);
    if (own === undefined)
      throw mismatch(`param ${index} of the function is a ${core}, which no value of JSON stands for`);
    const isText = typeof value === 'string' && stated === undefined && core === 'i32';
    if (stated?.kind === 'number' || (stated === undefined && typeof value !== 'object' && !isText))
      return toWasm(value, own, where);
    if (core !== 'i32') throw mismatch(`${where} must be a number (${core}), not ${told(value)}`);
    const bytes = bytesOf(value, stated, where);
    const terminated = stated?.kind === 'bytes' || value instanceof Uint8Array ? bytes : withNul(bytes, where);
    const pointer = place(machine, terminated);
    placed.push({ pointer, length: terminated.length });
    lastLength = bytes.length;
    return pointer | 0;
  });
}

function bytesOf(value: Value, stated: SignatureType | undefined, where: string): Uint8Array {
  if (stated?.kind === 'json') return Buffer.from(jsonText(value));
  if (value instanceof Uint8Array) return value;
  if (typeof value === 'string') return Buffer.from(value);
  if (stated !== undefined) throw mismatch(`${where} must be ${typeText(stated)}, not ${told(value)}`);
  return Buffer.from(jsonText(value));
}

function withNul(bytes: Uint8Array, where: string): Uint8Array {
  if (bytes.includes(0)) throw mismatch(`${where} holds a NUL, where a text of C ends; pass it as bytes with a length`);
  const terminated = new Uint8Array(bytes.length + 1);
  terminated.set(bytes);
  return terminated;
}

function lift(
  machine: Machine,
  type: FunctionType,
  signature: Signature | undefined,
  given: ReturnType<Machine['invoke']>,
  resultBytesMax: number,
): Outcome {
  const stated = signature?.results[0];
  if (stated === undefined || stated.kind === 'number')
    return { kind: 'value', value: resultOf(given, resultTypes(type, signature)) };
  const pointer = unsigned(given as WasmNumber);
  if (pointer === 0) return { kind: 'value', value: null };
  if (stated.kind === 'bytes' && stated.length !== undefined) {
    checkSize(stated.length, resultBytesMax);
    return { kind: 'bytes', bytes: copied(slice(machine, pointer, stated.length, 'the result'), resultBytesMax) };
  }
  const memory = machine.bytes();
  const end = memory.indexOf(0, pointer);
  if (pointer >= memory.length || end < 0)
    throw new StepError(
      'RESULT_INVALID',
      `the text of the result at ${pointer} does not end within the module's memory`,
    );
  const bytes = copied(memory.subarray(pointer, end), resultBytesMax);
  if (stated.kind === 'json') return { kind: 'bytes', bytes };
  const text = utf8(bytes);
  if (text === undefined)
    throw new StepError('RESULT_INVALID', 'the text of the result is not valid UTF-8; use bytes(N) in the signature');
  return { kind: 'value', value: text };
}

function resultTypes(type: FunctionType, signature: Signature | undefined): NumberType[] {
  return type.results.map((core, index) => {
    const stated = signature?.results[index];
    const own = stated?.kind === 'number' ? stated.type : numberTypeOf(core);
    if (own === undefined)
      throw mismatch(`result ${index} of the function is a ${core}, which no value of JSON stands for`);
    return own;
  });
}

function checkSignature(type: FunctionType, { params, results }: Signature): void {
  const wanted = (stated: SignatureType): string => (stated.kind === 'number' ? coreType(stated.type) : 'i32');
  const own = `(${type.params.join(', ')}) -> (${type.results.join(', ')})`;
  if (params.length !== type.params.length || results.length !== type.results.length)
    throw mismatch(`the signature has ${params.length} params and ${results.length} results; the function is ${own}`);
  [...params.map((param) => param.type), ...results].forEach((stated, index) => {
    const core = index < params.length ? type.params[index] : type.results[index - params.length];
    if (stated.kind === 'list')
      throw mismatch(`${typeText(stated)} is a type of AssemblyScript; a C function takes bytes and a len`);
    if (wanted(stated) !== core)
      throw mismatch(`${typeText(stated)} in the signature is ${core} in the module, which is ${own}`);
  });
  if (results.length > 1 && results.some(({ kind }) => kind !== 'number'))
    throw mismatch('several results can be numbers only');
  if (results.some((stated) => stated.kind === 'bytes' && stated.length === undefined))
    throw mismatch('a result of bytes needs its length in the signature: bytes(32)');
}
