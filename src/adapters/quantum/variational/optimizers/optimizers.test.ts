import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRandom } from '../../simulate/random.ts';
import type { OptimizerChoice } from '../problem.ts';
import { createOptimizer } from './create.ts';
import type { Objective, Standing } from './optimizer.ts';

function objective(energy: (point: readonly number[]) => number, seed: string): Objective {
  return {
    energy,
    gradient: (point) => ({
      energy: energy(point),
      gradient: point.map((_, axis) => {
        const moved = (by: number): number => energy(point.map((value, at) => (at === axis ? value + by : value)));
        return (moved(1e-6) - moved(-1e-6)) / 2e-6;
      }),
    }),
    draws: (name, count) => {
      const random = createRandom(`${seed}/${name}`);
      return Array.from({ length: count }, () => random.next());
    },
  };
}

/** Through JSON after every iteration, as a checkpoint goes. */
function minimize(
  choice: OptimizerChoice,
  start: readonly number[],
  of: Objective,
): { state: Standing; iterations: number } {
  const optimizer = createOptimizer(choice, 1);
  let state = optimizer.start(start, of);
  let iterations = 0;
  while (state.end === undefined && iterations < choice.iterationsMax) {
    state = optimizer.step(JSON.parse(JSON.stringify(state)), of);
    iterations += 1;
  }
  return { state, iterations };
}

const rosenbrock = (point: readonly number[]): number => {
  const [x = 0, y = 0] = point;
  return (1 - x) ** 2 + 100 * (y - x * x) ** 2;
};
const quadratic = (point: readonly number[]): number =>
  point.reduce((sum, value, at) => sum + (at + 1) * (value - at) ** 2, 0);

const nelderMead = { type: 'nelder_mead', iterationsMax: 2000, tolerance: 1e-10, initialStep: 0.5 } as const;
const lbfgs = { type: 'lbfgs', iterationsMax: 200, tolerance: 1e-6, memory: 10 } as const;

test("Nelder–Mead and L-BFGS find the end of Rosenbrock's valley", () => {
  for (const choice of [nelderMead, lbfgs])
    for (const start of [
      [-1.2, 1],
      [3, -2],
      [0, 0],
    ]) {
      const { state } = minimize(choice, start, objective(rosenbrock, 's'));
      assert.ok(state.energy < 1e-8, `${choice.type} from ${start}: ${state.energy}, ${state.end}`);
      assert.ok(state.end === 'simplex_tolerance' || state.end === 'gradient_tolerance', state.end);
      for (const value of state.point) assert.ok(Math.abs(value - 1) < 1e-3);
    }
});

test('L-BFGS takes few iterations where Newton would take one', () => {
  const { state, iterations } = minimize(
    lbfgs,
    Array.from({ length: 12 }, () => 20),
    objective(quadratic, 's'),
  );
  assert.ok(state.energy < 1e-10 && iterations < 60, `${state.energy} after ${iterations}`);
});

test('L-BFGS never stands higher than before', () => {
  const optimizer = createOptimizer(lbfgs, 1);
  const waves = objective(
    (point) => point.reduce((sum, value) => sum + Math.cos(3 * value) + 0.1 * value ** 2, 0),
    's',
  );
  let state = optimizer.start([0.1, 2, -3], waves);
  for (let round = 0; round < 50 && state.end === undefined; round += 1) {
    const next = optimizer.step(state, waves);
    assert.ok(next.energy <= state.energy);
    state = next;
  }
  assert.ok(state.end);
});

test('SPSA comes near the minimum of a quadratic under noise, from every seed', () => {
  const spsa = { type: 'spsa', iterationsMax: 2000, tolerance: 1e-9, initialStep: 0.1, perturbation: 0.1 } as const;
  for (const [noise, distance] of [
    [0, 0.005],
    [0.01, 0.02],
    [0.1, 0.15],
  ] as const)
    for (const seed of ['a', 'b', 'c', 'd', 'e']) {
      const random = createRandom(`noise ${seed}`);
      const noisy = (point: readonly number[]): number => quadratic(point) + noise * (2 * random.next() - 1);
      const { state } = minimize(spsa, [0, 0, 0, 0], objective(noisy, seed));
      const far = Math.max(...state.point.map((value, at) => Math.abs(value - at)));
      assert.ok(far < distance, `noise ${noise}, seed ${seed}: ${far} away`);
    }
});

test('where there is nothing to gain an optimizer ends, and stays', () => {
  const flat = objective(() => 1, 's');
  for (const choice of [nelderMead, lbfgs, { ...nelderMead, type: 'spsa', perturbation: 0.1 } as const]) {
    const { state, iterations } = minimize(choice, [0.3, -0.2], flat);
    assert.equal(state.energy, 1);
    assert.ok(state.end !== undefined && iterations < 300, `${choice.type} after ${iterations}`);
  }
});
