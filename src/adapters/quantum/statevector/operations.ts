import type { Matrix } from '../circuit/complex.ts';

/** What the kernel does. `mask` and `value` say for which values of some qubits, as bits: where the index has `value` under `mask`. */
export type Lowered = Rotate | Dense | Phase | Flip | Exchange | MatrixOperation;

/**
 * `scale · [1 -t; t 1] · X^f · diag(1, e^{iφ})` on one qubit; where a qubit selects, `f` and `φ` depend on its value. `scale` is left to be applied
 * later, once for many: so a gate takes half of the products that a dense matrix takes, and a controlled X before it none.
 */
export interface Rotate {
  readonly kind: 'rotate';
  readonly target: number;
  /** -1: none. */
  readonly select: number;
  readonly tangent: number;
  /** Cosine and sine of φ, then those where the selecting qubit is 1. */
  readonly phases: readonly [number, number, number, number];
  /** Whether `f` is 1 (where the selecting qubit is 0; where it is 1, it is the other). */
  readonly flipped: boolean;
  readonly scale: number;
}

/** Any matrix of two rows: 8 numbers. */
export interface Dense {
  readonly kind: 'dense';
  readonly target: number;
  readonly mask: number;
  readonly value: number;
  readonly matrix: ArrayLike<number>;
}

export interface Phase {
  readonly kind: 'phase';
  readonly mask: number;
  readonly value: number;
  readonly re: number;
  readonly im: number;
}

export interface Flip {
  readonly kind: 'flip';
  readonly target: number;
  readonly mask: number;
  readonly value: number;
}

export interface Exchange {
  readonly kind: 'exchange';
  readonly first: number;
  readonly second: number;
}

/** A matrix over several qubits. */
export interface MatrixOperation {
  readonly kind: 'matrix';
  readonly targets: readonly number[];
  readonly mask: number;
  readonly value: number;
  readonly matrix: Matrix;
}

/** The qubits that an operation changes, as bits. */
export function writtenBy(operation: Lowered): number {
  switch (operation.kind) {
    case 'rotate':
    case 'dense':
    case 'flip':
      return 1 << operation.target;
    case 'phase':
      return 0;
    case 'exchange':
      return (1 << operation.first) | (1 << operation.second);
    case 'matrix':
      return operation.targets.reduce((bits, target) => bits | (1 << target), 0);
  }
}

/** The qubits whose value it goes by, as bits. */
export function readBy(operation: Lowered): number {
  switch (operation.kind) {
    case 'rotate':
      return operation.select < 0 ? 0 : 1 << operation.select;
    case 'exchange':
      return 0;
    default:
      return operation.mask;
  }
}
