import { coefficientMin } from '../chemistry/fermions.ts';
import type { Molecule } from '../chemistry/molecule.ts';
import { type Ansatz, type AnsatzGate, proportional } from './ansatz.ts';

/**
 * Unitary coupled cluster with single and double excitations of the Hartree–Fock state, in one Trotter step: `∏ exp(θ(T−T†))`, each factor
 * exact, since the terms of one excitation commute (Romero et al., arXiv:1701.02691; order as in Grimsley et al., arXiv:1910.10329).
 * With zeros it is the Hartree–Fock state. More layers are the product again with parameters of its own.
 */
export function uccsd({ hamiltonian, start, excitations }: Molecule, layers: number): Ansatz {
  const names: string[] = [];
  const gates: AnsatzGate[] = [];
  for (let layer = 0; layer < layers; layer += 1)
    for (const { name, generator } of excitations) {
      // exp(θ·ic·P) is a rotation by −2cθ.
      for (const { x, z, im } of generator.values())
        if (Math.abs(im) > coefficientMin)
          gates.push({ kind: 'rotation', pauli: { x, z }, angle: proportional(names.length, -2 * im) });
      names.push(layers === 1 ? name : `${name}[${layer}]`);
    }
  return { qubits: hamiltonian.qubits, start, gates, names, initial: names.map(() => 0) };
}
