import type { Layout } from './layout.ts';
import { operationBytes, operationsMax, unitShift } from './layout.ts';
import type { Dense, Exchange, Flip, Lowered, MatrixOperation, Phase, Rotate } from './operations.ts';
import type { Pass } from './plan.ts';

/** Operations as the kernel reads them (kernel/kernel.as), with the matrices they point to. */
export interface Program {
  readonly qubits: readonly number[];
  readonly lowQubits: number;
  readonly count: number;
  readonly operations: Uint8Array;
  readonly pool: Uint8Array;
}

const kinds = { rotate: 0, dense: 1, phase: 2, exchange: 3, matrixUnits: 4, matrixAmplitudes: 5 };
const poolBytesMax = 1 << 20;

/** @param factor of the whole, applied once at the end */
export function encodePasses(passes: readonly Pass[], layout: Layout, [re, im]: readonly [number, number]): Program[] {
  const programs: Program[] = [];
  passes.forEach((pass, at) => {
    const encoder = new Encoder(pass, layout, programs);
    for (const operation of pass.operations) encoder.add(operation);
    if (at === passes.length - 1) encoder.finish(re, im);
    else encoder.finish(1, 0);
  });
  return programs;
}

class Encoder {
  readonly #pass: Pass;
  readonly #layout: Layout;
  readonly #programs: Program[];
  /** Bit of a block by qubit; -1 outside. */
  readonly #bit = new Int8Array(32).fill(-1);
  #bytes = new ArrayBuffer(operationBytes * 16);
  #words = new Int32Array(this.#bytes);
  #doubles = new Float64Array(this.#bytes);
  #count = 0;
  #pool: Uint8Array[] = [];
  #poolBytes = 0;
  /** The product of the scales that rotations left. */
  #scale = 1;

  constructor(pass: Pass, layout: Layout, programs: Program[]) {
    this.#pass = pass;
    this.#layout = layout;
    this.#programs = programs;
    pass.qubits.forEach((qubit, bit) => {
      this.#bit[qubit] = bit;
    });
  }

  add(operation: Lowered): void {
    switch (operation.kind) {
      case 'rotate':
        return this.#rotate(operation);
      case 'dense':
        return this.#dense(operation);
      case 'phase':
        return this.#phase(operation);
      case 'flip':
        return this.#flip(operation);
      case 'exchange':
        return this.#exchange(operation);
      case 'matrix':
        return this.#matrix(operation);
    }
  }

  finish(re: number, im: number): void {
    const scale = this.#scale;
    this.#scale = 1;
    if (scale !== 1 || re !== 1 || im !== 0)
      this.#phase({ kind: 'phase', mask: 0, value: 0, re: re * scale, im: im * scale });
    this.#flush();
  }

  #flush(): void {
    if (this.#count === 0) return;
    const pool = new Uint8Array(this.#poolBytes);
    let at = 0;
    for (const part of this.#pool) {
      pool.set(part, at);
      at += part.length;
    }
    const operations = new Uint8Array(this.#bytes.slice(0, this.#count * operationBytes));
    const { qubits, lowQubits } = this.#pass;
    this.#programs.push({ qubits, lowQubits, count: this.#count, operations, pool });
    this.#words.fill(0);
    this.#count = 0;
    this.#pool = [];
    this.#poolBytes = 0;
  }

  /** @returns where its words begin */
  #begin(kind: number, fixed: number, value: number, first: number, second: number): number {
    if (this.#count === operationsMax) this.#flush();
    if ((this.#count + 1) * operationBytes > this.#bytes.byteLength) {
      const bytes = new ArrayBuffer(2 * this.#bytes.byteLength);
      new Uint8Array(bytes).set(new Uint8Array(this.#bytes));
      this.#bytes = bytes;
      this.#words = new Int32Array(bytes);
      this.#doubles = new Float64Array(bytes);
    }
    const word = (this.#count * operationBytes) / 4;
    this.#count += 1;
    const words = this.#words;
    words[word] = kind;
    words[word + 1] = fixed;
    words[word + 2] = value;
    words[word + 3] = first;
    words[word + 4] = second;
    return word;
  }

  /** Bits of qubits as those of the block (units and lanes) and of its place. */
  #split(mask: number): { units: number; lanes: number; place: number } {
    let inside = 0;
    let place = 0;
    for (let left = mask; left !== 0; left &= left - 1) {
      const qubit = 31 - Math.clz32(left & -left);
      const bit = this.#bit[qubit] ?? -1;
      if (bit < 0) place |= 1 << qubit;
      else inside |= 1 << bit;
    }
    const { laneBits } = this.#layout;
    return { units: inside >> laneBits, lanes: inside & ((1 << laneBits) - 1), place };
  }

  #bitOf(qubit: number): number {
    return this.#bit[qubit] ?? -1;
  }

  #place(word: number, mask: number, value: number): void {
    this.#words[word + 5] = mask;
    this.#words[word + 6] = value;
  }

  /** How a target is walked: its bit, or for one within the lanes another bit that no control has. */
  #walk(target: number, taken: number): { fixed: number; stride: number; lane: number } | undefined {
    const { laneBits, blockQubits } = this.#layout;
    const bit = this.#bitOf(target);
    if (bit >= laneBits) return { fixed: 1 << (bit - laneBits), stride: 1 << (bit - laneBits + unitShift), lane: -1 };
    for (let other = 0; other < blockQubits - laneBits; other += 1)
      if ((taken & (1 << other)) === 0) return { fixed: 1 << other, stride: 1 << (other + unitShift), lane: bit };
    return undefined;
  }

  #rotate({ target, select, tangent, phases, flipped, scale }: Rotate): void {
    const selects = select < 0 ? { units: 0, lanes: 0, place: 0 } : this.#split(1 << select);
    const walk = this.#walk(target, selects.units);
    this.#scale *= scale;
    const isSmall = this.#scale < (this.#layout.precision === 'double' ? 1e-60 : 1e-9);
    if (selects.lanes !== 0 || walk === undefined) {
      const of = (value: 0 | 1): number[] =>
        turned(tangent, phases[2 * value] ?? 1, phases[2 * value + 1] ?? 0, flipped === (value === 0));
      this.#lanesDense(target, 0, 0, selects.lanes, [of(0), of(1)], 0);
    } else {
      const word = this.#begin(kinds.rotate, walk.fixed, 0, walk.stride, walk.lane);
      this.#words[word + 7] = selects.place;
      this.#words[word + 8] = selects.units;
      this.#words[word + 9] = flipped ? 1 : 0;
      this.#words[word + 10] = flipped ? 0 : 1;
      this.#doubles[word / 2 + 8] = tangent;
      for (let at = 0; at < 4; at += 1) this.#doubles[word / 2 + 9 + at] = phases[at] ?? 0;
    }
    if (isSmall) {
      const factor = this.#scale;
      this.#scale = 1;
      this.#phase({ kind: 'phase', mask: 0, value: 0, re: factor, im: 0 });
    }
  }

  #dense({ target, mask, value, matrix }: Dense): void {
    const identity = [1, 0, 0, 0, 0, 0, 1, 0];
    this.#lanesDense(target, mask, value, this.#split(mask).lanes, [identity, matrix], this.#split(value).lanes);
  }

  /** A matrix of two rows that is the second of two where the lanes have a value, and the first elsewhere. */
  #lanesDense(
    target: number,
    mask: number,
    value: number,
    lanes: number,
    [first, second]: readonly [ArrayLike<number>, ArrayLike<number>],
    laneValue: number,
  ): void {
    const at = this.#split(mask);
    const of = this.#split(value);
    const walk = this.#walk(target, at.units);
    if (walk === undefined) {
      const data = Float64Array.from(second);
      return this.#matrix({ kind: 'matrix', targets: [target], mask, value, matrix: { dimension: 2, data } });
    }
    const wanted = mask === 0 && lanes !== 0 ? lanes : laneValue;
    const word = this.#begin(kinds.dense, walk.fixed | at.units, of.units, walk.stride, walk.lane);
    this.#place(word, at.place, of.place);
    for (let entry = 0; entry < 8; entry += 1)
      this.#vector(word, entry, (lane) => ((lane & lanes) === wanted ? second : first)[entry] ?? 0);
  }

  /** Sets a vector of an operation, its numbers by lane. */
  #vector(word: number, vector: number, of: (lane: number) => number): void {
    if (this.#layout.precision === 'double')
      for (let lane = 0; lane < 2; lane += 1) this.#doubles[word / 2 + 8 + 2 * vector + lane] = of(lane);
    else {
      const singles = new Float32Array(this.#bytes, 4 * word + 64 + 16 * vector, 4);
      for (let lane = 0; lane < 4; lane += 1) singles[lane] = of(lane);
    }
  }

  #phase({ mask, value, re, im }: Phase): void {
    const at = this.#split(mask);
    const of = this.#split(value);
    const word = this.#begin(kinds.phase, at.units, of.units, 0, 0);
    this.#place(word, at.place, of.place);
    this.#vector(word, 0, (lane) => ((lane & at.lanes) === of.lanes ? re : 1));
    this.#vector(word, 1, (lane) => ((lane & at.lanes) === of.lanes ? im : 0));
  }

  #flip({ target, mask, value }: Flip): void {
    const at = this.#split(mask);
    const of = this.#split(value);
    const bit = this.#bitOf(target) - this.#layout.laneBits;
    if (bit < 0 || at.lanes !== 0)
      return this.#dense({ kind: 'dense', target, mask, value, matrix: [0, 0, 1, 0, 1, 0, 0, 0] });
    const word = this.#begin(kinds.exchange, (1 << bit) | at.units, of.units, 0, 1 << (bit + unitShift));
    this.#place(word, at.place, of.place);
  }

  #exchange({ first, second }: Exchange): void {
    const a = this.#bitOf(first) - this.#layout.laneBits;
    const b = this.#bitOf(second) - this.#layout.laneBits;
    if (a < 0 || b < 0) {
      for (const [control, target] of [
        [first, second],
        [second, first],
        [first, second],
      ] as const)
        this.#flip({ kind: 'flip', target, mask: 1 << control, value: 1 << control });
      return;
    }
    this.#begin(kinds.exchange, (1 << a) | (1 << b), 0, 1 << (a + unitShift), 1 << (b + unitShift));
  }

  #matrix({ targets, mask, value, matrix }: MatrixOperation): void {
    const { laneBits, precision, pool } = this.#layout;
    const at = this.#split(mask);
    const of = this.#split(value);
    const bits = targets.map((target) => this.#bitOf(target));
    const isByUnits = at.lanes === 0 && bits.every((bit) => bit >= laneBits);
    const shift = isByUnits ? laneBits : 0;
    const fixed =
      (at.units << (laneBits - shift)) | (at.lanes >> shift) | bits.reduce((sum, bit) => sum | (1 << (bit - shift)), 0);
    const chosen = (of.units << (laneBits - shift)) | (of.lanes >> shift);
    const laneBytes = precision === 'double' ? 8 : 4;
    const offsets = new Uint32Array(matrix.dimension);
    for (let row = 0; row < matrix.dimension; row += 1)
      bits.forEach((bit, index) => {
        if ((row >> index) & 1)
          offsets[row] = (offsets[row] ?? 0) + (bit < laneBits ? laneBytes << bit : 1 << (bit - laneBits + unitShift));
      });
    const entries = precision === 'double' ? matrix.data.slice() : Float32Array.from(matrix.data);
    const bytes = Math.ceil((offsets.byteLength + entries.byteLength) / 16) * 16;
    if (this.#poolBytes + bytes > poolBytesMax) this.#flush();
    const part = new Uint8Array(bytes);
    part.set(new Uint8Array(entries.buffer));
    part.set(new Uint8Array(offsets.buffer), entries.byteLength);
    const word = this.#begin(isByUnits ? kinds.matrixUnits : kinds.matrixAmplitudes, fixed, chosen, 0, 0);
    this.#place(word, at.place, of.place);
    this.#words[word + 11] = pool + this.#poolBytes;
    this.#words[word + 12] = pool + this.#poolBytes + entries.byteLength;
    this.#words[word + 13] = matrix.dimension;
    this.#pool.push(part);
    this.#poolBytes += bytes;
  }
}

/** `[1 -t; t 1] · X^flipped · diag(1, c + i s)` */
function turned(t: number, c: number, s: number, flipped: boolean): number[] {
  return flipped ? [-t, 0, c, s, 1, 0, t * c, t * s] : [1, 0, -t * c, -t * s, t, 0, c, s];
}
