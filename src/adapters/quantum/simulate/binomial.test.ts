import assert from 'node:assert/strict';
import { test } from 'node:test';
import { deviation } from '../../../../test/compliance/quantum-oracle.ts';
import { binomial, multinomial } from './binomial.ts';
import { createRandom } from './random.ts';

/** By ratios of neighbours from the mode on, then scaled to 1. */
function distribution(n: number, p: number): Map<string, number> {
  const mode = Math.floor((n + 1) * p);
  const masses = new Map<number, number>([[mode, 1]]);
  for (let k = mode, mass = 1; k < n && mass > 1e-14; k += 1) {
    mass *= (((n - k) / (k + 1)) * p) / (1 - p);
    masses.set(k + 1, mass);
  }
  for (let k = mode, mass = 1; k > 0 && mass > 1e-14; k -= 1) {
    mass *= ((k / (n - k + 1)) * (1 - p)) / p;
    masses.set(k - 1, mass);
  }
  const total = [...masses.values()].reduce((sum, mass) => sum + mass, 0);
  return new Map([...masses].map(([k, mass]) => [`${k}`, mass / total]));
}

for (const [n, p] of [
  [1, 0.3],
  [20, 0.5],
  [100, 0.02],
  [10_000_000, 3e-7],
  [1_000, 0.4],
  [50, 0.7],
  [100_000, 0.9999],
  [1_000_000, 0.123],
] as const)
  test(`successes of ${n} tries at ${p} are as frequent as they should be`, () => {
    const random = createRandom(`${n} ${p}`);
    const counts = new Map<string, number>();
    for (let draw = 0; draw < 20_000; draw += 1) {
      const successes = binomial(n, p, random);
      assert.ok(successes >= 0 && successes <= n && Number.isInteger(successes));
      counts.set(`${successes}`, (counts.get(`${successes}`) ?? 0) + 1);
    }
    assert.ok(deviation(counts, distribution(n, p)) < 4);
  });

test('certainties are certain, whatever the size', () => {
  const random = createRandom('certain');
  for (const n of [0, 1, 50, 1_000_000]) {
    assert.equal(binomial(n, 0, random), 0);
    assert.equal(binomial(n, 1, random), n);
  }
});

test('shots are divided among outcomes by their weights, all of them, none to what is impossible', () => {
  const random = createRandom('outcomes');
  const sums = [0, 0, 0, 0];
  for (let round = 0; round < 2_000; round += 1) {
    const shares = multinomial(100, [1, 0, 3, 0], random);
    assert.equal(
      shares.reduce((sum, share) => sum + share, 0),
      100,
    );
    for (const [at, share] of shares.entries()) sums[at] = (sums[at] ?? 0) + share;
  }
  assert.deepEqual([sums[1], sums[3]], [0, 0]);
  const probabilities = new Map([
    ['0', 0.25],
    ['2', 0.75],
  ]);
  assert.ok(
    deviation(
      new Map([
        ['0', sums[0] ?? 0],
        ['2', sums[2] ?? 0],
      ]),
      probabilities,
    ) < 4,
  );
});
