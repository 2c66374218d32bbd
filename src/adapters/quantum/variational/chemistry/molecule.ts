import type { PauliSum } from '../../circuit/pauli.ts';
import { lettersOf, type MaskSum } from '../hamiltonian/pauli-mask.ts';
import {
  addLadders,
  coefficientMin,
  encodeOccupation,
  holdsElectrons,
  type Ladder,
  type Mapping,
  mapped,
  qubitsFor,
  type Shell,
} from './fermions.ts';
import { hartreeFock, type Orbitals } from './hartree-fock.ts';
import { type Atom, chargeOf, type Element, integralsOf } from './integrals.ts';

/** Chains of equally distant atoms in one line, by name. */
export const molecules = {
  H2: { elements: ['H', 'H'], charge: 0, distance: 0.735, mapping: 'parity' },
  H4: { elements: ['H', 'H', 'H', 'H'], charge: 0, distance: 1, mapping: 'jordan_wigner' },
  'HeH+': { elements: ['He', 'H'], charge: 1, distance: 0.772, mapping: 'parity' },
} as const satisfies Record<
  string,
  { elements: readonly Element[]; charge: number; distance: number; mapping: Mapping }
>;

export type MoleculeName = keyof typeof molecules;

export interface MoleculeChoice {
  readonly name: MoleculeName;
  /** Between neighbours, in ångström. */
  readonly distance: number;
  readonly mapping: Mapping;
}

/** A molecule in qubits. */
export interface Molecule {
  /** Nuclear repulsion included, in hartree. */
  readonly hamiltonian: PauliSum;
  readonly nuclear: number;
  readonly hartreeFock: number;
  /** The basis state of the Hartree–Fock determinant. */
  readonly start: number;
  /** `T − T†` of each single and double excitation T that conserves spin, as a sum of Pauli matrices with imaginary coefficients. */
  readonly excitations: readonly { readonly name: string; readonly generator: MaskSum }[];
  /** Whether a basis state has the molecule's electrons. */
  readonly holdsElectrons: (index: number) => boolean;
}

/** CODATA 2010, as most programs of quantum chemistry have it. */
const bohrInAngstrom = 0.52917721092;

/** In the minimal basis STO-3G over Hartree–Fock orbitals; all electrons, all orbitals. */
export function buildMolecule({ name, distance, mapping }: MoleculeChoice): Molecule {
  const { elements, charge } = molecules[name];
  const atoms: Atom[] = elements.map((element, at) => ({
    element,
    position: [0, 0, (at * distance) / bohrInAngstrom],
  }));
  const electrons = atoms.reduce((sum, { element }) => sum + chargeOf(element), 0) - charge;
  const orbitals = hartreeFock(integralsOf(atoms), electrons);
  const shell: Shell = { orbitals: 2 * orbitals.count, up: orbitals.occupied, down: orbitals.occupied };
  const occupied = 2 ** orbitals.occupied - 1;
  return {
    hamiltonian: pauliSumOf(mapped(mapping, shell, energyOperator(orbitals)), qubitsFor(mapping, shell)),
    nuclear: orbitals.nuclear,
    hartreeFock: orbitals.energy,
    start: encodeOccupation(mapping, shell, occupied | (occupied << orbitals.count)),
    excitations: excitationsOf(orbitals).map((ladders) => ({
      name: nameOf(ladders),
      generator: mapped(mapping, shell, generatorOf(ladders)),
    })),
    holdsElectrons: (index) => holdsElectrons(mapping, shell, index),
  };
}

const creates = (orbital: number): Ladder => ({ orbital, creates: true });
const destroys = (orbital: number): Ladder => ({ orbital, creates: false });

/** `Σ h_pq p†q + ½ Σ (pq|rs) p†r†sq` over spin orbitals (Szabo & Ostlund, equation 2.232). */
function energyOperator({ count, core, repulsion, nuclear }: Orbitals): MaskSum {
  const sum: MaskSum = new Map();
  addLadders(sum, [], nuclear);
  const each = Array.from({ length: count }, (_, orbital) => orbital);
  const spins = [0, count];
  for (const p of each)
    for (const q of each) {
      for (const spin of spins) addLadders(sum, [creates(p + spin), destroys(q + spin)], core[p]?.[q] ?? 0);
      for (const r of each)
        for (const s of each) {
          const half = 0.5 * (repulsion[((p * count + q) * count + r) * count + s] ?? 0);
          if (Math.abs(half) < coefficientMin) continue;
          for (const a of spins)
            for (const b of spins)
              if (a !== b || (p !== r && q !== s))
                addLadders(sum, [creates(p + a), creates(r + b), destroys(s + b), destroys(q + a)], half);
        }
    }
  return sum;
}

function pauliSumOf(sum: MaskSum, qubits: number): PauliSum {
  const terms = [...sum.values()]
    .filter(({ re }) => Math.abs(re) >= coefficientMin)
    .map((term) => ({ letters: lettersOf(term, qubits), coefficient: term.re }))
    .sort((a, b) => (a.letters < b.letters ? -1 : 1));
  return { qubits, terms };
}

/** Singles, then doubles. */
function excitationsOf({ count, occupied }: Orbitals): (readonly Ladder[])[] {
  const single = (spin: number): Ladder[][] =>
    range(0, occupied).flatMap((i) => range(occupied, count).map((a) => [creates(a + spin), destroys(i + spin)]));
  const [up, down] = [single(0), single(count)];
  const joined = (left: readonly Ladder[], right: readonly Ladder[]): Ladder[] => {
    const [a, i] = left as [Ladder, Ladder];
    const [b, j] = right as [Ladder, Ladder];
    return [a, b, j, i];
  };
  const within = (singles: readonly Ladder[][]): Ladder[][] =>
    singles.flatMap((left) =>
      singles
        .filter((right) => (left[0]?.orbital ?? 0) < (right[0]?.orbital ?? 0))
        .filter((right) => (left[1]?.orbital ?? 0) < (right[1]?.orbital ?? 0))
        .map((right) => joined(left, right)),
    );
  const mixed = up.flatMap((left) => down.map((right) => joined(left, right)));
  return [...up, ...down, ...mixed, ...within(up), ...within(down)];
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);

function generatorOf(ladders: readonly Ladder[]): MaskSum {
  const sum: MaskSum = new Map();
  addLadders(sum, ladders, 1);
  addLadders(
    sum,
    [...ladders].reverse().map(({ orbital, creates: up }) => ({ orbital, creates: !up })),
    -1,
  );
  return sum;
}

/** Such as `0,4->1,5`, by spin orbital. */
function nameOf(ladders: readonly Ladder[]): string {
  const from = ladders.filter((ladder) => !ladder.creates).map(({ orbital }) => orbital);
  const to = ladders.filter((ladder) => ladder.creates).map(({ orbital }) => orbital);
  return `${from.reverse().join(',')}->${to.join(',')}`;
}
