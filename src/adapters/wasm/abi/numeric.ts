import type { JSONValue } from '../../../lib/json.ts';
import type { FunctionType, ValueType } from '../types.ts';
import type { CreateInvoker } from './invoker.ts';
import { type Machine, typeOfFunction } from './machine.ts';
import { mismatch } from './mismatch.ts';
import { coreType, fromWasm, numberTypeOf, toWasm } from './numbers.ts';
import { orderArguments } from './params.ts';
import { type NumberType, type Signature, typeText } from './signature.ts';

/** Numbers in, numbers out: one result as such, several as a list, none as null. */
export const numeric: CreateInvoker = (machine, { function: name, signature }) => {
  const type = typeOfFunction(machine.shape, name);
  const params = numberTypes(
    'param',
    type.params,
    signature?.params.map((param) => param.type),
  );
  const results = numberTypes('result', type.results, signature?.results);
  const names = paramNames(machine, name, type, signature);
  return (input) => {
    const values = orderArguments(input, { names });
    const given = machine.invoke(
      name,
      values.map((value, index) => toWasm(value, params[index] as NumberType, argumentName(names[index], index))),
    );
    return { kind: 'value', value: resultOf(given, results) };
  };
};

export const argumentName = (name: string | undefined, index: number): string =>
  name === undefined ? `argument ${index}` : `argument ${index} (${JSON.stringify(name.slice(0, 100))})`;

/** Of the params that the user gives. */
export function paramNames(
  machine: Machine,
  name: string,
  type: FunctionType,
  signature: Signature | undefined,
): (string | undefined)[] {
  if (signature !== undefined)
    return signature.params.filter((param) => param.type.kind !== 'len').map((param) => param.name);
  const known = machine.shape.exports.find((item) => item.kind === 'func' && item.name === name)?.paramNames;
  return type.params.map((_, index) => known?.[index]);
}

/** What a function gave as JSON: null for nothing, a list for several. */
export function resultOf(given: ReturnType<Machine['invoke']>, types: readonly NumberType[]): JSONValue {
  if (given === undefined) return null;
  if (typeof given === 'object') return given.map((value, index) => fromWasm(value, types[index] as NumberType));
  return fromWasm(given, types[0] as NumberType);
}

function numberTypes(
  what: 'param' | 'result',
  core: readonly ValueType[],
  stated: readonly Signature['results'][number][] | undefined,
): NumberType[] {
  if (stated !== undefined && stated.length !== core.length)
    throw mismatch(`the signature has ${stated.length} ${what}s, the function has ${core.length}: ${core.join(', ')}`);
  return core.map((type, index) => {
    const own = numberTypeOf(type);
    if (own === undefined)
      throw mismatch(
        `${what} ${index} of the function is a ${type}, which no value of JSON stands for; wrap the function`,
      );
    const wanted = stated?.[index];
    if (wanted === undefined) return own;
    if (wanted.kind !== 'number' || coreType(wanted.type) !== type)
      throw mismatch(`${what} ${index} is ${typeText(wanted)} in the signature, but ${type} in the module`);
    return wanted.type;
  });
}
