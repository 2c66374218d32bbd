import assert from 'node:assert/strict';
import { test } from 'node:test';
import { integer, pick } from '../../../../test/compliance/quantum-circuits.ts';
import { deviation, goAllWays, randomDynamicCircuit } from '../../../../test/compliance/quantum-oracle.ts';
import type { Circuit, Operation } from '../circuit/circuit.ts';
import type { PauliSum } from '../circuit/pauli.ts';
import { createRandom, type Random } from './random.ts';
import type { Outcome, SimulationRequest } from './request.ts';
import { simulate } from './simulate.ts';

const rounds = process.env.JSONFLOW_LONG === '1' ? 1_000 : 25;

/** One deviation in some millions of tests is larger by chance: chi-square has a long tail. */
const deviationMax = 6.5;

function run(circuit: Circuit, others: Partial<SimulationRequest> = {}): Outcome {
  const request: SimulationRequest = {
    circuit,
    shots: 2_000,
    seed: 'seed',
    method: 'automatic',
    precision: 'double',
    threads: 1,
    strict: true,
    memoryBytesMax: 2 ** 28,
    mps: { bondMax: 64, threshold: 1e-16 },
    wants: { statevector: false, probabilities: false, observables: [], expectations: 'exact' },
    ...others,
  };
  return simulate(request, { progress: () => undefined });
}

/** Registers are apart in an outcome. */
const joined = (record: Record<string, number>): Map<string, number> =>
  new Map(Object.entries(record).map(([key, value]) => [key.replaceAll(' ', ''), value]));

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

const exactWants = { statevector: false, probabilities: true, observables: [], expectations: 'exact' } as const;

test('circuits with measurement on the way, resets and conditions: probabilities are exact, counts follow them, expectations are right', () => {
  for (let round = 0; round < rounds; round += 1) {
    const random = createRandom(`dynamic ${round}`);
    const qubits = 2 + (round % 3);
    const circuit = randomDynamicCircuit(random, qubits, round % 3 === 0 ? 'clifford' : 'all', 4 + integer(random, 6));
    const sum = randomSum(random, qubits);
    const bare = {
      ...circuit,
      operations: circuit.operations.slice(0, circuit.operations.findLastIndex(isNoMeasure) + 1),
    };
    const oracle = goAllWays(circuit);
    const { expectations } = goAllWays(
      bare,
      undefined,
      sum.terms.map(({ letters }) => letters),
    );
    const expected = sum.terms.reduce((total, { coefficient }, at) => total + coefficient * (expectations[at] ?? 0), 0);
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

const isNoMeasure = ({ kind }: Operation): boolean => kind !== 'measure';
