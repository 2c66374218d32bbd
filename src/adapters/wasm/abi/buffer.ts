import { isBufferFunction } from './detect.ts';
import type { CreateInvoker } from './invoker.ts';
import { type Machine, one, place, release, slice, typeOfFunction } from './machine.ts';
import { mismatch } from './mismatch.ts';
import type { WasmNumber } from './numbers.ts';
import { copied, type Outcome } from './outcome.ts';
import { payloadOf } from './params.ts';

/** The documented native ABI: `(ptr, len) → i64` with the output's pointer in the upper half and its length in the lower one. */
export const buffer: CreateInvoker = (machine, { function: name, resultBytesMax }) => {
  const type = typeOfFunction(machine.shape, name);
  if (!isBufferFunction(type))
    throw mismatch(
      `a function of the buffer ABI takes (i32 pointer, i32 length) and gives an i64, pointer << 32 | length; this one is (${type.params.join(', ')}) -> (${type.results.join(', ')}). Use another abi, or a signature`,
    );
  return (input) => {
    const payload = payloadOf(input);
    const pointer = place(machine, payload);
    const packed = machine.invoke(name, [pointer | 0, payload.length]);
    return taken(machine, packed, resultBytesMax, { pointer, length: payload.length });
  };
};

/** The output that a function of this ABI names; its memory and that of the input go back to the module. */
function taken(
  machine: Machine,
  packed: ReturnType<Machine['invoke']>,
  resultBytesMax: number,
  input?: { pointer: number; length: number },
): Outcome {
  const [pointer, length] = unpacked(one(packed));
  const bytes = copied(slice(machine, pointer, length, 'the result'), resultBytesMax);
  if (input !== undefined && input.pointer !== pointer) release(machine, input.pointer, input.length);
  if (pointer !== 0) release(machine, pointer, length);
  return { kind: 'bytes', bytes };
}

function unpacked(packed: WasmNumber): [pointer: number, length: number] {
  const bits = BigInt.asUintN(64, BigInt(packed));
  return [Number(bits >> 32n), Number(bits & 0xffff_ffffn)];
}

/** What a module still has to say when its stream ends: a function `() -> i64`, or one like those of chunks, called without bytes. */
export function createFinish(machine: Machine, name: string, resultBytesMax: number): () => Outcome {
  const type = typeOfFunction(machine.shape, name);
  if (!isBufferFunction(type) && !(type.params.length === 0 && type.results.join() === 'i64'))
    throw mismatch(
      `the function ${JSON.stringify(name)} that ends a stream must give an i64, and take nothing or (i32, i32)`,
    );
  const args = type.params.length === 0 ? [] : [0, 0];
  return () => taken(machine, machine.invoke(name, args), resultBytesMax);
}
