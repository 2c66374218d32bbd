import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type GateOperation, gateOn } from '../../circuit/circuit.ts';
import { gateNamed } from '../../circuit/gates.ts';
import { createRandom } from '../../simulate/random.ts';
import { ReferenceState } from '../../simulate/reference-state.ts';
import { Amplitudes } from '../amplitudes.ts';
import { buildMolecule } from '../chemistry/molecule.ts';
import { Energy } from '../energy.ts';
import { isingHamiltonian } from '../hamiltonian/graphs.ts';
import { Observable } from '../hamiltonian/observable.ts';
import { lettersOf } from '../hamiltonian/pauli-mask.ts';
import type { Ansatz } from './ansatz.ts';
import { hardwareEfficient } from './hardware-efficient.ts';
import { qaoa } from './qaoa.ts';
import { uccsd } from './uccsd.ts';

const qubits = 4;
const all = [0, 1, 2, 3];
const parametersFor = ({ names }: Ansatz): number[] => {
  const random = createRandom('parameters');
  return names.map(() => 6 * random.next() - 3);
};

/** Up to a phase of the whole. */
function assertSameState(ours: Amplitudes, gates: readonly GateOperation[]): void {
  const reference = new ReferenceState(ours.qubits);
  reference.apply(gates);
  const theirs = reference.amplitudes();
  let [re, im] = [0, 0];
  for (let at = 0; at < theirs.length; at += 2) {
    const [a = 0, b = 0, c = 0, d = 0] = [ours.data[at], ours.data[at + 1], theirs[at], theirs[at + 1]];
    re += a * c + b * d;
    im += a * d - b * c;
  }
  assert.ok(Math.abs(Math.hypot(re, im) - 1) < 1e-12, `overlap ${Math.hypot(re, im)}`);
}

const pairs = {
  linear: [
    [0, 1],
    [1, 2],
    [2, 3],
  ],
  circular: [
    [3, 0],
    [0, 1],
    [1, 2],
    [2, 3],
  ],
  full: [
    [0, 1],
    [0, 2],
    [0, 3],
    [1, 2],
    [1, 3],
    [2, 3],
  ],
} as const;

for (const entanglement of ['linear', 'circular', 'full'] as const)
  test(`the hardware-efficient ansatz, ${entanglement}, is its circuit of standard gates`, () => {
    const rotations = ['ry', 'rz', 'rx'] as const;
    const ansatz = hardwareEfficient(qubits, { layers: 2, entanglement, rotations });
    const parameters = parametersFor(ansatz);
    assert.equal(parameters.length, 3 * 3 * qubits);
    const left = [...parameters];
    const turns = (): GateOperation[] =>
      rotations.flatMap((axis) => all.map((qubit) => gateOn(gateNamed(axis, left.shift() ?? Number.NaN), [qubit])));
    const layer = (): GateOperation[] => [
      ...pairs[entanglement].map(([control, target]) =>
        gateOn(gateNamed('x'), [target], [{ qubit: control, value: 1 }]),
      ),
      ...turns(),
    ];
    const gates = [...turns(), ...layer(), ...layer()];
    const energy = new Energy(ansatz, new Observable({ qubits, terms: [] }));
    assertSameState(energy.stateAt(parameters), gates);
    assert.equal(ansatz.names[qubits], 'rz[0][0]');
  });

test('QAOA is its circuit of standard gates: rz and rzz by 2γ, rx by 2β', () => {
  const fields = [0.5, 0, -0.7, 0.2];
  const couplings = [
    { a: 0, b: 1, weight: 1 },
    { a: 1, b: 3, weight: -0.4 },
    { a: 2, b: 0, weight: 0.9 },
  ];
  const hamiltonian = isingHamiltonian({ fields, couplings });
  const ansatz = qaoa(hamiltonian, 3);
  const inner = parametersFor(ansatz);
  const outer = inner.map((value, at) => value * (ansatz.units?.[at] ?? 1));
  const gates = all.map((qubit) => gateOn(gateNamed('h'), [qubit]));
  for (let layer = 0; layer < 3; layer += 1) {
    const [gamma = 0, beta = 0] = [outer[layer], outer[3 + layer]];
    for (const qubit of all) gates.push(gateOn(gateNamed('rz', 2 * gamma * (fields[qubit] ?? 0)), [qubit]));
    for (const { a, b, weight } of couplings) gates.push(gateOn(gateNamed('rzz', 2 * gamma * weight), [a, b]));
    for (const qubit of all) gates.push(gateOn(gateNamed('rx', 2 * beta), [qubit]));
  }
  assertSameState(new Energy(ansatz, new Observable(hamiltonian)).stateAt(inner), gates);
});

test('UCCSD is the product of the exponentials of its excitations, here by their power series', () => {
  for (const mapping of ['jordan_wigner', 'parity'] as const) {
    const molecule = buildMolecule({ name: 'H4', distance: 1.2, mapping });
    const ansatz = uccsd(molecule, 1);
    const parameters = parametersFor(ansatz);
    let state = new Amplitudes(ansatz.qubits);
    state.reset(molecule.start);
    molecule.excitations.forEach(({ generator }, at) => {
      const terms = [...generator.values()].map((term) => ({
        letters: lettersOf(term, ansatz.qubits),
        coefficient: term.im,
      }));
      state = exponential(new Observable({ qubits: ansatz.qubits, terms }), parameters[at] ?? 0, state);
    });
    const ours = new Energy(ansatz, new Observable(molecule.hamiltonian)).stateAt(parameters);
    let outside = 0;
    ours.data.forEach((value, at) => {
      assert.ok(Math.abs(value - (state.data[at] ?? Number.NaN)) < 1e-11, `${mapping}: number ${at}`);
      if (!molecule.holdsElectrons(at >> 1)) outside += value * value;
    });
    assert.ok(outside < 1e-24, 'no electron comes or goes');
  }
});

/** `exp(iθH)|state⟩` */
function exponential(observable: Observable, theta: number, state: Amplitudes): Amplitudes {
  const sum = new Amplitudes(state.qubits);
  sum.copyFrom(state);
  let term = state;
  for (let power = 1; power < 60; power += 1) {
    const next = new Amplitudes(state.qubits);
    observable.apply(term, next);
    for (let at = 0; at < next.data.length; at += 2) {
      const [re = 0, im = 0] = [next.data[at], next.data[at + 1]];
      next.data[at] = (-im * theta) / power;
      next.data[at + 1] = (re * theta) / power;
      sum.data[at] = (sum.data[at] ?? 0) + (next.data[at] ?? 0);
      sum.data[at + 1] = (sum.data[at + 1] ?? 0) + (next.data[at + 1] ?? 0);
    }
    term = next;
  }
  return sum;
}
