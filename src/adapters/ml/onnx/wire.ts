// Protocol Buffers' wire format, as much of it as ONNX files need: https://protobuf.dev/programming-guides/encoding/
import { StepError } from '../../../lib/errors.ts';

const varintType = 0;
const fixed64Type = 1;
const bytesType = 2;
const fixed32Type = 5;

/** Writes the fields of one message. */
export class MessageWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  int(field: number, value: number | bigint): this {
    this.#push(varint((field << 3) | varintType));
    return this.#push(varint(value));
  }

  float(field: number, value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return this.#push(varint((field << 3) | fixed32Type)).#push(bytes);
  }

  bytes(field: number, value: Uint8Array): this {
    return this.#push(varint((field << 3) | bytesType))
      .#push(varint(value.length))
      .#push(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value));
  }

  message(field: number, value: MessageWriter): this {
    this.#push(varint((field << 3) | bytesType)).#push(varint(value.#length));
    for (const part of value.#parts) this.#push(part);
    return this;
  }

  finish(): Uint8Array {
    return Buffer.concat(this.#parts, this.#length);
  }

  #push(bytes: Uint8Array): this {
    this.#parts.push(bytes);
    this.#length += bytes.length;
    return this;
  }
}

function varint(value: number | bigint): Uint8Array {
  // Negative numbers are written as their two's complement of 64 bits.
  let rest = BigInt.asUintN(64, BigInt(value));
  const bytes: number[] = [];
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | 0x80);
  } while (rest !== 0n);
  return Uint8Array.from(bytes);
}

/** A field as it was met: numbers of any kind as `int`, everything else as the `bytes` it stands in. */
export type Field = { field: number; int: bigint; bytes?: never } | { field: number; bytes: Uint8Array; int?: never };

/** Fields that one model may have in all that is read of it: crafted bytes hold millions, each of which costs time and memory. */
const fieldsMax = 200_000;

/** Counts fields, over several messages. */
export class FieldBudget {
  #left = fieldsMax;

  spend(): void {
    this.#left -= 1;
    if (this.#left < 0)
      throw new StepError('ML_INVALID_MODEL', `the model has more than the ${fieldsMax} fields that are read of one`);
  }
}

/** The fields of a message, in their order. @throws StepError ML_INVALID_MODEL where the bytes are no message, or have too many fields */
export function* readFields(message: Uint8Array, budget = new FieldBudget()): Generator<Field> {
  let at = 0;
  const broken = (): StepError =>
    new StepError('ML_INVALID_MODEL', `the bytes are no ONNX model: they are broken at byte ${at} of a message`);
  const number = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = message[at++];
      if (byte === undefined) throw broken();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(64, value);
    }
    throw broken();
  };
  const take = (length: number): Uint8Array => {
    if (length < 0 || at + length > message.length) throw broken();
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const key = Number(number());
    const field = key >>> 3;
    const type = key & 7;
    if (field === 0) throw broken();
    budget.spend();
    if (type === varintType) yield { field, int: number() };
    else if (type === bytesType) yield { field, bytes: take(Number(number())) };
    else if (type === fixed32Type) yield { field, bytes: take(4) };
    else if (type === fixed64Type) yield { field, bytes: take(8) };
    else throw broken();
  }
}
