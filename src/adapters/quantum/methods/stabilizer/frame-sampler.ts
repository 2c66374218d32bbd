import { evaluate } from '../../circuit/circuit.ts';
import type { Random } from '../../simulate/random.ts';
import { bitOf, flipBit, randomWord, toText, wordsFor, xorInto } from './bits.ts';
import {
  type FrameCircuit,
  type FrameInstruction,
  type FrameMeasure,
  frameProgram,
  type PauliChannel,
} from './frame-program.ts';

/** Shots that are run together; they have a bit each in the words of a block. */
const SHOTS_PER_BLOCK = 1_024;

/**
 * Shots of a Clifford circuit with Pauli noise and measurements on the way, many at once.
 *
 * A frame says by which Pauli product a shot differs from one run without errors: each gate takes it along, each error multiplies it, and its X flip what is
 * measured. A Z on a qubit that was just measured or set changes nothing, and is drawn at random: from it come the random outcomes. After Gidney, "Stim",
 * doi:10.22331/q-2021-07-06-497.
 */
export class FrameSampler {
  readonly #qubits: number;
  readonly #bits: number;
  readonly #program: readonly FrameInstruction[];

  /** @throws StepError CIRCUIT_TOO_LARGE; UNSUPPORTED_GATE for a gate that is no Clifford gate, or in a branch no Pauli matrix */
  constructor(circuit: FrameCircuit) {
    this.#qubits = circuit.qubits;
    this.#bits = circuit.bits;
    this.#program = frameProgram(circuit);
  }

  /** @returns how often all bits together came so, bit 0 rightmost; those never measured are 0 */
  sample(shots: number, random: Random): Map<string, number> {
    const counts = new Map<string, number>();
    for (let done = 0; done < shots; done += SHOTS_PER_BLOCK) {
      const count = Math.min(SHOTS_PER_BLOCK, shots - done);
      const block = new Block(this.#qubits, this.#bits, wordsFor(count), random);
      for (const instruction of this.#program) block.run(instruction);
      for (const text of block.texts(count)) counts.set(text, (counts.get(text) ?? 0) + 1);
    }
    return counts;
  }
}

class Block {
  readonly #words: number;
  readonly #random: Random;
  readonly #x: readonly Int32Array[];
  readonly #z: readonly Int32Array[];
  /** What was written to each bit. */
  readonly #record: readonly Int32Array[];

  constructor(qubits: number, bits: number, words: number, random: Random) {
    this.#words = words;
    this.#random = random;
    const columns = (count: number): Int32Array[] => Array.from({ length: count }, () => new Int32Array(words));
    [this.#x, this.#z, this.#record] = [columns(qubits), columns(qubits), columns(bits)];
    for (const column of this.#z) this.#scramble(column);
  }

  run(instruction: FrameInstruction): void {
    switch (instruction.kind) {
      case 'step':
        return this.#step(instruction);
      case 'measure':
        return this.#measure(instruction.operation, instruction.outcome);
      case 'reset':
        this.#column(this.#x, instruction.qubit).fill(0);
        return this.#scramble(this.#column(this.#z, instruction.qubit));
      case 'pauli':
        return this.#disturb(instruction);
      case 'branch':
        return this.#correct(instruction);
    }
  }

  #step({ name, a, b }: Extract<FrameInstruction, { kind: 'step' }>): void {
    const x = this.#column(this.#x, a);
    const z = this.#column(this.#z, a);
    switch (name) {
      case 'h':
        for (let w = 0; w < x.length; w += 1) {
          const was = x[w] ?? 0;
          x[w] = z[w] ?? 0;
          z[w] = was;
        }
        return;
      case 's':
      case 'sdg':
        return xorInto(z, x);
      case 'cx':
        xorInto(this.#column(this.#x, b), x);
        return xorInto(z, this.#column(this.#z, b));
      // It commutes with the frame but for a sign.
      case 'x':
      case 'z':
        return;
    }
  }

  #measure({ qubit, bit, misread }: FrameMeasure, outcome: 0 | 1): void {
    const written = this.#column(this.#record, bit);
    written.set(this.#column(this.#x, qubit));
    if (outcome === 1) for (let w = 0; w < written.length; w += 1) written[w] = ~(written[w] ?? 0);
    if (misread)
      for (let w = 0; w < written.length; w += 1) {
        const right = written[w] ?? 0;
        written[w] =
          right ^ (~right & this.#chance(misread.oneGivenZero)) ^ (right & this.#chance(misread.zeroGivenOne));
      }
    this.#scramble(this.#column(this.#z, qubit));
  }

  #disturb({ qubits, terms }: PauliChannel): void {
    const total = terms.reduce((sum, { probability }) => sum + probability, 0);
    for (let w = 0; w < this.#words; w += 1)
      for (let left = this.#chance(total); left !== 0; left &= left - 1) {
        let draw = this.#random.next() * total;
        const term = terms.find(({ probability }) => {
          draw -= probability;
          return draw < 0;
        });
        const { letters = '' } = term ?? terms.at(-1) ?? {};
        const shot = 32 * w + 31 - Math.clz32(left & -left);
        qubits.forEach((qubit, at) => {
          const letter = letters[letters.length - 1 - at];
          if (letter === 'X' || letter === 'Y') flipBit(this.#column(this.#x, qubit), shot);
          if (letter === 'Z' || letter === 'Y') flipBit(this.#column(this.#z, qubit), shot);
        });
      }
  }

  #correct({ condition, held, flips }: Extract<FrameInstruction, { kind: 'branch' }>): void {
    const differs = new Int32Array(this.#words);
    for (let shot = 0; shot < 32 * this.#words; shot += 1) {
      const holds = evaluate(condition, (bit) => bitOf(this.#column(this.#record, bit), shot)) !== 0n;
      if (holds !== held) flipBit(differs, shot);
    }
    for (const qubit of flips.x) xorInto(this.#column(this.#x, qubit), differs);
    for (const qubit of flips.z) xorInto(this.#column(this.#z, qubit), differs);
  }

  *texts(shots: number): Generator<string> {
    const words = wordsFor(this.#record.length);
    for (let shot = 0; shot < shots; shot += 1) {
      const row = new Int32Array(words);
      this.#record.forEach((column, bit) => {
        if (bitOf(column, shot) === 1) flipBit(row, bit);
      });
      yield toText(row, this.#record.length);
    }
  }

  #scramble(column: Int32Array): void {
    for (let w = 0; w < column.length; w += 1) column[w] = randomWord(this.#random);
  }

  /** A word of which each bit is 1 with the probability: each draws digits of a number below 1 until one differs from that of the probability. */
  #chance(probability: number): number {
    let chosen = 0;
    let open = -1;
    for (let left = probability; left > 0 && open !== 0; ) {
      // Of a certainty all digits are 1.
      if (left >= 1) return chosen | open;
      left *= 2;
      const digits = randomWord(this.#random);
      if (left >= 1) {
        left -= 1;
        chosen |= open & ~digits;
        open &= digits;
      } else open &= ~digits;
    }
    return chosen;
  }

  #column(of: readonly Int32Array[], at: number): Int32Array {
    return of[at] as Int32Array;
  }
}
