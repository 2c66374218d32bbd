import type { PauliSum } from '../../circuit/pauli.ts';
import { type Ansatz, type AnsatzGate, proportional } from './ansatz.ts';

/**
 * From the even superposition, `layers` times `exp(−iγC)` for the Hamiltonian C and `exp(−iβ ΣX)` (Farhi, Goldstone & Gutmann,
 * arXiv:1411.4028). Parameters: all γ, then all β. It begins on a ramp, as annealing goes: γ grows, β falls, both over their layers
 * (Zhou et al., doi:10.1103/PhysRevX.10.021067). An optimizer sees γ times the typical coefficient, so that weights of any size will do.
 */
export function qaoa({ qubits, terms }: PauliSum, layers: number): Ansatz {
  const scale = typicalSize(terms);
  const each = Array.from({ length: layers }, (_, layer) => layer);
  const gates: AnsatzGate[] = [];
  const mixers = Array.from({ length: qubits }, (_, qubit) => 1 << qubit);
  for (const layer of each) {
    gates.push({ kind: 'cost', angle: proportional(layer, 1 / scale) });
    for (const x of mixers)
      gates.push({ kind: 'rotation', pauli: { x, z: 0 }, angle: proportional(layers + layer, 2) });
  }
  return {
    qubits,
    start: 'superposition',
    gates,
    names: [...each.map((layer) => `gamma[${layer}]`), ...each.map((layer) => `beta[${layer}]`)],
    units: [...each.map(() => 1 / scale), ...each.map(() => 1)],
    initial: [
      ...each.map((layer) => (rampHeight * (layer + 0.5)) / layers),
      ...each.map((layer) => -rampHeight * (1 - (layer + 0.5) / layers)),
    ],
  };
}

const rampHeight = 0.7;

/** Root mean square of the coefficients, that of the identity aside. */
function typicalSize(terms: PauliSum['terms']): number {
  const squares = terms.filter(({ letters }) => /[^I]/.test(letters)).map(({ coefficient }) => coefficient ** 2);
  const mean = squares.reduce((sum, square) => sum + square, 0) / Math.max(1, squares.length);
  return mean > 0 ? Math.sqrt(mean) : 1;
}
