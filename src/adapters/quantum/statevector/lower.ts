import type { GateOperation } from '../circuit/circuit.ts';
import { type Matrix, matrix as matrixFrom, multiply } from '../circuit/complex.ts';
import { kronecker, matrixOf } from '../circuit/gates.ts';
import type { Lowered } from './operations.ts';
import { Waiting, zeroSquared } from './waiting.ts';

/**
 * Turns gates into few operations of the kernel. Gates of one qubit wait and are multiplied until another gate needs the qubit. A controlled X waits too,
 * on its target: with the gates that follow there, it becomes one operation that the control selects. What is diagonal of an operation stays behind, to
 * be merged with what comes next, since diagonals commute with controls.
 */
export class Lowering {
  readonly operations: Lowered[] = [];
  readonly #qubits: number;
  /** Where a qubit is: swaps move it. */
  readonly #wire: number[];
  readonly #waiting: Waiting;

  constructor(qubits: number) {
    this.#qubits = qubits;
    this.#wire = Array.from({ length: qubits }, (_, qubit) => qubit);
    this.#waiting = new Waiting(qubits);
  }

  /** Of the whole, as [re, im]. */
  get factor(): readonly [number, number] {
    return this.#waiting.factor;
  }

  add({ gate, targets, controls }: GateOperation): void {
    if (gate.name === 'id') return;
    const [first = 0, second = 0] = targets;
    if (gate.name === 'swap' && controls.length === 0) {
      [this.#wire[first], this.#wire[second]] = [this.#at(second), this.#at(first)];
      return;
    }
    let mask = 0;
    let value = 0;
    for (const control of controls) {
      const bit = 1 << this.#at(control.qubit);
      mask |= bit;
      if (control.value === 1) value |= bit;
    }
    const matrix = matrixOf(gate);
    if (targets.length === 1) this.#one(this.#at(first), mask, value, matrix);
    else
      this.#many(
        targets.map((qubit) => this.#at(qubit)),
        mask,
        value,
        matrix,
      );
  }

  /** Nothing waits after; every qubit is where it was. */
  finish(): void {
    for (let qubit = 0; qubit < this.#qubits; qubit += 1) if (this.#waiting.selecting(qubit) >= 0) this.#settle(qubit);
    for (let qubit = 0; qubit < this.#qubits; qubit += 1) {
      this.#settle(qubit);
      this.#materialize(qubit);
    }
    for (let qubit = 0; qubit < this.#qubits; qubit += 1) {
      const at = this.#at(qubit);
      if (at === qubit) continue;
      this.operations.push({ kind: 'exchange', first: at, second: qubit });
      this.#wire[this.#wire.indexOf(qubit)] = at;
      this.#wire[qubit] = qubit;
    }
  }

  #at(qubit: number): number {
    return this.#wire[qubit] ?? 0;
  }

  #one(target: number, mask: number, value: number, { data }: Matrix): void {
    // Destructuring would go through an iterator, which takes longer than all else here.
    const aRe = data[0] ?? 0;
    const aIm = data[1] ?? 0;
    const bRe = data[2] ?? 0;
    const bIm = data[3] ?? 0;
    const cRe = data[4] ?? 0;
    const cIm = data[5] ?? 0;
    const dRe = data[6] ?? 0;
    const dIm = data[7] ?? 0;
    const isUnitary =
      Math.abs(aRe * aRe + aIm * aIm + cRe * cRe + cIm * cIm - 1) < 1e-13 &&
      Math.abs(bRe * bRe + bIm * bIm + dRe * dRe + dIm * dIm - 1) < 1e-13 &&
      Math.abs(aRe * bRe + aIm * bIm + cRe * dRe + cIm * dIm) < 1e-13 &&
      Math.abs(aRe * bIm - aIm * bRe + cRe * dIm - cIm * dRe) < 1e-13;
    if (!isUnitary) return this.#dense(target, mask, value, data);
    if (mask === 0) return this.#waiting.turn(target, data);
    const bit = 1 << target;
    if (bRe === 0 && bIm === 0 && cRe === 0 && cIm === 0) {
      this.#phase(mask, value, aRe, aIm);
      // d / a
      this.#phase(mask | bit, value | bit, dRe * aRe + dIm * aIm, dIm * aRe - dRe * aIm);
    } else if (aRe === 0 && aIm === 0 && dRe === 0 && dIm === 0) {
      this.#flip(target, mask, value);
      this.#phase(mask, value, bRe, bIm);
      this.#phase(mask | bit, value | bit, cRe * bRe + cIm * bIm, cIm * bRe - cRe * bIm);
    } else this.#dense(target, mask, value, data);
  }

  #many(targets: readonly number[], mask: number, value: number, matrix: Matrix): void {
    if (this.#diagonal(targets, mask, value, matrix)) return;
    this.#settleAll(mask);
    let whole = matrix;
    if (mask === 0 && targets.length <= 3) {
      // What waits on the targets is taken in.
      let before: Matrix = matrixFrom([[1]]);
      for (const target of targets) {
        this.#release(target);
        if (this.#waiting.selecting(target) >= 0) this.#settle(target);
        before = kronecker(this.#waiting.take(target), before);
      }
      whole = multiply(matrix, before);
    } else
      for (const target of targets) {
        this.#release(target);
        this.#settle(target);
        this.#materialize(target);
      }
    this.operations.push({ kind: 'matrix', targets, mask, value, matrix: whole });
  }

  /** A diagonal as factors of which each acts where some qubits are all 1. @returns false if it is none, or not unitary */
  #diagonal(targets: readonly number[], mask: number, value: number, { dimension, data }: Matrix): boolean {
    const re = new Float64Array(dimension);
    const im = new Float64Array(dimension);
    for (let row = 0; row < dimension; row += 1)
      for (let column = 0; column < dimension; column += 1) {
        const at = 2 * (row * dimension + column);
        const [x = 0, y = 0] = [data[at], data[at + 1]];
        if (row === column) {
          if (Math.abs(x * x + y * y - 1) > 1e-13) return false;
          re[row] = x;
          im[row] = y;
        } else if (x !== 0 || y !== 0) return false;
      }
    for (let bit = 1; bit < dimension; bit *= 2)
      for (let index = dimension - 1; index > 0; index -= 1) {
        if ((index & bit) === 0) continue;
        const [x = 0, y = 0, u = 0, v = 0] = [re[index], im[index], re[index ^ bit], im[index ^ bit]];
        re[index] = x * u + y * v;
        im[index] = y * u - x * v;
      }
    for (let index = 0; index < dimension; index += 1) {
      let bits = 0;
      targets.forEach((target, at) => {
        if ((index >> at) & 1) bits |= 1 << target;
      });
      this.#phase(mask | bits, value | bits, re[index] ?? 0, im[index] ?? 0);
    }
    return true;
  }

  #phase(mask: number, value: number, re: number, im: number): void {
    if (Math.abs(re - 1) < 2e-16 && Math.abs(im) < 2e-16) return;
    if (mask === 0) return this.#waiting.scale(re, im);
    if ((mask & (mask - 1)) === 0) {
      const qubit = 31 - Math.clz32(mask);
      return this.#waiting.turn(qubit, value === 0 ? [re, im, 0, 0, 0, 0, 1, 0] : [1, 0, 0, 0, 0, 0, re, im]);
    }
    this.#settleAll(mask);
    this.operations.push({ kind: 'phase', mask, value, re, im });
  }

  #flip(target: number, mask: number, value: number): void {
    if ((mask & (mask - 1)) === 0) {
      this.#controlledX(31 - Math.clz32(mask), target);
      if (value === 0) this.#waiting.turn(target, [0, 0, 1, 0, 1, 0, 0, 0]);
      return;
    }
    this.#settleAll(mask);
    this.#release(target);
    this.#settle(target);
    this.#materialize(target);
    this.operations.push({ kind: 'flip', target, mask, value });
  }

  #dense(target: number, mask: number, value: number, matrix: ArrayLike<number>): void {
    this.#settleAll(mask);
    this.#release(target);
    this.#settle(target);
    this.#materialize(target);
    this.operations.push({ kind: 'dense', target, mask, value, matrix });
  }

  #controlledX(control: number, target: number): void {
    this.#settle(control);
    const isDiagonal = this.#waiting.isDiagonal(target);
    if (this.#waiting.selecting(target) === control && isDiagonal) return this.#cancel(control, target);
    this.#release(target);
    this.#settle(target);
    this.#waiting.select(target, control);
  }

  /** X^c · diag(1, δ) · X^c with the same control is diag(1, δ), and where the control is 1, δ · diag(1, 1/δ). */
  #cancel(control: number, target: number): void {
    const [re, im] = this.#waiting.takeDiagonal(target);
    const [bRe, bIm] = this.#waiting.beforeOf(target);
    this.#waiting.unselect(target);
    this.#waiting.turn(target, [1, 0, 0, 0, 0, 0, re * bRe - im * bIm, re * bIm + im * bRe]);
    this.#waiting.turn(control, [1, 0, 0, 0, 0, 0, re, im]);
    const mask = (1 << control) | (1 << target);
    this.#phase(mask, mask, re * re - im * im, -2 * re * im);
  }

  /** A settled qubit's diagonal becomes an operation. */
  #materialize(qubit: number): void {
    const [re, im] = this.#waiting.takeDiagonal(qubit);
    this.#emitPhase(qubit, re, im);
  }

  #emitPhase(qubit: number, re: number, im: number): void {
    const mask = 1 << qubit;
    if (Math.abs(re - 1) >= 2e-16 || Math.abs(im) >= 2e-16)
      this.operations.push({ kind: 'phase', mask, value: mask, re, im });
  }

  #settleAll(mask: number): void {
    for (let left = mask; left !== 0; left &= left - 1) this.#settle(31 - Math.clz32(left & -left));
  }

  /** Those that wait for the value of this qubit are done while it has it. */
  #release(qubit: number): void {
    if (!this.#waiting.selects(qubit)) return;
    for (let other = 0; other < this.#qubits; other += 1)
      if (this.#waiting.selecting(other) === qubit) this.#settle(other);
  }

  /** What waits for the qubit is a diagonal after. */
  #settle(qubit: number): void {
    const select = this.#waiting.selecting(qubit);
    if (this.#waiting.isDiagonal(qubit)) {
      if (select < 0) return;
      this.#emitPhase(qubit, ...this.#waiting.beforeOf(qubit));
      this.operations.push({ kind: 'flip', target: qubit, mask: 1 << select, value: 1 << select });
      this.#waiting.unselect(qubit);
      return;
    }
    this.#release(qubit);
    this.#factorize(qubit, select);
  }

  /** A unitary matrix is `a · diag(1, β) · [1 -t; t 1] · X^f · diag(1, γ)` with t ≤ 1. */
  #factorize(qubit: number, select: number): void {
    const m = this.#waiting.matrix;
    const at = 8 * qubit;
    const isFlipped = this.#waiting.lengthSquared(at) < this.#waiting.lengthSquared(at + 2);
    const [a, b, d] = isFlipped ? [at + 2, at, at + 4] : [at, at + 2, at + 6];
    const aRe = m[a] ?? 0;
    const aIm = m[a + 1] ?? 0;
    const bRe = m[b] ?? 0;
    const bIm = m[b + 1] ?? 0;
    const dRe = m[d] ?? 0;
    const dIm = m[d + 1] ?? 0;
    const norm = aRe * aRe + aIm * aIm;
    const scale = Math.sqrt(norm);
    // b / a = -t γ, d / a = β γ
    const [ratioRe, ratioIm] = [(bRe * aRe + bIm * aIm) / norm, (bIm * aRe - bRe * aIm) / norm];
    const length = Math.sqrt(ratioRe * ratioRe + ratioIm * ratioIm);
    const tangent = length * length < zeroSquared ? 0 : length;
    const [gRe, gIm] = tangent === 0 ? [1, 0] : [-ratioRe / length, -ratioIm / length];
    const [uRe, uIm] = [(dRe * aRe + dIm * aIm) / norm, (dIm * aRe - dRe * aIm) / norm];
    const [betaRe, betaIm] = [uRe * gRe + uIm * gIm, uIm * gRe - uRe * gIm];
    const betaLength = Math.sqrt(betaRe * betaRe + betaIm * betaIm);
    this.#waiting.reset(qubit);
    m[at + 6] = betaRe / betaLength;
    m[at + 7] = betaIm / betaLength;
    this.#waiting.scale(aRe / scale, aIm / scale);
    // diag(1, γ) X = γ X diag(1, 1/γ)
    if (isFlipped) this.#waiting.scale(gRe, gIm);
    this.#emit(qubit, select, tangent, gRe, isFlipped ? -gIm : gIm, isFlipped, scale);
  }

  /** Where the selecting qubit is 1, diag(1, γ) X diag(1, before) = γ X diag(1, before / γ). */
  #emit(
    target: number,
    select: number,
    tangent: number,
    gRe: number,
    gIm: number,
    flipped: boolean,
    scale: number,
  ): void {
    if (select < 0) {
      if (tangent === 0) this.operations.push({ kind: 'flip', target, mask: 0, value: 0 });
      else
        this.operations.push({
          kind: 'rotate',
          target,
          select,
          tangent,
          phases: [gRe, gIm, gRe, gIm],
          flipped,
          scale,
        });
      return;
    }
    const [bRe, bIm] = this.#waiting.beforeOf(target);
    this.#waiting.unselect(target);
    if (tangent === 0) {
      this.#emitPhase(target, bRe, bIm);
      this.operations.push({ kind: 'flip', target, mask: 1 << select, value: flipped ? 0 : 1 << select });
      return;
    }
    this.#waiting.turnBefore(select, gRe, gIm);
    this.operations.push({
      kind: 'rotate',
      target,
      select,
      tangent,
      phases: [gRe * bRe - gIm * bIm, gRe * bIm + gIm * bRe, gRe * bRe + gIm * bIm, gRe * bIm - gIm * bRe],
      flipped,
      scale,
    });
  }
}
