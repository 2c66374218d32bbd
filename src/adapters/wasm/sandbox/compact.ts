import { isObject } from '../../../lib/json.ts';
import type { Value } from '../abi/numbers.ts';
import type { CallInput } from '../abi/params.ts';

/** Copies bytes that are a part of a larger buffer: to post them would post the buffer, with all that others keep in it. */
export function compact(input: CallInput): CallInput {
  if (input.kind === 'input') return { kind: 'input', value: own(input.value) };
  return { kind: 'args', args: own(input.args) as (CallInput & { kind: 'args' })['args'] };
}

function own(value: Value): Value {
  if (value instanceof Uint8Array) return isWhole(value) ? value : new Uint8Array(value);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.some(holds) ? value.map((item) => own(item)) : value;
  if (!isObject(value) || !Object.values(value).some(holds)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, own(item as Value)]));
}

const holds = (value: unknown): boolean => typeof value === 'object' && value !== null;

/** Of our own realm's plain class: Buffers and views of shared memory are copied too. */
const isWhole = (bytes: Uint8Array): boolean =>
  bytes.byteLength === bytes.buffer.byteLength && Object.getPrototypeOf(bytes) === Uint8Array.prototype;

/** A copy to give away. */
export const copyOf = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);
