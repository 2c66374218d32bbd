import { bitsOf, type Circuit, type Operation } from './circuit.ts';

/** Whether anything of it, branches and loops included, is measured. */
export const measures = (operations: readonly Operation[]): boolean =>
  operations.some((operation) => {
    switch (operation.kind) {
      case 'measure':
        return true;
      case 'branch':
        return measures(operation.body) || measures(operation.otherwise);
      case 'loop':
        return measures(operation.body);
      default:
        return false;
    }
  });

/** Gates and measurements that lie one after another at least: Qiskit's depth. Barriers count for nothing, branches as their longest way, loops as one round. */
export function depthOf(circuit: Circuit): number {
  const wires = new Float64Array(circuit.qubits + bitsOf(circuit));
  const bit = (at: number): number => circuit.qubits + at;
  deepen(circuit.operations, wires, bit);
  return wires.reduce((most, depth) => Math.max(most, depth), 0);
}

function deepen(operations: readonly Operation[], wires: Float64Array, bit: (at: number) => number): void {
  const put = (on: readonly number[], by: number): void => {
    const depth = on.reduce((most, wire) => Math.max(most, wires[wire] ?? 0), 0) + by;
    for (const wire of on) wires[wire] = depth;
  };
  for (const operation of operations)
    switch (operation.kind) {
      case 'gate':
        put([...operation.targets, ...operation.controls.map(({ qubit }) => qubit)], 1);
        break;
      case 'measure':
        put([operation.qubit, bit(operation.bit)], 1);
        break;
      case 'reset':
        put([operation.qubit], 1);
        break;
      case 'barrier':
        put(operation.qubits, 0);
        break;
      case 'branch': {
        const other = wires.slice();
        deepen(operation.body, wires, bit);
        deepen(operation.otherwise, other, bit);
        for (const [wire, depth] of other.entries()) wires[wire] = Math.max(wires[wire] ?? 0, depth);
        break;
      }
      case 'loop':
        deepen(operation.body, wires, bit);
        break;
    }
}
