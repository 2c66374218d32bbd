// An optimization whose node is killed goes on elsewhere, from where it was, to the same end.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { optimize } from '../../src/adapters/quantum/variational/optimize.ts';
import { parseProblem } from '../../src/adapters/quantum/variational/parse-problem.ts';
import type { JSONObject } from '../../src/lib/json.ts';
import { resumed, withCluster } from './cluster.ts';

/** A ring with some chords: enough work for a kill to fall into it. */
const nodes = 14;
const edges = Array.from({ length: nodes }, (_, node) => [node, (node + 1) % nodes]).concat([
  [0, 7],
  [3, 10],
  [5, 12],
]);
const params = {
  algorithm: 'qaoa',
  maxcut: { nodes, edges },
  layers: 3,
  optimizer: { type: 'nelder_mead', iterations_max: 400, tolerance: 1e-12 },
  seed: 'kill',
};
const workflow = {
  workflow: 'resumed',
  fault_tolerance: { retry_failed_steps: true, failover_strategy: 'checkpoint' },
  steps: [{ id: 'cut', type: 'quantum_optimize', params }],
};

it('an optimization goes on from its last checkpoint when its node is killed', () =>
  withCluster(async (cluster) => {
    const { output, first } = await resumed(cluster, workflow, 'iteration (\\d+)');
    const { plot: _, ...found } = output as JSONObject;
    // The seed as the adapter makes it of the param.
    assert.deepEqual(found, JSON.parse(JSON.stringify(optimize(parseProblem(params, 'string kill')))));
    assert.ok(first > 1, `the second attempt went on, at iteration ${first}`);
  }));
