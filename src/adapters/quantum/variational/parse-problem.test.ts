import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JSONValue } from '../../../lib/json.ts';
import { parsePauliSum } from './hamiltonian/parse.ts';
import { optimize } from './optimize.ts';
import { parseProblem } from './parse-problem.ts';

test('a Hamiltonian may be written in any of its forms', () => {
  const expected = {
    qubits: 2,
    terms: [
      { letters: 'ZZ', coefficient: 1 },
      { letters: 'IX', coefficient: 0.5 },
      { letters: 'II', coefficient: -2 },
    ],
  };
  const forms: readonly JSONValue[] = [
    { ZZ: 1, IX: 0.5, II: -2 },
    { 'Z0 Z1': 1, X0: 0.5, I: -2 },
    [
      { pauli: 'ZZ', coefficient: 1 },
      { pauli: 'IX', coefficient: 0.5 },
      { pauli: 'II', coefficient: -2 },
    ],
    [
      { paulis: 'Z1 Z0', coefficient: 1 },
      { paulis: 'X0', coefficient: 0.25 },
      { paulis: 'X0', coefficient: 0.25 },
      { paulis: 'I', coefficient: -2 },
    ],
  ];
  for (const form of forms) assert.deepEqual(parsePauliSum(form, 'h'), expected);
  assert.deepEqual(parsePauliSum({ Y2: 1 }, 'h', 4).terms, [{ letters: 'IYII', coefficient: 1 }]);
});

test('defaults are what the docs say', () => {
  const { ansatz, optimizer, initial, samples, starts } = parseProblem({ hamiltonian: { ZZ: 1 } }, 's');
  assert.deepEqual(
    { ansatz, optimizer, initial, samples, starts },
    {
      ansatz: { type: 'hardware_efficient', layers: 2, entanglement: 'linear', rotations: ['ry', 'rz'] },
      optimizer: { type: 'lbfgs', iterationsMax: 500, tolerance: 1e-6, memory: 10 },
      initial: 'default',
      samples: 1024,
      starts: 1,
    },
  );
  assert.equal(parseProblem({ molecule: 'H2' }, 's').ansatz.type, 'uccsd');
  assert.equal(parseProblem({ molecule: 'H2', shots: 10 }, 's').optimizer.type, 'spsa');
  assert.equal(parseProblem({ algorithm: 'qaoa', ising: { J: [[0, 1, 1]] } }, 's').ansatz.type, 'qaoa');
});

const maxcut = {
  nodes: 3,
  edges: [
    [0, 1],
    [1, 2],
  ],
};

/** Params, and what must be said of them. */
const bad: readonly (readonly [JSONValue, RegExp])[] = [
  [null, /^params must be an object/],
  [{}, /^params must have one of hamiltonian, molecule, maxcut, ising$/],
  [{ molecule: 'H2', maxcut }, /^params must have one of .*has molecule and maxcut/],
  [{ algorithm: 'vqa', molecule: 'H2' }, /^params\.algorithm must be one of vqe, qaoa; did you mean vqe\?/],
  [{ molecule: 'H3' }, /^params\.molecule\.name must be one of H2, H4, HeH\+/],
  [{ molecule: { name: 'H2', distance: 0 } }, /^params\.molecule\.distance must be a number from 0\.2 to 5/],
  [{ molecule: { name: 'H2', distanse: 1 } }, /^params\.molecule\.distanse .*did you mean distance/],
  [{ molecule: { name: 'H2', mapping: 'bk' } }, /^params\.molecule\.mapping must be one of/],
  [{ hamiltonian: {} }, /^params\.hamiltonian has no terms/],
  [{ hamiltonian: 'ZZ' }, /^params\.hamiltonian must be a map/],
  [{ hamiltonian: { ZZ: '1' } }, /^params\.hamiltonian\.ZZ must be a number/],
  [{ hamiltonian: { ZZ: 1, Z: 1 } }, /^params\.hamiltonian\.Z has 1 letters, and there are 2 qubits/],
  [{ hamiltonian: { ZA: 1 } }, /^params\.hamiltonian\.ZA must have one of I, X, Y, Z per qubit/],
  [{ hamiltonian: { 'Z0 Q1': 1 } }, /^params\.hamiltonian\["Z0 Q1"\] has "Q1"/],
  [{ hamiltonian: { 'Z0 X0': 1 } }, /names qubit 0 twice/],
  [{ hamiltonian: { 'Z0 X5': 1 }, qubits: 3 }, /names qubit 5, but the highest is 2/],
  [{ hamiltonian: [{ pauli: 'ZZ' }] }, /^params\.hamiltonian\[0\]\.coefficient must be a number/],
  [{ hamiltonian: [{ pauli: 3, coefficient: 1 }] }, /^params\.hamiltonian\[0\]\.pauli must be a text/],
  [
    { hamiltonian: [{ pauli: 'Z', paulis: 'Z0', coefficient: 1 }] },
    /^params\.hamiltonian\[0\] has both pauli and paulis/,
  ],
  [{ hamiltonian: [3] }, /^params\.hamiltonian\[0\] must be an object/],
  [{ molecule: 'H2', qubits: 2 }, /^params\.qubits goes with hamiltonian/],
  [{ maxcut: { nodes: 3, edges: [] } }, /^params\.maxcut\.edges has no edges/],
  [{ maxcut: { nodes: 3, edges: [[0, 3]] } }, /^params\.maxcut\.edges\[0\]\[1\] must be a whole number from 0 to 2/],
  [
    {
      maxcut: {
        nodes: 3,
        edges: [
          [0, 1],
          [1, 0],
        ],
      },
    },
    /^params\.maxcut\.edges\[1\] joins 1 and 0 a second time/,
  ],
  [{ maxcut: { nodes: 3, edges: [[1, 1]] } }, /^params\.maxcut\.edges\[0\] joins 1 with itself/],
  [{ maxcut: { nodes: 3, edges: [[0]] } }, /^params\.maxcut\.edges\[0\] must be two numbers/],
  [{ maxcut: { nodes: 3, edges: [[0, 1, 'a']] } }, /^params\.maxcut\.edges\[0\]\[2\] must be a number/],
  [{ maxcut: { nodes: 1, edges: [] } }, /^params\.maxcut\.nodes must be a whole number from 2/],
  [{ ising: {} }, /^params\.ising has neither h nor J/],
  [{ ising: { h: 1 } }, /^params\.ising\.h must be a list/],
  [{ ising: { h: [1, 'x'] } }, /^params\.ising\.h\[1\] must be a number/],
  [{ ising: { h: [1, 1], J: [[0, 2, 1]] } }, /^params\.ising\.J\[0\]\[1\] must be a whole number from 0 to 1/],
  [{ ising: { h: [1, 1], J: [[0, 1]] } }, /^params\.ising\.J\[0\] must be two numbers/],
  [{ ising: { h: [1, 1], spins: 3 } }, /^params\.ising\.h has 2 numbers, and there are 3 spins/],
  [{ molecule: 'H2', ansatz: 'ucc' }, /^params\.ansatz\.type must be one of/],
  [
    { molecule: 'H2', ansatz: { type: 'uccsd', entanglement: 'full' } },
    /^params\.ansatz\.entanglement is no field of the ansatz uccsd/,
  ],
  [{ maxcut, ansatz: { rotations: ['ry', 'ru'] } }, /^params\.ansatz\.rotations\[1\] must be one of rx, ry, rz/],
  [{ maxcut, ansatz: { rotations: [] } }, /^params\.ansatz\.rotations must be a list/],
  [{ maxcut, layers: 101 }, /^params\.layers must be a whole number from 0 to 100/],
  [{ maxcut, layers: 1, ansatz: { layers: 1 } }, /^params\.layers says the same/],
  [{ algorithm: 'qaoa', maxcut, ansatz: 'hardware_efficient' }, /^params\.ansatz\.type must be qaoa/],
  [{ molecule: 'H2', optimizer: 'lbgfs' }, /^params\.optimizer\.type must be one of .*did you mean lbfgs/],
  [
    { molecule: 'H2', optimizer: { type: 'lbfgs', iterations_max: 0 } },
    /^params\.optimizer\.iterations_max must be a whole number from 1/,
  ],
  [{ molecule: 'H2', optimizer: { tolerance: -1 } }, /^params\.optimizer\.tolerance must be a number/],
  [
    { molecule: 'H2', optimizer: { type: 'lbfgs', initial_step: 1 } },
    /^params\.optimizer\.initial_step is no field of the optimizer lbfgs/,
  ],
  [{ molecule: 'H2', optimizer: 'lbfgs', shots: 100 }, /^params\.optimizer\.type needs exact energies/],
  [{ molecule: 'H2', shots: 0 }, /^params\.shots must be a whole number from 1/],
  [{ molecule: 'H2', shots: 10, starts: 2 }, /^params\.starts takes exact energies/],
  [{ molecule: 'H2', optimizer: { iterations_max: 10_000 }, starts: 11 }, /^params\.starts with 10000 iterations each/],
  [{ molecule: 'H2', starts: 0 }, /^params\.starts must be/],
  [{ molecule: 'H2', samples: 1.5 }, /^params\.samples must be/],
  [{ molecule: 'H2', initial_parameters: 'zero' }, /^params\.initial_parameters must be/],
  [{ molecule: 'H2', initial_parameters: [0, null, 0] }, /^params\.initial_parameters\[1\] must be a number/],
  [
    { molecule: 'H2', initial_parameters: [0] },
    /^params\.initial_parameters has 1 numbers, and the ansatz takes 3: 0->1, 2->3/,
  ],
  [{ molecule: 'H2', reference: 'yes' }, /^params\.reference must be true or false/],
  [{ molecule: 'H2', optimiser: 'lbfgs' }, /^params\.optimiser is no field .*did you mean optimizer/],
  [{ maxcut, ansatz: 'uccsd' }, /^params\.ansatz uccsd is made of excitations/],
  [{ algorithm: 'qaoa', hamiltonian: { XX: 1 } }, /^params\.hamiltonian has terms with X or Y/],
  [{ maxcut, layers: 40, optimizer: 'nelder_mead' }, /^params\.optimizer nelder_mead takes at most 100 parameters/],
];

test('what is wrong is said with its place', () => {
  for (const [params, message] of bad)
    assert.throws(
      () => optimize(parseProblem(params, 's')),
      { name: 'StepError', code: 'INVALID_PARAMS', message },
      JSON.stringify(params),
    );
});

test('what is too large is refused before anything is allocated, with what it would take', () => {
  const ring = (nodes: number): JSONValue => ({
    nodes,
    edges: Array.from({ length: nodes }, (_, at) => [at, (at + 1) % nodes]),
  });
  const large: readonly JSONValue[] = [
    { algorithm: 'qaoa', maxcut: ring(40) },
    { maxcut: ring(4096) },
    { hamiltonian: { Z30: 1 } },
    { ising: { h: Array.from({ length: 25 }, () => 1) } },
  ];
  for (const params of large)
    assert.throws(() => parseProblem(params, 's'), {
      code: 'CIRCUIT_TOO_LARGE',
      message: /qubits and would take at least [\d.]+ GiB and [\d.]+ seconds .* at most 24 qubits, 0\.63 GiB/,
    });
  assert.throws(
    () =>
      optimize(
        parseProblem({ hamiltonian: { X13: 1 }, reference: true, layers: 0, optimizer: { iterations_max: 1 } }, 's'),
      ),
    {
      code: 'CIRCUIT_TOO_LARGE',
      message: /^params\.reference takes at most 12 qubits/,
    },
  );
});
