import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../../simulate/random.ts';
import { groundEnergy } from '../ground-energy.ts';
import { Observable } from '../hamiltonian/observable.ts';
import { buildMolecule, type MoleculeName } from './molecule.ts';

const close = (actual: number, expected: number, tolerance: number, what: string): void =>
  assert.ok(Math.abs(actual - expected) < tolerance, `${what}: ${actual}, not ${expected}`);

test('H2 at 0.735 Å in two qubits has the published coefficients', () => {
  const { hamiltonian, nuclear } = buildMolecule({ name: 'H2', distance: 0.735, mapping: 'parity' });
  close(nuclear, 0.7199689944, 1e-10, 'nuclear repulsion');
  const published = { II: -1.05237325 + nuclear, IZ: 0.39793742, ZI: -0.39793742, ZZ: -0.0112801, XX: 0.1809312 };
  assert.deepEqual(hamiltonian.terms.map(({ letters }) => letters).sort(), Object.keys(published).sort());
  for (const { letters, coefficient } of hamiltonian.terms)
    close(coefficient, published[letters as keyof typeof published], 1e-8, letters);
});

/** Hartree–Fock and full configuration interaction by PySCF 2 in STO-3G. */
const known: readonly (readonly [MoleculeName, distance: number, hartreeFock: number, exact: number])[] = [
  ['H2', 0.735, -1.116998996754004, -1.1373060357534004],
  ['H2', 1.5, -0.9108735545943865, -0.9981493534714101],
  ['H4', 0.5, -1.6286097030299027, -1.6531169519401185],
  ['H4', 1, -2.098545936998094, -2.166387448634759],
  ['H4', 2, -1.5756164767018657, -1.8977806459898727],
  ['H4', 3, -1.3133117862215051, -1.8672913724013755],
  ['HeH+', 0.7743, -2.841838046444842, -2.8514676861758836],
];

for (const mapping of ['jordan_wigner', 'parity'] as const)
  test(`energies of molecules are those of an independent program, mapped by ${mapping}`, () => {
    for (const [name, distance, hartreeFock, exact] of known) {
      const molecule = buildMolecule({ name, distance, mapping });
      const observable = new Observable(molecule.hamiltonian);
      const what = `${name} at ${distance}`;
      close(molecule.hartreeFock, hartreeFock, 1e-10, what);
      close(observable.diagonal[molecule.start] ?? 0, hartreeFock, 1e-10, `${what}: the start`);
      assert.ok(molecule.holdsElectrons(molecule.start));
      close(groundEnergy(observable, createRandom('start'), molecule.holdsElectrons), exact, 1e-9, what);
    }
  });

test('an ion with fewer electrons does not pass for the molecule', () => {
  const { hamiltonian, holdsElectrons } = buildMolecule({ name: 'HeH+', distance: 0.8, mapping: 'jordan_wigner' });
  const observable = new Observable(hamiltonian);
  // With one electron more it would be HeH, which is lower.
  assert.ok(
    groundEnergy(observable, createRandom('a'), () => true) <
      groundEnergy(observable, createRandom('a'), holdsElectrons) - 0.01,
  );
});

test('Hartree–Fock converges at all distances that are taken', () => {
  for (const name of ['H2', 'H4', 'HeH+'] as const)
    for (let distance = 0.2; distance <= 5; distance += 0.3)
      assert.ok(Number.isFinite(buildMolecule({ name, distance, mapping: 'parity' }).hartreeFock));
});

test('excitations conserve electrons and spin, and are antihermitian', () => {
  const { excitations } = buildMolecule({ name: 'H4', distance: 1, mapping: 'jordan_wigner' });
  assert.equal(excitations.length, 26);
  assert.equal(new Set(excitations.map(({ name }) => name)).size, 26);
  for (const { generator } of excitations)
    for (const { re, im, x } of generator.values()) {
      assert.ok(re === 0);
      if (im === 0) continue;
      // As many orbitals are emptied as filled, of each spin.
      for (const spin of [x & 0b1111, x >> 4])
        assert.ok([0, 2, 4].includes(spin.toString(2).replaceAll('0', '').length));
    }
});
