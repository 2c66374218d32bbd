import { StepError } from '../../../lib/errors.ts';
import type { JSONValue } from '../../../lib/json.ts';
import { type Machine, slice, unsigned } from './machine.ts';
import { mismatch } from './mismatch.ts';
import { fromWasm, type WasmNumber } from './numbers.ts';
import { checkSize, copied, type Outcome } from './outcome.ts';
import { type NumberType, type SignatureType, typeText } from './signature.ts';

// AssemblyScript's objects (its runtime, `std/assembly/shared/typeinfo.ts` and `rt/common.ts`): the class id stands 8 bytes before an
// object, its size in bytes 4 before; the run-time type information is a count and one word of flags for each class.
const idOffset = 8;
const sizeOffset = 4;
const classesMax = 65_536;

const arrayBufferView = 1 << 0;
const arrayFlag = 1 << 1;
const staticArray = 1 << 2;
const valueAlign = [1 << 6, 1 << 7, 1 << 8, 1 << 9] as const;
const valueSigned = 1 << 11;
const valueFloat = 1 << 12;
const valueManaged = 1 << 14;
/** All that says what the elements are. */
const valueMask = (0x1f << 6) | valueSigned | valueFloat | valueManaged;

type ElementType = Exclude<NumberType, 'bool'>;
const alignOf: Readonly<Record<ElementType, 0 | 1 | 2 | 3>> = {
  i8: 0,
  u8: 0,
  i16: 1,
  u16: 1,
  i32: 2,
  u32: 2,
  f32: 2,
  i64: 3,
  u64: 3,
  f64: 3,
};

/** A list's elements, as they stand in memory. */
export class ListType {
  readonly size: number;
  readonly #type: ElementType;

  constructor(type: NumberType) {
    this.#type = type === 'bool' ? 'u8' : type;
    this.size = 1 << alignOf[this.#type];
  }

  /** The flags that a class of such elements has. */
  get flags(): number {
    const signed = this.#type.startsWith('i') || this.#type.startsWith('f');
    return valueAlign[alignOf[this.#type]] | (signed ? valueSigned : 0) | (this.#type.startsWith('f') ? valueFloat : 0);
  }

  bytesOf(values: readonly WasmNumber[]): Uint8Array {
    const bytes = new Uint8Array(values.length * this.size);
    const view = new DataView(bytes.buffer);
    values.forEach((value, index) => {
      const at = index * this.size;
      if (typeof value === 'bigint') view.setBigInt64(at, value, true);
      else if (this.#type === 'f32') view.setFloat32(at, value, true);
      else if (this.#type === 'f64') view.setFloat64(at, value, true);
      else if (this.size === 1) view.setInt8(at, value);
      else if (this.size === 2) view.setInt16(at, value, true);
      else view.setInt32(at, value, true);
    });
    return bytes;
  }

  valuesOf(bytes: Uint8Array): WasmNumber[] {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Array.from({ length: Math.floor(bytes.length / this.size) }, (_, index) => {
      const at = index * this.size;
      if (this.#type === 'f32') return view.getFloat32(at, true);
      if (this.#type === 'f64') return view.getFloat64(at, true);
      if (this.size === 8) return view.getBigInt64(at, true);
      if (this.size === 4) return view.getInt32(at, true);
      return this.size === 2 ? view.getInt16(at, true) : view.getInt8(at);
    });
  }
}

/** Memory that values of a list take in JSON and in a process, roughly. */
const elementBytes = 16;

/** The id of a class with that form and those elements, if the module has one. */
export function listClass(machine: Machine, { of, form }: SignatureType & { kind: 'list' }): number | undefined {
  const flags = classFlags(machine);
  const kind = form === 'typed' ? arrayBufferView : form === 'array' ? arrayFlag : staticArray;
  const wanted = new ListType(of).flags;
  const id = flags.findIndex(
    (own) => (own & (arrayBufferView | arrayFlag | staticArray)) === kind && (own & valueMask) === wanted,
  );
  return id < 0 ? undefined : id;
}

function classFlags(machine: Machine): number[] {
  const base = machine.global('__rtti_base');
  if (base === undefined) throw mismatch('the module exports no __rtti_base; build it with --exportRuntime');
  const at = unsigned(base);
  const count = wordAt(machine, at);
  if (count > classesMax)
    throw new StepError('RESULT_INVALID', `the module states ${count} classes, more than ${classesMax}`);
  return Array.from({ length: count }, (_, index) => wordAt(machine, at + 4 + index * 4));
}

function wordAt(machine: Machine, at: number): number {
  const bytes = slice(machine, at, 4, 'a part of an object');
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}

/** A result that is a pointer to an object of the runtime. @throws StepError RESULT_INVALID where it is none of that type */
export function readManaged(machine: Machine, pointer: number, stated: SignatureType, bytesMax: number): Outcome {
  if (pointer === 0) return { kind: 'value', value: null };
  if (pointer < idOffset) throw notObject(pointer, stated);
  const size = wordAt(machine, pointer - sizeOffset);
  const id = wordAt(machine, pointer - idOffset);
  const content = (): Uint8Array => slice(machine, pointer, size, 'the result');
  checkSize(size, bytesMax);
  switch (stated.kind) {
    case 'string':
    case 'json': {
      if (id !== 2 || size % 2 !== 0) throw notObject(pointer, stated);
      const text = Buffer.from(content()).toString('utf16le');
      if (!text.isWellFormed())
        throw new StepError('RESULT_INVALID', 'the text of the result has a lone surrogate, which JSON can not carry');
      return stated.kind === 'string' ? { kind: 'value', value: text } : { kind: 'text', text };
    }
    case 'bytes': {
      // Most functions of bytes give a Uint8Array, which is a view of an ArrayBuffer.
      const flags = id === 1 ? 0 : (classFlags(machine)[id] ?? 0);
      if (id !== 1 && (flags & arrayBufferView) === 0) throw notObject(pointer, stated);
      const bytes = id === 1 ? content() : viewed(machine, pointer, size, 12, stated);
      return { kind: 'bytes', bytes: copied(bytes, bytesMax) };
    }
    case 'list':
      return { kind: 'value', value: list(machine, pointer, size, id, stated, bytesMax) };
    default:
      throw notObject(pointer, stated);
  }
}

function list(
  machine: Machine,
  pointer: number,
  size: number,
  id: number,
  stated: SignatureType & { kind: 'list' },
  bytesMax: number,
): JSONValue {
  const own = classFlags(machine)[id] ?? 0;
  const kind = stated.form === 'typed' ? arrayBufferView : stated.form === 'array' ? arrayFlag : staticArray;
  const type = new ListType(stated.of);
  if ((own & kind) === 0 || (own & valueMask) !== type.flags) throw notObject(pointer, stated);
  const bytes =
    stated.form === 'static'
      ? slice(machine, pointer, size, 'the result')
      : viewed(machine, pointer, size, stated.form === 'typed' ? 12 : 16, stated);
  checkSize((bytes.length / type.size) * elementBytes, bytesMax);
  return type.valuesOf(bytes).map((value) => fromWasm(value, stated.of));
}

/** What a typed array or an array shows of its buffer. */
function viewed(machine: Machine, pointer: number, size: number, sizeMin: number, stated: SignatureType): Uint8Array {
  if (size < sizeMin) throw notObject(pointer, stated);
  const start = wordAt(machine, pointer + 4);
  const length =
    sizeMin === 16 && stated.kind === 'list'
      ? wordAt(machine, pointer + 12) * new ListType(stated.of).size
      : wordAt(machine, pointer + 8);
  return slice(machine, start, length, 'the result');
}

const notObject = (pointer: number, stated: SignatureType): StepError =>
  new StepError(
    'RESULT_INVALID',
    `the result, ${pointer}, points to no ${typeText(stated)} of AssemblyScript; correct the signature`,
  );
