import assert from 'node:assert/strict';
import { test } from 'node:test';
import { integer, pick, randomCircuit } from '../../../../test/compliance/quantum-circuits.ts';
import { deviation, goAllWays, randomDynamicCircuit } from '../../../../test/compliance/quantum-oracle.ts';
import { joined, requestOf } from '../../../../test/support/quantum-request.ts';
import { StepError } from '../../../lib/errors.ts';
import { type Circuit, type GateOperation, gateOn, type Operation } from '../circuit/circuit.ts';
import { gateNamed } from '../circuit/gates.ts';
import { ghz, grover } from '../circuit/library.ts';
import type { PauliSum } from '../circuit/pauli.ts';
import { createRandom } from './random.ts';
import { ReferenceState } from './reference-state.ts';
import type { Outcome, SimulationRequest } from './request.ts';
import { simulate } from './simulate.ts';

const rounds = process.env.JSONFLOW_LONG === '1' ? 500 : 10;

const wants = { statevector: false, probabilities: true, observables: [], expectations: 'exact' } as const;

function run(
  circuit: Circuit,
  others: Partial<SimulationRequest> = {},
  progress = (_: number): void => undefined,
): Outcome {
  return simulate(requestOf(circuit, others), { progress });
}

const gate = (name: 'h' | 'x' | 'sx' | 't', target: number): GateOperation => gateOn(gateNamed(name), [target]);

test('all methods give the same of the same circuit: probabilities, vector, expectations, counts', () => {
  for (let round = 0; round < rounds; round += 1) {
    const random = createRandom(`methods ${round}`);
    const qubits = 1 + (round % 5);
    const isClifford = round % 2 === 0;
    const operations = randomCircuit(random, qubits, isClifford ? 'clifford' : 'all', 4 * qubits);
    const circuit: Circuit = { qubits, registers: [], operations };
    const letters = Array.from({ length: qubits }, () => pick(random, ['I', 'X', 'Y', 'Z'])).join('');
    const sum: PauliSum = { qubits, terms: [{ letters, coefficient: 2 }] };
    const reference = new ReferenceState(qubits);
    reference.apply(operations);
    const amplitudes = reference.amplitudes();
    const methods = [
      'statevector',
      'sparse',
      'mps',
      'density_matrix',
      ...(isClifford ? (['stabilizer'] as const) : []),
    ] as const;
    for (const method of methods) {
      const hasVector = method !== 'density_matrix' && method !== 'stabilizer';
      const outcome = run(circuit, { method, wants: { ...wants, statevector: hasVector, observables: [sum] } });
      const told = `round ${round}, ${method}`;
      assert.equal(outcome.method, method);
      const probabilities = joined(outcome.probabilities ?? {});
      for (let index = 0; index < 2 ** qubits; index += 1) {
        const [re = 0, im = 0] = amplitudes.subarray(2 * index, 2 * index + 2);
        const key = index.toString(2).padStart(qubits, '0');
        assert.ok(Math.abs((probabilities.get(key) ?? 0) - re * re - im * im) < 1e-9, told);
      }
      assert.ok(deviation(joined(outcome.counts), probabilities) < 4.5, told);
      assert.ok(
        Math.abs((outcome.expectations[0]?.value ?? Number.NaN) - 2 * reference.expectation(letters)) < 1e-9,
        told,
      );
      const vector = outcome.statevector;
      if (hasVector)
        assert.ok(
          vector?.every((value, at) => Math.abs(value - (amplitudes[at] ?? 0)) < 1e-9),
          told,
        );
      else assert.equal(vector, undefined);
    }
  }
});

test('equal requests give equal outcomes, with any number of threads; another seed gives others', () => {
  const circuits = [grover(4, [3]), randomDynamicCircuit(createRandom('again'), 4, 'all', 8), layered(18)];
  for (const circuit of circuits) {
    const first = run(circuit, { threads: 1 });
    assert.deepEqual(run(structuredClone(circuit), { threads: 2 }), first);
    assert.notDeepEqual(run(circuit, { seed: 'another' }).counts, first.counts);
  }
});

/** Wide enough for threads. */
function layered(qubits: number): Circuit {
  const all = Array.from({ length: qubits }, (_, qubit) => qubit);
  const layer = (angle: number): GateOperation[] => [
    ...all.map((qubit) => gateOn(gateNamed('u', angle + qubit, 0.3, 0.4), [qubit])),
    ...all.slice(1).map((qubit) => gateOn(gateNamed('x'), [qubit], [{ qubit: qubit - 1, value: 1 }])),
  ];
  const measured = [0, 5, 17].map((qubit, bit): Operation => ({ kind: 'measure', qubit, bit }));
  const operations = [...Array.from({ length: 10 }, (_, at) => layer(at)).flat(), ...measured];
  return { qubits, registers: [{ name: 'c', size: 3 }], operations };
}

test('where memory holds one state alone, paths are run again instead of copied, and give the same distribution', () => {
  for (let round = 0; round < rounds; round += 1) {
    const random = createRandom(`replay ${round}`);
    const circuit = randomDynamicCircuit(random, 3, 'all', 5 + integer(random, 6));
    const outcome = run(circuit, {
      method: 'statevector',
      memoryBytesMax: 16 * 2 ** 3,
      wants: { ...wants, probabilities: false },
    });
    assert.ok(deviation(joined(outcome.counts), goAllWays(circuit).probabilities) < 4.5, `round ${round}`);
  }
});

test('a loop runs until its condition fails; one that never does is an error', () => {
  const untilZero: Circuit = {
    qubits: 1,
    registers: [{ name: 'c', size: 1 }],
    operations: [
      gate('h', 0),
      { kind: 'measure', qubit: 0, bit: 0 },
      {
        kind: 'loop',
        condition: { kind: 'bits', bits: [0] },
        body: [gate('h', 0), { kind: 'measure', qubit: 0, bit: 0 }],
      },
    ],
  };
  assert.deepEqual(run(untilZero).counts, { 0: 2_000 });
  for (const body of [[gate('x', 0)], []]) {
    const condition = { kind: 'not', of: { kind: 'bits', bits: [0] } } as const;
    const endless: Circuit = {
      ...untilZero,
      operations: [
        { kind: 'loop', condition, body },
        { kind: 'measure', qubit: 0, bit: 0 },
      ],
    };
    assert.throws(
      () => run(endless),
      (error) => error instanceof StepError && error.code === 'QUANTUM_LOOP_TOO_LONG',
    );
  }
});

test('registers stand apart, the last declared leftmost; bits that nothing measures are 0', () => {
  const circuit: Circuit = {
    qubits: 3,
    registers: [
      { name: 'a', size: 2 },
      { name: 'b', size: 1 },
      { name: 'e', size: 2 },
    ],
    operations: [
      gate('x', 0),
      gate('x', 2),
      { kind: 'measure', qubit: 0, bit: 0 },
      { kind: 'measure', qubit: 1, bit: 2 },
      { kind: 'measure', qubit: 2, bit: 4 },
    ],
  };
  const outcome = run(circuit);
  assert.deepEqual(outcome.counts, { '10 0 01': 2_000 });
  assert.deepEqual(outcome.probabilities, { '10 0 01': 1 });
});

test('a circuit that measures nothing is measured as a whole; without shots there are no counts', () => {
  assert.deepEqual(Object.keys(run(ghz(3)).counts).sort(), ['000', '111']);
  const exactOnly = run({ qubits: 2, registers: [], operations: [gate('h', 0)] }, { shots: 0 });
  assert.deepEqual(exactOnly.counts, {});
  assert.deepEqual(Object.keys(exactOnly.probabilities ?? {}).sort(), ['00', '01']);
});

test('expectations from shots lie about the exact ones as far as their variance says', () => {
  const terms = ['XXI', 'ZZI', 'IYZ', 'IXX', 'ZIZ', 'III'].map((letters, at) => ({ letters, coefficient: at - 2.5 }));
  const sum: PauliSum = { qubits: 3, terms };
  let [squares, count] = [0, 0];
  for (let round = 0; round < 4 * rounds; round += 1) {
    const operations = randomCircuit(createRandom(`shots ${round}`), 3, 'all', 8);
    const circuit: Circuit = { qubits: 3, registers: [], operations };
    const [exact] = run(circuit, { wants: { ...wants, observables: [sum] } }).expectations;
    const [estimate] = run(circuit, { wants: { ...wants, observables: [sum], expectations: 'shots' } }).expectations;
    assert.ok(exact && estimate);
    assert.equal(exact.variance, 0);
    if (estimate.variance < 1e-12) assert.ok(Math.abs(estimate.value - exact.value) < 1e-9);
    else {
      squares += (estimate.value - exact.value) ** 2 / estimate.variance;
      count += 1;
    }
  }
  // Squares of standard normal variables have mean 1 and variance 2.
  assert.ok(Math.abs(squares / count - 1) < 4 * Math.sqrt(2 / count), `${squares / count}`);
});

test('readout errors reach expectations from shots, exact ones not', () => {
  const sum: PauliSum = { qubits: 1, terms: [{ letters: 'Z', coefficient: 1 }] };
  const noise = { rules: [], readout: [{ oneGivenZero: 0.25, zeroGivenOne: 0 }] };
  const circuit: Circuit = { qubits: 1, registers: [], operations: [] };
  const of = (expectations: 'exact' | 'shots') =>
    run(circuit, { noise, shots: 20_000, wants: { ...wants, observables: [sum], expectations } }).expectations[0];
  assert.deepEqual(of('exact'), { value: 1, variance: 0 });
  const estimate = of('shots');
  assert.ok(estimate && Math.abs(estimate.value - 0.5) < 4 * Math.sqrt(estimate.variance));
  assert.ok(Math.abs(estimate.variance - 0.75 / 20_000) < 0.1 / 20_000);
});

test('32 qubits run where a method allows it, 1,000 as well', () => {
  const one = (qubits: number): [string, string] => ['0'.repeat(qubits), '1'.repeat(qubits)];
  for (const [qubits, method] of [
    [32, 'automatic'],
    [32, 'sparse'],
    [32, 'mps'],
    [32, 'stabilizer'],
    [1_000, 'automatic'],
  ] as const)
    assert.deepEqual(
      Object.keys(run(ghz(qubits), { method, wants: { ...wants, probabilities: false } }).counts).sort(),
      one(qubits),
    );
});

test('shots of noisy Clifford circuits, measured on the way, are taken together as Pauli frames', () => {
  const noise = {
    rules: [{ after: 'gate', channel: { kind: 'depolarizing', probability: 0.1 } }],
    readout: [],
  } as const;
  const operations: Operation[] = [
    gate('h', 0),
    gateOn(gateNamed('x'), [1], [{ qubit: 0, value: 1 }]),
    { kind: 'measure', qubit: 1, bit: 1 },
    { kind: 'branch', condition: { kind: 'bits', bits: [1] }, body: [gate('x', 1)], otherwise: [] },
    { kind: 'reset', qubit: 0 },
    gate('sx', 0),
    { kind: 'measure', qubit: 0, bit: 0 },
    { kind: 'measure', qubit: 1, bit: 2 },
  ];
  // Noise after the gate of a branch would depend on what was measured.
  const plain = { ...noise, rules: [{ ...noise.rules[0], gates: ['h', 'cx', 'sx'] }] };
  const circuit: Circuit = { qubits: 2, registers: [{ name: 'c', size: 3 }], operations };
  const options = { method: 'stabilizer', shots: 20_000, wants: { ...wants, probabilities: false } } as const;
  for (const [model, branches] of [
    [plain, (count: number) => count === 0],
    [noise, (count: number) => count > 1],
  ] as const) {
    const outcome = run(circuit, { ...options, noise: model });
    assert.ok(branches(outcome.parts[0]?.branches ?? Number.NaN), JSON.stringify(outcome.parts));
    assert.ok(deviation(joined(outcome.counts), goAllWays(circuit, model).probabilities) < 4.5);
  }
});

test('truncation is told: an MPS with too small a bond is an approximation, and says how much it gave up', () => {
  const operations = randomCircuit(createRandom('entangled'), 8, 'all', 60);
  const circuit: Circuit = { qubits: 8, registers: [], operations };
  assert.ok((run(circuit, { method: 'mps' }).truncationError ?? 1) < 1e-9);
  assert.ok((run(circuit, { method: 'mps', mps: { bondMax: 2, threshold: 1e-24 } }).truncationError ?? 0) > 0.01);
  assert.equal(run(circuit, { method: 'statevector' }).truncationError, undefined);
});

test('progress grows from 0 to 1', () => {
  for (const circuit of [layered(18), randomDynamicCircuit(createRandom('progress'), 4, 'all', 12), grover(3, [1])]) {
    const seen: number[] = [];
    run(circuit, {}, (fraction) => seen.push(fraction));
    assert.ok(seen.length > 0);
    assert.ok(seen.every((fraction, at) => fraction > (seen[at - 1] ?? 0) && fraction <= 1));
    assert.ok((seen.at(-1) ?? 0) > 0.999);
  }
});
