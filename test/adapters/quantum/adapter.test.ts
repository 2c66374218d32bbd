// The quantum adapter as a node has it.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createQuantumAdapter } from '../../../src/adapters/quantum/adapter.ts';
import { createEgress } from '../../../src/egress/egress.ts';
import { StepError } from '../../../src/lib/errors.ts';
import type { JSONObject, JSONValue } from '../../../src/lib/json.ts';
import { AdapterRegistry } from '../../../src/worker/registry.ts';
import { adapterCompliance, contextFor } from '../../compliance/adapter.ts';

const make = () => createQuantumAdapter({ egress: createEgress() });
const bell: JSONValue = [
  { type: 'H', qubit: 0 },
  { type: 'CNOT', control: 0, target: 1 },
  { type: 'Measure', qubits: [0, 1] },
];

adapterCompliance('quantum', make, [
  {
    type: 'quantum_circuit',
    params: { circuit_type: 'custom', gates: bell, shots: 1000, backend: 'qasm_simulator' },
    badParams: { gates: bell, qasm: 'OPENQASM 3.0;' },
  },
  {
    type: 'quantum_circuit',
    params: { circuit_type: 'random', qubits: 14, depth: 10, shots: 100 },
    badParams: { circuit_type: 'bell', qubits: 3 },
    endlessParams: { circuit_type: 'random', qubits: 22, depth: 2000, shots: 1 },
  },
  {
    type: 'quantum_sample',
    params: { circuit_type: 'ghz', qubits: 3, shots: 50, observables: { all: 'ZZZ', first: { Z0: 1 } } },
    badParams: { circuit_type: 'ghz', qubits: 3, shots: 0 },
  },
  {
    type: 'quantum_optimize',
    params: { molecule: 'H2' },
    badParams: { molecule: 'H2', hamiltonian: { ZZ: 1 } },
    endlessParams: {
      maxcut: {
        nodes: 20,
        edges: [
          [0, 1],
          [1, 2],
        ],
      },
      algorithm: 'qaoa',
      layers: 20,
      starts: 100,
    },
  },
]);

const gateOf = (gate: JSONObject, ...qubits: number[]): JSONObject => ({
  cirq_type: 'GateOperation',
  gate,
  qubits: qubits.map((x) => ({ cirq_type: 'LineQubit', x })),
});

async function run(
  type: string,
  params: JSONObject,
  context: Parameters<typeof contextFor>[2] = {},
): Promise<JSONObject> {
  const registry = new AdapterRegistry();
  registry.register(make());
  try {
    const step = { id: 's', type, params };
    return (await registry.run(step, contextFor(step, undefined, context))) as JSONObject;
  } finally {
    await registry.close();
  }
}
const circuit = (params: JSONObject): Promise<JSONObject> => run('quantum_circuit', params);

describe('quantum_circuit', () => {
  test('gives what the reference document shows', async () => {
    const output = await circuit({ circuit_type: 'custom', gates: bell, shots: 1000, backend: 'qasm_simulator' });
    const counts = output.counts as Record<string, number>;
    assert.deepEqual(Object.keys(counts).sort(), ['00', '11']);
    assert.equal((counts['00'] ?? 0) + (counts['11'] ?? 0), 1000);
    assert.ok(Math.abs((counts['00'] ?? 0) - 500) < 80);
    assert.deepEqual(output.probabilities, { '00': (counts['00'] ?? 0) / 1000, '11': (counts['11'] ?? 0) / 1000 });
    const vector = output.statevector as number[];
    assert.equal(vector.length, 4);
    for (const [index, expected] of [Math.SQRT1_2, 0, 0, Math.SQRT1_2].entries())
      assert.ok(Math.abs((vector[index] ?? Number.NaN) - expected) < 1e-12);
    const info = output.backend_info as JSONObject;
    assert.equal(info.name, 'qasm_simulator');
    assert.equal(info.qubits, 32);
    for (const gate of ['H', 'CNOT', 'X', 'Y', 'Z']) assert.ok((info.gates as string[]).includes(gate));
    assert.equal(output.circuit_depth, 3);
    assert.equal(output.num_qubits, 2);
  });

  test('of complex amplitudes gives pairs', async () => {
    const { statevector } = await circuit({
      gates: [
        { type: 'H', qubit: 0 },
        { type: 'S', qubit: 0 },
      ],
    });
    const [first, second] = statevector as [number, number][];
    assert.ok(Array.isArray(first) && Array.isArray(second));
    assert.ok(Math.abs((second[1] ?? 0) - Math.SQRT1_2) < 1e-12);
  });

  test('with 0 shots has exact probabilities', async () => {
    const { counts, probabilities } = await circuit({ circuit_type: 'qpe', qubits: 4, phase: 1 / 3, shots: 0 });
    assert.deepEqual(counts, {});
    const exact = probabilities as Record<string, number>;
    assert.ok(Math.abs((exact['0101'] ?? 0) - 0.684895) < 1e-6);
  });

  test('that has no exact probabilities is not said to have none at all', async () => {
    const noise = { channels: [{ channel: 'depolarizing', probability: 0.1 }] };
    const many: JSONObject = { circuit_type: 'ghz', qubits: 20, shots: 0 };
    await assert.rejects(circuit(many), { code: 'INVALID_PARAMS', message: /no exact probabilities/ });
    await assert.rejects(circuit({ circuit_type: 'random', qubits: 16, depth: 3, shots: 0, noise }), {
      message: /no exact probabilities/,
    });
    const output = await circuit({ ...many, observables: 'Z0 Z19' });
    assert.equal('probabilities' in output, false);
    assert.deepEqual(output.expectation_values, { 'Z0 Z19': { value: 1, error: 0 } });
  });

  test('is run by the methods that keep no vector, where nobody asks for one', async () => {
    for (const method of ['stabilizer', 'density_matrix']) {
      const output = await circuit({ circuit_type: 'bell', shots: 0, method });
      const { '00': zeros, '11': ones } = output.probabilities as Record<string, number>;
      assert.ok(Math.abs((zeros ?? 0) - 0.5) < 1e-12 && Math.abs((ones ?? 0) - 0.5) < 1e-12);
      assert.equal((output.backend_info as JSONObject).method, method);
      await assert.rejects(circuit({ circuit_type: 'bell', method, statevector: true }), StepError);
    }
  });

  test('has as many qubits as are stated, in each language', async () => {
    const qasm = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; h q[0];';
    for (const params of [{ qasm }, { gates: [{ type: 'H', qubit: 0 }] }]) {
      const { num_qubits, counts } = await circuit({ ...params, qubits: 5 });
      assert.equal(num_qubits, 5);
      assert.deepEqual(Object.keys(counts as object).sort(), ['00000', '00001']);
    }
  });

  test('of too many operations is refused before it is made', async () => {
    for (const params of [
      { circuit_type: 'random', qubits: 4096, depth: 100_000 },
      { circuit_type: 'qft', qubits: 4096 },
      { circuit_type: 'grover', qubits: 24, rounds: 100_000 },
    ])
      await assert.rejects(circuit(params), { code: 'CIRCUIT_TOO_LARGE', message: /operations; at most 2000000/ });
  });

  test('is the same for the same seed, and another for another', async () => {
    const params = { circuit_type: 'random', qubits: 6, depth: 4, circuit_seed: 'x', shots: 500 };
    const [a, b, c] = await Promise.all([
      circuit({ ...params, seed: 1 }),
      circuit({ ...params, seed: 1 }),
      circuit({ ...params, seed: 2 }),
    ]);
    assert.deepEqual(a.counts, b.counts);
    assert.notDeepEqual(a.counts, c.counts);
  });

  test('of 32 qubits is simulated where a method allows it, and refused before anything is allocated where none does', async () => {
    const output = await circuit({ circuit_type: 'ghz', qubits: 32, shots: 1024 });
    assert.deepEqual(Object.keys(output.counts as object).sort(), ['0'.repeat(32), '1'.repeat(32)]);
    await assert.rejects(circuit({ circuit_type: 'random', qubits: 32, depth: 20 }), (thrown) => {
      assert.ok(thrown instanceof StepError);
      assert.equal(thrown.code, 'CIRCUIT_TOO_LARGE');
      assert.match(thrown.message, /bytes|GiB|MiB/);
      return true;
    });
  });

  test('takes no more qubits than the node offers, or the step reserves', async () => {
    await assert.rejects(circuit({ circuit_type: 'ghz', qubits: 33 }), { code: 'CIRCUIT_TOO_LARGE' });
    await assert.rejects(run('quantum_circuit', { circuit_type: 'ghz', qubits: 3 }, { resources: { qubits: 2 } }), {
      code: 'CIRCUIT_TOO_LARGE',
      message: /has 3 qubits, and this step may use 2/,
    });
  });

  test('is written in other languages', async () => {
    const { exports } = await circuit({ gates: bell, export: ['qasm2', 'qasm3', 'gates'] });
    const { qasm2, qasm3, gates } = exports as { qasm2: string; qasm3: string; gates: JSONObject };
    assert.match(qasm2, /^OPENQASM 2\.0;/);
    assert.match(qasm3, /^OPENQASM 3/);
    for (const params of [
      { qasm: qasm2 },
      { qasm: qasm3 },
      { gates: gates.gates ?? [], registers: gates.registers ?? [] },
    ]) {
      const output = await circuit(params);
      assert.deepEqual(Object.keys(output.counts as object).sort(), ['00', '11']);
    }
  });

  test('in the JSON of Cirq and in Q# is the same circuit', async () => {
    const cirq = {
      cirq_type: 'Circuit',
      moments: [
        { cirq_type: 'Moment', operations: [gateOf({ cirq_type: 'HPowGate', exponent: 1, global_shift: 0 }, 0)] },
        { cirq_type: 'Moment', operations: [gateOf({ cirq_type: 'CXPowGate', exponent: 1, global_shift: 0 }, 0, 1)] },
      ],
    };
    const qsharp = 'operation Main() : Result[] { use q = Qubit[2]; H(q[0]); CNOT(q[0], q[1]); MResetEachZ(q) }';
    for (const params of [{ cirq }, { qsharp }]) {
      const { counts } = await circuit(params as JSONObject);
      assert.deepEqual(Object.keys(counts as object).sort(), ['00', '11']);
    }
  });

  test('with noise errs', async () => {
    const noise = { readout: { probability: 0.25 } };
    const { counts, statevector } = await circuit({ gates: [{ type: 'X', qubit: 0 }], shots: 4000, noise });
    const wrong = (counts as Record<string, number>)['0'] ?? 0;
    assert.ok(Math.abs(wrong - 1000) < 150, `${wrong}`);
    assert.equal(statevector, undefined);
  });

  test('a promise of equal outputs is made in strict mode alone', async () => {
    let varied = 0;
    const context = { varies: () => (varied += 1) } as never;
    await run('quantum_circuit', { circuit_type: 'bell' }, context);
    assert.equal(varied, 0);
    await run('quantum_circuit', { circuit_type: 'bell', mode: 'fast' }, context);
    assert.equal(varied, 1);
  });
});

describe('a feature map', () => {
  const rows = [
    [0.1, 0.2],
    [1.5, -0.3],
  ];
  test('gives features for each row, by exact expectation values', async () => {
    const output = await circuit({ circuit_type: 'feature_map', qubits: 2, input: rows });
    assert.deepEqual(output.feature_names, ['Z0', 'Z1', 'Z0 Z1']);
    const result = output.result as number[][];
    assert.equal(result.length, 2);
    for (const features of result) assert.ok(features.every((value) => value >= -1 && value <= 1));
    assert.notDeepEqual(result[0], result[1]);
  });

  test('keeps labels with their rows', async () => {
    const objects = rows.map((features, label) => ({ features, label, id: `r${label}` }));
    const named = await circuit({ circuit_type: 'feature_map', qubits: 2, input: objects, features: 'z' });
    const lists = await circuit({
      circuit_type: 'feature_map',
      qubits: 2,
      input: rows.map((row, label) => [...row, label]),
      features: 'z',
    });
    const features = (named.result as { features: number[]; label: number; id: string }[]).map((row) => [
      ...row.features,
      row.label,
    ]);
    assert.deepEqual(lists.result, features);
    assert.equal((named.result as { id: string }[])[1]?.id, 'r1');
  });

  test('of no rows gives none, and rows without features are refused', async () => {
    const { result, count } = await circuit({ circuit_type: 'feature_map', input: [] });
    assert.deepEqual([result, count], [[], 0]);
    await assert.rejects(circuit({ circuit_type: 'feature_map', input: [[]] }), {
      message: /input\[0\] has no features/,
    });
  });

  test('of more qubits than may be is refused before its pairs are listed', async () => {
    const input = [Array.from({ length: 20_000 }, () => 0.5)];
    await assert.rejects(circuit({ circuit_type: 'feature_map', input }), {
      code: 'CIRCUIT_TOO_LARGE',
      message: /has 20000 qubits, and this step may use 32/,
    });
  });

  test('takes one feature per qubit', async () => {
    await assert.rejects(circuit({ circuit_type: 'feature_map', qubits: 4, input: rows }), {
      code: 'INVALID_PARAMS',
      message: /params\.input\[0\] has 2 features, and there are 4 qubits/,
    });
  });
});

test('quantum_sample gives samples, their distribution and expectation values', async () => {
  const output = await run('quantum_sample', {
    circuit_type: 'ghz',
    qubits: 3,
    shots: 400,
    observables: { all: { 'X0 X1 X2': 1 }, pair: { 'Z0 Z2': 1 } },
  });
  const samples = output.samples as string[];
  assert.equal(samples.length, 400);
  assert.equal(output.total_samples, 400);
  const zeros = samples.filter((sample) => sample === '000').length;
  assert.deepEqual(output.distribution, { '000': zeros / 400, '111': 1 - zeros / 400 });
  // In no order: neither half has all of one kind.
  assert.ok(new Set(samples.slice(0, 20)).size === 2);
  const values = output.expectation_values as Record<string, { value: number; error: number }>;
  assert.deepEqual(values.pair, { value: 1, error: 0 });
  assert.ok(Math.abs((values.all?.value ?? 0) - 1) < 0.2);
});

describe('quantum_optimize', () => {
  test('finds the energy of hydrogen', async () => {
    const output = await run('quantum_optimize', { algorithm: 'vqe', molecule: { name: 'H2', distance: 0.735 } });
    assert.ok(Math.abs((output.best_energy as number) - -1.1373060358) < 1e-6);
    assert.ok((output.energy_history as number[]).length > 1);
    assert.match(output.plot as string, /^<svg/);
  });

  test('goes on from the checkpoint of an attempt that was lost, to the same end', async () => {
    const params = { molecule: 'H2', optimizer: { type: 'nelder_mead' }, seed: 3, initial_parameters: 'random' };
    const states: JSONValue[] = [];
    const whole = await run('quantum_optimize', params, {
      checkpoint: async (state: JSONValue) => {
        states.push(state);
      },
    });
    assert.ok(states.length > 0);
    const from = states[Math.floor(states.length / 2)];
    const resumed = await run('quantum_optimize', params, { last_checkpoint: from });
    assert.deepEqual(resumed, whole);
  });
});

describe('what a step needs of a node', () => {
  const needs = async (type: string, params: JSONObject): Promise<JSONObject> => ({
    ...(await make().requirements({ id: 's', type, params })),
  });
  test('follows from its circuit', async () => {
    assert.deepEqual(await needs('quantum_circuit', { gates: bell }), { qubits: 2 });
    assert.deepEqual(await needs('quantum_circuit', { circuit_type: 'ghz', qubits: 30 }), { qubits: 30 });
    assert.deepEqual(await needs('quantum_circuit', { circuit_type: 'random', qubits: 24 }), {
      qubits: 24,
      ram_mb: 256,
    });
    // Exact probabilities are a copy of the vector.
    assert.deepEqual(await needs('quantum_circuit', { circuit_type: 'random', qubits: 24, shots: 0 }), {
      qubits: 24,
      ram_mb: 512,
    });
    assert.deepEqual(await needs('quantum_optimize', { molecule: 'H4' }), { qubits: 8 });
  });

  test('is not looked for in circuits that take long to read', async () => {
    const wide: JSONValue = [{ type: 'H', qubits: Array.from({ length: 4000 }, (_, qubit) => qubit) }];
    const many: JSONValue = Array.from({ length: 3000 }, () => ({ type: 'X', qubit: 30 }));
    for (const gates of [[...wide, ...wide], [{ type: 'If', condition: { bit: 0 }, gates: many }]])
      assert.deepEqual(await needs('quantum_circuit', { gates }), {});
    assert.deepEqual(await needs('quantum_circuit', { circuit_type: 'grover', qubits: 8, rounds: 90_000 }), {
      qubits: 8,
    });
    assert.deepEqual(await needs('quantum_circuit', { qsharp: 'operation Main() : Unit {}', qubits: 3 }), {
      qubits: 3,
    });
  });

  test('is what can be told while params hold references', async () => {
    assert.deepEqual(
      await needs('quantum_circuit', { circuit_type: 'feature_map', qubits: 4, input: '$data.result' }),
      {
        qubits: 4,
      },
    );
    assert.deepEqual(await needs('quantum_circuit', { qasm: '$make.result' }), {});
    assert.deepEqual(await needs('quantum_circuit', { gates: [{ type: 'RX', qubit: 0, theta: '$fit.result' }] }), {});
    assert.deepEqual(await needs('quantum_circuit', { backend: 'ionq', gates: bell }), {});
  });
});

test('mistakes in the choice of a back end and of a circuit are told', async () => {
  const cases: [JSONObject, RegExp][] = [
    [{ gates: bell, backend: 'qasm_simulater' }, /did you mean qasm_simulator\?/],
    [{ gates: bell, backend: 'ionq', method: 'mps' }, /params\.method is for simulators/],
    [{ gates: bell, backend: 'statevector_simulator', method: 'mps' }, /leave one out/],
    [{ gates: bell, backend: 'real_quantum_hardware' }, /no quantum hardware is set up on this node/],
    [{ gates: bell, backend: 'ionq' }, /no token for ionq/],
    [{ gates: bell, backend: 'ibm', noise: {} }, /params\.noise is for simulators/],
    [{ circuit_type: 'feature_map', input: [1], backend: 'ionq' }, /a feature map runs on simulators/],
    [{}, /there is no circuit/],
    [{ circuit_type: 'ghz' }, /needs params\.qubits/],
    [{ circuit_type: 'ghz', qubits: 2, gates: bell }, /takes no gates/],
    [{ circuit_type: 'ghz', qubits: 2, marked: 1 }, /params\.marked is for circuit_type grover/],
    [{ circuit_type: 'qpe', qubits: 2 }, /needs params\.phase/],
    [{ circuit_type: 'grover', qubits: 2, marked: [9] }, /no state of 2 qubits/],
    [
      { gates: bell, statevector: true, noise: { channels: [{ channel: 'bit_flip', probability: 0.1 }] } },
      /no one state vector/,
    ],
    [{ gates: bell, observables: 'ZZZ' }, /observables/],
    [{ gates: bell, parameters: { theta: 1 } }, /params\.parameters is for qasm and cirq/],
    [{ gates: bell, qsharp_operation: 'Main()' }, /params\.qsharp_operation is for qsharp/],
  ];
  for (const [params, message] of cases) await assert.rejects(circuit(params), { message });
});
