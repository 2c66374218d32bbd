import type { ValueType } from '../types.ts';

/** Types of values as they stand in the binary format. */
export const valueBytes: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
  funcref: 0x70,
  externref: 0x6f,
};

export const valueTypes: ReadonlyMap<number, ValueType> = new Map(
  Object.entries(valueBytes).map(([type, byte]) => [byte, type as ValueType]),
);
