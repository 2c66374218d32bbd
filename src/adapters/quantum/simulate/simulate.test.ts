import assert from 'node:assert/strict';
import { test } from 'node:test';
import { integer, pick } from '../../../../test/compliance/quantum-circuits.ts';
import { deviation, goAllWays, randomDynamicCircuit } from '../../../../test/compliance/quantum-oracle.ts';
import { joined, requestOf } from '../../../../test/support/quantum-request.ts';
import type { Circuit, Operation } from '../circuit/circuit.ts';
import type { PauliSum } from '../circuit/pauli.ts';
import type { NoiseModel } from './noise-model.ts';
import { parseNoiseModel } from './parse-noise.ts';
import { createRandom, type Random } from './random.ts';
import type { Outcome, SimulationRequest } from './request.ts';
import { simulate } from './simulate.ts';

const rounds = process.env.JSONFLOW_LONG === '1' ? 1_000 : 25;

/** By chance one of 300,000 is larger. */
const deviationMax = 4.5;

function run(circuit: Circuit, others: Partial<SimulationRequest> = {}): Outcome {
  return simulate(requestOf(circuit, others), { progress: () => undefined });
}

function assertSame(actual: ReadonlyMap<string, number>, expected: ReadonlyMap<string, number>, within = 1e-9): void {
  for (const key of new Set([...actual.keys(), ...expected.keys()]))
    assert.ok(
      Math.abs((actual.get(key) ?? 0) - (expected.get(key) ?? 0)) < within,
      `${key}: ${actual.get(key)}, not ${expected.get(key)}`,
    );
}

function randomSum(random: Random, qubits: number): PauliSum {
  const letters = () => Array.from({ length: qubits }, () => pick(random, ['I', 'I', 'X', 'Y', 'Z'])).join('');
  const terms = Array.from({ length: 1 + integer(random, 4) }, () => ({
    letters: letters(),
    coefficient: random.next() - 0.5,
  }));
  return { qubits, terms };
}

/** All measurements at the end are left out. */
const withoutLast = ({ operations, ...circuit }: Circuit): Circuit => ({
  ...circuit,
  operations: operations.slice(0, operations.findLastIndex(isNoMeasure) + 1),
});

function expectationOf(sum: PauliSum | undefined, circuit: Circuit, noise?: NoiseModel): number {
  const { terms = [] } = sum ?? {};
  const { expectations } = goAllWays(
    circuit,
    noise,
    terms.map(({ letters }) => letters),
  );
  return terms.reduce((total, { coefficient }, at) => total + coefficient * (expectations[at] ?? 0), 0);
}

const exactWants = { statevector: false, probabilities: true, observables: [], expectations: 'exact' } as const;

test('circuits with measurement on the way, resets and conditions: probabilities are exact, counts follow them, expectations are right', () => {
  for (let round = 0; round < rounds; round += 1) {
    const random = createRandom(`dynamic ${round}`);
    const qubits = 2 + (round % 3);
    const circuit = randomDynamicCircuit(random, qubits, round % 3 === 0 ? 'clifford' : 'all', 4 + integer(random, 6));
    const sum = randomSum(random, qubits);
    const oracle = goAllWays(circuit);
    const expected = expectationOf(sum, withoutLast(circuit));
    const outcome = run(circuit, { wants: { ...exactWants, observables: [sum] } });
    const counts = joined(outcome.counts);
    assert.ok(
      deviation(counts, oracle.probabilities) < deviationMax,
      `round ${round}: ${JSON.stringify(outcome)}, not ${JSON.stringify([...oracle.probabilities])}`,
    );
    if (outcome.probabilities !== undefined) assertSame(joined(outcome.probabilities), oracle.probabilities);
    const [expectation] = outcome.expectations;
    assert.ok(expectation);
    const error = Math.abs(expectation.value - expected);
    assert.ok(
      error < 1e-9 + 6 * Math.sqrt(expectation.variance),
      `round ${round}: ${expectation.value}, not ${expected}`,
    );
  }
});

/** Some channels of all kinds at some places. */
function randomNoise(random: Random, isPauli: boolean): NoiseModel {
  const p = (): number => random.next() * 0.3;
  const paulis = [
    () => ({ channel: 'depolarizing', probability: p(), gate_qubits: 1 + integer(random, 2) }),
    () => ({ channel: 'bit_flip', probability: p(), after: pick(random, ['gate', 'reset', 'measure']) }),
    () => ({ channel: 'pauli', probabilities: { XY: p(), IZ: p() } }),
    () => ({ channel: 'pauli', probabilities: { X: p(), Y: p(), Z: p() }, qubits: [0] }),
  ];
  const others = [
    () => ({ channel: 'amplitude_damping', gamma: p(), excited_population: pick(random, [0, 0.2]) }),
    () => ({ channel: 'phase_damping', lambda: p(), qubits: [1] }),
    () => ({ channel: 'thermal_relaxation', t1: 50, t2: 70, time: 10, gates: ['h', 'x', 'cx'] }),
    () => ({ channel: 'kraus', operators: [mixedUnitary(0.6), mixedUnitary(0.4)] }),
  ];
  const channels = [1, 2].map(() => pick(random, isPauli ? paulis : [...paulis, ...others])());
  const readout = [{ one_given_zero: p(), zero_given_one: p(), qubits: [0] }];
  return parseNoiseModel({ channels, readout: random.next() < 0.5 ? readout : [] });
}

/** A rotation with the probability. */
const mixedUnitary = (p: number): number[][] => [
  [Math.sqrt(p) * 0.8, -Math.sqrt(p) * 0.6],
  [Math.sqrt(p) * 0.6, Math.sqrt(p) * 0.8],
];

for (const [gates, method] of [
  ['all', 'density_matrix'],
  ['all', 'trajectories'],
  ['all', 'statevector'],
  ['all', 'automatic'],
  ['clifford', 'stabilizer'],
  ['clifford', 'density_matrix'],
] as const)
  test(`noise by method ${method}, ${gates} gates: probabilities, counts and expectations are those of all ways together`, () => {
    for (let round = 0; round < rounds / 2; round += 1) {
      const random = createRandom(`noise ${round}`);
      const qubits = 2;
      const circuit = randomDynamicCircuit(random, qubits, gates, 1 + integer(random, 2));
      const noise = randomNoise(random, gates === 'clifford');
      const observables = [randomSum(random, qubits)];
      const oracle = goAllWays(circuit, noise);
      const outcome = run(circuit, { noise, method, wants: { ...exactWants, observables } });
      const told = (): string =>
        `round ${round}: ${JSON.stringify({ circuit, noise, outcome, oracle: [...oracle.probabilities] }, bigints)}`;
      assert.ok(deviation(joined(outcome.counts), oracle.probabilities) < deviationMax, told());
      if (outcome.probabilities !== undefined) assertSame(joined(outcome.probabilities), oracle.probabilities);
      else assert.notEqual(method, 'density_matrix');
      const expected = expectationOf(observables[0], withoutLast(circuit), noise);
      for (const { value, variance } of outcome.expectations)
        assert.ok(Math.abs(value - expected) < 1e-9 + 6 * Math.sqrt(variance), `${value}, not ${expected}: ${told()}`);
    }
  });

const bigints = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value);

const isNoMeasure = ({ kind }: Operation): boolean => kind !== 'measure';
