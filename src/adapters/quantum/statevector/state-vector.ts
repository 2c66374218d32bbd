import { availableParallelism } from 'node:os';
import { StepError } from '../../../lib/errors.ts';
import type { GateOperation } from '../circuit/circuit.ts';
import type { PauliSum } from '../circuit/pauli.ts';
import type { Random } from '../simulate/random.ts';
import type { PureState } from '../simulate/state.ts';
import { compile } from './compile.ts';
import { encodePasses, type Program } from './encode.ts';
import type { Precision } from './kernel.ts';
import { type Layout, layoutOf } from './layout.ts';
import { type StateMemory, stateMemory } from './memory.ts';
import { encodeTerms, type Terms } from './paulis.ts';
import { drawSorted, outcomes } from './sample.ts';

export interface StateVectorOptions {
  readonly qubits: number;
  /** Of the real and imaginary parts: 53 or 24 bits. Default `double`. */
  readonly precision?: Precision;
  /** Including the caller's. Default: two from 18 qubits on, where the machine has two. What comes out is the same with any number. */
  readonly threads?: number;
  /** Rounds alike on every machine. `false` is faster, and may differ in the last bits from machine to machine. Default true. */
  readonly strict?: boolean;
  /** Of what is worked on at once where the state is larger, from 6 on. Default: what fits a second-level cache. */
  readonly blockQubits?: number;
  /** Called now and then while gates are applied, with the part of them that is done. */
  readonly progress?: (fraction: number) => void;
}

/** Of the memory that a module can address. */
export const stateVectorQubitsMax: Readonly<Record<Precision, number>> = { double: 27, single: 28 };

const bytesOf = (qubits: number, precision: Precision): number => 2 ** qubits * (precision === 'double' ? 16 : 8);

const threadsFromQubits = 18;
const threadsMax = 16;

/**
 * All amplitudes of some qubits in one array, on a kernel in WebAssembly with SIMD (kernel/). Gates are fused and done block by block, each block in the
 * cache; see lower.ts and plan.ts.
 *
 * @throws StepError CIRCUIT_TOO_LARGE before anything is allocated
 */
export function createStateVector(options: StateVectorOptions): StateVector {
  const { qubits, precision = 'double', strict = true, progress } = options;
  if (!Number.isInteger(qubits) || qubits < 1)
    throw new StepError('INVALID_PARAMS', `a state has a whole number of qubits from 1 on, not ${qubits}`);
  const max = stateVectorQubitsMax[precision];
  if (qubits > max)
    throw new StepError(
      'CIRCUIT_TOO_LARGE',
      `a state vector of ${qubits} qubits takes ${bytesOf(qubits, precision)} bytes in ${precision} precision; at most ${max} qubits ` +
        `(${bytesOf(max, precision)} bytes) are possible${precision === 'double' && qubits === max + 1 ? '; single precision takes one qubit more' : ''}`,
    );
  const wanted = options.threads ?? (qubits >= threadsFromQubits ? Math.min(2, availableParallelism()) : 1);
  const threads = Math.max(1, Math.min(threadsMax, Math.trunc(wanted)));
  const settings = { precision, threads, strict, progress };
  return new StateVector(
    qubits,
    settings,
    zeroState(layoutOf(qubits, precision, threads, options.blockQubits), settings),
  );
}

/** The memory of |0…0⟩. */
function zeroState(layout: Layout, { strict, threads }: Settings): StateMemory {
  const memory = stateMemory(layout, strict, threads);
  const numbers = layout.precision === 'double' ? memory.doubles : memory.singles;
  numbers[(2 * layout.state) / layout.amplitudeBytes] = 1;
  return memory;
}

interface Settings {
  readonly precision: Precision;
  readonly threads: number;
  readonly strict: boolean;
  readonly progress: ((fraction: number) => void) | undefined;
}

const compiledTerms = new WeakMap<PauliSum, Map<string, Terms>>();

export class StateVector implements PureState {
  readonly qubits: number;
  readonly #settings: Settings;
  #memory: StateMemory;

  constructor(qubits: number, settings: Settings, memory: StateMemory) {
    this.qubits = qubits;
    this.#settings = settings;
    this.#memory = memory;
  }

  get #layout(): Layout {
    return this.#memory.layout;
  }

  get #numbers(): Float64Array | Float32Array {
    return this.#layout.precision === 'double' ? this.#memory.doubles : this.#memory.singles;
  }

  apply(gates: readonly GateOperation[]): void {
    if (gates.length === 0) return;
    const programs = compile(gates, this.qubits, this.#layout);
    programs.forEach((program, at) => {
      this.#run(program);
      this.#settings.progress?.((at + 1) / programs.length);
    });
  }

  #run({ qubits, lowQubits, count, operations, pool }: Program): void {
    const { layout, words, bytes } = this.#memory;
    const { job, masks, runs, program, blockQubits, laneBits, amplitudeBytes } = layout;
    if (pool.length > 0) this.#memory.fillPool(pool);
    bytes.set(operations, program);
    const at = job / 4;
    words[at + 2] = 0;
    words[at + 4] = program;
    words[at + 5] = count;
    words[at + 6] = 2 ** (blockQubits - laneBits);
    words[at + 9] = runs;
    words[at + 11] = masks;
    if (blockQubits === layout.qubits) {
      words[at + 7] = 0;
      words[at + 10] = 0;
      return this.#memory.run(1);
    }
    const high = qubits.slice(lowQubits);
    for (let run = 0; run < 2 ** high.length; run += 1)
      words[runs / 4 + run] = high.reduce(
        (sum, qubit, bit) => sum + ((run >> bit) & 1) * 2 ** qubit * amplitudeBytes,
        0,
      );
    words[at + 7] = 2 ** high.length;
    words[at + 8] = 2 ** lowQubits * amplitudeBytes;
    let outer = 0;
    for (let qubit = 0; qubit < layout.qubits; qubit += 1)
      if (!qubits.includes(qubit)) {
        words[masks / 4 + outer] = 1 << qubit;
        outer += 1;
      }
    words[at + 10] = outer;
    this.#memory.run(2 ** outer);
  }

  probabilityOfOne(qubit: number): number {
    const total = sumOf(this.#weights(0, 0));
    return Math.min(1, sumOf(this.#weights(1 << qubit, 1 << qubit)) / total);
  }

  /** Of |amplitude|², per chunk, over indices that have `value` under `mask`. A view. */
  #weights(mask: number, value: number): Float64Array {
    const { layout, words } = this.#memory;
    const { laneBits, precision, job } = layout;
    const laneMask = 2 ** laneBits - 1;
    const at = job / 4;
    words[at + 2] = 1;
    words[at + 6] = mask >>> laneBits;
    words[at + 7] = value >>> laneBits;
    for (let word = 0; word < 4; word += 1) {
      const lane = precision === 'double' ? word >> 1 : word;
      words[at + 8 + word] = (lane & mask & laneMask) === (value & laneMask) ? -1 : 0;
    }
    return this.#sums();
  }

  #sums(): Float64Array {
    const { chunkQubits, laneBits, qubits, sums, job } = this.#layout;
    const at = job / 4;
    this.#memory.words[at + 4] = 2 ** (chunkQubits - laneBits);
    this.#memory.words[at + 5] = sums;
    const chunks = 2 ** (qubits - chunkQubits);
    this.#memory.run(chunks);
    return this.#memory.doubles.subarray(sums / 8, sums / 8 + chunks);
  }

  collapse(qubit: number, bit: 0 | 1): void {
    const mask = 1 << qubit;
    const weight = sumOf(this.#weights(mask, bit === 1 ? mask : 0));
    if (!(weight > 0))
      throw new StepError(
        'QUANTUM_IMPOSSIBLE_OUTCOME',
        `qubit ${qubit} can't be measured as ${bit}: its probability is 0`,
      );
    const scale = 1 / Math.sqrt(weight);
    const layout = this.#layout;
    const [zero, one] = bit === 1 ? [0, scale] : [scale, 0];
    const passes = [
      {
        qubits: Array.from({ length: layout.blockQubits }, (_, at) => at),
        lowQubits: layout.lowQubits,
        operations: [
          { kind: 'phase' as const, mask, value: 0, re: zero, im: 0 },
          { kind: 'phase' as const, mask, value: mask, re: one, im: 0 },
        ],
      },
    ];
    for (const program of encodePasses(passes, layout, [1, 0])) this.#run(program);
  }

  sample(qubits: readonly number[], shots: number, random: Random): Map<string, number> {
    const weights = this.#weights(0, 0);
    const draws = drawSorted(shots, sumOf(weights), random);
    const { laneBits, state, amplitudeBytes, chunkQubits } = this.#layout;
    const lanes = 2 ** laneBits;
    const first = (2 * state) / amplitudeBytes;
    const numbers = this.#numbers;
    const weightAt = (index: number): number => {
      const at = first + (index >>> laneBits) * 2 * lanes + (index & (lanes - 1));
      const re = numbers[at] ?? 0;
      const im = numbers[at + lanes] ?? 0;
      return re * re + im * im;
    };
    return outcomes(draws, weights, 2 ** chunkQubits, weightAt, qubits);
  }

  expectation(letters: string): number {
    return this.expectationOf({ qubits: this.qubits, terms: [{ letters, coefficient: 1 }] });
  }

  /** Of a sum of products of Pauli matrices. */
  expectationOf(sum: PauliSum): number {
    const terms = this.#terms(sum, 'expectation');
    this.#memory.fillPool(terms.bytes);
    const { job, pool } = this.#layout;
    const words = this.#memory.words;
    words[job / 4 + 2] = 2;
    words[job / 4 + 6] = pool;
    words[job / 4 + 7] = terms.count;
    return sumOf(this.#sums());
  }

  /** `into` becomes the sum of products times this state, which stays as it is. */
  applySum(sum: PauliSum, into: StateVector): void {
    this.#assertAlike(into);
    if (into === this) throw new StepError('INTERNAL', 'a sum is not applied to a state in place');
    const terms = this.#terms(sum, 'product');
    this.#memory.fillPool(terms.bytes);
    const { kernel, layout, bytes } = this.#memory;
    const { chunkQubits, laneBits, amplitudeBytes, buffers, state, pool, precision, qubits } = layout;
    const units = 2 ** (chunkQubits - laneBits);
    const chunkBytes = 2 ** chunkQubits * amplitudeBytes;
    const apply = precision === 'double' ? kernel.applyDouble : kernel.applySingle;
    for (let chunk = 0; chunk < 2 ** (qubits - chunkQubits); chunk += 1) {
      apply(state, buffers, chunk * units, units, pool, terms.count);
      into.#memory.stateBytes.set(bytes.subarray(buffers, buffers + chunkBytes), chunk * chunkBytes);
    }
  }

  #terms(sum: PauliSum, purpose: 'expectation' | 'product'): Terms {
    const key = `${purpose} ${this.qubits} ${this.#layout.laneBits}`;
    let known = compiledTerms.get(sum);
    if (known === undefined) {
      known = new Map();
      compiledTerms.set(sum, known);
    }
    let terms = known.get(key);
    if (terms === undefined) {
      terms = encodeTerms(sum, this.qubits, this.#layout, purpose);
      known.set(key, terms);
    }
    return terms;
  }

  /** ⟨this|other⟩ as [re, im]. */
  innerProduct(other: StateVector): [number, number] {
    this.#assertAlike(other);
    const { kernel, layout, bytes, doubles } = this.#memory;
    const { chunkQubits, laneBits, amplitudeBytes, buffers, state, precision, qubits, sums } = layout;
    const units = 2 ** (chunkQubits - laneBits);
    const chunkBytes = 2 ** chunkQubits * amplitudeBytes;
    const dot = precision === 'double' ? kernel.dotDouble : kernel.dotSingle;
    const theirs = other.#memory.stateBytes;
    let [re, im] = [0, 0];
    for (let chunk = 0; chunk < 2 ** (qubits - chunkQubits); chunk += 1) {
      bytes.set(theirs.subarray(chunk * chunkBytes, (chunk + 1) * chunkBytes), buffers);
      dot(state + chunk * chunkBytes, buffers, units, sums);
      re += doubles[sums / 8] ?? 0;
      im += doubles[sums / 8 + 1] ?? 0;
    }
    return [re, im];
  }

  copyFrom(other: StateVector): void {
    this.#assertAlike(other);
    this.#memory.stateBytes.set(other.#memory.stateBytes);
  }

  #assertAlike(other: StateVector): void {
    if (other.qubits !== this.qubits || other.#settings.precision !== this.#settings.precision)
      throw new StepError(
        'INTERNAL',
        `states of ${this.qubits} qubits (${this.#settings.precision}) and ${other.qubits} qubits (${other.#settings.precision}) have nothing to do with each other`,
      );
  }

  clone(): StateVector {
    const { strict, threads } = this.#settings;
    const copy = new StateVector(this.qubits, this.#settings, stateMemory(this.#layout, strict, threads));
    copy.copyFrom(this);
    return copy;
  }

  amplitudes(): Float64Array {
    const numbers = this.#numbers;
    const count = 2 ** this.qubits;
    const { laneBits, state, amplitudeBytes } = this.#layout;
    const lanes = 2 ** laneBits;
    const first = (2 * state) / amplitudeBytes;
    const out = new Float64Array(2 * count);
    for (let index = 0; index < count; index += 1) {
      const at = first + (index >>> laneBits) * 2 * lanes + (index & (lanes - 1));
      out[2 * index] = numbers[at] ?? 0;
      out[2 * index + 1] = numbers[at + lanes] ?? 0;
    }
    return out;
  }

  release(): void {
    this.#memory.release();
  }
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
