// An optimization whose node is killed goes on elsewhere, from where it was, to the same end.
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { optimize } from '../../src/adapters/quantum/variational/optimize.ts';
import { parseProblem } from '../../src/adapters/quantum/variational/parse-problem.ts';
import { withCluster } from './cluster.ts';

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
  withCluster(async ({ client, worker }) => {
    const first = await worker('w-1');
    const runId = await client.submit(workflow, {}, 'once');
    let saved = 0;
    await client.follow(runId, (text) => {
      saved = [...text.matchAll(/"kind":"step\.checkpoint"/g)].length;
      return saved >= 3;
    });
    assert.ok(saved >= 3, 'it was not over before it could be killed');
    await first.kill();
    await worker('w-2');
    let events = '';
    await client.follow(runId, (text) => {
      events = text;
      return false;
    });
    const result = await client.result(runId);
    assert.equal(result.status, 'completed', JSON.stringify(result.error));
    const [cut] = result.receipts;
    assert.equal(cut?.execution_metadata.attempt, 2);
    assert.equal(cut?.execution_metadata.executor_node, 'w-2');
    const { plot: _, ...output } = (cut?.output ?? {}) as Record<string, unknown>;
    // The seed as the adapter makes it of the param.
    assert.deepEqual(output, JSON.parse(JSON.stringify(optimize(parseProblem(params, 'string kill')))));
    const [, iteration] = /"kind":"step\.progress"[^\n]*"attempt":2,[^\n]*"note":"iteration (\d+)/.exec(events) ?? [];
    assert.ok(Number(iteration) > 1, `the second attempt went on, at iteration ${iteration}`);
  }));
