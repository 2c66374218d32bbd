/** What follows an opcode. */
export const immediate = {
  /** No such instruction, or one that isn't supported. */
  unknown: 0,
  none: 1,
  /** The structure of code: block, loop, if, else, end and branches, calls, locals: each is read by who needs it. */
  block: 2,
  index: 3,
  twoIndexes: 4,
  memory: 5,
  memoryLane: 6,
  i32: 7,
  i64: 8,
  bytes4: 9,
  bytes8: 10,
  bytes16: 11,
  lane: 12,
  branchTable: 13,
  types: 14,
  heapType: 15,
  /** One byte that is zero: the memory. */
  memoryIndex: 16,
  twoMemoryIndexes: 17,
  indexAndMemory: 18,
} as const;

/** Kinds of floating point whose NaNs have bits that may differ between machines. */
export const floatKind = { none: 0, f32: 1, f64: 2, f32x4: 3, f64x2: 4, /** Never a NaN. */ clean: 5 } as const;

/** Instructions with a prefix stand behind the plain ones in the tables. */
export const MISC = 0x100;
export const SIMD = 0x200;
const SIZE = 0x300;

/**
 * The tables, by opcode. `takes`: the operands are floats of this kind, and the result depends on whether they are NaN,
 * not on which; 0: the bits matter. `gives`: the result is one of arithmetic, so that the bits of a NaN aren't defined.
 */
export const instructions = {
  immediates: new Uint8Array(SIZE),
  pops: new Uint8Array(SIZE),
  pushes: new Uint8Array(SIZE),
  takes: new Uint8Array(SIZE),
  gives: new Uint8Array(SIZE),
};

type Shape = readonly [pops: number, pushes: number];
const unary: Shape = [1, 1];
const binary: Shape = [2, 1];
const { f32, f64, f32x4, f64x2, clean, none } = floatKind;

function define(
  first: number,
  last: number,
  [pops, pushes]: Shape,
  { imm = immediate.none, takes = none, gives = none }: { imm?: number; takes?: number; gives?: number } = {},
): void {
  const end = last + 1;
  instructions.immediates.fill(imm, first, end);
  instructions.pops.fill(pops, first, end);
  instructions.pushes.fill(pushes, first, end);
  instructions.takes.fill(takes, first, end);
  instructions.gives.fill(gives, first, end);
}

const each = (opcodes: readonly number[], ...rest: [Shape, Parameters<typeof define>[3]?]): void => {
  for (const opcode of opcodes) define(opcode, opcode, ...rest);
};

/** Their effect on the stack depends on more than the opcode. */
function defineControl(): void {
  define(0x00, 0x01, [0, 0]);
  define(0x02, 0x04, [0, 0], { imm: immediate.block });
  each([0x05, 0x0b, 0x0f], [0, 0]);
  define(0x0c, 0x0d, [0, 0], { imm: immediate.index });
  define(0x0e, 0x0e, [0, 0], { imm: immediate.branchTable });
  each([0x10, 0x12], [0, 0], { imm: immediate.index });
  each([0x11, 0x13], [0, 0], { imm: immediate.twoIndexes });
  define(0x1a, 0x1a, [1, 0]);
  define(0x1b, 0x1b, [3, 1]);
  define(0x1c, 0x1c, [3, 1], { imm: immediate.types });
  each([0x20, 0x23], [0, 1], { imm: immediate.index });
  each([0x21, 0x24], [1, 0], { imm: immediate.index });
  define(0x22, 0x22, unary, { imm: immediate.index });
  define(0x25, 0x25, unary, { imm: immediate.index });
  define(0x26, 0x26, [2, 0], { imm: immediate.index });
  define(0xd0, 0xd0, [0, 1], { imm: immediate.heapType });
  define(0xd1, 0xd1, unary);
  define(0xd2, 0xd2, [0, 1], { imm: immediate.index });
}

function defineMemory(): void {
  define(0x28, 0x35, unary, { imm: immediate.memory });
  define(0x36, 0x3e, [2, 0], { imm: immediate.memory });
  define(0x3f, 0x3f, [0, 1], { imm: immediate.memoryIndex });
  define(0x40, 0x40, unary, { imm: immediate.memoryIndex });
  define(MISC + 8, MISC + 8, [3, 0], { imm: immediate.indexAndMemory });
  define(MISC + 9, MISC + 9, [0, 0], { imm: immediate.index });
  define(MISC + 10, MISC + 10, [3, 0], { imm: immediate.twoMemoryIndexes });
  define(MISC + 11, MISC + 11, [3, 0], { imm: immediate.memoryIndex });
  each([MISC + 12, MISC + 14], [3, 0], { imm: immediate.twoIndexes });
  define(MISC + 13, MISC + 13, [0, 0], { imm: immediate.index });
  define(MISC + 15, MISC + 15, binary, { imm: immediate.index });
  define(MISC + 16, MISC + 16, [0, 1], { imm: immediate.index });
  define(MISC + 17, MISC + 17, [3, 0], { imm: immediate.index });
}

function defineNumbers(): void {
  define(0x41, 0x41, [0, 1], { imm: immediate.i32 });
  define(0x42, 0x42, [0, 1], { imm: immediate.i64 });
  define(0x43, 0x43, [0, 1], { imm: immediate.bytes4 });
  define(0x44, 0x44, [0, 1], { imm: immediate.bytes8 });
  each([0x45, 0x50], unary);
  define(0x46, 0x4f, binary);
  define(0x51, 0x5a, binary);
  define(0x5b, 0x60, binary, { takes: f32 });
  define(0x61, 0x66, binary, { takes: f64 });
  define(0x67, 0x69, unary);
  define(0x6a, 0x78, binary);
  define(0x79, 0x7b, unary);
  define(0x7c, 0x8a, binary);
  // Absolute value, negation and the sign's copy move bits; the others calculate.
  for (const [base, kind] of [
    [0x8b, f32],
    [0x99, f64],
  ] as const) {
    define(base, base + 1, unary);
    define(base + 2, base + 6, unary, { takes: kind, gives: kind });
    define(base + 7, base + 12, binary, { takes: kind, gives: kind });
    define(base + 13, base + 13, binary);
  }
  define(0xa7, 0xa7, unary);
  define(0xac, 0xad, unary);
  for (const [base, kind] of [
    [0xa8, f32],
    [0xaa, f64],
    [0xae, f32],
    [0xb0, f64],
    [MISC, f32],
    [MISC + 2, f64],
    [MISC + 4, f32],
    [MISC + 6, f64],
  ] as const)
    define(base, base + 1, unary, { takes: kind });
  define(0xb2, 0xb5, unary, { gives: clean });
  define(0xb6, 0xb6, unary, { takes: f64, gives: f32 });
  define(0xb7, 0xba, unary, { gives: clean });
  define(0xbb, 0xbb, unary, { takes: f32, gives: f64 });
  define(0xbc, 0xc4, unary);
}

function defineVectors(): void {
  const at = (first: number, last: number, ...rest: [Shape, Parameters<typeof define>[3]?]): void =>
    define(SIMD + first, SIMD + last, ...rest);
  at(0, 10, unary, { imm: immediate.memory });
  at(11, 11, [2, 0], { imm: immediate.memory });
  at(12, 12, [0, 1], { imm: immediate.bytes16 });
  at(13, 13, binary, { imm: immediate.bytes16 });
  at(14, 14, binary);
  at(15, 20, unary);
  at(21, 34, unary, { imm: immediate.lane });
  for (const replace of [23, 26, 28, 30, 32, 34]) at(replace, replace, binary, { imm: immediate.lane });
  at(35, 64, binary);
  at(65, 70, binary, { takes: f32x4 });
  at(71, 76, binary, { takes: f64x2 });
  at(77, 77, unary);
  at(78, 81, binary);
  at(82, 82, [3, 1]);
  at(83, 83, unary);
  at(84, 87, binary, { imm: immediate.memoryLane });
  at(88, 91, [2, 0], { imm: immediate.memoryLane });
  at(92, 93, unary, { imm: immediate.memory });
  at(94, 94, unary, { takes: f64x2, gives: f32x4 });
  at(95, 95, unary, { takes: f32x4, gives: f64x2 });
  // Integers: two operands, but for those that are listed.
  at(96, 223, binary);
  for (const [first, last] of [
    [96, 100],
    [124, 129],
    [131, 132],
    [135, 138],
    [160, 161],
    [163, 164],
    [167, 170],
    [192, 193],
    [195, 196],
    [199, 202],
  ] as const)
    at(first, last, unary);
  for (const opcode of [103, 104, 105, 106, 227]) at(opcode, opcode, unary, { takes: f32x4, gives: f32x4 });
  for (const opcode of [116, 117, 122, 148, 239]) at(opcode, opcode, unary, { takes: f64x2, gives: f64x2 });
  at(224, 225, unary);
  at(228, 233, binary, { takes: f32x4, gives: f32x4 });
  at(234, 235, binary);
  at(236, 237, unary);
  at(240, 245, binary, { takes: f64x2, gives: f64x2 });
  at(246, 247, binary);
  at(248, 249, unary, { takes: f32x4 });
  at(250, 251, unary);
  at(252, 253, unary, { takes: f64x2 });
  at(254, 255, unary);
  for (const gap of [
    154, 162, 165, 166, 175, 176, 178, 179, 180, 187, 194, 197, 198, 207, 208, 210, 211, 212, 226, 238,
  ])
    instructions.immediates[SIMD + gap] = immediate.unknown;
}

defineControl();
defineMemory();
defineNumbers();
defineVectors();
