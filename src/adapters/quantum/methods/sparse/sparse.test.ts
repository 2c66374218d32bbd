import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomCircuit } from '../../../../../test/compliance/quantum-circuits.ts';
import { quantumStateCompliance } from '../../../../../test/compliance/quantum-state.ts';
import { type GateOperation, gateOn } from '../../circuit/circuit.ts';
import { gateNamed, type NamedGate } from '../../circuit/gates.ts';
import { createRandom } from '../../simulate/random.ts';
import { StabilizerState } from '../stabilizer/stabilizer-state.ts';
import { SparseState } from './sparse-state.ts';

quantumStateCompliance('The sparse state', (qubits) => new SparseState(qubits), { gates: 'all', tolerance: 1e-11 });

const on = (name: NamedGate, qubits: number[], ...params: number[]) => gateOn(gateNamed(name, ...params), qubits);
const cx = (control: number, target: number) => gateOn(gateNamed('x'), [target], [{ qubit: control, value: 1 }]);
const ghz = (qubits: number): GateOperation[] => [
  on('h', [0]),
  ...Array.from({ length: qubits - 1 }, (_, qubit) => cx(qubit, qubit + 1)),
];

test('a GHZ state of 100 qubits has two amplitudes', () => {
  const state = new SparseState(100, { entriesMax: 2 });
  state.apply(ghz(100));
  assert.ok(Math.abs(state.expectation('X'.repeat(100)) - 1) < 1e-12);
  assert.ok(Math.abs(state.expectation(`ZZ${'I'.repeat(98)}`) - 1) < 1e-12);
  const qubits = Array.from({ length: 100 }, (_, qubit) => qubit);
  const counts = state.sample(qubits, 1_000, createRandom('ghz'));
  assert.deepEqual([...counts.keys()].sort(), ['0'.repeat(100), '1'.repeat(100)]);
  state.collapse(77, 1);
  assert.equal(state.probabilityOfOne(3), 1);
});

test('what interferes to nothing is gone, so that it does not grow', () => {
  const state = new SparseState(40, { entriesMax: 4 });
  for (let qubit = 0; qubit < 39; qubit += 1) {
    const gates = [on('h', [39]), on('rx', [qubit], 0.3 + qubit), on('rx', [qubit], -0.3 - qubit), on('h', [39])];
    state.apply(gates);
    assert.ok(state.probabilityOfOne(39) < 1e-12);
    assert.ok(state.probabilityOfOne(qubit) < 1e-12);
  }
});

test('more amplitudes than the most are refused', () => {
  const state = new SparseState(40, { entriesMax: 1_000 });
  const gates = Array.from({ length: 40 }, (_, qubit) => on('h', [qubit]));
  assert.throws(() => state.apply(gates), { code: 'CIRCUIT_TOO_LARGE', message: /more than 1000 amplitudes/ });
  assert.throws(() => new SparseState(40).amplitudes(), { code: 'CIRCUIT_TOO_LARGE' });
});

test('over 60 qubits it is what the tableau is', () => {
  for (let round = 0; round < 6; round += 1) {
    const random = createRandom(`wide ${round}`);
    const circuit = randomCircuit(random, 60, 'clifford', 14);
    const [sparse, tableau] = [new SparseState(60), new StabilizerState(60)];
    for (const state of [sparse, tableau]) state.apply(circuit);
    for (let qubit = 0; qubit < 60; qubit += 1)
      assert.ok(Math.abs(sparse.probabilityOfOne(qubit) - tableau.probabilityOfOne(qubit)) < 1e-9);
    for (let draw = 0; draw < 20; draw += 1) {
      const letters = Array.from({ length: 60 }, () => 'IIIIXYZ'[Math.floor(random.next() * 7)]).join('');
      assert.ok(Math.abs(sparse.expectation(letters) - tableau.expectation(letters)) < 1e-9, letters);
    }
  }
});

test('rx(π) is an x but for its phase, so it adds no amplitude', () => {
  const state = new SparseState(2, { entriesMax: 1 });
  state.apply([on('rx', [0], Math.PI), on('u', [1], Math.PI, 0.2, 0.3)]);
  assert.deepEqual([...state.sample([0, 1], 3, createRandom(''))], [['11', 3]]);
});
