import assert from 'node:assert/strict';
import { test } from 'node:test';
import { randomCircuit } from '../../../../test/compliance/quantum-circuits.ts';
import { quantumStateCompliance } from '../../../../test/compliance/quantum-state.ts';
import { gateOn } from '../circuit/circuit.ts';
import { gateNamed, unitary } from '../circuit/gates.ts';
import type { PauliSum } from '../circuit/pauli.ts';
import { createRandom } from '../simulate/random.ts';
import { ReferenceState } from '../simulate/reference-state.ts';
import { createStateVector, type StateVectorOptions } from './state-vector.ts';

const tolerances = { double: 1e-11, single: 2e-5 };
const kinds: readonly Omit<StateVectorOptions, 'qubits'>[] = [
  { precision: 'double' },
  { precision: 'single' },
  { precision: 'double', strict: false },
  { precision: 'single', strict: false },
  // Blocks of fewer qubits than the state has.
  { precision: 'double', blockQubits: 6 },
  { precision: 'single', blockQubits: 6, threads: 2 },
];

for (const kind of kinds) {
  const { precision = 'double' } = kind;
  quantumStateCompliance(
    `the state vector ${JSON.stringify(kind)}`,
    (qubits) => createStateVector({ ...kind, qubits }),
    {
      gates: 'all',
      tolerance: tolerances[precision],
    },
  );
}

test('blocks of all sizes do the same as the reference, on more qubits than a block has', () => {
  for (const [round, blockQubits] of [6, 7, 8, 9].entries())
    for (const precision of ['double', 'single'] as const) {
      const random = createRandom(`blocks ${round}`);
      const gates = randomCircuit(random, 10, 'all', 60);
      const reference = new ReferenceState(10);
      reference.apply(gates);
      const state = createStateVector({ qubits: 10, blockQubits, precision });
      state.apply(gates);
      assertClose(state.amplitudes(), reference.amplitudes(), tolerances[precision]);
      state.release();
    }
});

test('one thread and two, one block and many: the same bits', () => {
  for (const precision of ['double', 'single'] as const) {
    const gates = randomCircuit(createRandom(precision), 16, 'all', 200);
    const one = createStateVector({ qubits: 16, precision, blockQubits: 10, threads: 1 });
    const two = createStateVector({ qubits: 16, precision, blockQubits: 10, threads: 2 });
    for (const state of [one, two]) state.apply(gates);
    assert.deepEqual(two.amplitudes(), one.amplitudes());
    assert.equal(two.probabilityOfOne(3), one.probabilityOfOne(3));
    assert.equal(two.expectation('XYZI'.repeat(4)), one.expectation('XYZI'.repeat(4)));
    for (const state of [one, two]) state.release();
  }
});

test('a thousand gates on one qubit keep the norm', () => {
  for (const precision of ['double', 'single'] as const) {
    const state = createStateVector({ qubits: 2, precision });
    const gates = Array.from({ length: 3_000 }, (_, at) =>
      at % 3 === 0
        ? gateOn(gateNamed('x'), [1], [{ qubit: 0, value: 1 }])
        : gateOn(gateNamed('u', 1.5, at, 0.3), [at % 2]),
    );
    state.apply(gates);
    const norm = state.amplitudes().reduce((sum, part) => sum + part * part, 0);
    assert.ok(Math.abs(norm - 1) < (precision === 'double' ? 1e-11 : 1e-3), `${norm}`);
    state.release();
  }
});

test('a matrix that is not unitary is applied as it is', () => {
  const damping = unitary({ dimension: 2, data: Float64Array.of(1, 0, 0, 0, 0, 0, 0.5, 0) });
  const lowering = unitary({ dimension: 2, data: Float64Array.of(0, 0, 0.3, 0, 0, 0, 0, 0) });
  const gates = [gateOn(gateNamed('h'), [0]), gateOn(damping, [0]), gateOn(gateNamed('h'), [1]), gateOn(lowering, [1])];
  const [state, reference] = [createStateVector({ qubits: 2 }), new ReferenceState(2)];
  for (const each of [state, reference]) each.apply(gates);
  assertClose(state.amplitudes(), reference.amplitudes(), 1e-15);
});

test('a gate array that was changed after a call is read anew', () => {
  const gates = [gateOn(gateNamed('x'), [0]), gateOn(gateNamed('x'), [1])];
  const state = createStateVector({ qubits: 2 });
  state.apply(gates);
  gates[1] = gateOn(gateNamed('id'), [1]);
  state.apply(gates);
  assert.equal(state.probabilityOfOne(0), 0);
  assert.equal(state.probabilityOfOne(1), 1);
});

test('sums of Pauli matrices, applied and expected, agree with each other and with the reference', () => {
  for (const precision of ['double', 'single'] as const)
    for (const qubits of [1, 3, 11]) {
      const random = createRandom(`sum ${qubits}`);
      const terms = Array.from({ length: 6 }, () => ({
        coefficient: random.next() - 0.5,
        letters: Array.from({ length: qubits }, () => 'IXYZ'[Math.floor(random.next() * 4)]).join(''),
      }));
      const sum: PauliSum = { qubits, terms };
      const gates = randomCircuit(random, qubits, 'all', 30);
      const [state, image] = [createStateVector({ qubits, precision }), createStateVector({ qubits, precision })];
      const reference = new ReferenceState(qubits);
      for (const each of [state, reference]) each.apply(gates);
      const expected = terms.reduce((total, term) => total + term.coefficient * reference.expectation(term.letters), 0);
      state.applySum(sum, image);
      const [re, im] = state.innerProduct(image);
      const tolerance = 10 * tolerances[precision];
      assert.ok(Math.abs(state.expectationOf(sum) - expected) < tolerance);
      assert.ok(Math.abs(re - expected) < tolerance && Math.abs(im) < tolerance, `${re} + ${im}i, not ${expected}`);
      image.copyFrom(state);
      assert.deepEqual(image.amplitudes(), state.amplitudes());
    }
});

test('an inner product conjugates the left', () => {
  const [left, right] = [createStateVector({ qubits: 1 }), createStateVector({ qubits: 1 })];
  left.apply([gateOn(gateNamed('h'), [0]), gateOn(gateNamed('s'), [0])]);
  right.apply([gateOn(gateNamed('x'), [0])]);
  const [re, im] = left.innerProduct(right);
  assert.ok(Math.abs(re) < 1e-15 && Math.abs(im + Math.SQRT1_2) < 1e-15);
});

test('what is too large is said before anything is allocated', () => {
  for (const [qubits, precision] of [
    [28, 'double'],
    [29, 'single'],
    [60, 'double'],
  ] as const)
    assert.throws(() => createStateVector({ qubits, precision }), {
      code: 'CIRCUIT_TOO_LARGE',
      message: /bytes.*at most/,
    });
  assert.throws(() => createStateVector({ qubits: 0 }), { code: 'INVALID_PARAMS' });
  const wide = unitary({ dimension: 2 ** 11, data: new Float64Array(2) });
  const state = createStateVector({ qubits: 12 });
  assert.throws(
    () =>
      state.apply([
        gateOn(
          wide,
          Array.from({ length: 11 }, (_, qubit) => qubit),
        ),
      ]),
    {
      code: 'CIRCUIT_TOO_LARGE',
    },
  );
});

test('an outcome that is impossible is no outcome', () => {
  assert.throws(() => createStateVector({ qubits: 2 }).collapse(1, 1), { code: 'QUANTUM_IMPOSSIBLE_OUTCOME' });
});

function assertClose(actual: Float64Array, expected: Float64Array, tolerance: number): void {
  assert.equal(actual.length, expected.length);
  actual.forEach((value, at) => {
    const wanted = expected[at] ?? Number.NaN;
    assert.ok(Math.abs(value - wanted) <= tolerance, `at ${at}: ${value}, not ${wanted}`);
  });
}
