import type { GateOperation } from '../circuit/circuit.ts';
import { type Gate, matrixOf } from '../circuit/gates.ts';

/** What a gate's matrix does to basis states. */
interface MatrixKind {
  /** How many entries of a column differ from 0: what one amplitude may become. 1 where it takes basis states to basis states, but for phases. */
  readonly spread: number;
  readonly isDiagonal: boolean;
}

const known = new Map<string, MatrixKind>();

/** Controls change neither. */
export function kindOf({ gate }: GateOperation): MatrixKind {
  if (gate.params.length > 0 || gate.name === 'unitary') return kindOfMatrix(gate);
  const kind = known.get(gate.name) ?? kindOfMatrix(gate);
  known.set(gate.name, kind);
  return kind;
}

function kindOfMatrix(gate: Gate): MatrixKind {
  const { dimension, data } = matrixOf(gate);
  let spread = 1;
  let isDiagonal = true;
  for (let column = 0; column < dimension; column += 1) {
    let count = 0;
    for (let row = 0; row < dimension; row += 1) {
      const at = 2 * (row * dimension + column);
      if ((data[at] ?? 0) === 0 && (data[at + 1] ?? 0) === 0) continue;
      count += 1;
      if (row !== column) isDiagonal = false;
    }
    spread = Math.max(spread, count);
  }
  return { spread, isDiagonal };
}
