import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JSONObject, JSONValue } from '../../src/lib/json.ts';
import { Client } from './client.ts';
import { NodeProcess } from './processes.ts';

interface Cluster {
  client: Client;
  worker(nodeId: string, labels?: Record<string, string>): Promise<NodeProcess>;
}

/** A coordinator that runs no steps itself, in a process of its own, and workers as `use` asks for them; all of them end with it. */
export async function withCluster(use: (cluster: Cluster) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'jsonflow-cluster-'));
  const ledger = join(folder, 'unused');
  const started: NodeProcess[] = [];
  const start = async (config: ConstructorParameters<typeof NodeProcess>[0]) => {
    const node = new NodeProcess(config);
    started.push(node);
    return { node, ...(await node.ready) };
  };
  try {
    const { url = '', http = '' } = await start({
      nodeId: 'coordinator',
      port: 0,
      dataDir: join(folder, 'coordinator'),
      localSteps: 'never',
      coordinator: { heartbeatMs: 200, suspectAfterMs: 600, lostAfterMs: 1_500, reconnectGraceMs: 500 },
      ledger,
    });
    const worker: Cluster['worker'] = async (nodeId, labels = {}) => {
      const own = { nodeId, dataDir: join(folder, nodeId), capabilities: { labels } };
      return (await start({ role: 'worker', connect: url, ledger, ...own })).node;
    };
    await use({ client: new Client(http), worker });
  } finally {
    for (const node of started) await node.kill();
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Runs a workflow of one step, kills the node that does it once it has saved three checkpoints, and starts another, which ends it.
 *
 * @param pattern of the second attempt's progress notes, with a number in parentheses
 * @returns what the second attempt gave, and the first number of its progress
 */
export async function resumed(
  { client, worker }: Cluster,
  workflow: JSONObject,
  pattern: string,
): Promise<{ output: JSONValue; first: number }> {
  const node = await worker('w-1');
  const runId = await client.submit(workflow, {}, 'once');
  let saved = 0;
  await client.follow(runId, (text) => {
    saved = [...text.matchAll(/"kind":"step\.checkpoint"/g)].length;
    return saved >= 3;
  });
  assert.ok(saved >= 3, 'it was not over before it could be killed');
  await node.kill();
  await worker('w-2');
  let events = '';
  await client.follow(runId, (text) => {
    events = text;
    return false;
  });
  const { status, receipts, error } = await client.result(runId);
  assert.equal(status, 'completed', JSON.stringify(error));
  const [receipt] = receipts;
  assert.equal(receipt?.execution_metadata.attempt, 2);
  assert.equal(receipt.execution_metadata.executor_node, 'w-2');
  const progress = new RegExp(`"kind":"step\\.progress"[^\\n]*"attempt":2,[^\\n]*"note":"${pattern}`);
  return { output: receipt.output as JSONValue, first: Number(progress.exec(events)?.[1]) };
}
