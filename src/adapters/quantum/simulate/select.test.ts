import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StepError } from '../../../lib/errors.ts';
import { type Circuit, type GateOperation, gateOn, type Operation } from '../circuit/circuit.ts';
import { gateNamed, type NamedGate } from '../circuit/gates.ts';
import { ghz } from '../circuit/library.ts';
import type { NoiseModel } from './noise-model.ts';
import { planOf } from './plan.ts';
import type { SimulationRequest } from './request.ts';

const gate = (name: NamedGate, target: number, ...params: number[]): GateOperation =>
  gateOn(gateNamed(name, ...params), [target]);
const cx = (control: number, target: number): GateOperation =>
  gateOn(gateNamed('x'), [target], [{ qubit: control, value: 1 }]);
const range = (count: number): number[] => Array.from({ length: count }, (_, at) => at);
const circuitOf = (qubits: number, operations: Operation[]): Circuit => ({ qubits, registers: [], operations });

/** Layers of rotations that are no Clifford gates, each followed by gates between neighbours. */
const brickwork = (qubits: number, depth: number): Circuit =>
  circuitOf(
    qubits,
    range(depth).flatMap((layer) => [
      ...range(qubits).map((qubit) => gate('ry', qubit, 0.3 + layer)),
      ...range(qubits - 1)
        .filter((qubit) => qubit % 2 === layer % 2)
        .map((qubit) => cx(qubit, qubit + 1)),
    ]),
  );

const clifford = (qubits: number): Circuit =>
  circuitOf(qubits, [
    ...range(qubits).map((qubit) => gate('h', qubit)),
    ...range(qubits).flatMap((qubit) => [cx(qubit, (qubit + 65) % qubits), gate('sx', qubit)]),
  ]);

const sparse = (qubits: number): Circuit =>
  circuitOf(qubits, [
    gate('h', 0),
    gate('t', 0),
    gate('h', 0),
    ...range(qubits - 1).map((qubit) => cx(qubit, qubit + 1)),
    gate('t', 3),
    // Between all neighbours and far ones, so that bonds seem large.
    ...range(qubits).flatMap((qubit) => range(8).map((far) => cx(qubit, (qubit + 3 + far) % qubits))),
  ]);

const depolarizing: NoiseModel = {
  rules: [{ after: 'gate', channel: { kind: 'depolarizing', probability: 0.01 } }],
  readout: [],
};

const planned = (circuit: Circuit, others: Partial<SimulationRequest> = {}) =>
  planOf({
    circuit,
    shots: 1_000,
    method: 'automatic',
    precision: 'double',
    memoryBytesMax: 2 ** 30,
    mps: { bondMax: 64, threshold: 1e-24 },
    wants: { statevector: false, probabilities: false, observables: [], expectations: 'exact' },
    ...others,
  }).parts.map(({ choice }) => `${choice.method} ${choice.form}`);

const exact = { statevector: false, probabilities: true, observables: [], expectations: 'exact' } as const;

for (const [what, circuit, others, expected] of [
  ['32 qubits of Clifford gates', ghz(32), {}, 'stabilizer stabilizer'],
  ['4,096 qubits of Clifford gates', clifford(4_096), {}, 'stabilizer stabilizer'],
  ['4,096 qubits of which two states take part', ghz(4_096), {}, 'sparse sparse'],
  ['few amplitudes of 32 qubits', sparse(32), {}, 'sparse sparse'],
  ['20 qubits that are much entangled', brickwork(20, 30), {}, 'statevector statevector'],
  ['32 qubits in few layers', brickwork(32, 8), {}, 'mps mps'],
  ['a vector that is wanted', ghz(10), { wants: { ...exact, statevector: true } }, 'sparse sparse'],
  ['noisy Clifford gates', ghz(30), { noise: depolarizing }, 'trajectories stabilizer'],
  [
    'exact noise on few qubits',
    brickwork(5, 4),
    { noise: depolarizing, wants: exact },
    'density_matrix density_matrix',
  ],
  ['noise on more', brickwork(16, 4), { noise: depolarizing, wants: exact }, 'trajectories'],
  ['what is asked for', ghz(5), { method: 'mps' }, 'mps mps'],
  ['an approximation that is asked for', brickwork(32, 40), { method: 'mps' }, 'mps mps'],
] as const)
  test(`selected for ${what}: ${expected}`, () => {
    const [choice, ...others_] = planned(circuit, others);
    assert.deepEqual(others_, []);
    assert.ok(choice?.startsWith(expected), choice);
  });

function errorOf(action: () => unknown): StepError {
  try {
    action();
  } catch (error) {
    if (error instanceof StepError) return error;
    throw error;
  }
  assert.fail('it did not throw');
}

for (const [what, circuit, others, code, told] of [
  [
    '32 entangled qubits',
    brickwork(32, 40),
    {},
    'CIRCUIT_TOO_LARGE',
    /32 entangled qubits.*64 GiB.*minutes.*1\.0 GiB are allowed.*Method mps.*26 such qubits/,
  ],
  [
    'one qubit more than double precision can have, which single precision has',
    brickwork(28, 40),
    { memoryBytesMax: 2 ** 31 },
    'CIRCUIT_TOO_LARGE',
    /4\.0 GiB.*at most 27 qubits.*Single precision \(precision: "single"\) would fit, in 2\.0 GiB/,
  ],
  [
    'the same in less memory',
    brickwork(28, 40),
    {},
    'CIRCUIT_TOO_LARGE',
    /precision: "single"\) would fit in 2\.0 GiB: reserve them with resource_requirements\.ram_mb, 2048/,
  ],
  [
    'exact results of one qubit more than that',
    brickwork(28, 40),
    { wants: exact, memoryBytesMax: 2 ** 32 },
    'CIRCUIT_TOO_LARGE',
    /8\.0 GiB.*Counts alone in single precision .* would fit, in 2\.0 GiB/,
  ],
  [
    'a vector that fits in memory which can be reserved',
    brickwork(27, 40),
    { precision: 'single', memoryBytesMax: 2 ** 29 },
    'CIRCUIT_TOO_LARGE',
    /1\.0 GiB.*It would fit in 1\.0 GiB: reserve them with resource_requirements\.ram_mb, 1024/,
  ],
  [
    'memory that single precision fits',
    brickwork(26, 40),
    { memoryBytesMax: 2 ** 29 },
    'CIRCUIT_TOO_LARGE',
    /1\.0 GiB.*Single precision .* would fit, in 512 MiB/,
  ],
  [
    'exact probabilities, whose copy of the vector does not fit',
    brickwork(26, 40),
    { wants: exact, precision: 'single', memoryBytesMax: 2 ** 30 },
    'CIRCUIT_TOO_LARGE',
    /1\.5 GiB.*Counts alone .* would fit, in 512 MiB/,
  ],
  [
    'a vector by name where another method would do',
    ghz(40),
    { method: 'statevector' },
    'CIRCUIT_TOO_LARGE',
    /Method stabilizer would do/,
  ],
  [
    'a density matrix of 20 qubits',
    ghz(20),
    { method: 'density_matrix', noise: depolarizing },
    'CIRCUIT_TOO_LARGE',
    /Method stabilizer would do/,
  ],
  [
    'a stabilizer of other gates',
    circuitOf(1, [gate('h', 0), gate('t', 0), gate('h', 0)]),
    { method: 'stabilizer' },
    'UNSUPPORTED_GATE',
    /t is no Clifford gate/,
  ],
  [
    'observables of another size',
    ghz(2),
    { wants: { ...exact, observables: [{ qubits: 3, terms: [{ letters: 'ZZZ', coefficient: 1 }] }] } },
    'INVALID_PARAMS',
    /observables\[0\]/,
  ],
  [
    'noise on a qubit that is not there',
    ghz(2),
    { noise: { rules: [], readout: [{ qubits: [2], oneGivenZero: 0, zeroGivenOne: 0 }] } },
    'INVALID_PARAMS',
    /qubit 2/,
  ],
] as const)
  test(`refused before anything is allocated: ${what}`, () => {
    const error = errorOf(() => planned(circuit, others));
    assert.equal(error.code, code);
    assert.match(error.message, told);
  });

test('the choice depends on neither threads nor seed, and is the same each time', () => {
  for (const circuit of [ghz(7), brickwork(12, 6), sparse(12)])
    assert.deepEqual(planned(circuit), planned(structuredClone(circuit)));
});
