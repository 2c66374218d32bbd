import type { Cursor } from './cursor.ts';
import { immediate, instructions, MISC, SIMD } from './instructions.ts';
import { moduleLimits } from './limits.ts';
import { invalid, unsupported } from './refusal.ts';
import { valueTypes } from './value-types.ts';

const { immediates } = instructions;

const rebuild = 'Build it without that feature (for clang and Rust: leave out the target feature).';

/** Says why an opcode that isn't in the tables is refused. */
function refuse(prefix: number, opcode: number, offset: number): Error {
  if (prefix === 0xfe) return unsupported('atomic instructions (threads)', rebuild);
  if (prefix === 0xfb) return unsupported('instructions of garbage collection', rebuild);
  if (prefix === 0xfd && opcode >= 0x100 && opcode <= 0x12f)
    return unsupported('relaxed SIMD, whose results differ between machines', rebuild);
  if (prefix === 0 && [0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f].includes(opcode))
    return unsupported(
      'exception handling',
      'Build it without exceptions (Emscripten: -fno-exceptions; Rust: panic = "abort").',
    );
  if (prefix === 0 && [0x14, 0x15, 0xd3, 0xd4, 0xd5, 0xd6].includes(opcode))
    return unsupported('typed function references', rebuild);
  return invalid(offset, `no instruction has the opcode 0x${(prefix ? prefix * 256 + opcode : opcode).toString(16)}`);
}

/**
 * Reads an opcode, but not what follows it.
 * @returns its place in the tables of `instructions`
 */
export function readOpcode(cursor: Cursor): number {
  const start = cursor.position;
  const byte = cursor.u8();
  if (byte < 0xfb) {
    if (immediates[byte] === immediate.unknown) throw refuse(0, byte, start);
    return byte;
  }
  const opcode = byte === 0xff ? 0 : cursor.u32();
  const base = byte === 0xfc ? MISC : byte === 0xfd ? SIMD : 0;
  if (base === 0 || opcode > 0xff || immediates[base + opcode] === immediate.unknown) throw refuse(byte, opcode, start);
  return base + opcode;
}

export function multipleMemories(): Error {
  return unsupported('more than one memory', 'Build it with a single memory.');
}

function readMemory(cursor: Cursor): void {
  const start = cursor.position;
  const align = cursor.u32();
  if (align >= 0x40 && align < 0x80) throw multipleMemories();
  if (align > 4) throw invalid(start, 'an access to memory has an alignment above 16 bytes');
  cursor.u32();
}

function readMemoryIndex(cursor: Cursor): void {
  if (cursor.u8() !== 0) throw multipleMemories();
}

/**
 * Reads what follows an opcode and passes over it.
 * @returns the index, where there is one (of a local, a function, a label, …), the first of two; the form of a block; else 0
 */
export function readImmediate(cursor: Cursor, opcode: number): number {
  switch (immediates[opcode]) {
    case immediate.none:
      return 0;
    case immediate.index:
      return cursor.u32();
    case immediate.memory:
      readMemory(cursor);
      return 0;
    case immediate.i32:
      cursor.skipSigned(32);
      return 0;
    case immediate.i64:
      cursor.skipSigned(64);
      return 0;
    case immediate.block:
      return readBlockForm(cursor);
    default:
      return readRareImmediate(cursor, opcode);
  }
}

/** No type, that of one value, or the index of a type. Others are longer than they look: what follows would be read as code that it isn't. */
function readBlockForm(cursor: Cursor): number {
  const start = cursor.position;
  const form = cursor.s33();
  if (form >= 0) return form;
  const type = form + 0x80;
  if (cursor.position - start === 1 && (type === 0x40 || valueTypes.has(type))) return form;
  if (type >= 0x63 && type <= 0x7a) throw unsupported('references beyond funcref and externref', rebuild);
  throw invalid(start, 'a block is of no known type');
}

function readRareImmediate(cursor: Cursor, opcode: number): number {
  switch (immediates[opcode]) {
    case immediate.bytes4:
      cursor.skip(4);
      return 0;
    case immediate.bytes8:
      cursor.skip(8);
      return 0;
    case immediate.bytes16:
      cursor.skip(16);
      return 0;
    case immediate.lane:
      return cursor.u8();
    case immediate.memoryLane:
      readMemory(cursor);
      return cursor.u8();
    case immediate.memoryIndex:
      readMemoryIndex(cursor);
      return 0;
    case immediate.twoMemoryIndexes:
      readMemoryIndex(cursor);
      readMemoryIndex(cursor);
      return 0;
    case immediate.indexAndMemory: {
      const index = cursor.u32();
      readMemoryIndex(cursor);
      return index;
    }
    case immediate.twoIndexes: {
      const index = cursor.u32();
      cursor.u32();
      return index;
    }
    case immediate.branchTable:
      for (let left = cursor.count(moduleLimits.branchTargets, 1, 'targets of a branch'); left >= 0; left--)
        cursor.u32();
      return 0;
    case immediate.types:
      return readSelectTypes(cursor);
    case immediate.heapType:
      readHeapType(cursor);
      return 0;
    default:
      throw invalid(cursor.position, 'an instruction is unknown');
  }
}

function readSelectTypes(cursor: Cursor): number {
  const start = cursor.position;
  if (cursor.u32() !== 1) throw invalid(start, 'a select must have one type');
  const type = cursor.u8();
  if (valueTypes.has(type)) return type;
  throw invalid(start, `0x${type.toString(16)} is not a type of a value`);
}

function readHeapType(cursor: Cursor): void {
  const start = cursor.position;
  const type = cursor.u8();
  if (type === 0x70 || type === 0x6f) return;
  if (type < 0x40 || type > 0x60) throw unsupported('references beyond funcref and externref', rebuild);
  throw invalid(start, `0x${type.toString(16)} is not a type of a reference`);
}
