import type { GateOperation } from '../circuit/circuit.ts';
import { matrixOf } from '../circuit/gates.ts';
import { letterAt } from '../circuit/pauli.ts';
import type { Random } from './random.ts';
import type { PureState } from './state.ts';

/** The state vector by the book, slow and plain: what every other method is held against. */
export class ReferenceState implements PureState {
  readonly qubits: number;
  private data: Float64Array;

  constructor(qubits: number, data?: Float64Array) {
    this.qubits = qubits;
    this.data = data ?? new Float64Array(2 * 2 ** qubits);
    if (data === undefined) this.data[0] = 1;
  }

  apply(gates: readonly GateOperation[]): void {
    for (const gate of gates) this.applyOne(gate);
  }

  private applyOne({ gate, targets, controls }: GateOperation): void {
    const { dimension, data: entries } = matrixOf(gate);
    const out = new Float64Array(this.data.length);
    for (let index = 0; index < 2 ** this.qubits; index += 1) {
      const re = this.data[2 * index] ?? 0;
      const im = this.data[2 * index + 1] ?? 0;
      if (!controls.every(({ qubit, value }) => bitAt(index, qubit) === value)) {
        out[2 * index] = (out[2 * index] ?? 0) + re;
        out[2 * index + 1] = (out[2 * index + 1] ?? 0) + im;
        continue;
      }
      const column = targets.reduce((sum, qubit, at) => sum + bitAt(index, qubit) * 2 ** at, 0);
      for (let row = 0; row < dimension; row += 1) {
        const mRe = entries[2 * (row * dimension + column)] ?? 0;
        const mIm = entries[2 * (row * dimension + column) + 1] ?? 0;
        const to = targets.reduce((sum, qubit, at) => withBit(sum, qubit, bitAt(row, at)), index);
        out[2 * to] = (out[2 * to] ?? 0) + mRe * re - mIm * im;
        out[2 * to + 1] = (out[2 * to + 1] ?? 0) + mRe * im + mIm * re;
      }
    }
    this.data = out;
  }

  probabilityOfOne(qubit: number): number {
    return this.probabilities().reduce((sum, p, index) => sum + (bitAt(index, qubit) === 1 ? p : 0), 0);
  }

  collapse(qubit: number, bit: 0 | 1): void {
    const one = this.probabilityOfOne(qubit);
    const scale = 1 / Math.sqrt(bit === 1 ? one : 1 - one);
    this.data = this.data.map((value, at) => (bitAt(Math.floor(at / 2), qubit) === bit ? value * scale : 0));
  }

  sample(qubits: readonly number[], shots: number, random: Random): Map<string, number> {
    const probabilities = this.probabilities();
    const counts = new Map<string, number>();
    for (let shot = 0; shot < shots; shot += 1) {
      let left = random.next();
      let index = probabilities.findIndex((p) => {
        left -= p;
        return left < 0;
      });
      // What rounding left over falls to the last that is possible.
      if (index < 0) index = probabilities.findLastIndex((p) => p > 0);
      const key = qubits.reduce((text, qubit) => `${bitAt(index, qubit)}${text}`, '');
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    return counts;
  }

  expectation(letters: string): number {
    const turned = this.clone();
    for (let qubit = 0; qubit < this.qubits; qubit += 1) {
      const letter = letterAt(letters, qubit);
      if (letter === 'X')
        turned.apply([{ kind: 'gate', gate: { name: 'h', params: [] }, targets: [qubit], controls: [] }]);
      if (letter === 'Y')
        turned.apply([{ kind: 'gate', gate: { name: 'rx', params: [Math.PI / 2] }, targets: [qubit], controls: [] }]);
    }
    return turned.probabilities().reduce((sum, p, index) => {
      let sign = 1;
      for (let qubit = 0; qubit < this.qubits; qubit += 1)
        if (letterAt(letters, qubit) !== 'I' && bitAt(index, qubit) === 1) sign = -sign;
      return sum + sign * p;
    }, 0);
  }

  clone(): ReferenceState {
    return new ReferenceState(this.qubits, this.data.slice());
  }

  amplitudes(): Float64Array {
    return this.data.slice();
  }

  release(): void {
    this.data = new Float64Array(0);
  }

  private probabilities(): Float64Array {
    return Float64Array.from({ length: 2 ** this.qubits }, (_, index) => {
      const re = this.data[2 * index] ?? 0;
      const im = this.data[2 * index + 1] ?? 0;
      return re * re + im * im;
    });
  }
}

const bitAt = (index: number, qubit: number): 0 | 1 => (Math.floor(index / 2 ** qubit) % 2 === 1 ? 1 : 0);
const withBit = (index: number, qubit: number, bit: 0 | 1): number => index + (bit - bitAt(index, qubit)) * 2 ** qubit;
