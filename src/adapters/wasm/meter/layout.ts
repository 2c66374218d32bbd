import type { ParsedModule } from '../binary/read-module.ts';
import { valueBytes } from '../binary/value-types.ts';
import type { FunctionType, ValueType } from '../types.ts';
import { fuelPerPage, stops } from './stops.ts';
import { Writer } from './writer.ts';

const op = {
  unreachable: 0x00,
  if: 0x04,
  end: 0x0b,
  call: 0x10,
  get: 0x20,
  globalGet: 0x23,
  globalSet: 0x24,
  i32: 0x41,
  i64: 0x42,
  i32Eq: 0x46,
  i32Or: 0x72,
  i64LtS: 0x53,
  i64Sub: 0x7d,
  i64Shl: 0x86,
  i64ShrU: 0x88,
  extendU: 0xad,
} as const;
const empty = 0x40;

/** Where what the rewriter adds stands: always behind what the module has, so that no index of the module changes. */
export class Layout {
  readonly #module: ParsedModule;
  readonly fuel: number;
  readonly depth: number;
  readonly stop: number;
  /** Functions. `out`, `deep`: () → (), which trap. `bulk`: (n, shift) → n, charges n >> shift. `growing`: (pages) → pages, charges for them. `grew`: (result, bit) → result. */
  readonly out: number;
  readonly deep: number;
  readonly bulk: number;
  readonly growing: number;
  readonly grew: number;
  /**
   * () → (), calls the start function, if there is one. Were that one exported itself, references to it would be valid that were not before, and its
   * type would not be checked.
   */
  readonly begin: number | undefined;
  readonly #types: FunctionType[] = [
    { params: [], results: [] },
    { params: ['i32'], results: ['i32'] },
    { params: ['i32', 'i32'], results: ['i32'] },
  ];
  /** The code of a charge before and behind its units. */
  readonly #before: Uint8Array;
  readonly #after: Uint8Array;
  /** Types of blocks that give what a function of some type gives, by that type. */
  readonly #blockTypes = new Map<number, number>();

  constructor(module: ParsedModule) {
    this.#module = module;
    const { globalCount, functionTypes } = module;
    this.fuel = globalCount;
    this.depth = globalCount + 1;
    this.stop = globalCount + 2;
    const first = functionTypes.length;
    this.out = first;
    this.deep = first + 1;
    this.bulk = first + 2;
    this.growing = first + 3;
    this.grew = first + 4;
    this.begin = module.start === undefined ? undefined : first + 5;
    const { fuel } = this;
    this.#before = new Writer().byte(op.globalGet).u32(fuel).done();
    const after = new Writer().byte(op.i64Sub, op.globalSet).u32(fuel).byte(op.globalGet).u32(fuel);
    this.#after = after.byte(op.i64, 0, op.i64LtS, op.if, empty, op.call).u32(this.out).byte(op.end).done();
  }

  /** The type of a block that gives `results`, as it stands in code. @param index of the function type that has them */
  writeBlockType(to: Writer, index: number): void {
    const { results } = this.#module.types[index] ?? { results: [] };
    const [only] = results;
    if (only === undefined) to.byte(empty);
    else if (results.length === 1) to.byte(valueBytes[only]);
    else to.s32(this.#blockType(index, results));
  }

  #blockType(index: number, results: ValueType[]): number {
    const known = this.#blockTypes.get(index);
    if (known !== undefined) return known;
    const added = this.#module.types.length + this.#types.length;
    this.#types.push({ params: [], results });
    this.#blockTypes.set(index, added);
    return added;
  }

  get addedTypes(): readonly FunctionType[] {
    return this.#types;
  }

  /** Types of the added functions, in their order. */
  get addedFunctions(): number[] {
    const first = this.#module.types.length;
    const all = [first, first, first + 2, first + 1, first + 2];
    return this.begin === undefined ? all : [...all, first];
  }

  /** `global.get fuel; n; sub; global.set fuel; trap where it is below 0`. @param units writes n, an i64 */
  charge(to: Writer, units: (to: Writer) => void): void {
    to.raw(this.#before);
    units(to);
    to.raw(this.#after);
  }

  /** The bodies of the added functions, without their sizes. */
  bodies(): Uint8Array[] {
    const { fuel, stop } = this;
    const begins = this.#module.start;
    const raise = (to: Writer, bit: number): Writer =>
      to.byte(op.globalGet).u32(stop).byte(op.i32).s32(bit).byte(op.i32Or, op.globalSet).u32(stop);
    const body = (write: (to: Writer) => void): Uint8Array => {
      const to = new Writer().byte(0);
      write(to);
      return to.byte(op.end).done();
    };
    return [
      body((to) => {
        // All is used: so the amount does not depend on how much the last block wanted.
        to.byte(op.i64, 0, op.globalSet).u32(fuel);
        raise(to, stops.fuel).byte(op.unreachable);
      }),
      body((to) => {
        raise(to, stops.depth).byte(op.unreachable);
      }),
      body((to) => {
        this.charge(to, (units) => units.byte(op.get, 0, op.extendU, op.get, 1, op.extendU, op.i64ShrU));
        to.byte(op.get, 0);
      }),
      body((to) => {
        this.charge(to, (units) => units.byte(op.get, 0, op.extendU, op.i64, Math.log2(fuelPerPage), op.i64Shl));
        to.byte(op.get, 0);
      }),
      body((to) => {
        to.byte(op.get, 0, op.i32).s32(-1).byte(op.i32Eq, op.if, empty);
        to.byte(op.globalGet).u32(stop).byte(op.get, 1, op.i32Or, op.globalSet).u32(stop);
        to.byte(op.end, op.get, 0);
      }),
      ...(begins === undefined ? [] : [body((to) => to.byte(op.call).u32(begins))]),
    ];
  }
}
