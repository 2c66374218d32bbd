import assert from 'node:assert/strict';
import { test } from 'node:test';
import { quantumStateCompliance } from '../../../../../test/compliance/quantum-state.ts';
import { type GateOperation, gateOn } from '../../circuit/circuit.ts';
import { identity, matrix } from '../../circuit/complex.ts';
import { gateNamed, type NamedGate, unitary } from '../../circuit/gates.ts';
import { createRandom } from '../../simulate/random.ts';
import { ReferenceState } from '../../simulate/reference-state.ts';
import { SparseState } from '../sparse/sparse-state.ts';
import { MpsState } from './mps-state.ts';

quantumStateCompliance('The matrix product state', (qubits) => new MpsState(qubits), {
  gates: 'all',
  tolerance: 1e-10,
});

const on = (name: NamedGate, qubits: number[], ...params: number[]) => gateOn(gateNamed(name, ...params), qubits);
const cx = (control: number, target: number) => gateOn(gateNamed('x'), [target], [{ qubit: control, value: 1 }]);
const all = (qubits: number) => Array.from({ length: qubits }, (_, qubit) => qubit);

function assertClose(actual: number, expected: number, tolerance: number, what = ''): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual}, not ${expected}`);
}

/** Layers of random turns and a CX on each second pair of neighbours. */
function brickwork(qubits: number, depth: number): GateOperation[] {
  const random = createRandom('brickwork');
  const angle = () => 7 * random.next();
  return Array.from({ length: depth }, (_, layer) => [
    ...all(qubits).map((qubit) => on('u', [qubit], angle(), angle(), angle())),
    ...all(qubits - 1)
      .filter((qubit) => qubit % 2 === layer % 2)
      .map((qubit) => cx(qubit, qubit + 1)),
  ]).flat();
}

test('a GHZ state of 40 qubits has bonds of 2 and two outcomes', () => {
  const state = new MpsState(40, { bondMax: 2 });
  state.apply([on('h', [0]), ...all(39).map((qubit) => cx(qubit, qubit + 1))]);
  assert.equal(state.bond, 2);
  assert.equal(state.truncationError, 0);
  assertClose(state.expectation('X'.repeat(40)), 1, 1e-12);
  assertClose(state.expectation(`Z${'I'.repeat(38)}Z`), 1, 1e-12);
  const counts = state.sample(all(40), 1_024, createRandom('ghz'));
  assert.deepEqual([...counts.keys()].sort(), ['0'.repeat(40), '1'.repeat(40)]);
  state.collapse(20, 1);
  assert.equal(state.bond, 1);
  assertClose(state.probabilityOfOne(39), 1, 1e-12);
});

test('32 qubits, 4 layers: what a few qubits show is what those in their light cone do alone', () => {
  const state = new MpsState(32);
  state.apply(brickwork(32, 4));
  assert.equal(state.truncationError, 0);
  assert.equal(state.bond, 4);
  // Qubits 8 to 19 hold all that has reached qubits 13 and 14.
  const inside = brickwork(32, 4).filter(({ targets, controls }) =>
    [...targets, ...controls.map(({ qubit }) => qubit)].every((qubit) => qubit >= 8 && qubit < 20),
  );
  const reference = new ReferenceState(12);
  reference.apply(
    inside.map(({ gate, targets, controls }) =>
      gateOn(
        gate,
        targets.map((qubit) => qubit - 8),
        controls.map(({ qubit, value }) => ({ qubit: qubit - 8, value })),
      ),
    ),
  );
  for (const letters of ['ZI', 'IZ', 'ZZ', 'XX', 'YZ', 'XY']) {
    const wide = state.expectation(`${'I'.repeat(17)}${letters}${'I'.repeat(13)}`);
    assertClose(wide, reference.expectation(`${'I'.repeat(5)}${letters}${'I'.repeat(5)}`), 1e-11, letters);
  }
  assertClose(state.probabilityOfOne(13), reference.probabilityOfOne(5), 1e-11);
});

test('truncation: sin²(θ/2) is what rxx(θ) loses where no entanglement may be', () => {
  const state = new MpsState(2, { bondMax: 1 });
  state.apply([on('rxx', [0, 1], 0.6)]);
  assertClose(state.truncationError, Math.sin(0.3) ** 2, 1e-14);
  assertClose(Math.hypot(...state.amplitudes()), 1, 1e-14);
  assertClose(state.probabilityOfOne(0), 0, 1e-14);
});

test('the truncation error tells about how far the state is from the true one', () => {
  const circuit = brickwork(10, 8);
  const reference = new ReferenceState(10);
  reference.apply(circuit);
  for (const [bondMax, least] of [
    [8, 0.05],
    [12, 0.005],
    [16, 0],
  ] as const) {
    const state = new MpsState(10, { bondMax });
    state.apply(circuit);
    assert.ok(state.bond <= bondMax);
    const lost = 1 - overlap(state.amplitudes(), reference.amplitudes());
    assert.ok(state.truncationError >= least, `${state.truncationError}`);
    assertClose(lost, state.truncationError, 0.3 * state.truncationError + 1e-12, `bond ${bondMax}`);
  }
});

test('a gate with 10 controls far apart needs bonds of 2 at most on top, and does what the sparse state says', () => {
  const controls = [0, 3, 5, 8, 12, 15, 20, 23, 27, 31].map((qubit) => ({ qubit, value: 1 as const }));
  const circuit = [
    ...controls.map(({ qubit }) => on(qubit % 2 === 0 ? 'ry' : 'x', [qubit], ...(qubit % 2 === 0 ? [2.5] : []))),
    gateOn(gateNamed('ry', 1.1), [17], controls),
    gateOn(gateNamed('xx_plus_yy', 0.4, 0.2), [30, 2], controls.slice(2, 5)),
    gateOn(gateNamed('gphase', 0.9), [], controls.slice(1)),
    on('iswap', [4, 17]),
  ];
  const [mps, sparse] = [new MpsState(32), new SparseState(32)];
  for (const state of [mps, sparse]) state.apply(circuit);
  assert.ok(mps.bond <= 8, `${mps.bond}`);
  const random = createRandom('controls');
  for (const qubit of all(32)) assertClose(mps.probabilityOfOne(qubit), sparse.probabilityOfOne(qubit), 1e-12);
  for (let draw = 0; draw < 30; draw += 1) {
    const letters = all(32).map(() => 'IIIZZXY'[Math.floor(random.next() * 7)]);
    assertClose(mps.expectation(letters.join('')), sparse.expectation(letters.join('')), 1e-11, letters.join(''));
  }
});

test('an operator of a noise channel, given as a matrix that is not unitary, acts as on the reference', () => {
  const damped = matrix([
    [1, 0],
    [0, 0.6],
  ]);
  const [mps, reference] = [new MpsState(5), new ReferenceState(5)];
  for (const state of [mps, reference]) state.apply(brickwork(5, 5));
  for (const qubit of [4, 0, 3]) {
    const one = reference.probabilityOfOne(qubit);
    const scale = 1 / Math.sqrt(1 - one + 0.36 * one);
    const operator = unitary({ ...damped, data: damped.data.map((value) => scale * value) });
    for (const state of [mps, reference]) state.apply([gateOn(operator, [qubit])]);
  }
  for (const qubit of all(5)) assertClose(mps.probabilityOfOne(qubit), reference.probabilityOfOne(qubit), 1e-12);
  for (const state of [mps, reference]) state.apply([on('h', [0]), on('rxx', [0, 4], 0.3)]);
  const [actual, expected] = [mps.amplitudes(), reference.amplitudes()];
  actual.forEach((value, at) => {
    assertClose(value, expected[at] ?? Number.NaN, 1e-12);
  });
});

test('what it can not do is refused', () => {
  assert.throws(() => new MpsState(21).amplitudes(), { code: 'CIRCUIT_TOO_LARGE' });
  const wide = gateOn(unitary(identity(128)), all(7));
  assert.throws(() => new MpsState(8).apply([wide]), { code: 'UNSUPPORTED_GATE', message: /6 targets at most, not 7/ });
});

/** The square of the absolute value of the product. */
function overlap(left: Float64Array, right: Float64Array): number {
  let [re, im] = [0, 0];
  for (let at = 0; at < left.length; at += 2) {
    const [a = 0, b = 0, c = 0, d = 0] = [left[at], left[at + 1], right[at], right[at + 1]];
    re += a * c + b * d;
    im += a * d - b * c;
  }
  return re * re + im * im;
}
