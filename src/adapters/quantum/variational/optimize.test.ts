import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JSONValue } from '../../../lib/json.ts';
import type { Checkpoint } from './checkpoint.ts';
import { Energy } from './energy.ts';
import { Observable } from './hamiltonian/observable.ts';
import { optimize, type VariationalResult } from './optimize.ts';
import { parseProblem } from './parse-problem.ts';
import { prepare } from './prepare.ts';
import { requirementsOf } from './requirements.ts';

const run = (params: JSONValue, seed = 's'): VariationalResult => optimize(parseProblem(params, seed));
const close = (actual: number | undefined, expected: number, tolerance: number, what = ''): void =>
  assert.ok(Math.abs((actual ?? Number.NaN) - expected) < tolerance, `${what} ${actual}, not ${expected}`);

/** In hartree: 1 kcal/mol, what chemists ask of a calculation. */
const chemicalAccuracy = 1.6e-3;
const ring = (nodes: number): JSONValue => ({
  nodes,
  edges: Array.from({ length: nodes }, (_, node) => [node, (node + 1) % nodes]),
});
const petersen: JSONValue = {
  nodes: 10,
  edges: [0, 1, 2, 3, 4].flatMap((node) => [
    [node, (node + 1) % 5],
    [node, node + 5],
    [node + 5, ((node + 2) % 5) + 5],
  ]),
};

test('H2 at 0.735 Å: the known energy, from the Hartree–Fock state', () => {
  const result = run({ molecule: 'H2', reference: true });
  close(result.best_energy, -1.1373060358, 1e-9);
  close(result.reference_energy, -1.1373060358, 1e-9);
  close(result.energy_history[0], result.hartree_fock_energy ?? 0, 1e-12);
  assert.ok(result.converged);
  assert.equal(result.qubits, 2);
  assert.ok(result.evaluations <= 6, `${result.evaluations} evaluations`);
  assert.equal(result.energy_history.length, result.iterations + 1);
});

for (const optimizer of ['lbfgs', 'nelder_mead'])
  for (const ansatz of ['uccsd', 'hardware_efficient'])
    test(`H2: chemical accuracy from 100 of 100 random starts, ${ansatz} by ${optimizer}`, () => {
      for (let seed = 0; seed < 100; seed += 1) {
        const params = { molecule: 'H2', ansatz, optimizer, initial_parameters: 'random' };
        const { best_energy: energy } = run(params, `start ${seed}`);
        close(energy, -1.1373060358, chemicalAccuracy, `seed ${seed}:`);
        assert.ok(energy > -1.1373060359, 'no state is below the ground state');
      }
    });

test('H4 at 1.0 Å: UCCSD comes within 0.1 mHa of exact diagonalization', () => {
  const result = run({ molecule: { name: 'H4', distance: 1 }, reference: true });
  close(result.reference_energy, -2.166387448634759, 1e-9);
  close(result.best_energy, result.reference_energy ?? 0, 1e-4);
  assert.ok(result.converged);
});

test('QAOA on MaxCut: the known values, and the cuts they are for', () => {
  const known = [
    [ring(6), 1, 4.5, 6],
    [ring(8), 2, 20 / 3, 8],
    [petersen, 1, 10.38675, 12],
  ] as const;
  for (const [maxcut, layers, energy, cut] of known)
    for (const optimizer of ['lbfgs', 'nelder_mead']) {
      const result = run({ algorithm: 'qaoa', maxcut, layers, optimizer, reference: true });
      close(-result.best_energy, energy, 1e-5, `${layers} layers, ${optimizer}:`);
      close(result.reference_energy, -cut, 1e-9);
      assert.equal(result.solution?.cut_value, cut);
      // 1,024 samples of a cut that spreads by about 1.5: five standard errors.
      close(result.solution?.average_cut, energy, 0.25);
    }
});

test('best bitstrings are states of the energy that they are said to have', () => {
  const { solution } = run({
    algorithm: 'qaoa',
    ising: {
      h: [0.5, -0.5, 0.1],
      J: [
        [0, 1, 1],
        [1, 2, -1],
      ],
    },
    layers: 2,
  });
  // Spins −1, +1, +1: h gives −0.5 −0.5 +0.1, J gives −1 −1.
  assert.deepEqual(solution?.best_bitstrings, ['001']);
  close(solution?.energy, -2.9, 1e-12);
});

test('derivatives are those of finite differences, for every ansatz', () => {
  const systems: readonly JSONValue[] = [
    { molecule: 'H4', layers: 1 },
    { molecule: { name: 'H4', mapping: 'parity' }, layers: 2 },
    { algorithm: 'qaoa', maxcut: petersen, layers: 3 },
    {
      hamiltonian: { XYZ: 0.7, ZZI: -1, IYY: 0.4, XII: 0.3 },
      ansatz: { type: 'hardware_efficient', rotations: ['rx', 'ry', 'rz'] },
    },
    { hamiltonian: { XYZ: 0.7, ZZI: -1 }, ansatz: { type: 'hardware_efficient', entanglement: 'circular' }, layers: 3 },
    { hamiltonian: { XYZX: 0.7, ZZIZ: -1 }, ansatz: { type: 'hardware_efficient', entanglement: 'full' } },
  ];
  for (const params of systems) {
    const problem = parseProblem({ ...(params as object), initial_parameters: 'random' }, 'gradient');
    const { ansatz, hamiltonian, initial } = prepare(problem);
    const energy = new Energy(ansatz, new Observable(hamiltonian));
    const { gradient, energy: value } = energy.gradientAt(initial);
    close(value, energy.at(initial), 1e-12);
    assert.ok(gradient.some((slope) => Math.abs(slope) > 0.05));
    gradient.forEach((slope, axis) => {
      const moved = (by: number): number => energy.at(initial.map((x, at) => (at === axis ? x + by : x)));
      close(slope, (moved(1e-5) - moved(-1e-5)) / 2e-5, 1e-7, `${ansatz.names[axis]}:`);
    });
  }
});

test('several starts: none is better than what comes out, and it may be better than the first', () => {
  const params = { molecule: { name: 'H2', mapping: 'jordan_wigner' }, ansatz: 'hardware_efficient', layers: 1 };
  const one = run(params, 'seed 3');
  const ten = run({ ...params, starts: 10 }, 'seed 3');
  assert.ok(ten.best_energy <= one.best_energy);
  close(ten.best_energy, -1.1373060358, chemicalAccuracy);
  assert.deepEqual(ten.energy_history.slice(0, one.energy_history.length), one.energy_history);
  close(Math.min(...ten.energy_history), ten.best_energy, 1e-12);
});

const resumable: readonly JSONValue[] = [
  { molecule: 'H2', optimizer: { type: 'nelder_mead', iterations_max: 60 } },
  { molecule: 'H4', optimizer: { type: 'lbfgs', iterations_max: 30 } },
  { molecule: 'H2', shots: 200, optimizer: { type: 'spsa', iterations_max: 25 } },
  { molecule: 'H2', shots: 200, optimizer: { type: 'nelder_mead', iterations_max: 25 } },
  { algorithm: 'qaoa', maxcut: ring(5), layers: 2, starts: 3, optimizer: { type: 'lbfgs', iterations_max: 12 } },
];

for (const params of resumable)
  test(`from the checkpoint of any iteration it comes to the same end: ${JSON.stringify(params)}`, () => {
    const problem = parseProblem(params, 'resume');
    const checkpoints: string[] = [];
    const whole = optimize(problem, { onIteration: (checkpoint) => checkpoints.push(JSON.stringify(checkpoint)) });
    assert.equal(checkpoints.length, whole.energy_history.length);
    checkpoints.forEach((text, at) => {
      const rest: string[] = [];
      const from = JSON.parse(text) as Checkpoint;
      const resumed = optimize(problem, { from, onIteration: (checkpoint) => rest.push(JSON.stringify(checkpoint)) });
      assert.deepEqual(resumed, whole);
      assert.deepEqual(rest, checkpoints.slice(at + 1));
    });
  });

test('a checkpoint of another problem, seed or version is refused', () => {
  const params = { molecule: 'H2' };
  const checkpoints: Checkpoint[] = [];
  optimize(parseProblem(params, 'a'), { onIteration: (checkpoint) => checkpoints.push(checkpoint) });
  const [from] = checkpoints;
  assert.ok(from);
  for (const [other, checkpoint] of [
    [parseProblem({ molecule: { name: 'H2', distance: 0.74 } }, 'a'), from],
    [parseProblem(params, 'b'), from],
    [parseProblem(params, 'a'), { ...from, version: 0 }],
  ] as const)
    assert.throws(() => optimize(other, { from: checkpoint }), { code: 'QUANTUM_CHECKPOINT' });
});

test('energies from shots: the same seed gives the same, another another; the error says how far they are off', () => {
  const params = {
    hamiltonian: { ZZ: 1, XI: 0.5, IX: 0.5, YY: 0.25 },
    shots: 500,
    optimizer: { type: 'spsa', iterations_max: 30 },
  };
  assert.deepEqual(run(params, 'a'), run(params, 'a'));
  assert.notDeepEqual(run(params, 'a'), run(params, 'b'));
  const { ansatz, hamiltonian } = prepare(parseProblem(params, 'a'));
  const exact = new Energy(ansatz, new Observable(hamiltonian));
  let squares = 0;
  for (let seed = 0; seed < 40; seed += 1) {
    const {
      best_energy: energy,
      best_energy_error: error = 0,
      optimal_parameters: point,
    } = run(params, `seed ${seed}`);
    squares += ((energy - exact.at(point)) / error) ** 2;
  }
  // Chi-square with 40 degrees of freedom: chance leaves this range once in 1,000.
  assert.ok(squares > 16.9 && squares < 76.1, `${squares}`);
});

test('a start without slope, a maximum too, is left', () => {
  const params = { hamiltonian: { ZZ: 1 }, initial_parameters: Array.from({ length: 12 }, () => 0), reference: true };
  const result = run(params);
  close(result.best_energy, -1, 1e-9);
  close(result.reference_energy, -1, 1e-12);
  close(run({ hamiltonian: { II: 3 } }).best_energy, 3, 1e-12, 'nothing to gain:');
});

test('energies may be tiny or huge', () => {
  for (const scale of [1e-9, 7, 1e9])
    for (const optimizer of ['lbfgs', 'nelder_mead', 'spsa']) {
      const J = [0, 1, 2, 3].map((spin) => [spin, (spin + 1) % 4, scale]);
      // A ring at one layer gives half of the energy that is possible, at γ = π/8 and β = −π/8.
      const result = run({ algorithm: 'qaoa', ising: { J }, optimizer });
      close(result.best_energy / scale, -2, 1e-6, `${scale} ${optimizer}:`);
      const [gamma = 0, beta = 0] = result.optimal_parameters;
      close(gamma * scale, Math.PI / 8, 1e-3);
      close(beta, -Math.PI / 8, 1e-3);
      const again = run({ algorithm: 'qaoa', ising: { J }, initial_parameters: [gamma, beta] });
      close((again.energy_history[0] ?? 0) / scale, result.best_energy / scale, 1e-12);
    }
});

test('why it ended is told', () => {
  assert.equal(
    run({ molecule: 'H2', initial_parameters: [1, 1, 1], optimizer: { type: 'lbfgs', iterations_max: 2 } }).reason,
    'iterations_max',
  );
  assert.equal(
    run({ molecule: 'H2', initial_parameters: [1, 1, 1], optimizer: { type: 'lbfgs', iterations_max: 2 } }).converged,
    false,
  );
  assert.equal(run({ molecule: 'H2', optimizer: 'nelder_mead' }).reason, 'simplex_tolerance');
  const unreachable = run({ molecule: 'H4', optimizer: { type: 'lbfgs', tolerance: 1e-12 } });
  assert.ok(unreachable.reason === 'no_lower_energy' || unreachable.converged, unreachable.reason);
  close(unreachable.best_energy, -2.166308245477, 1e-10);
});

test('what an optimization needs is known before', () => {
  assert.deepEqual(requirementsOf(parseProblem({ molecule: 'H4' }, 's')), { qubits: 8, bytes: 40 * 256 });
  assert.equal(requirementsOf(parseProblem({ molecule: { name: 'H4', mapping: 'parity' } }, 's')).qubits, 6);
});
