import { binomial } from '../simulate/binomial.ts';
import type { Random } from '../simulate/random.ts';
import { bitCount, isOdd, type PauliMask } from './hamiltonian/pauli-mask.ts';

/**
 * A state vector whose gates are rotations about products of Pauli matrices, `exp(−i·angle/2·P)`: one pass over the amplitudes each, however
 * many qubits P is over, where gates of a circuit would be a ladder of them. All that variational circuits need can be said in them.
 */
export class Amplitudes {
  readonly qubits: number;
  /** Real and imaginary parts in turn. */
  readonly data: Float64Array;

  constructor(qubits: number) {
    this.qubits = qubits;
    this.data = new Float64Array(2 * 2 ** qubits);
  }

  /** To a basis state, or to all of them evenly. */
  reset(to: number | 'superposition'): void {
    this.data.fill(0);
    if (to !== 'superposition') this.data[2 * to] = 1;
    else for (let at = 0; at < this.data.length; at += 2) this.data[at] = 1 / Math.sqrt(this.data.length / 2);
  }

  copyFrom(other: Amplitudes): void {
    this.data.set(other.data);
  }

  /** `exp(−i·angle/2·P)` */
  rotate({ x, z }: PauliMask, angle: number): void {
    const [cos, sin] = [Math.cos(angle / 2), Math.sin(angle / 2)];
    if (x === 0) this.#turnPhases(z, cos, sin);
    else if (bitCount(x & z) % 2 === 0) this.#mixReal(x, z, cos, bitCount(x & z) % 4 === 0 ? sin : -sin);
    else this.#mixImaginary(x, z, cos, bitCount(x & z) % 4 === 1 ? sin : -sin);
  }

  #turnPhases(z: number, cos: number, sin: number): void {
    const { data } = this;
    const signed = [-sin, sin] as const;
    for (let index = 0, at = 0; at < data.length; index += 1, at += 2) {
      const s = signed[isOdd(index & z)];
      const re = data[at] as number;
      const im = data[at + 1] as number;
      data[at] = cos * re - s * im;
      data[at + 1] = cos * im + s * re;
    }
  }

  // One loop over a complex factor for both of these takes 1.8 times as long.

  /** P takes `|k⟩` to `±|k⊕x⟩`: both of a pair take `∓i·sin` of the other. */
  #mixReal(x: number, z: number, cos: number, sin: number): void {
    const { data } = this;
    const pivot = 1 << (31 - Math.clz32(x));
    const signed = [sin, -sin] as const;
    for (let base = 0; base < data.length >>> 1; base += 2 * pivot)
      for (let k = base; k < base + pivot; k += 1) {
        const a = k << 1;
        const b = (k ^ x) << 1;
        const s = signed[isOdd(k & z)];
        const aRe = data[a] as number;
        const aIm = data[a + 1] as number;
        const bRe = data[b] as number;
        const bIm = data[b + 1] as number;
        data[a] = cos * aRe + s * bIm;
        data[a + 1] = cos * aIm - s * bRe;
        data[b] = cos * bRe + s * aIm;
        data[b + 1] = cos * bIm - s * aRe;
      }
  }

  /** P takes `|k⟩` to `±i|k⊕x⟩`: a rotation with real entries. */
  #mixImaginary(x: number, z: number, cos: number, sin: number): void {
    const { data } = this;
    const pivot = 1 << (31 - Math.clz32(x));
    const signed = [sin, -sin] as const;
    for (let base = 0; base < data.length >>> 1; base += 2 * pivot)
      for (let k = base; k < base + pivot; k += 1) {
        const a = k << 1;
        const b = (k ^ x) << 1;
        const s = signed[isOdd(k & z)];
        const aRe = data[a] as number;
        const aIm = data[a + 1] as number;
        const bRe = data[b] as number;
        const bIm = data[b + 1] as number;
        data[a] = cos * aRe - s * bRe;
        data[a + 1] = cos * aIm - s * bIm;
        data[b] = cos * bRe + s * aRe;
        data[b + 1] = cos * bIm + s * aIm;
      }
  }

  /** The imaginary part of `⟨left|P|this⟩`. */
  imaginaryOf(left: Amplitudes, { x, z }: PauliMask): number {
    const { data } = this;
    const to = left.data;
    let re = 0;
    let im = 0;
    for (let k = 0; k < data.length >>> 1; k += 1) {
      const from = k << 1;
      const at = (k ^ x) << 1;
      const sign = plusMinus[isOdd(k & z)];
      const aRe = to[at] as number;
      const aIm = to[at + 1] as number;
      const bRe = data[from] as number;
      const bIm = data[from + 1] as number;
      re += sign * (aRe * bRe + aIm * bIm);
      im += sign * (aRe * bIm - aIm * bRe);
    }
    // Times i^|x∧z|.
    return [im, re, -im, -re][bitCount(x & z) % 4] ?? 0;
  }

  /** `exp(−i·angle·D)` for a diagonal D, whose entry at `index` is `levels.values[levels.of[index]]`. */
  turnLevels({ values, of }: Levels, angle: number): void {
    const { data } = this;
    const cos = values.map((value) => Math.cos(angle * value));
    const sin = values.map((value) => -Math.sin(angle * value));
    for (let index = 0, at = 0; at < data.length; index += 1, at += 2) {
      const level = of[index] as number;
      const [c, s] = [cos[level] as number, sin[level] as number];
      const re = data[at] as number;
      const im = data[at + 1] as number;
      data[at] = c * re - s * im;
      data[at + 1] = c * im + s * re;
    }
  }

  /** The imaginary part of `⟨left|D|this⟩`. */
  imaginaryOfLevels(left: Amplitudes, { values, of }: Levels): number {
    const { data } = this;
    const to = left.data;
    let sum = 0;
    for (let index = 0, at = 0; at < data.length; index += 1, at += 2)
      sum +=
        (values[of[index] as number] as number) *
        ((to[at] as number) * (data[at + 1] as number) - (to[at + 1] as number) * (data[at] as number));
    return sum;
  }

  /** Of basis states, from measuring all qubits `shots` times. @returns how often each came, in ascending order */
  sample(shots: number, random: Random): Map<number, number> {
    return this.data.length / 2 > shots ? this.#sampleByDraws(shots, random) : this.#sampleBySplits(shots, random);
  }

  /** Draws in ascending order fall on their states in one walk. */
  #sampleByDraws(shots: number, random: Random): Map<number, number> {
    const draws = Float64Array.from({ length: shots }, () => random.next()).sort();
    const counts = new Map<number, number>();
    let sum = 0;
    let next = 0;
    for (let index = 0; index < this.data.length / 2 && next < shots; index += 1) {
      sum += this.#probability(index);
      const before = next;
      while (next < shots && (draws[next] as number) < sum) next += 1;
      if (next > before) counts.set(index, next - before);
    }
    return this.#withRest(counts, shots - next);
  }

  /** Where shots are many: each state takes its share of those that are left. */
  #sampleBySplits(shots: number, random: Random): Map<number, number> {
    const counts = new Map<number, number>();
    let rest = 1;
    let left = shots;
    for (let index = 0; index < this.data.length / 2 && left > 0; index += 1) {
      const p = this.#probability(index);
      const share = binomial(left, Math.min(1, p / rest), random);
      rest -= p;
      left -= share;
      if (share > 0) counts.set(index, share);
    }
    return this.#withRest(counts, left);
  }

  /** What rounding left over falls to the last state that is possible. */
  #withRest(counts: Map<number, number>, rest: number): Map<number, number> {
    if (rest === 0) return counts;
    let last = this.data.length / 2 - 1;
    while (this.#probability(last) === 0) last -= 1;
    return counts.set(last, (counts.get(last) ?? 0) + rest);
  }

  #probability(index: number): number {
    return (this.data[2 * index] as number) ** 2 + (this.data[2 * index + 1] as number) ** 2;
  }
}

const plusMinus = [1, -1] as const;

/** A diagonal operator with few distinct entries, as those of graphs are, whose phases are then few. */
export interface Levels {
  readonly values: Float64Array;
  readonly of: Int32Array;
}

/** More distinct entries than this are not looked for: each is then its own. */
const levelsMax = 65_536;

export function levelsOf(diagonal: Float64Array): Levels {
  const places = new Map<number, number>();
  const of = new Int32Array(diagonal.length);
  for (let index = 0; index < diagonal.length; index += 1) {
    const value = diagonal[index] as number;
    const place = places.get(value) ?? places.size;
    if (place === levelsMax) return { values: diagonal, of: of.map((_, at) => at) };
    places.set(value, place);
    of[index] = place;
  }
  return { values: Float64Array.from(places.keys()), of };
}
