import { type Ansatz, type AnsatzGate, constant, proportional } from './ansatz.ts';

export const entanglements = ['linear', 'circular', 'full'] as const;
export const rotationAxes = ['rx', 'ry', 'rz'] as const;

export interface HardwareEfficient {
  readonly layers: number;
  readonly entanglement: (typeof entanglements)[number];
  /** Of each qubit, in this order, before the first layer and after the entangling gates of each. */
  readonly rotations: readonly (typeof rotationAxes)[number][];
}

/** Rotations of each qubit, then per layer controlled X between pairs and the rotations again (Kandala et al., doi:10.1038/nature23879). */
export function hardwareEfficient(qubits: number, { layers, entanglement, rotations }: HardwareEfficient): Ansatz {
  const names: string[] = [];
  const gates: AnsatzGate[] = [];
  const rotateAll = (layer: number): void => {
    for (const axis of rotations)
      for (let qubit = 0; qubit < qubits; qubit += 1) {
        const bit = 1 << qubit;
        const pauli = { x: axis === 'rz' ? 0 : bit, z: axis === 'rx' ? 0 : bit };
        gates.push({ kind: 'rotation', pauli, angle: proportional(names.length) });
        names.push(`${axis}[${layer}][${qubit}]`);
      }
  };
  rotateAll(0);
  for (let layer = 1; layer <= layers; layer += 1) {
    for (const [control, target] of pairsOf(qubits, entanglement)) gates.push(...controlledX(control, target));
    rotateAll(layer);
  }
  return { qubits, start: 0, gates, names };
}

/** `exp(iπ/4·(1−Z)(1−X))` without the phase that nobody sees: three rotations that commute. */
function controlledX(control: number, target: number): AnsatzGate[] {
  const [z, x] = [1 << control, 1 << target];
  return [
    { kind: 'rotation', pauli: { x: 0, z }, angle: constant(Math.PI / 2) },
    { kind: 'rotation', pauli: { x, z: 0 }, angle: constant(Math.PI / 2) },
    { kind: 'rotation', pauli: { x, z }, angle: constant(-Math.PI / 2) },
  ];
}

function pairsOf(qubits: number, entanglement: HardwareEfficient['entanglement']): (readonly [number, number])[] {
  const line = Array.from({ length: qubits - 1 }, (_, qubit) => [qubit, qubit + 1] as const);
  switch (entanglement) {
    case 'linear':
      return line;
    case 'circular':
      // Of two qubits the ring is the line.
      return qubits > 2 ? [[qubits - 1, 0], ...line] : line;
    case 'full':
      return line.flatMap(([control]) =>
        Array.from({ length: qubits - 1 - control }, (_, at) => [control, control + 1 + at] as const),
      );
  }
}
