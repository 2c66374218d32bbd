import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomCircuit, someOf } from '../../../../../test/compliance/quantum-circuits.ts';
import { quantumStateCompliance } from '../../../../../test/compliance/quantum-state.ts';
import { type GateOperation, gateOn } from '../../circuit/circuit.ts';
import { gateNamed, inverseOf, matrixOf, type NamedGate, unitary } from '../../circuit/gates.ts';
import { createRandom } from '../../simulate/random.ts';
import { ReferenceState } from '../../simulate/reference-state.ts';
import { isClifford } from './clifford.ts';
import { StabilizerState, stabilizerQubitsMax } from './stabilizer-state.ts';

quantumStateCompliance('The stabilizer tableau', (qubits) => new StabilizerState(qubits), {
  gates: 'clifford',
  tolerance: 1e-9,
});

const on = (name: NamedGate, qubits: number[], ...params: number[]) => gateOn(gateNamed(name, ...params), qubits);
const controlled = (name: NamedGate, controls: number[], ...params: number[]) =>
  gateOn(
    gateNamed(name, ...params),
    name === 'gphase' ? [] : name === 'swap' ? [8, 9] : [9],
    controls.map((qubit) => ({ qubit, value: 1 as const })),
  );
const quarter = Math.PI / 2;

test('gates are Clifford gates by what they do', () => {
  const yes: GateOperation[] = [
    on('rx', [0], quarter),
    on('ry', [0], -3 * quarter),
    on('rz', [0], 8 * quarter),
    on('p', [0], quarter),
    on('u', [0], quarter, Math.PI, -quarter),
    on('gphase', [], 0.3),
    on('rzz', [0, 1], quarter),
    on('ecr', [0, 1]),
    on('xx_plus_yy', [0, 1], -Math.PI, 0),
    gateOn(unitary(matrixOf(gateNamed('sx'))), [0]),
    controlled('x', [0]),
    controlled('y', [0]),
    controlled('z', [0]),
    controlled('p', [0], Math.PI),
    controlled('gphase', [0], quarter),
    // A Z between two.
    controlled('gphase', [0, 1], Math.PI),
    controlled('rx', [0, 1, 2], 0),
    controlled('rx', [0], 2 * Math.PI),
  ];
  const no: GateOperation[] = [
    on('t', [0]),
    on('rx', [0], quarter + 1e-6),
    on('rz', [0], quarter / 2),
    on('rzz', [0, 1], quarter / 2),
    on('xx_plus_yy', [0, 1], quarter, 0),
    gateOn(unitary(matrixOf(gateNamed('t'))), [0]),
    controlled('h', [0]),
    controlled('s', [0]),
    controlled('sx', [0]),
    controlled('swap', [0]),
    controlled('x', [0, 1]),
    controlled('rz', [0], Math.PI / 2),
    controlled('gphase', [0, 1, 2], Math.PI),
  ];
  for (const gate of yes) assert.ok(isClifford(gate), JSON.stringify(gate));
  for (const gate of no) assert.ok(!isClifford(gate), JSON.stringify(gate));
});

test('controlled rx(2π) flips the sign, which the control notices', () => {
  const state = new StabilizerState(10);
  state.apply([on('h', [0]), controlled('rx', [0], 2 * Math.PI), on('h', [0])]);
  assert.equal(state.probabilityOfOne(0), 1);
});

test('what is no Clifford gate is refused by name', () => {
  assert.throws(() => new StabilizerState(1).apply([on('rx', [0], 0.3)]), {
    code: 'UNSUPPORTED_GATE',
    message: /rx\(0.3\) with 0 controls is no Clifford gate/,
  });
});

test('more qubits than the most are refused', () => {
  assert.throws(() => new StabilizerState(stabilizerQubitsMax + 1), { code: 'CIRCUIT_TOO_LARGE' });
});

test('a few qubits among many are as they are alone', () => {
  for (let round = 0; round < 10; round += 1) {
    const random = createRandom(`wide ${round}`);
    const circuit = randomCircuit(random, 5, 'clifford', 40);
    const places = someOf(random, 130, 5);
    const others = Array.from({ length: 130 }, (_, qubit) => qubit).filter((qubit) => !places.includes(qubit));
    const wide = new StabilizerState(130);
    const reference = new ReferenceState(5);
    // Around them, pairs are entangled with each other.
    for (let at = 0; at < others.length - 1; at += 2)
      wide.apply([on('h', [others[at] ?? 0]), cx(others[at] ?? 0, others[at + 1] ?? 0)]);
    wide.apply(circuit.map((gate) => moved(gate, places)));
    reference.apply(circuit);
    for (let at = 0; at < 4 ** 5; at += 7) {
      const letters = Array.from({ length: 5 }, (_, qubit) => 'IXYZ'[Math.floor(at / 4 ** qubit) % 4] ?? 'I');
      const spread = Array.from({ length: 130 }, (_, at) => letters.at(-1 - places.indexOf(129 - at)) ?? 'I');
      const expected = reference.expectation(letters.join(''));
      const inPlace = spread.map((letter, at) => (places.includes(129 - at) ? letter : 'I')).join('');
      assert.ok(Math.abs(wide.expectation(inPlace) - expected) < 1e-9, `${letters.join('')} at ${places}`);
    }
  }
});

test('over 200 qubits, every sample can be measured qubit by qubit, and as often by chance as there are ways to it', () => {
  const random = createRandom('sequence');
  const state = new StabilizerState(200);
  state.apply(randomCircuit(random, 200, 'clifford', 1_500));
  const qubits = Array.from({ length: 200 }, (_, qubit) => qubit);
  const waysTo = (outcome: string): number => {
    const left = state.clone();
    let byChance = 0;
    for (const qubit of someOf(random, 200, 200)) {
      const bit = outcome.at(-1 - qubit) === '1' ? 1 : 0;
      const one = left.probabilityOfOne(qubit);
      assert.ok(one === 0.5 || one === bit, `qubit ${qubit} can't be ${bit}`);
      if (one === 0.5) byChance += 1;
      left.collapse(qubit, bit);
      assert.equal(left.probabilityOfOne(qubit), bit);
    }
    return byChance;
  };
  const outcomes = [...state.sample(qubits, 12, random).keys()];
  const ways = outcomes.map(waysTo);
  assert.ok(new Set(ways).size === 1, `${ways}`);
  assert.ok((ways[0] ?? 0) > 20);
});

test('over 300 qubits, a circuit and then its inverse end where they began', () => {
  const circuit = randomCircuit(createRandom('there and back'), 300, 'clifford', 3_000);
  const state = new StabilizerState(300);
  state.apply(circuit);
  state.apply(circuit.toReversed().map((operation) => ({ ...operation, gate: inverseOf(operation.gate) })));
  for (let qubit = 0; qubit < 300; qubit += 1) assert.equal(state.probabilityOfOne(qubit), 0);
});

test('the parity of a GHZ state of 1,000 qubits is even along X, whatever was drawn', () => {
  const qubits = 1_000;
  const state = new StabilizerState(qubits);
  state.apply([on('h', [0]), ...Array.from({ length: qubits - 1 }, (_, qubit) => cx(qubit, qubit + 1))]);
  assert.equal(state.expectation('X'.repeat(qubits)), 1);
  assert.equal(state.expectation(`${'X'.repeat(qubits - 2)}YY`), -1);
  assert.equal(state.expectation(`${'I'.repeat(qubits - 2)}ZZ`), 1);
  assert.equal(state.expectation(`${'I'.repeat(qubits - 1)}Z`), 0);
  state.apply(Array.from({ length: qubits }, (_, qubit) => on('h', [qubit])));
  const all = Array.from({ length: qubits }, (_, qubit) => qubit);
  for (const outcome of state.sample(all, 8, createRandom('parity')).keys())
    assert.equal(outcome.replaceAll('0', '').length % 2, 0);
});

function cx(control: number, target: number): GateOperation {
  return gateOn(gateNamed('x'), [target], [{ qubit: control, value: 1 }]);
}

const moved = ({ gate, targets, controls }: GateOperation, places: readonly number[]): GateOperation =>
  gateOn(
    gate,
    targets.map((qubit) => places[qubit] ?? 0),
    controls.map(({ qubit, value }) => ({ qubit: places[qubit] ?? 0, value })),
  );
