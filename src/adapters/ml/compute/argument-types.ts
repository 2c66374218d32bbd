// Whether what a step gives a kernel is of the type that the kernel takes: drivers believe what they are told, and read other bits.
import type { DType } from '../tensor/dtype.ts';

interface ElementType {
  bits: number;
  isFloat: boolean;
}

const integer = (bits: number): ElementType => ({ bits, isFloat: false });
const float = (bits: number): ElementType => ({ bits, isFloat: true });

/** Of C, CUDA, OpenCL C and WGSL: a long has 64 bits. */
const named: Readonly<Record<string, ElementType>> = {
  bool: integer(8),
  char: integer(8),
  uchar: integer(8),
  int8_t: integer(8),
  uint8_t: integer(8),
  short: integer(16),
  ushort: integer(16),
  int16_t: integer(16),
  uint16_t: integer(16),
  int: integer(32),
  uint: integer(32),
  unsigned: integer(32),
  int32_t: integer(32),
  uint32_t: integer(32),
  i32: integer(32),
  u32: integer(32),
  long: integer(64),
  ulong: integer(64),
  int64_t: integer(64),
  uint64_t: integer(64),
  size_t: integer(64),
  half: float(16),
  f16: float(16),
  float: float(32),
  f32: float(32),
  double: float(64),
};

const given: Readonly<Record<Exclude<DType, 'string'>, ElementType>> = {
  bool: integer(8),
  int8: integer(8),
  uint8: integer(8),
  int16: integer(16),
  uint16: integer(16),
  int32: integer(32),
  uint32: integer(32),
  int64: integer(64),
  uint64: integer(64),
  float16: float(16),
  float32: float(32),
  float64: float(64),
};

export interface ParamType {
  isPointer: boolean;
  /** Undefined where only a compiler could tell. */
  element: ElementType | undefined;
  /** Elements of a vector type; 1 of others. */
  width: number;
}

const qualifiers =
  /\b(?:const|volatile|restrict|__restrict(?:__)?|__(?:global|constant|local|private)|global|constant)\b/g;

/** A parameter as C declares it, with or without its name: `const float4 *p`. */
export function paramType(text: string): ParamType {
  const isPointer = /[*[]/.test(text);
  const words = text.replace(qualifiers, ' ').match(/\w+/g) ?? [];
  const type = words
    .join(' ')
    .replace(/\b(?:long long|long)(?: int)?\b/, 'long')
    .replace(/\bunsigned (char|short|int|long)\b/, 'u$1')
    .replace(/\bsigned (char|short|int|long)\b/, '$1')
    .split(' ', 1)[0];
  const [, name = '', width] = /^([a-z]\w*?)(2|3|4|8|16)?$/.exec(type ?? '') ?? [];
  // A name such as int16_t ends in no width.
  const whole = type !== undefined && Object.hasOwn(named, type) ? named[type] : undefined;
  const element = whole ?? (Object.hasOwn(named, name) ? named[name] : undefined);
  return { isPointer, element, width: whole === undefined && width !== undefined ? Number(width) : 1 };
}

/** A scalar or vector type of WGSL, or an array or atomic of one. */
export function wgslElement(text: string): ElementType | undefined {
  const name = /^(?:(?:array|atomic|vec[234])\s*<\s*)*(\w+)/.exec(text.trim())?.[1] ?? '';
  const short = /^vec[234]([fiuh])$/.exec(name)?.[1];
  if (short !== undefined) return short === 'f' ? float(32) : short === 'h' ? float(16) : integer(32);
  return Object.hasOwn(named, name) ? named[name] : undefined;
}

/** Why bits of a type would be taken for others; undefined where they fit, or only a compiler could tell. */
export function mismatch(
  dtype: Exclude<DType, 'string'>,
  isBuffer: boolean,
  element: ElementType | undefined,
): string | undefined {
  if (element === undefined) return undefined;
  const { bits, isFloat } = given[dtype];
  if (bits === element.bits && isFloat === element.isFloat) return undefined;
  // Bytes may be anything.
  if (isBuffer && (dtype === 'uint8' || dtype === 'int8')) return undefined;
  const wanted = `${element.isFloat ? 'float' : 'int'}${element.bits}`;
  return isBuffer
    ? `is of ${dtype}, and the kernel takes ${wanted} there; to pass any bits give them as uint8`
    : `is of ${dtype}, and the kernel takes ${wanted} there`;
}
