import assert from 'node:assert/strict';
import { test } from 'node:test';
import { simulate } from './simulate.ts';

/** SIM_SEEDS asks for more, as a nightly run does. */
const seeds = Number(process.env.SIM_SEEDS ?? 2_000);

// A process of its own: what nobody catches there is a finding, and the test runner would take it for its own.
test(`${seeds} seeds: no promise is broken, whatever breaks; one in ten runs twice, with the same log`, async (t) => {
  const most = seeds - Math.floor(seeds / 10);
  const [once, twice] = await Promise.all([
    simulate(['--once', '--seeds', String(most)]),
    simulate(['--seeds', String(seeds - most), '--from', String(most + 1)]),
  ]);
  for (const { output, summary } of [once, twice]) {
    t.diagnostic(output.trim().split('\n').at(-1) ?? '');
    assert.deepEqual(summary?.failed, [], output);
  }
  assert.equal((once.summary?.seeds ?? 0) + (twice.summary?.seeds ?? 0), seeds);
});

test('a seed gives the same log in another process', async () => {
  const [one, other] = await Promise.all([
    simulate(['--once', '--seeds', '40']),
    simulate(['--once', '--seeds', '40']),
  ]);
  assert.equal(one.summary?.seeds, 40);
  assert.equal(one.summary?.hash, other.summary?.hash);
});
