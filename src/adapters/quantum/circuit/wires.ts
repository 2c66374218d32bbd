import type { Expression, Operation } from './circuit.ts';

/** Qubits that an operation acts on, each once; those of bodies too. */
export function qubitsIn(operation: Operation): number[] {
  switch (operation.kind) {
    case 'gate':
      return [...operation.targets, ...operation.controls.map(({ qubit }) => qubit)];
    case 'measure':
    case 'reset':
      return [operation.qubit];
    case 'barrier':
      return [...operation.qubits];
    case 'branch':
      return once([...operation.body, ...operation.otherwise].flatMap(qubitsIn));
    case 'loop':
      return once(operation.body.flatMap(qubitsIn));
  }
}

/** Bits that an operation reads or writes, each once. */
export function bitsIn(operation: Operation): number[] {
  switch (operation.kind) {
    case 'measure':
      return [operation.bit];
    case 'branch':
      return once([...bitsRead(operation.condition), ...[...operation.body, ...operation.otherwise].flatMap(bitsIn)]);
    case 'loop':
      return once([...bitsRead(operation.condition), ...operation.body.flatMap(bitsIn)]);
    default:
      return [];
  }
}

/** Bits that an expression reads, as often as it does. */
export function bitsRead(expression: Expression): number[] {
  switch (expression.kind) {
    case 'integer':
      return [];
    case 'bits':
      return [...expression.bits];
    case 'not':
      return bitsRead(expression.of);
    case 'binary':
      return [...bitsRead(expression.left), ...bitsRead(expression.right)];
  }
}

const once = (numbers: readonly number[]): number[] => Array.from(new Set(numbers));
