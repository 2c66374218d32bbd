import type { PauliSum } from '../../circuit/pauli.ts';
import { lettersOf } from './pauli-mask.ts';

export interface Graph {
  readonly nodes: number;
  readonly edges: readonly Edge[];
}

export interface Edge {
  readonly a: number;
  readonly b: number;
  readonly weight: number;
}

export interface Ising {
  /** One per spin. */
  readonly fields: readonly number[];
  readonly couplings: readonly Edge[];
}

/** One qubit per node; its bit is the side. The energy of a basis state is the negative weight of the edges that its sides cut. */
export const maxCutHamiltonian = ({ nodes, edges }: Graph): PauliSum =>
  sumOfZ(nodes, [
    { mask: 0, coefficient: -edges.reduce((sum, { weight }) => sum + weight, 0) / 2 },
    ...edges.map(({ a, b, weight }) => ({ mask: (1 << a) | (1 << b), coefficient: weight / 2 })),
  ]);

/** `Σ h_i Z_i + Σ J_ij Z_i Z_j`: bit 0 is spin +1, bit 1 is spin −1. */
export const isingHamiltonian = ({ fields, couplings }: Ising): PauliSum =>
  sumOfZ(fields.length, [
    ...fields
      .map((coefficient, qubit) => ({ mask: 1 << qubit, coefficient }))
      .filter(({ coefficient }) => coefficient !== 0),
    ...couplings.map(({ a, b, weight }) => ({ mask: (1 << a) | (1 << b), coefficient: weight })),
  ]);

const sumOfZ = (qubits: number, terms: readonly { mask: number; coefficient: number }[]): PauliSum => ({
  qubits,
  terms: terms.map(({ mask, coefficient }) => ({ letters: lettersOf({ x: 0, z: mask }, qubits), coefficient })),
});

/** The weight of the edges between the two sides. */
export const cutValue = ({ edges }: Graph, sides: number): number =>
  edges.reduce((sum, { a, b, weight }) => sum + (((sides >>> a) ^ (sides >>> b)) & 1 ? weight : 0), 0);
