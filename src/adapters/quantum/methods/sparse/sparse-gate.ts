import type { GateOperation } from '../../circuit/circuit.ts';
import { matrixOf } from '../../circuit/gates.ts';

/** A gate as the sparse method takes it. */
export interface SparseGate {
  readonly targets: readonly number[];
  readonly controls: GateOperation['controls'];
  readonly dimension: number;
  readonly entries: Float64Array;
  /** Where each column has one entry, as of all permutations and phases: its row. */
  readonly rows: Int32Array | undefined;
}

export function sparseGate({ gate, targets, controls }: GateOperation): SparseGate {
  const { dimension, data } = matrixOf(gate);
  const rows = new Int32Array(dimension);
  let isMonomial = true;
  for (let column = 0; column < dimension; column += 1) {
    const found = rowsOf(data, dimension, column);
    isMonomial &&= found.length === 1;
    rows[column] = found[0] ?? 0;
  }
  return { targets, controls, dimension, entries: data, rows: isMonomial ? rows : undefined };
}

/** What is less than rounding of 1 is an entry that should be 0, such as `cos(π/2)`. */
const rowsOf = (data: Float64Array, dimension: number, column: number): number[] =>
  Array.from({ length: dimension }, (_, row) => row).filter((row) => {
    const at = 2 * (row * dimension + column);
    return Math.hypot(data[at] ?? 0, data[at + 1] ?? 0) > 1e-15;
  });
