import { canonicalize } from '../../../lib/canonical.ts';
import { JSONFlowError, StepError } from '../../../lib/errors.ts';
import { isObject, type JSONValue, setOwn } from '../../../lib/json.ts';
import { mismatch } from './mismatch.ts';
import { told, type Value } from './numbers.ts';

/** What a call is given: `args`, or `input`, the one argument. Bytes stand as Uint8Array, also within. */
export type CallInput = { kind: 'args'; args: Value[] | { [key: string]: Value } } | { kind: 'input'; value: Value };

/** The params that a user gives values for, in the order of the function. */
export interface ParamList {
  names: readonly (string | undefined)[];
}

/**
 * Arguments in the order of the params. An object's go by name; where the params have no names, an object may hold one value alone, since
 * equal objects may be written in any order and must mean the same.
 *
 * @throws StepError ABI_MISMATCH
 */
export function orderArguments(input: CallInput, { names }: ParamList): Value[] {
  if (input.kind === 'input') return counted([input.value], names);
  const { args } = input;
  if (Array.isArray(args)) return counted(args, names);
  const keys = Object.keys(args);
  if (names.length === keys.length && names.every((name) => name !== undefined && Object.hasOwn(args, name)))
    return names.map((name) => args[name as string] as Value);
  if (keys.length === 1 && names.length === 1 && names[0] === undefined) return [args[keys[0] as string] as Value];
  if (keys.length !== names.length) return counted(Object.values(args), names);
  const nameless = names.some((name) => name === undefined);
  throw mismatch(
    nameless
      ? `the function's params have no names that args could go by: give args as a list, or a signature with names, such as "f(${keys.slice(0, 5).join(': i32, ')}: i32)"`
      : `args must have the names of the function's params, ${listed(names)}; they have ${listed(keys)}`,
  );
}

function counted(values: Value[], names: readonly (string | undefined)[]): Value[] {
  if (values.length === names.length) return values;
  const named = names.length > 0 && names.every((name) => name !== undefined) ? `: ${listed(names)}` : '';
  throw mismatch(
    `the function takes ${names.length} argument${names.length === 1 ? '' : 's'}${named}; given ${values.length === 1 ? 'is' : 'are'} ${values.length}`,
  );
}

const listed = (names: readonly (string | undefined)[]): string =>
  names
    .slice(0, 20)
    .map((name) => JSON.stringify(name?.slice(0, 100) ?? '?'))
    .join(', ') + (names.length > 20 ? ', …' : '');

/** The bytes that a function of buffers gets: those of the input itself, or the canonical JSON of what is given. @throws StepError ABI_MISMATCH */
export function payloadOf(input: CallInput): Uint8Array {
  const value = input.kind === 'input' ? input.value : input.args;
  return value instanceof Uint8Array ? value : Buffer.from(jsonText(value));
}

/** Canonical JSON; bytes within are written as base64 texts. @throws StepError ABI_MISMATCH */
export function jsonText(value: Value): string {
  try {
    return canonicalize(plain(value, 0));
  } catch (thrown) {
    if (!(thrown instanceof JSONFlowError)) throw thrown;
    throw mismatch(`the arguments can't be written as JSON: ${thrown.message}`);
  }
}

const depthMax = 64;

function plain(value: Value, depth: number): JSONValue {
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.length).toString('base64');
  if (typeof value !== 'object' || value === null) return value;
  if (depth > depthMax) throw new StepError('ABI_MISMATCH', `the arguments are nested deeper than ${depthMax}`);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  if (!isObject(value)) throw mismatch(`the arguments hold ${told(value)}`);
  const copy: { [key: string]: JSONValue } = {};
  for (const key of Object.keys(value)) setOwn(copy, key, plain(value[key] as Value, depth + 1));
  return copy;
}
