import { Writer } from '../../../src/adapters/wasm/meter/writer.ts';

// Makes up valid modules, each in two forms: as it is, and with a counter before every instruction and every NaN of arithmetic made canonical at
// once. The second is what the rewriter's work must be equal to, found in the most simple way.

type Type = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';
type Op = {
  code: readonly number[];
  takes: readonly Type[];
  gives: Type;
  arithmetic?: 'f32' | 'f64' | 'f32x4' | 'f64x2';
};

const typeBytes: Readonly<Record<Type, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const scalars: readonly Type[] = ['i32', 'i64', 'f32', 'f64'];
const everyType: readonly Type[] = [...scalars, 'v128'];

const ops: Op[] = [];

function add(first: number, last: number, takes: Type[], gives: Type, arithmetic?: Op['arithmetic']): void {
  for (let code = first; code <= last; code += 1)
    ops.push({ code: [code], takes, gives, ...(arithmetic && { arithmetic }) });
}

function addPrefixed(prefix: number, codes: number[], takes: Type[], gives: Type, arithmetic?: Op['arithmetic']): void {
  for (const code of codes)
    ops.push({
      code: [prefix, ...(code < 128 ? [code] : [code | 0x80, 1])],
      takes,
      gives,
      ...(arithmetic && { arithmetic }),
    });
}

const simd = (codes: number[], takes: Type[], gives: Type, arithmetic?: Op['arithmetic']): void =>
  addPrefixed(0xfd, codes, takes, gives, arithmetic);

for (const [type, eqz, compare, count, binary, extend] of [
  ['i32', 0x45, [0x46, 0x4f], [0x67, 0x69], [0x6a, 0x78], [0xc0, 0xc1]],
  ['i64', 0x50, [0x51, 0x5a], [0x79, 0x7b], [0x7c, 0x8a], [0xc2, 0xc4]],
] as const) {
  add(eqz, eqz, [type], 'i32');
  add(compare[0], compare[1], [type, type], 'i32');
  add(count[0], count[1], [type], type);
  add(binary[0], binary[1], [type, type], type);
  add(extend[0], extend[1], [type], type);
}
for (const [type, compare, base] of [
  ['f32', 0x5b, 0x8b],
  ['f64', 0x61, 0x99],
] as const) {
  add(compare, compare + 5, [type, type], 'i32');
  add(base, base + 1, [type], type);
  add(base + 2, base + 6, [type], type, type);
  add(base + 7, base + 12, [type, type], type, type);
  add(base + 13, base + 13, [type, type], type);
}
add(0xa7, 0xa7, ['i64'], 'i32');
add(0xa8, 0xa9, ['f32'], 'i32');
add(0xaa, 0xab, ['f64'], 'i32');
add(0xac, 0xad, ['i32'], 'i64');
add(0xae, 0xaf, ['f32'], 'i64');
add(0xb0, 0xb1, ['f64'], 'i64');
add(0xb2, 0xb3, ['i32'], 'f32');
add(0xb4, 0xb5, ['i64'], 'f32');
add(0xb6, 0xb6, ['f64'], 'f32', 'f32');
add(0xb7, 0xb8, ['i32'], 'f64');
add(0xb9, 0xba, ['i64'], 'f64');
add(0xbb, 0xbb, ['f32'], 'f64', 'f64');
add(0xbc, 0xbc, ['f32'], 'i32');
add(0xbd, 0xbd, ['f64'], 'i64');
add(0xbe, 0xbe, ['i32'], 'f32');
add(0xbf, 0xbf, ['i64'], 'f64');
addPrefixed(0xfc, [0, 1], ['f32'], 'i32');
addPrefixed(0xfc, [2, 3], ['f64'], 'i32');
addPrefixed(0xfc, [4, 5], ['f32'], 'i64');
addPrefixed(0xfc, [6, 7], ['f64'], 'i64');
simd([15, 16, 17], ['i32'], 'v128');
simd([18], ['i64'], 'v128');
simd([19], ['f32'], 'v128');
simd([20], ['f64'], 'v128');
simd([65, 66, 69, 71, 73, 76, 78, 79, 80, 81, 110, 142, 174, 206, 234, 235, 246, 247], ['v128', 'v128'], 'v128');
simd([77, 224, 225, 236, 237, 248, 249, 250, 251, 252, 253, 254, 255], ['v128'], 'v128');
simd([82], ['v128', 'v128', 'v128'], 'v128');
simd([83, 99], ['v128'], 'i32');
simd([94, 103, 104, 105, 106, 227], ['v128'], 'v128', 'f32x4');
simd([95, 116, 117, 122, 148, 239], ['v128'], 'v128', 'f64x2');
simd([228, 229, 230, 231, 232, 233], ['v128', 'v128'], 'v128', 'f32x4');
simd([240, 241, 242, 243, 244, 245], ['v128', 'v128'], 'v128', 'f64x2');
for (const [code, gives] of [
  [27, 'i32'],
  [29, 'i64'],
  [31, 'f32'],
  [33, 'f64'],
] as const)
  ops.push(
    { code: [0xfd, code, 1], takes: ['v128'], gives },
    { code: [0xfd, code + 1, 0], takes: ['v128', gives], gives: 'v128' },
  );

const opsOf = new Map(everyType.map((type) => [type, ops.filter(({ gives }) => gives === type)]));
/** Instructions that show the bits of one operand. */
const lookers: Readonly<Record<Exclude<Type, 'v128'>, { from: Type; codes: readonly (readonly number[])[] }>> = {
  i32: { from: 'f32', codes: [[0xbc]] },
  i64: { from: 'f64', codes: [[0xbd]] },
  f32: {
    from: 'v128',
    codes: [
      [0xfd, 31, 0],
      [0xfd, 31, 3],
    ],
  },
  f64: { from: 'f64', codes: [[0x99], [0x9a]] },
};
const loads: Readonly<Record<Type, readonly (readonly number[])[]>> = {
  i32: [[0x28], [0x2c], [0x2f]],
  i64: [[0x29], [0x30], [0x35]],
  f32: [[0x2a]],
  f64: [[0x2b]],
  v128: [
    [0xfd, 0],
    [0xfd, 9],
  ],
};
const stores: Readonly<Record<Type, readonly number[]>> = {
  i32: [0x36],
  i64: [0x37],
  f32: [0x38],
  f64: [0x39],
  v128: [0xfd, 11],
};
const canonical = {
  f32: { type: 'f32', bits: [0x43, 0, 0, 0xc0, 0x7f], equal: [0x5b], choose: [0x1b] },
  f64: { type: 'f64', bits: [0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f], equal: [0x61], choose: [0x1b] },
  f32x4: {
    type: 'v128',
    bits: [0xfd, 12, ...Array.from({ length: 4 }, () => [0, 0, 0xc0, 0x7f]).flat()],
    equal: [0xfd, 65],
    choose: [0xfd, 82],
  },
  f64x2: {
    type: 'v128',
    bits: [0xfd, 12, ...Array.from({ length: 2 }, () => [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]).flat()],
    equal: [0xfd, 71],
    choose: [0xfd, 82],
  },
} as const;

interface Signature {
  params: Type[];
  results: Type[];
}

export interface Program {
  plain: Uint8Array<ArrayBuffer>;
  /** With what `counter`, an exported i64, counts. */
  oracle: Uint8Array<ArrayBuffer>;
  functions: Signature[];
}

/** Numbers that follow from a seed: xorshift, good enough to choose. */
class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = (seed ^ 0x9e37_79b9) | 1;
  }
  next(below: number): number {
    let x = this.#state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#state = x;
    return (x >>> 0) % below;
  }
  chance(percent: number): boolean {
    return this.next(100) < percent;
  }
  of<T>(items: readonly T[]): T {
    return items[this.next(items.length)] as T;
  }
}

const imported = 1;
/** Globals: one of each type, then the counter, in the oracle alone. */
const counter = everyType.length;

/** One function: what it emits goes to both forms. */
class Body {
  readonly plain = new Writer();
  readonly oracle = new Writer();
  readonly #random: Random;
  readonly #index: number;
  readonly #all: readonly Signature[];
  readonly #locals: Type[];
  /** Locals for counters of loops and, in the oracle, for what it puts aside. */
  readonly #aside: number;
  /** What each open block gives; `other`: nothing branches to it from within. */
  readonly #labels: (Type | 'other' | undefined)[] = [];
  #loops = 0;
  #calls = 0;
  #budget: number;

  constructor(random: Random, index: number, all: readonly Signature[], size: number) {
    this.#random = random;
    this.#index = index;
    this.#all = all;
    this.#budget = size;
    this.#locals = [...this.#signature.params, ...everyType, ...everyType];
    this.#aside = this.#locals.length;
    for (const out of [this.plain, this.oracle]) {
      const declared: Type[] = [...everyType, ...everyType, 'i32', 'i32', 'i32', 'f32', 'f64', 'v128'];
      out.u32(declared.length);
      for (const type of declared) out.byte(1, typeBytes[type]);
    }
    this.#write();
  }

  get #signature(): Signature {
    return this.#all[this.#index] as Signature;
  }

  #write(): void {
    const count = 2 + this.#random.next(6);
    for (let each = 0; each < count; each += 1) this.#statement(3);
    // What floats hold to the bit is seen in memory.
    for (const [local, type] of this.#locals.entries())
      if (type !== 'i32' && type !== 'i64') {
        this.#i32(1024 + this.#index * 512 + local * 16);
        this.#get(local);
        this.#op([...stores[type], 0, 0]);
      }
    const [result] = this.#signature.results;
    const last = this.#random.next(10);
    if (last === 0 && this.#tailCall()) return this.#structure(0x0b);
    for (const type of this.#signature.results) this.#value(type, 2);
    if (result !== undefined && last === 1) this.#op([0x0f]);
    this.#structure(0x0b);
  }

  /** An instruction that costs. */
  #op(code: readonly number[], arithmetic?: Op['arithmetic']): void {
    this.#count();
    for (const out of [this.plain, this.oracle]) out.byte(...code);
    if (arithmetic === undefined) return;
    const { type, bits, equal, choose } = canonical[arithmetic];
    const local = this.#aside + 3 + ['f32', 'f64', 'v128'].indexOf(type);
    const { oracle } = this;
    oracle
      .byte(0x22)
      .u32(local)
      .byte(...bits)
      .byte(0x20)
      .u32(local)
      .byte(0x20)
      .u32(local)
      .byte(...equal, ...choose);
  }

  /** One that only says where code begins and ends. */
  #structure(...code: number[]): void {
    for (const out of [this.plain, this.oracle]) out.byte(...code);
  }

  #count(): void {
    this.oracle.byte(0x23).u32(counter).byte(0x42, 1, 0x7c, 0x24).u32(counter);
  }

  /** Counts by the length that is on top of the stack, as bulk operations are paid. */
  #countLength(shift: number, left: boolean): void {
    const local = this.#aside + 2;
    this.oracle.byte(0x22).u32(local).byte(0x23).u32(counter).byte(0x20).u32(local);
    this.oracle.byte(0xad, 0x42, shift, left ? 0x86 : 0x88, 0x7c, 0x24).u32(counter);
  }

  #i32(value: number): void {
    this.#op([0x41, ...new Writer().s32(value).done()]);
  }

  #get(local: number): void {
    this.#op([0x20, ...new Writer().u32(local).done()]);
  }

  #local(type: Type): number {
    const all = this.#locals.flatMap((is, index) => (is === type ? [index] : []));
    return this.#random.of(all);
  }

  #constant(type: Type): void {
    const random = this.#random;
    if (type === 'i32') return this.#i32(random.chance(60) ? random.next(200) - 100 : random.next(2 ** 32) | 0);
    if (type === 'i64')
      return this.#op([
        0x42,
        ...new Writer().s32(random.chance(60) ? random.next(9) - 4 : random.next(2 ** 32) | 0).done(),
      ]);
    const bytes = Buffer.alloc(16);
    const odd = [
      0,
      -0,
      1,
      -1.5,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      1e30,
      2 ** 31,
      -(2 ** 63),
      1e-40,
    ];
    if (type === 'v128') {
      for (let at = 0; at < 16; at += 4) bytes.writeFloatLE(random.of(odd), at);
      if (random.chance(30)) for (let at = 0; at < 16; at += 1) bytes[at] = random.next(256);
      return this.#op([0xfd, 12, ...bytes]);
    }
    const width = type === 'f32' ? 4 : 8;
    if (type === 'f32') bytes.writeFloatLE(random.of(odd));
    else bytes.writeDoubleLE(random.of(odd));
    // NaNs of other bits, which must stay as they are where they are only moved.
    if (random.chance(25)) {
      for (let at = 0; at < width; at += 1) bytes[at] = random.next(256);
      bytes[width - 1] = random.chance(50) ? 0xff : 0x7f;
      bytes[width - 2] = (bytes[width - 2] ?? 0) | 0xf0;
    }
    this.#op([type === 'f32' ? 0x43 : 0x44, ...bytes.subarray(0, width)]);
  }

  /** Pushes a value. */
  #value(type: Type, depth: number): void {
    const random = this.#random;
    this.#budget -= 1;
    const kind = depth <= 0 || this.#budget <= 0 ? random.next(3) : random.next(20);
    if (kind === 0) return this.#constant(type);
    if (kind <= 2) return random.chance(80) ? this.#get(this.#local(type)) : this.#op([0x23, everyType.indexOf(type)]);
    if (kind === 3) {
      this.#value(type, depth - 1);
      return this.#op([0x22, ...new Writer().u32(this.#local(type)).done()]);
    }
    if (kind === 4) return this.#load(type, depth);
    if (kind === 5) return this.#choice(type, depth);
    if (kind === 6) return this.#block(type, depth);
    if (kind === 7) {
      this.#value(type, depth - 1);
      this.#value(type, depth - 1);
      this.#value('i32', depth - 1);
      return this.#op(type === 'v128' || random.chance(30) ? [0x1c, 1, typeBytes[type]] : [0x1b]);
    }
    if (kind === 8 && this.#call(type, depth)) return;
    if (kind === 9 && type === 'i32') return this.#oddValue(depth);
    if (kind <= 11 && kind >= 10 && type !== 'v128') return this.#bitsOfResult(type, depth);
    const op = random.of(opsOf.get(type) ?? []);
    for (const taken of op.takes) this.#value(taken, depth - 1);
    this.#op(op.code, op.arithmetic);
  }

  /** A result of arithmetic that goes at once to what sees its bits, or its sign. */
  #bitsOfResult(type: Exclude<Type, 'v128'>, depth: number): void {
    const { from, codes } = lookers[type];
    const op = this.#random.of((opsOf.get(from) ?? []).filter(({ arithmetic }) => arithmetic !== undefined));
    for (const taken of op.takes) this.#value(taken, depth - 1);
    this.#op(op.code, op.arithmetic);
    this.#op(this.#random.of(codes));
  }

  #oddValue(depth: number): void {
    const random = this.#random;
    if (random.chance(40)) return this.#op([0x3f, 0]);
    if (random.chance(50)) {
      this.#value('i32', depth - 1);
      this.#op([0x10, 0]);
      return;
    }
    this.#i32(random.of([0, 1, 1, 3_000]));
    this.#countLength(6, true);
    this.#op([0x40, 0]);
  }

  #address(depth: number): void {
    this.#value('i32', depth - 1);
    if (this.#random.chance(3)) return;
    this.#i32(0xfff);
    this.#op([0x71]);
  }

  #load(type: Type, depth: number): void {
    this.#address(depth);
    this.#op([...this.#random.of(loads[type]), 0, this.#random.next(100)]);
  }

  #choice(type: Type | undefined, depth: number): void {
    this.#value('i32', depth - 1);
    this.#count();
    this.#structure(0x04, type === undefined ? 0x40 : typeBytes[type]);
    this.#labels.push(type);
    this.#arm(type, depth);
    if (type !== undefined || this.#random.chance(60)) {
      this.#structure(0x05);
      this.#arm(type, depth);
    }
    this.#labels.pop();
    this.#structure(0x0b);
  }

  #block(type: Type | undefined, depth: number): void {
    this.#structure(0x02, type === undefined ? 0x40 : typeBytes[type]);
    this.#labels.push(type);
    this.#arm(type, depth);
    this.#labels.pop();
    this.#structure(0x0b);
  }

  #arm(type: Type | undefined, depth: number): void {
    for (let left = this.#random.next(3); left > 0; left -= 1) this.#statement(depth - 1);
    if (type !== undefined) this.#value(type, depth - 1);
    if (this.#random.chance(25)) this.#leave(type, depth);
  }

  /** A branch out of blocks, with the value of the arm on the stack, if it has one. */
  #leave(type: Type | undefined, depth: number): void {
    const labels = this.#labels.flatMap((is, index) => (is === type ? [this.#labels.length - 1 - index] : []));
    if (labels.length === 0) return;
    const random = this.#random;
    const form = random.next(4);
    if (form > 0) this.#value('i32', depth - 1);
    if (form === 0) {
      this.#op([0x0c, random.of(labels)]);
      // Code behind it can't be reached: it costs nothing, and the rewriter must read over it.
      if (type !== undefined || !random.chance(30)) return;
      for (const out of [this.plain, this.oracle]) out.byte(0x41, 1, 0x1a, 0x02, 0x40, 0x01, 0x0b);
    } else if (form === 1) {
      this.#op([0x0d, random.of(labels)]);
      // Where it is not taken, the block goes on, with the value below.
      if (random.chance(60)) this.#statement(depth - 1);
    } else {
      const targets = Array.from({ length: 1 + random.next(3) }, () => random.of(labels));
      this.#op([0x0e, targets.length - 1, ...targets]);
    }
  }

  #loop(depth: number): void {
    const local = this.#aside + this.#loops;
    this.#loops += 1;
    this.#i32(1 + this.#random.next(4));
    this.#op([0x21, ...new Writer().u32(local).done()]);
    this.#structure(0x03, 0x40);
    // Nothing branches to it but its own end.
    this.#labels.push('other');
    for (let left = 1 + this.#random.next(2); left > 0; left -= 1) this.#statement(depth - 1);
    this.#labels.pop();
    this.#get(local);
    this.#i32(1);
    this.#op([0x6b]);
    this.#op([0x22, ...new Writer().u32(local).done()]);
    this.#op([0x0d, 0]);
    this.#structure(0x0b);
    this.#loops -= 1;
  }

  /** @returns whether there was one to call: only those before it, so that it ends */
  #call(type: Type | undefined, depth: number): boolean {
    if (this.#calls >= 3 || this.#loops > 1) return false;
    const fitting = this.#all
      .slice(0, this.#index)
      .flatMap(({ results }, index) =>
        results.length === (type === undefined ? 0 : 1) && results[0] === type ? [index] : [],
      );
    if (fitting.length === 0) return false;
    this.#calls += 1;
    const target = this.#random.of(fitting);
    for (const param of this.#all[target]?.params ?? []) this.#value(param, depth - 1);
    if (this.#random.chance(60)) this.#op([0x10, target + imported]);
    else {
      this.#i32(this.#random.chance(5) ? 99 : target);
      this.#op([0x11, ...new Writer().u32(target + 1).done(), 0]);
    }
    return true;
  }

  #tailCall(): boolean {
    const { results } = this.#signature;
    const same = (other: Signature): boolean => other.results.join() === results.join();
    const fitting = this.#all.slice(0, this.#index).flatMap((other, index) => (same(other) ? [index] : []));
    if (fitting.length === 0) return false;
    const target = this.#random.of(fitting);
    for (const param of this.#all[target]?.params ?? []) this.#value(param, 1);
    this.#op([0x12, target + imported]);
    return true;
  }

  #statement(depth: number): void {
    const random = this.#random;
    if (this.#budget <= 0) return;
    const kind = random.next(depth <= 0 ? 4 : 12);
    const type = random.of(everyType);
    if (kind <= 1) {
      this.#value(type, depth);
      return this.#op([0x21, ...new Writer().u32(this.#local(type)).done()]);
    }
    if (kind === 2) {
      this.#value(type, depth);
      return random.chance(50) ? this.#op([0x1a]) : this.#op([0x24, everyType.indexOf(type)]);
    }
    if (kind === 3 || kind === 4) {
      this.#address(depth);
      this.#value(type, depth);
      return this.#op([...stores[type], 0, random.next(100)]);
    }
    if (kind <= 6) return this.#choice(undefined, depth);
    if (kind === 7) return this.#block(undefined, depth);
    if (kind === 8 && this.#loops < 2) return this.#loop(depth);
    if (kind === 9 && this.#call(undefined, depth)) return;
    if (kind === 10) return this.#bulk(depth);
    if (kind === 11 && random.chance(30)) return this.#endEarly(depth);
    if (kind === 11 && random.chance(50)) {
      const labels = this.#labels.flatMap((is, index) => (is === undefined ? [this.#labels.length - 1 - index] : []));
      if (labels.length > 0) {
        this.#value('i32', depth - 1);
        this.#op([0x0d, random.of(labels)]);
        return this.#statement(depth - 1);
      }
    }
    this.#op([0x01]);
  }

  #bulk(depth: number): void {
    const copies = this.#random.chance(50);
    this.#address(depth);
    if (copies) this.#address(depth);
    else this.#value('i32', depth - 1);
    this.#address(depth);
    this.#countLength(6, false);
    this.#op(copies ? [0xfc, 10, 0, 0] : [0xfc, 11, 0]);
  }

  #endEarly(depth: number): void {
    this.#value('i32', depth - 1);
    this.#count();
    this.#structure(0x04, 0x40);
    this.#labels.push('other');
    if (this.#random.chance(15)) this.#op([0x00]);
    else {
      for (const type of this.#signature.results) this.#value(type, 1);
      this.#op([0x0f]);
    }
    this.#labels.pop();
    this.#structure(0x0b);
  }
}

/** @param size about how many values each function has */
export function programOf(seed: number, size: number): Program {
  const random = new Random(seed);
  const some = (below: number): Type[] => Array.from({ length: random.next(below) }, () => random.of(scalars));
  const functions = Array.from(
    { length: 3 + random.next(8) },
    (): Signature => ({ params: some(4), results: some(3) }),
  );
  const bodies = functions.map((_, index) => new Body(random, index, functions, size));
  return {
    functions,
    plain: moduleOf(
      functions,
      bodies.map(({ plain }) => plain.done()),
      false,
    ),
    oracle: moduleOf(
      functions,
      bodies.map(({ oracle }) => oracle.done()),
      true,
    ),
  };
}

function moduleOf(
  functions: readonly Signature[],
  bodies: readonly Uint8Array[],
  counts: boolean,
): Uint8Array<ArrayBuffer> {
  const out = new Writer().byte(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  const section = (id: number, count: number, write: (to: Writer) => void): void => {
    const content = new Writer().u32(count);
    write(content);
    out.byte(id).u32(content.length).raw(content.done());
  };
  const types = (to: Writer, list: readonly Type[]): void =>
    void to.u32(list.length).byte(...list.map((type) => typeBytes[type]));
  const all: Signature[] = [{ params: ['i32'], results: ['i32'] }, ...functions];
  section(1, all.length, (to) => {
    for (const { params, results } of all) {
      to.byte(0x60);
      types(to, params);
      types(to, results);
    }
  });
  section(2, 1, (to) => to.text('host').text('h').byte(0, 0));
  section(3, functions.length, (to) => {
    for (const index of functions.keys()) to.u32(index + 1);
  });
  section(4, 1, (to) => to.byte(0x70, 0, functions.length));
  section(5, 1, (to) => to.byte(1, 1, 3));
  section(6, everyType.length + (counts ? 1 : 0), (to) => {
    for (const type of everyType) {
      const zero = {
        i32: [0x41, 0],
        i64: [0x42, 0],
        f32: [0x43, 0, 0, 0, 0],
        f64: [0x44, 0, 0, 0, 0, 0, 0, 0, 0],
        v128: [0xfd, 12, ...new Uint8Array(16)],
      };
      to.byte(typeBytes[type], 1, ...zero[type], 0x0b);
    }
    if (counts) to.byte(0x7e, 1, 0x42, 0, 0x0b);
  });
  section(7, functions.length + 1 + (counts ? 1 : 0), (to) => {
    for (const index of functions.keys())
      to.text(`f${index}`)
        .byte(0)
        .u32(index + imported);
    to.text('memory').byte(2, 0);
    if (counts) to.text('counter').byte(3, counter);
  });
  section(9, 1, (to) => {
    to.byte(0, 0x41, 0, 0x0b).u32(functions.length);
    for (const index of functions.keys()) to.u32(index + imported);
  });
  section(10, bodies.length, (to) => {
    for (const body of bodies) to.u32(body.length).raw(body);
  });
  return new Uint8Array(out.done());
}
