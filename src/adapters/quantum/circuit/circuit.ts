import type { Gate } from './gates.ts';

/**
 * A quantum circuit, whatever language it was written in. Qubits are numbered from 0. Order of bits as in Qiskit: qubit 0 and bit 0 are the
 * least significant, thus rightmost in a text of bits.
 */
export interface Circuit {
  readonly qubits: number;
  /** Classical registers; the bits of the first are numbered from 0, those of the next follow. */
  readonly registers: readonly Register[];
  readonly operations: readonly Operation[];
}

export interface Register {
  readonly name: string;
  readonly size: number;
}

export type Operation = GateOperation | MeasureOperation | ResetOperation | BarrierOperation | Branch | Loop;

export interface GateOperation {
  readonly kind: 'gate';
  readonly gate: Gate;
  /** Distinct; the first is the least significant of the gate's matrix. */
  readonly targets: readonly number[];
  /** The gate acts where each of these qubits, none of them a target, has its value. */
  readonly controls: readonly Control[];
}

export interface Control {
  readonly qubit: number;
  readonly value: 0 | 1;
}

/** In the computational basis. */
export interface MeasureOperation {
  readonly kind: 'measure';
  readonly qubit: number;
  readonly bit: number;
}

/** To |0⟩. */
export interface ResetOperation {
  readonly kind: 'reset';
  readonly qubit: number;
}

/** Nothing is reordered or merged across it. */
interface BarrierOperation {
  readonly kind: 'barrier';
  readonly qubits: readonly number[];
}

/** The condition is looked at once, before the operations. */
interface Branch {
  readonly kind: 'branch';
  readonly condition: Expression;
  readonly body: readonly Operation[];
  readonly otherwise: readonly Operation[];
}

/** As long as the condition holds; it is looked at before each round, of which there are `roundsMax` at most. */
interface Loop {
  readonly kind: 'loop';
  readonly condition: Expression;
  readonly body: readonly Operation[];
}

/** Over classical bits. Comparisons and logic give 0 or 1; a condition holds where the value is not 0. */
export type Expression =
  | { readonly kind: 'integer'; readonly value: bigint }
  /** An unsigned number, the first bit is the least significant. */
  | { readonly kind: 'bits'; readonly bits: readonly number[] }
  | { readonly kind: 'not'; readonly of: Expression }
  | { readonly kind: 'binary'; readonly operator: Operator; readonly left: Expression; readonly right: Expression };

export type Operator = '==' | '!=' | '<' | '<=' | '>' | '>=' | '&&' | '||' | '&' | '|' | '^';

/** Rounds of one loop; a run that needs more fails. */
export const roundsMax = 10_000;

export const gateOn = (gate: Gate, targets: readonly number[], controls: readonly Control[] = []): GateOperation => ({
  kind: 'gate',
  gate,
  targets,
  controls,
});

export const bitsOf = ({ registers }: Pick<Circuit, 'registers'>): number =>
  registers.reduce((sum, { size }) => sum + size, 0);

/** @param read a bit by its number */
export function evaluate(expression: Expression, read: (bit: number) => 0 | 1): bigint {
  switch (expression.kind) {
    case 'integer':
      return expression.value;
    case 'bits':
      return expression.bits.reduceRight((value, bit) => (value << 1n) | BigInt(read(bit)), 0n);
    case 'not':
      return evaluate(expression.of, read) === 0n ? 1n : 0n;
    case 'binary':
      return operate(expression.operator, evaluate(expression.left, read), evaluate(expression.right, read));
  }
}

function operate(operator: Operator, left: bigint, right: bigint): bigint {
  const truth = (value: boolean): bigint => (value ? 1n : 0n);
  switch (operator) {
    case '==':
      return truth(left === right);
    case '!=':
      return truth(left !== right);
    case '<':
      return truth(left < right);
    case '<=':
      return truth(left <= right);
    case '>':
      return truth(left > right);
    case '>=':
      return truth(left >= right);
    case '&&':
      return truth(left !== 0n && right !== 0n);
    case '||':
      return truth(left !== 0n || right !== 0n);
    case '&':
      return left & right;
    case '|':
      return left | right;
    case '^':
      return left ^ right;
  }
}
