import { StepError } from '../../../../lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../../lib/json.ts';
import type { Circuit, Expression, GateOperation, Operation } from '../../circuit/circuit.ts';
import { shapeOf } from '../../circuit/gates.ts';
import { listedGates } from './names.ts';

/** The circuit as a gate list that `readGateList` reads. @throws StepError UNSUPPORTED_GATE for loops and conditions that are no comparison with a number */
export const writeGateList = (circuit: Circuit): JSONObject => ({
  qubits: circuit.qubits,
  ...(circuit.registers.length === 0 ? {} : { registers: circuit.registers.map(({ name, size }) => ({ name, size })) }),
  gates: circuit.operations.map(entry),
});

function entry(operation: Operation): JSONObject {
  switch (operation.kind) {
    case 'gate':
      return gateEntry(operation);
    case 'measure':
      return { type: 'Measure', qubits: [operation.qubit], bits: [operation.bit] };
    case 'reset':
      return { type: 'Reset', qubit: operation.qubit };
    case 'barrier':
      return { type: 'Barrier', qubits: [...operation.qubits] };
    case 'branch': {
      const { condition, isMet } = comparison(operation.condition);
      const { body, otherwise } = operation;
      const [gates, others] = isMet ? [body, otherwise] : [otherwise, body];
      return {
        type: 'If',
        condition,
        gates: gates.map(entry),
        ...(others.length === 0 ? {} : { else: others.map(entry) }),
      };
    }
    case 'loop':
      throw new StepError('UNSUPPORTED_GATE', 'a gate list has no loops: OpenQASM 3 has');
  }
}

function gateEntry({ gate, targets, controls }: GateOperation): JSONObject {
  const where = {
    ...(controls.length === 0 ? {} : { controls: controls.map(({ qubit }) => qubit) }),
    ...(controls.some(({ value }) => value === 0) ? { control_values: controls.map(({ value }) => value) } : {}),
    ...(targets.length === 0 ? {} : { targets: [...targets] }),
  };
  if (gate.name === 'unitary') return { type: 'Unitary', ...where, matrix: rowsOf(gate.matrix) };
  const [type = gate.name] =
    [...listedGates].find(([, listed]) => listed.gate === gate.name && listed.controls === 0) ?? [];
  const params = Object.fromEntries(shapeOf(gate.name).params.map((name, at) => [name, gate.params[at] ?? 0]));
  return { type, ...where, ...params };
}

function rowsOf({ dimension, data }: { dimension: number; data: Float64Array }): JSONValue {
  const at = (index: number): number => data[index] ?? 0;
  return Array.from({ length: dimension }, (_, r) =>
    Array.from({ length: dimension }, (__, c) => {
      const place = 2 * (r * dimension + c);
      return at(place + 1) === 0 ? at(place) : [at(place), at(place + 1)];
    }),
  );
}

/** Bits that equal a number, and whether the condition is that they do, or that they don't. */
function comparison(expression: Expression): { condition: JSONObject; isMet: boolean } {
  if (expression.kind === 'bits') {
    const { bits } = expression;
    return bits.length === 1
      ? { condition: { bits: [...bits], equals: 1 }, isMet: true }
      : { condition: { bits: [...bits], equals: 0 }, isMet: false };
  }
  if (expression.kind === 'not') {
    const { condition, isMet } = comparison(expression.of);
    return { condition, isMet: !isMet };
  }
  if (
    expression.kind === 'binary' &&
    (expression.operator === '==' || expression.operator === '!=') &&
    expression.left.kind === 'bits' &&
    expression.right.kind === 'integer' &&
    expression.right.value >= 0n
  ) {
    const { left, right, operator } = expression;
    return { condition: { bits: [...left.bits], equals: right.value.toString(2) }, isMet: operator === '==' };
  }
  throw new StepError(
    'UNSUPPORTED_GATE',
    'a gate list compares bits with a number, and nothing else: OpenQASM 3 has more',
  );
}
