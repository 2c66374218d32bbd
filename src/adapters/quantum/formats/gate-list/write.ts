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
      const { body, otherwise } = operation;
      return {
        type: 'If',
        condition: condition(operation.condition),
        gates: body.map(entry),
        ...(otherwise.length === 0 ? {} : { else: otherwise.map(entry) }),
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

function condition(expression: Expression): JSONObject {
  if (expression.kind === 'bits') return { bits: [...expression.bits], equals: 1 };
  if (
    expression.kind === 'binary' &&
    expression.operator === '==' &&
    expression.left.kind === 'bits' &&
    expression.right.kind === 'integer'
  )
    return { bits: [...expression.left.bits], equals: expression.right.value.toString(2) };
  throw new StepError(
    'UNSUPPORTED_GATE',
    'a gate list compares bits with a number, and nothing else: OpenQASM 3 has more',
  );
}
