import { Writer } from '../../../../src/adapters/wasm/meter/writer.ts';
import type { FunctionType, ValueType } from '../../../../src/adapters/wasm/types.ts';
import type { Constant } from './archive.ts';

export type Bits = number | bigint | object | null;
type Call = (...args: Bits[]) => Bits | Bits[] | undefined;

const bytesOf: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
  funcref: 0x70,
  externref: 0x6f,
};

/** What crosses instead of a value: JavaScript may change the bits of a NaN, and has no vectors. */
const carriers: Readonly<Record<ValueType, readonly ValueType[]>> = {
  i32: ['i32'],
  i64: ['i64'],
  f32: ['i32'],
  f64: ['i64'],
  v128: ['i64', 'i64'],
  funcref: ['funcref'],
  externref: ['externref'],
};

const bridges = new Map<string, WebAssembly.Module>();

/** The function, called by bits: floats as whole numbers, a vector as two. */
export function bridged(target: WebAssembly.ExportValue, type: FunctionType): (args: Bits[]) => Bits[] {
  const key = `${type.params.join()}>${type.results.join()}`;
  const module = bridges.get(key) ?? new WebAssembly.Module(moduleOf(type) as Uint8Array<ArrayBuffer>);
  bridges.set(key, module);
  const { exports } = new WebAssembly.Instance(module, { '': { f: target as WebAssembly.ImportValue } });
  const call = exports.f as unknown as Call;
  return (args) => {
    const given = call(...args);
    return Array.isArray(given) ? given : given === undefined ? [] : [given];
  };
}

function moduleOf({ params, results }: FunctionType): Uint8Array {
  const out = new Writer().byte(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  const section = (id: number, write: (to: Writer) => void): void => {
    const content = new Writer();
    write(content);
    out.byte(id).u32(content.length).raw(content.done());
  };
  const list = (to: Writer, types: readonly ValueType[]): void =>
    void to.u32(types.length).byte(...types.map((type) => bytesOf[type]));
  const carried = (types: readonly ValueType[]): ValueType[] => types.flatMap((type) => carriers[type]);
  section(1, (to) => {
    to.byte(2, 0x60);
    list(to, params);
    list(to, results);
    to.byte(0x60);
    list(to, carried(params));
    list(to, carried(results));
  });
  section(2, (to) => to.byte(1, 0, 1, 0x66, 0, 0));
  section(3, (to) => to.byte(1, 1));
  section(7, (to) => to.byte(1, 1, 0x66, 0, 1));
  section(10, (to) => {
    const body = new Writer().u32(results.length);
    for (const type of results) body.byte(1, bytesOf[type]);
    writeCode(body, params, results);
    to.byte(1).u32(body.length).raw(body.done());
  });
  return out.done();
}

function writeCode(body: Writer, params: readonly ValueType[], results: readonly ValueType[]): void {
  let at = 0;
  const get = (): Writer => body.byte(0x20).u32(at++);
  for (const type of params) {
    get();
    if (type === 'f32') body.byte(0xbe);
    if (type === 'f64') body.byte(0xbf);
    if (type !== 'v128') continue;
    body.byte(0xfd, 18);
    get().byte(0xfd, 30, 1);
  }
  body.byte(0x10, 0);
  const first = at;
  for (let index = results.length - 1; index >= 0; index -= 1) body.byte(0x21).u32(first + index);
  for (const [index, type] of results.entries()) {
    body.byte(0x20).u32(first + index);
    if (type === 'f32') body.byte(0xbc);
    if (type === 'f64') body.byte(0xbd);
    if (type !== 'v128') continue;
    body
      .byte(0xfd, 29, 0, 0x20)
      .u32(first + index)
      .byte(0xfd, 29, 1);
  }
  body.byte(0x0b);
}

const laneBits: Readonly<Record<string, number>> = { i8: 8, i16: 16, i32: 32, i64: 64, f32: 32, f64: 64 };

/** A reference that the scripts know by a number, the same object each time. */
const externals = new Map<string, object>();
function external(number: string): object {
  const found = externals.get(number) ?? { number };
  externals.set(number, found);
  return found;
}

/** An argument as bits. */
export function bitsOf({ type, value, lane_type = '' }: Constant): Bits[] {
  if (Array.isArray(value)) return halves(value, laneBits[lane_type] ?? 64);
  if (type === 'i32' || type === 'f32') return [Number(BigInt.asIntN(32, BigInt(value ?? 0)))];
  if (type === 'i64' || type === 'f64') return [BigInt.asIntN(64, BigInt(value ?? 0))];
  return [value === undefined || value === 'null' ? null : external(value)];
}

function halves(lanes: readonly string[], bits: number): bigint[] {
  let whole = 0n;
  for (const [index, lane] of lanes.entries())
    whole |= BigInt.asUintN(bits, BigInt(lane)) << (BigInt(bits) * BigInt(index));
  return [BigInt.asIntN(64, whole), BigInt.asIntN(64, whole >> 64n)];
}

/** Whether results, as bits, are what a script expects. @param oneNaN where any of several NaNs is allowed, it must be the positive canonical one */
export function expectedAre(expected: readonly Constant[], actual: readonly Bits[], oneNaN: boolean): boolean {
  let at = 0;
  const matches = expected.every((constant) => {
    const count = constant.type === 'v128' || constant.values?.[0]?.type === 'v128' ? 2 : 1;
    const given = actual.slice(at, at + count);
    at += count;
    return expectedIs(constant, given, oneNaN);
  });
  return matches && at === actual.length;
}

function expectedIs(constant: Constant, given: readonly Bits[], oneNaN: boolean): boolean {
  const { type, value, values, lane_type = '' } = constant;
  if (values !== undefined) return values.some((one) => expectedIs(one, given, oneNaN));
  const [first, second] = given;
  if (type === 'funcref' || type === 'externref' || type.startsWith('null') || type === 'refnull') {
    if (value === undefined) return type === 'funcref' || type === 'externref' ? first !== null : first === null;
    return value === 'null' ? first === null : first === external(String(value));
  }
  const bits = laneBits[type === 'v128' ? lane_type : type];
  if (bits === undefined) return false;
  const whole =
    typeof second === 'bigint'
      ? BigInt.asUintN(64, first as bigint) | (BigInt.asUintN(64, second) << 64n)
      : BigInt.asUintN(bits, BigInt(first as number | bigint));
  const lanes = Array.isArray(value) ? value : [value ?? ''];
  return lanes.every((lane, index) => laneIs(lane, BigInt.asUintN(bits, whole >> BigInt(bits * index)), bits, oneNaN));
}

/** @param lane decimal bits, or a kind of NaN. Its quiet bit is set, and in a canonical one no other bit of the payload; rewritten, it has no sign either. */
function laneIs(lane: string, actual: bigint, bits: number, oneNaN: boolean): boolean {
  if (!lane.startsWith('nan:')) return BigInt.asUintN(bits, BigInt(lane)) === actual;
  const quiet = bits === 32 ? 0x7fc0_0000n : 0x7ff8_0000_0000_0000n;
  if (oneNaN) return actual === quiet;
  const unsigned = BigInt.asUintN(bits - 1, actual);
  return lane === 'nan:canonical' ? unsigned === quiet : (unsigned & quiet) === quiet;
}
