import { Cursor } from '../binary/cursor.ts';
import { floatKind, instructions, MISC } from '../binary/instructions.ts';
import { moduleLimits } from '../binary/limits.ts';
import { readImmediate, readOpcode } from '../binary/read-instruction.ts';
import { checkIndex, type FunctionBody, type ParsedModule } from '../binary/read-module.ts';
import { invalid } from '../binary/refusal.ts';
import type { Layout } from './layout.ts';
import { measure } from './measure.ts';
import { stops } from './stops.ts';
import type { Writer } from './writer.ts';

/** Locals and operands that make a call as heavy as another call. */
const slotsPerWeight = 16;
/** A function that calls nothing ends the chain; only with many locals does it matter. */
const leafSlotsMax = 256;

/** By how much the length of a bulk operation is divided for its price: 64 bytes, or 8 elements, a unit. */
const bulkShifts: Readonly<Record<number, number>> = {
  [MISC + 8]: 6,
  [MISC + 10]: 6,
  [MISC + 11]: 6,
  [MISC + 12]: 3,
  [MISC + 14]: 3,
  [MISC + 15]: 3,
  [MISC + 17]: 3,
};
const memoryGrow = 0x40;
const tableGrow = MISC + 15;

const floats = {
  [floatKind.f32]: { type: 0x7d, nan: [0x43, 0x00, 0x00, 0xc0, 0x7f], equal: [0x5b], choose: [0x1b] },
  [floatKind.f64]: { type: 0x7c, nan: [0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f], equal: [0x61], choose: [0x1b] },
  [floatKind.f32x4]: {
    type: 0x7b,
    nan: [0xfd, 12, ...Array.from({ length: 4 }, () => [0x00, 0x00, 0xc0, 0x7f]).flat()],
    equal: [0xfd, 65],
    choose: [0xfd, 82],
  },
  [floatKind.f64x2]: {
    type: 0x7b,
    nan: [0xfd, 12, ...Array.from({ length: 2 }, () => [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]).flat()],
    equal: [0xfd, 71],
    choose: [0xfd, 82],
  },
} as const;

/** Bytes that a number takes as LEB128. */
function lengthOf(value: number): number {
  let length = 1;
  for (let left = value >>> 7; left > 0; left >>>= 7) length += 1;
  return length;
}

type FloatKind = keyof typeof floats;

/**
 * A function with its meters: fuel is charged as each basic block is entered, depth as the function is entered and given back as it is left, bulk
 * operations pay before they run, and results of floating point that are NaN get one bit pattern, unless the next instruction can't tell.
 */
export class BodyRewriter {
  readonly #module: ParsedModule;
  readonly #layout: Layout;
  readonly #canonicalNaN: boolean;
  readonly #body: FunctionBody;
  readonly #type: number;
  readonly #cursor: Cursor;
  readonly #out: Writer;
  /** Of each open block, whether it was reached at all. */
  readonly #frames: boolean[] = [];
  readonly #localsMax: number;
  /** Types of added locals, in order. */
  readonly #added: number[] = [];
  readonly #wrapped: boolean;
  readonly #weight: number;
  /** The price of clearing many locals, which each call does however little else it does. */
  readonly #entryUnits: number;
  /** Bytes of the module up to here are written. */
  #copied: number;
  /** Whether what follows can be reached. */
  #live = true;
  /** Place of the price of the block that is open, and the price so far. */
  #price: number | undefined;
  #cost = 0;
  #unsettled: number = floatKind.none;

  /** @param out what the code is written to: emptied first, so that one serves all functions */
  constructor(module: ParsedModule, index: number, layout: Layout, canonicalNaN: boolean, out: Writer) {
    const body = module.bodies[index];
    const type = module.functionTypes[module.importedFunctions + index];
    const signature = type === undefined ? undefined : module.types[type];
    if (body === undefined || type === undefined || signature === undefined)
      throw new RangeError(`no function ${index}`);
    this.#module = module;
    this.#layout = layout;
    this.#canonicalNaN = canonicalNaN;
    this.#body = body;
    this.#type = type;
    this.#localsMax = signature.params.length + body.localCount;
    this.#cursor = new Cursor(module.bytes, body.code, body.span.end);
    this.#copied = body.code;
    this.#out = out.clear();
    const { calls, height } = measure(module, body, signature.results.length);
    const slots = this.#localsMax + height;
    this.#wrapped = calls || slots > leafSlotsMax;
    this.#entryUnits = slots > leafSlotsMax ? Math.floor(slots / 8) : 0;
    this.#weight = 1 + Math.floor(slots / slotsPerWeight);
  }

  /** Writes locals and code, with their size in front. @returns the size */
  rewrite(to: Writer): number {
    this.#enter();
    while (!this.#cursor.done) this.#instruction();
    if (!this.#ended) throw invalid(this.#body.span.end, 'a function has no end');
    const { locals, groups } = this.#body;
    const count = groups + this.#added.length;
    const size = lengthOf(count) + (locals.end - locals.start) + this.#added.length * 2 + this.#out.length;
    to.u32(size).u32(count).raw(this.#module.bytes, locals.start, locals.end);
    for (const type of this.#added) to.byte(1, type);
    to.raw(this.#out.done());
    return size;
  }

  #ended = false;

  #instruction(): void {
    const cursor = this.#cursor;
    const at = cursor.position;
    if (this.#ended) throw invalid(at, 'a function goes on behind its end');
    const opcode = readOpcode(cursor);
    if (this.#unsettled !== floatKind.none) this.#settle(opcode, at);
    if (opcode === 0x0e) return this.#branchTable(at);
    const immediate = readImmediate(cursor, opcode);
    if (opcode <= 0x0f) return this.#control(opcode, immediate, at);
    this.#check(opcode, immediate, at);
    if (!this.#live) return;
    this.#pay(at);
    if (opcode === 0x12 || opcode === 0x13) {
      this.#flush(at);
      this.#leave();
      this.#dead();
      return;
    }
    if (opcode === memoryGrow) this.#grow(at);
    else if (bulkShifts[opcode] !== undefined) this.#bulk(opcode, at);
    const gives = instructions.gives[opcode] ?? floatKind.none;
    if (this.#canonicalNaN && gives !== floatKind.none && gives !== floatKind.clean) this.#unsettled = gives;
  }

  /** Blocks and branches. */
  #control(opcode: number, immediate: number, at: number): void {
    switch (opcode) {
      case 0x02:
      case 0x03:
      case 0x04:
        if (immediate >= this.#module.types.length) throw invalid(at, `there is no type ${immediate}`);
        if (opcode === 0x04 && this.#live) this.#pay(at);
        this.#frames.push(this.#live);
        if (opcode !== 0x02) this.#boundary();
        return;
      case 0x05:
        this.#live = this.#frames.at(-1) ?? true;
        return this.#boundary();
      case 0x0b:
        return this.#end(at);
      case 0x0c:
      case 0x0d:
        this.#checkLabel(immediate, at);
        if (!this.#live) return;
        this.#pay(at);
        if (opcode === 0x0c) this.#dead();
        else this.#boundary();
        return;
      case 0x0f:
        if (!this.#live) return;
        this.#pay(at);
        if (this.#wrapped) {
          this.#flush(at);
          this.#out.byte(0x0c).u32(this.#frames.length);
          this.#copied = this.#cursor.position;
        }
        return this.#dead();
      case 0x00:
        if (this.#live) this.#pay(at);
        return this.#dead();
      default:
        if (this.#live) this.#pay(at);
    }
  }

  #end(at: number): void {
    this.#boundary();
    const reached = this.#frames.pop();
    if (reached !== undefined) {
      this.#live = reached;
      return;
    }
    this.#ended = true;
    this.#flush(at);
    this.#out.byte(0x0b);
    this.#leave();
    this.#out.byte(0x0f, 0x0b, 0x10).u32(this.#layout.out).byte(0x00);
    this.#flush(this.#cursor.position);
  }

  #branchTable(at: number): void {
    const cursor = this.#cursor;
    for (let left = cursor.count(moduleLimits.branchTargets, 1, 'targets of a branch'); left >= 0; left -= 1)
      this.#checkLabel(cursor.u32(), at);
    if (!this.#live) return;
    this.#pay(at);
    this.#dead();
  }

  #checkLabel(label: number, at: number): void {
    if (label > this.#frames.length) throw invalid(at, `there is no block ${label} around a branch`);
  }

  /** What the rewriter adds must be out of reach. */
  #check(opcode: number, immediate: number, at: number): void {
    checkIndex(opcode, immediate, at, this.#module);
    if (opcode >= 0x20 && opcode <= 0x22 && immediate >= this.#localsMax)
      throw invalid(at, `there is no local ${immediate}`);
    if ((opcode === 0x11 || opcode === 0x13) && immediate >= this.#module.types.length)
      throw invalid(at, `there is no type ${immediate}`);
  }

  /** Counts an instruction into the price of its block, which is written before the first. */
  #pay(at: number): void {
    if (this.#price === undefined) {
      this.#flush(at);
      const { fuel } = this.#layout;
      this.#price = this.#out.byte(0x23).u32(fuel).byte(0x42).reserve();
      this.#out
        .byte(0x7d, 0x24)
        .u32(fuel)
        .byte(0x23)
        .u32(fuel)
        .byte(0x42, 0, 0x53, 0x0d)
        .u32(this.#frames.length + 1);
    }
    this.#cost += 1;
  }

  #boundary(): void {
    if (this.#price !== undefined) this.#out.fill(this.#price, this.#cost);
    this.#price = undefined;
    this.#cost = 0;
  }

  #dead(): void {
    this.#boundary();
    this.#live = false;
  }

  #flush(to: number): void {
    this.#out.raw(this.#module.bytes, this.#copied, to);
    this.#copied = to;
  }

  /**
   * Opens two blocks around the code: the inner one is where it ends, as it would without them; out of the outer one it goes for want of fuel. So no
   * loop holds a call that it didn't have: compilers do less for loops that call.
   */
  #enter(): void {
    const { depth, deep } = this.#layout;
    const out = this.#out;
    const units = this.#entryUnits;
    if (units > 0) this.#layout.charge(out, (to) => to.byte(0x42).s32(units));
    if (this.#wrapped) {
      out.byte(0x23).u32(depth).byte(0x41).s32(this.#weight).byte(0x6b, 0x24).u32(depth);
      out.byte(0x23).u32(depth).byte(0x41, 0, 0x48, 0x04, 0x40, 0x10).u32(deep).byte(0x0b);
    }
    out.byte(0x02, 0x40, 0x02);
    this.#layout.writeBlockType(out, this.#type);
  }

  #leave(): void {
    if (!this.#wrapped) return;
    const { depth } = this.#layout;
    this.#out.byte(0x23).u32(depth).byte(0x41).s32(this.#weight).byte(0x6a, 0x24).u32(depth);
  }

  #grow(at: number): void {
    this.#flush(at);
    this.#out.byte(0x10).u32(this.#layout.growing);
    this.#flush(this.#cursor.position);
    this.#noteGrowth(stops.memory);
  }

  #bulk(opcode: number, at: number): void {
    this.#flush(at);
    this.#out.byte(0x41).s32(bulkShifts[opcode] ?? 0);
    this.#out.byte(0x10).u32(this.#layout.bulk);
    if (opcode !== tableGrow) return;
    this.#flush(this.#cursor.position);
    this.#noteGrowth(stops.table);
  }

  #noteGrowth(bit: number): void {
    this.#out.byte(0x41).s32(bit).byte(0x10).u32(this.#layout.grew);
  }

  /** The result before this instruction may be a NaN of any bits; one that reads it as a number alone, and gives a number anew, can't tell. */
  #settle(next: number, at: number): void {
    const kind = this.#unsettled;
    this.#unsettled = floatKind.none;
    if (instructions.takes[next] === kind) return;
    const { type, nan, equal, choose } = floats[kind as FloatKind];
    this.#flush(at);
    const local = this.#temporary(type);
    this.#out
      .byte(0x22)
      .u32(local)
      .byte(...nan);
    this.#out
      .byte(0x20)
      .u32(local)
      .byte(0x20)
      .u32(local)
      .byte(...equal, ...choose);
  }

  #temporary(type: number): number {
    let index = this.#added.indexOf(type);
    if (index === -1) index = this.#added.push(type) - 1;
    return this.#localsMax + index;
  }
}
